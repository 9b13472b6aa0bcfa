"""Gaussian statistics of features: streamed, weighted, merged exactly; read from the peers' npz files.

All moments are float64, whatever the features are: a float32 mean over 50,000 rows is already off by 1e-5.
"""

import json
import math
from collections.abc import Sized
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fidprobe.arguments import checked, shown
from fidprobe.errors import InputError
from fidprobe.features.matrices import float_tensor
from fidprobe.features.value import Features, Matrix, check_finite_rows
from fidprobe.images.array_files import LOAD_ERRORS, load_member, member_names, statistics_names
from fidprobe.provenance import UNKNOWN, Provenance, check_comparable
from fidprobe.runtime.brief import Brief
from fidprobe.runtime.files import atomic_path, is_file
from fidprobe.runtime.messages import one_line
from fidprobe.runtime.ranks import ALONE, Ranks
from fidprobe.runtime.threads import symmetric_eigenvalues

__all__ = [
    "GaussianStatistics",
    "Moments",
    "check_moments",
    "count_of",
    "gram",
    "is_statistics_file",
    "statistics_of",
]

_ROWS = 8192  # rows cast to float64 at a time: 128 MB at d = 2048
_LARGEST = 1e140  # covariances, and squares of means: their products stay within float64
_ASYMMETRIC = 1e-5  # of the largest entry: products in float32 are that asymmetric
_INDEFINITE = 1e-4  # of the largest eigenvalue: float32 files are indefinite by rounding


@dataclass(frozen=True, eq=False, repr=False)
class GaussianStatistics(Brief):
    """Mean and covariance of a set of features.

    Arrays and tensors of other real types are taken as well and become float64 tensors. A covariance that is symmetric
    up to rounding becomes symmetric to the bit.

    Attributes:
        mean: float64 [d].
        cov: float64 [d, d], symmetric; divided by count - 1, as all peers do (StyleGAN's own code divides by
            count). Weighted statistics divide by the sum of weights (role-of-imagenet-classes-in-fid, Eq. 3).
        count: Number of images, from 2 up; None if unknown (the peers' files do not say). The rank of the covariance
            is then found from its eigenvalues.
        provenance: Which images, through which network.

    Raises:
        InputError: shapes that do not fit; entries that `check_moments` refuses; `cov` is no covariance: asymmetric by
            more than 1e-5 of its largest entry, negative eigenvalues beyond 1e-4 of the largest (float32 files of 2048
            dimensions stay below 1e-6), or variation in more than count - 1 directions; a count below 2.
    """

    mean: Tensor
    cov: Tensor
    count: int | None = None
    provenance: Provenance = UNKNOWN

    def __post_init__(self) -> None:
        if not isinstance(self.provenance, Provenance):
            raise InputError(f"`provenance` must be a Provenance, not {shown(self.provenance)}")
        count = None if self.count is None else _count(self.count)
        mean, cov = _checked(_real(self.mean, "mean"), _real(self.cov, "cov"), count, "cov")
        self.__dict__.update(mean=mean, cov=cov, count=count)

    @classmethod
    def _known(cls, mean: Tensor, cov: Tensor, count: int | None, provenance: Provenance) -> "GaussianStatistics":
        """Build statistics without the checks of the constructor, which would take a tenth of the time of a distance.

        Args:
            mean: float64 [d].
            cov: float64 [d, d], a covariance by how it was computed, symmetric to the bit.
            count: From 2 up, or None.
            provenance: Which images, through which network.
        """
        check_moments(mean, cov)
        stats = cls.__new__(cls)
        stats.__dict__.update(mean=mean, cov=cov, count=count, provenance=provenance)
        return stats

    @property
    def dim(self) -> int:
        """d, the number of feature dimensions."""
        return self.mean.shape[0]

    @property
    def space(self) -> str:
        """Short name of the feature space; `unknown` without provenance."""
        return self.provenance.space

    @classmethod
    def of(cls, features: Matrix, weights: Any = None, *, ranks: Ranks = ALONE) -> "GaussianStatistics":
        """Statistics of features, optionally weighted.

        Args:
            features: Features, or a matrix [n, d] of floating-point numbers in an array or a tensor; a tensor of truth
                values counts as 0 and 1.
            weights: Non-negative [n], likewise, of any positive sum. Weighted covariances are population covariances
                (divided by the sum of weights), so that they do not depend on the weights' scale.
            ranks: Processes that all have the features. Each reads its share of the rows, and all get the statistics
                of the whole.

        Raises:
            InputError: no matrix, fewer than 2 rows, NaN or infinite values, bad weights.
        """
        values = features.features if isinstance(features, Features) else features
        if not isinstance(values, Tensor) or values.dtype != torch.bool:  # attacks' class indicators are bool
            values = float_tensor(values, "features")
        if weights is not None and not isinstance(weights, Tensor):
            weights = float_tensor(weights, "weights").to(values.device)
        if values.ndim != 2:
            raise InputError(f"features must be a matrix [n, d], got {list(values.shape)}")
        if weights is not None and (weights.shape != values.shape[:1] or bool((weights < 0).any())):
            raise InputError(f"weights must be {len(values)} non-negative numbers, got {list(weights.shape)}")
        if weights is not None and not math.isfinite(float(weights.sum())):
            raise InputError("weights contain NaN or infinite values, or have an infinite sum; divide them by it")
        if isinstance(features, Features):
            features.check_shared(ranks)
        else:
            ranks.check_equal("shape of the features", list(values.shape))
        share = ranks.share(len(values))
        moments = Moments(values.shape[1], device=values.device, first=share.start)
        with ranks.failing_together():
            for start in share[::_ROWS]:
                part = slice(start, min(start + _ROWS, share.stop))
                moments.update(values[part], None if weights is None else weights[part])
        moments.sum(ranks)
        provenance = features.provenance if isinstance(features, Features) else UNKNOWN
        return moments.statistics(provenance, population=weights is not None)

    def merge(self, other: "GaussianStatistics") -> "GaussianStatistics":
        """Statistics of the union of two disjoint sets, exactly (Chan, Golub and LeVeque 1979).

        Raises:
            InputError: a side's count is unknown.
            MismatchError: the sides come from different feature spaces.
        """
        check_comparable(self.provenance, other.provenance, (self.dim, other.dim))
        moments = Moments(self.dim, device=self.mean.device)
        for side in (self, other):
            if side.count is None:
                raise InputError("statistics without a count cannot be merged; the file does not say how many images")
            moments.merge(float(side.count), side.mean, side.cov * (side.count - 1), rows=side.count)
        sources = self.provenance.source, other.provenance.source
        whole = None if sources[0] is None or sources[1] is None else sources[0].union(sources[1])
        extractor = None if other.provenance.extractor is None else self.provenance.extractor
        return moments.statistics(Provenance(extractor, whole))

    @checked
    def save(self, path: str | PathLike[str]) -> None:
        """Write pytorch-fid's npz (`mu`, `sigma`), plus `count` and `provenance` (JSON text) when known.

        Raises:
            InputError: the path does not end in `.npz`, or cannot be written; tensors were changed so that `load` would
                refuse them.
        """
        path = Path(path)
        if path.suffix.lower() != ".npz":
            raise InputError(f"{path}: statistics are saved as .npz; choose a name that ends so")
        try:
            stats = replace(self, provenance=Provenance.from_json(self.provenance.to_json()))
        except InputError as error:
            raise InputError(f"{path}: not written, since {error}") from error
        extra: dict[str, Any] = {"provenance": np.array(json.dumps(stats.provenance.to_json()))}
        if stats.count is not None:
            extra["count"] = np.array(stats.count)
        mu, sigma = (moment.detach().cpu().numpy() for moment in (stats.mean, stats.cov))
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, mu=mu, sigma=sigma, **extra)

    @classmethod
    @checked
    def load(cls, path: str | PathLike[str], *, spatial: bool = False) -> "GaussianStatistics":
        """Read statistics: fidprobe's, pytorch-fid's, clean-fid's or ADM's npz (`mu`, `sigma`); float32 or 64.

        Other programs' names `mean` and `cov`, `m` and `s`, `ref_mu` and `ref_sigma` are read as well.

        Args:
            path: The npz.
            spatial: Read `mu_s` and `sigma_s` instead, ADM's statistics of spatial features (`inception-spatial`). The
                file's count and provenance, which are of the other arrays, are ignored.

        Raises:
            InputError: the file is missing, damaged or pickled, or lacks these arrays; values are not real or not
                finite; `sigma` is no covariance; the count is below 2.
        """
        path = Path(path)
        if not is_file(path):
            raise InputError(f"{path}: no such statistics file")
        try:
            names = member_names(path)
            mu, sigma = ("mu_s", "sigma_s") if spatial else statistics_names(names) or ("mu", "sigma")
            if not {mu, sigma} <= set(names):
                if spatial and {"mu", "sigma"} <= set(names):
                    raise InputError(
                        f"{path}: has no spatial statistics (`mu_s` and `sigma_s`, as ADM's reference files have); "
                        "name the images instead"
                    )
                raise InputError(f"{path}: not statistics (needs arrays `{mu}` and `{sigma}`)")
            # Other members (ADM's images) stay on disk.
            wanted = (mu, sigma) if spatial else (mu, sigma, "count", "provenance")
            arrays = {name: load_member(path, name) for name in wanted if name in names}
        except InputError:
            raise
        except LOAD_ERRORS as error:
            reason = one_line(error)
            raise InputError(f"{path}: damaged, or holds pickled objects, which are never loaded ({reason})") from error
        try:
            count = _count(arrays["count"]) if "count" in arrays else None
            text = str(arrays["provenance"]) if "provenance" in arrays else "{}"
            provenance = Provenance.from_json(json.loads(text))
            mean, cov = _checked(_real(arrays[mu], mu), _real(arrays[sigma], sigma), count, sigma)
        except RecursionError as error:
            raise InputError(f"{path}: its provenance is damaged; make the statistics again") from error
        except ValueError as error:  # ours, and json's
            raise InputError(f"{path}: {error}") from error
        return cls._known(mean, cov, count, provenance)


def statistics_of(side: Features | GaussianStatistics) -> GaussianStatistics:
    """The statistics of features; statistics as they are.

    Raises:
        InputError: fewer than 2 images, NaN or infinite values.
    """
    return side if isinstance(side, GaussianStatistics) else GaussianStatistics.of(side)


def count_of(side: Sized | GaussianStatistics) -> int | None:
    """How many images features or a source have, or statistics say; None if they do not say."""
    return side.count if isinstance(side, GaussianStatistics) else len(side)


def check_moments(mean: Tensor, cov: Tensor) -> None:
    """Raise if products of two such covariances would over- or underflow in float64; float32 features never do.

    Args:
        mean: float64 [d].
        cov: float64 [d, d].

    Raises:
        InputError: NaN or infinite entries, or sizes out of range.
    """
    centre, spread = float(mean.abs().max()), float(cov.abs().max())
    if not (math.isfinite(centre) and math.isfinite(spread)):
        raise InputError("statistics contain NaN or infinite values; check the features they were made from")
    if centre > _LARGEST**0.5 or spread > _LARGEST or 0 < spread < 1 / _LARGEST:
        raise InputError(
            f"statistics with a mean up to {centre:.3g} and covariances up to {spread:.3g} leave the range in which "
            "distances can be computed; rescale the features"
        )


def _real(values: Any, name: str) -> Tensor:
    """A float64 tensor of an array or tensor of real numbers."""
    if isinstance(values, Tensor):
        if values.is_complex() or values.dtype == torch.bool or values.is_meta or values.layout != torch.strided:
            raise InputError(
                f"`{name}` must hold real numbers, got a {values.layout} {values.dtype} on {values.device}"
            )
        return values.to("cpu" if values.device.type == "mps" else values.device).to(torch.float64)
    kind = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise InputError(f"`{name}` must hold real numbers, got {kind}")
    return torch.from_numpy(np.array(values, dtype=np.float64))


def _count(value: Any) -> int:
    """The number of images that an array of one number, or a number, stands for."""
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "fiu" or not 2 <= array.item() < 2**63 or array.item() % 1 != 0:
        held = str(array).partition("\n")[0][:40]
        raise InputError(
            f"`count` must be a whole number from 2 up, got {array.dtype} {held}; leave it out if it is not known"
        )
    return int(array.item())


def _checked(mean: Tensor, cov: Tensor, count: int | None, name: str) -> tuple[Tensor, Tensor]:
    """Return foreign moments, the covariance symmetric to the bit; raise if no images can have them.

    Args:
        mean: float64.
        cov: float64.
        count: From 2 up, or None.
        name: Of the covariance, for messages.
    """
    d = mean.shape[0] if mean.ndim == 1 else -1
    if d == 0 or cov.shape != (d, d):
        raise InputError(
            "statistics need a float64 mean [d] and covariance [d, d] with d >= 1, got "
            f"{mean.dtype} {list(mean.shape)} and {cov.dtype} {list(cov.shape)}"
        )
    check_moments(mean, cov)
    largest, asymmetry = float(cov.detach().abs().max()), float((cov - cov.T).detach().abs().max())
    if asymmetry > _ASYMMETRIC * largest:
        raise _no_covariance(f"`{name}` is not symmetric (off by {asymmetry:.3g})")
    if asymmetry > 0:
        cov = (cov + cov.T) / 2
    if largest > 0:  # images that are all alike have no covariance
        _check_spectrum(cov.detach(), name, count)
    return mean, cov


def _check_spectrum(cov: Tensor, name: str, count: int | None) -> None:
    """Raise if a matrix is no covariance, or has a higher rank than the covariance of so many images can have."""
    variances = cov.diagonal()
    if float(variances.min()) < 0:
        raise _no_covariance(f"`{name}` has negative variances (down to {float(variances.min()):.3g})")
    if count is None or count > len(cov):
        # Success proves eigenvalues above -_INDEFINITE times the largest variance, which no largest eigenvalue is
        # below. It takes a tenth of the time of the eigenvalues.
        shifted = cov.clone()
        shifted.diagonal().add_(_INDEFINITE * variances.max())
        if int(torch.linalg.cholesky_ex(shifted)[1]) == 0:
            return
    eigenvalues = symmetric_eigenvalues(cov)
    smallest, largest = float(eigenvalues[0]), float(eigenvalues[-1])
    if smallest < -_INDEFINITE * largest:
        raise _no_covariance(f"`{name}` has the eigenvalue {smallest:.3g}, the largest being {largest:.3g}")
    if count is not None and count <= len(cov) and float(eigenvalues[-count]) > _INDEFINITE * largest:
        raise InputError(
            f"`count` says {count} images, which vary in at most {count - 1} directions, and `{name}` varies in more; "
            "correct `count`, or leave it out"
        )


def _no_covariance(what: str) -> InputError:
    return InputError(f"{what}; it is no covariance: make the statistics again from the images")


class Moments:
    """Running weight, mean and scatter matrix in float64, updated a block of rows at a time.

    Args:
        dim: d.
        device: Where to compute.
        first: Number of the first row in the whole set, for messages.
    """

    def __init__(self, dim: int, *, device: torch.device | str = "cpu", first: int = 0) -> None:
        self._first = first
        self.weight = 0.0
        self.rows = 0
        # Apple's GPUs have no float64.
        self.device = torch.device("cpu") if torch.device(device).type == "mps" else torch.device(device)
        self.mean = torch.zeros(dim, dtype=torch.float64, device=self.device)
        self.scatter = torch.zeros(dim, dim, dtype=torch.float64, device=self.device)
        # Rows in float64. Every block uses the same memory, because allocating it costs as much as the sums.
        self._values = torch.empty(0, dim, dtype=torch.float64, device=self.device)

    def update(self, block: Tensor, weights: Tensor | None = None) -> None:
        """Add rows [m, d], optionally weighted by [m].

        Raises:
            InputError: a row holds NaN or infinite values; names the row.
        """
        if len(block) == 0:
            return
        if len(self._values) < len(block):
            with torch.inference_mode(False):  # a tensor made in that mode could not be used outside of it later
                self._values = torch.empty(block.shape, dtype=torch.float64, device=self.device)
        values = self._values[: len(block)].copy_(block.detach())
        total, mean = float(len(values)), values.mean(dim=0)
        if not bool(torch.isfinite(mean).all()):  # then a row is not, or float64 does not hold their sum
            check_finite_rows("features", values, first=self._first + self.rows)
        if weights is None:
            scatter = gram(values.sub_(mean))
        else:
            w = weights.detach().to(self.device).to(torch.float64)
            total = float(w.sum())
            if total == 0:
                self.rows += len(values)
                return
            mean = (w @ values) / total
            scatter = gram(values.sub_(mean).mul_(w.sqrt()[:, None]))
        self.merge(total, mean, scatter, rows=len(values))

    def merge(self, weight: float, mean: Tensor, scatter: Tensor, *, rows: int) -> None:
        """Add another block's moments: S = S1 + S2 + w1 w2 / (w1 + w2) δδᵀ with δ the difference of means."""
        total = self.weight + weight
        delta = mean - self.mean
        between = (self.weight * weight / total) ** 0.5 * delta
        self.scatter.add_(scatter).add_(torch.outer(between, between))
        self.mean = self.mean + (weight / total) * delta
        self.weight, self.rows = total, self.rows + rows

    def sum(self, ranks: Ranks) -> None:
        """Add up the moments of all processes, each of which calls this with the moments of its own rows."""
        self._values = self._values[:0].clone()
        if ranks.size == 1:
            return
        counts = torch.tensor([self.weight, self.rows], dtype=torch.float64, device=self.device)
        weight, rows = ranks.sum(counts).tolist()
        if weight > 0:
            mean = ranks.sum(self.weight * self.mean) / weight
            delta = self.mean - mean
            self.scatter = ranks.sum(self.scatter + self.weight * torch.outer(delta, delta))
            self.mean = mean
        self.weight, self.rows = weight, int(rows)

    def statistics(self, provenance: Provenance, *, population: bool = False) -> GaussianStatistics:
        """The statistics so far.

        Args:
            provenance: What to record.
            population: Divide by the weight instead of count - 1.

        Raises:
            InputError: fewer than 2 images, or no weight.
        """
        if self.rows < 2 or self.weight <= 0:
            raise InputError(f"a covariance needs at least 2 images with weight, got {self.rows}")
        cov = self.scatter / (self.weight if population else self.weight - 1)
        # The number of weighted rows is no sample count: it neither bounds the rank nor allows merging.
        return GaussianStatistics._known(self.mean, (cov + cov.T) / 2, None if population else self.rows, provenance)


def is_statistics_file(path: str | PathLike[str]) -> bool:
    """Whether a path is an npz with `mu` and `sigma`, or other programs' names for them."""
    path = Path(path)
    if path.suffix.lower() != ".npz" or not is_file(path):
        return False
    try:
        return statistics_names(member_names(path)) is not None
    except LOAD_ERRORS:
        return False


def gram(rows: Tensor) -> Tensor:
    """Compute rowsᵀ rows, differentiable once. The product is symmetric, so only half of it is computed.

    Args:
        rows: float32 or float64 [n, d].

    Returns:
        [d, d] in the same precision, exactly symmetric on a CPU.
    """
    product: Tensor = _Gram.apply(rows)
    return product


class _Gram(torch.autograd.Function):
    """The product with its gradient, which costs one product instead of autograd's two."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(rows)
        if rows.device.type != "cpu":
            return rows.T @ rows
        array = rows.detach().numpy()
        # NumPy calls BLAS's routine for a product with its own transpose, which torch does not offer. Overflow to
        # infinity is silent, as in torch: callers check the product.
        with np.errstate(all="ignore"):
            return torch.from_numpy(np.matmul(array.T, array))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (rows,) = ctx.saved_tensors
        slope: Tensor = rows @ (grad + grad.T)
        return slope
