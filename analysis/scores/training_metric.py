"""The cross-checked Fréchet distance as a torchmetrics metric, for training loops."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.analysis.sets.networks import Network, NetworkSpec, load_networks
from fidprobe.errors import InputError
from fidprobe.features.value import first_nonfinite_row
from fidprobe.images.pixels import to_uint8
from fidprobe.metrics.frechet import frechet_distance
from fidprobe.metrics.inputs import float64_device
from fidprobe.provenance import Provenance, check_comparable
from fidprobe.runtime.packages import require
from fidprobe.statistics import GaussianStatistics

require("torchmetrics", "CrossCheckedFID")  # the class below needs it at once
from torchmetrics import Metric  # noqa: E402

__all__ = ["CrossCheckedFID"]

_SPACES = ("main", "second")


class CrossCheckedFID(Metric):
    """FID and its second opinion over batches, in the place of torchmetrics' `FrechetInceptionDistance`.

    The states are float64 sums of features and of their outer products. They are added up over processes, so that any
    number of devices gives the distance of all images together. The networks are frozen and compute in float32 without
    gradients, also under autocast. They are not submodules: `train()`, `half()`, optimisers and checkpoints of the
    module that holds the metric leave them alone; `to(device)` moves them.

    Images go through each network's own resize rule, so that the distances equal those of `fidprobe.score`.
    (torchmetrics resizes with antialiasing by default, which gives other numbers.)

    Sums that are not centred lose the digits by which |mean|² exceeds the smallest variances. Distances of networks'
    features agree with `fidprobe.frechet` to 1e-8, mostly to 1e-11: measured 4e-14 on 10,000 of `efficientnet-lite0`,
    3e-11 on 10,000 of `random`, 2e-9 on 300 (fewer than dimensions), and 1e-8 with means 1000 times the spread.

    Args:
        extractor: The main space: a registry name (then loaded on the CPU, as every metric), or a loaded network.
        second_opinion: The second space.
        reference: Statistics of the real images in the main space and in the second one; `update` then takes only
            generated images.
        reset_real_features: Whether `reset` forgets the real images; False measures them once for a whole training.
        normalize: False: images are uint8 in 0..255. True: floats in 0..1, which become the nearest of 256 levels
            (torchmetrics truncates, up to one level darker).
        kwargs: torchmetrics' own.

    Raises:
        InputError: a flag is not a bool, or both networks write their distance in the same way.
        MismatchError: a reference comes from another space.
        WeightsError: a network's weights are missing.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    plot_lower_bound = 0.0

    real_count: Tensor
    generated_count: Tensor

    def __init__(
        self,
        extractor: Network = "inception",
        second_opinion: Network = "clip",
        *,
        reference: tuple[GaussianStatistics, GaussianStatistics] | None = None,
        reset_real_features: bool = True,
        normalize: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, flag in (("reset_real_features", reset_real_features), ("normalize", normalize)):
            if not isinstance(flag, bool):
                raise InputError(f"{name} must be True or False, got {flag!r}")
        if reference is not None and [type(one) for one in reference] != [GaussianStatistics] * 2:
            raise InputError("reference is a pair of GaussianStatistics, in the main space and in the second opinion's")
        self.reset_real_features, self.normalize, self.reference = reset_real_features, normalize, reference
        # A name alone would load the network on a GPU, where there is one.
        chosen = [NetworkSpec(name) if isinstance(name, str) else name for name in (extractor, second_opinion)]
        self.networks = tuple(network for network in load_networks(chosen) if network is not None)
        first, second = self.keys = tuple(_key(network.provenance.name) for network in self.networks)
        if first == second:
            raise InputError(
                f"both networks write their distance as {first!r} and confirm nothing of each other; choose a second "
                "opinion of another space"
            )
        for network, known in zip(self.networks, reference or (), strict=False):
            check_comparable(known.provenance, Provenance(network.provenance), (known.dim, network.dim))
        for side in ("generated",) if reference else ("real", "generated"):
            self.add_state(f"{side}_count", torch.tensor(0), dist_reduce_fx="sum")
            for space, network in zip(_SPACES, self.networks, strict=True):
                zeros = torch.zeros(network.dim, network.dim, dtype=torch.float64)
                self.add_state(f"{side}_sum_{space}", zeros[0].clone(), dist_reduce_fx="sum")
                self.add_state(f"{side}_outer_{space}", zeros, dist_reduce_fx="sum")

    def update(self, images: Tensor, real: bool) -> None:
        """Take in a batch.

        Args:
            images: [n, 3, h, w], RGB, on any device: uint8, or floats in 0..1 with `normalize=True`.
            real: Whether they are real images.

        Raises:
            InputError: another shape, type or range; real images although there is a `reference`; a network gives NaN.
        """
        if not isinstance(real, bool):
            raise InputError(f"real must be True or False, got {real!r}")
        if real and self.reference is not None:
            raise InputError("the real images' statistics were given as reference; update with generated images only")
        levels = self._levels(images)
        side = "real" if real else "generated"
        sums = []
        for network in self.networks:
            # Autocast would run the network in half precision.
            with torch.autocast(network.device.type, enabled=False):
                features = network(levels).features.to(float64_device(self.device)).double()
            if (row := first_nonfinite_row(features)) is not None:
                raise InputError(
                    f"{network.provenance.name} gives NaN or infinite numbers for image {row} of the batch; its "
                    "weights are damaged"
                )
            sums.append((features.sum(0), features.T @ features))
        # Added only now, so that a batch counts in both spaces or in none, and not in place: states made in inference
        # mode may not be changed outside it.
        for space, (total, outer) in zip(_SPACES, sums, strict=True):
            self._add(f"{side}_sum_{space}", total)
            self._add(f"{side}_outer_{space}", outer)
        self._add(f"{side}_count", torch.tensor(len(levels), device=float64_device(self.device)))

    def compute(self) -> dict[str, Tensor]:
        """Compute both distances of all images so far, over all processes.

        Returns:
            Two float64 scalars, the main space first: `fid` for Inception, else `fd_` and the space's name in letters,
            digits and underscores (`fd_clip`, `fd_random_1`).

        Raises:
            InputError: fewer than 2 images on a side.
        """
        counts = [2 if self.reference else int(self.real_count), int(self.generated_count)]
        if min(counts) < 2:
            asked = "generated images" if self.reference else "real and of generated images"
            raise InputError(
                f"a Fréchet distance needs at least 2 {asked}, and thousands to mean anything; got "
                f"{' and '.join(map(str, counts[bool(self.reference) :]))}: call update(images, real=...) first"
            )
        out = {}
        for i, (key, space) in enumerate(zip(self.keys, _SPACES, strict=True)):
            real = self.reference[i] if self.reference else self._statistics("real", space)
            out[key] = frechet_distance(real, self._statistics("generated", space))
        return out

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Raise: one batch on one side has no distance.

        Raises:
            InputError: always.
        """
        del args, kwargs
        raise InputError("one batch has no Fréchet distance; call update(images, real=...), and compute() at the end")

    def reset(self) -> None:
        """Forget all images, or all generated ones with `reset_real_features=False`."""
        kept = {}
        if not self.reset_real_features:
            kept = {name: getattr(self, name) for name in self._defaults if name.startswith("real_")}
        super().reset()
        for name, value in kept.items():
            setattr(self, name, value)

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> "CrossCheckedFID":
        def moved(tensor: Tensor) -> Tensor:
            # Move states but never convert them, as `to(torch.bfloat16)` of a whole module and `set_dtype` would: sums
            # in less than float64 leave no digits to a covariance.
            device = fn(torch.empty(0, device=tensor.device)).device
            return tensor.to(float64_device(device) if tensor.dtype == torch.float64 else device)

        super()._apply(moved, exclude_state)
        for network in self.networks:
            network.to(self.device)
        return self

    def _levels(self, images: Any) -> Tensor:
        if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
            got = list(images.shape) if isinstance(images, Tensor) else type(images).__name__
            raise InputError(
                f"images must be a tensor [n, 3, h, w], got {got}; see fidprobe.images.to_uint8 for others"
            )
        if self.normalize:
            if not images.is_floating_point():
                raise InputError(
                    f"images must be floats in 0..1 with normalize=True, got {images.dtype}; leave it out for uint8"
                )
            return to_uint8(images.float())
        if images.dtype != torch.uint8:
            raise InputError(f"images must be uint8 in 0..255, got {images.dtype}; normalize=True takes floats in 0..1")
        return images

    def _add(self, name: str, value: Tensor) -> None:
        setattr(self, name, getattr(self, name) + value)

    def _statistics(self, side: str, space: str) -> GaussianStatistics:
        count = int(getattr(self, f"{side}_count"))
        mean = getattr(self, f"{side}_sum_{space}") / count
        cov = (getattr(self, f"{side}_outer_{space}") - count * torch.outer(mean, mean)) / (count - 1)
        network = self.networks[_SPACES.index(space)]
        return GaussianStatistics(mean, (cov + cov.T) / 2, count, Provenance(network.provenance))


def _key(space: str) -> str:
    """A name of the space's distance that every logger takes: `fid` for Inception, elsewhere `fd_clip` and the like."""
    return re.sub(r"[^a-z0-9]+", "_", metric_label(space).lower()).strip("_")
