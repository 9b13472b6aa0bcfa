"""How much each image of a generated set raises or lowers the Fréchet distance in one feature space."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.analysis.sets.two_spaces import Measurable
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import vanishes
from fidprobe.metrics.single_image import SingleImage
from fidprobe.provenance import ExtractorProvenance, Provenance
from fidprobe.runtime.progress import Progress, silent, stage
from fidprobe.statistics import GaussianStatistics

__all__ = ["Exactness", "SpaceInfluence", "rank_correlation", "space_influence"]

Values = npt.NDArray[np.float64]

_ROWS = 8192


@dataclass(frozen=True)
class Exactness:
    """How far the first-order change on removal is from the exact one.

    Attributes:
        largest_difference: Over all images, as a share of the largest exact change; None where no removal changes
            anything.
        rank_correlation: Spearman's, of both over the images; None where either is constant.
    """

    largest_difference: float | None
    rank_correlation: float | None


@dataclass(frozen=True, eq=False)
class SpaceInfluence:
    """The influence of every image in one space.

    Attributes:
        label: How the distance is written: `FID`, `FD[clip]`, ...
        extractor: The network; None for features of unknown provenance.
        dim: Feature dimensions.
        distance: The Fréchet distance F of both sets.
        influence: float64 [N], the derivative of F with respect to each generated image's weight, in the units of F.
            Its mean is 0; positive where the image raises F.
        removal_exact: float64 [N], by how much F changes when the image is left out; None if not asked for.
        reference: float64 [N_r], the derivative of F with respect to each reference image's weight in the reference;
            None where there are no reference features, or it was not asked for.
        vanishes: Whether F is 0 but for rounding, so that there is nothing to take shares of.
    """

    label: str
    extractor: ExtractorProvenance | None
    dim: int
    distance: float
    influence: Values
    removal_exact: Values | None
    reference: Values | None
    vanishes: bool

    @property
    def removal(self) -> Values:
        """float64 [N], to first order by how much F changes when the image is left out: -influence / (N - 1)."""
        return -self.influence / (len(self.influence) - 1)

    @property
    def raising(self) -> int:
        """Images with positive influence."""
        return int((self.influence > 0).sum())

    @property
    def lowering(self) -> int:
        """Images with negative influence."""
        return int((self.influence < 0).sum())

    @property
    def top_share(self) -> float | None:
        """Share of all positive influence that the most harmful 1 % of the images hold; None if there is none."""
        positive = self.influence[self.influence > 0]
        if not len(positive):
            return None
        top = max(1, round(len(self.influence) / 100))
        return float(np.sort(positive)[-top:].sum() / positive.sum())

    @property
    def exactness(self) -> Exactness | None:
        """How far the first-order changes are from the exact ones; None without these."""
        if self.removal_exact is None:
            return None
        largest = float(np.abs(self.removal_exact).max())
        difference = float(np.abs(self.removal_exact - self.removal).max())
        return Exactness(difference / largest if largest else None, rank_correlation(self.removal, self.removal_exact))

    def percent(self, values: Values) -> Values | None:
        """Influences in percent of the distance; None where that is 0."""
        return None if self.vanishes else 100 * values / self.distance

    def to_json(self) -> dict[str, Any]:
        """Everything but the images' own numbers."""
        exactness = self.exactness
        return {
            "label": self.label,
            "extractor": Provenance(self.extractor).to_json()["extractor"],
            "dimensions": self.dim,
            "frechet_inception_distance" if self.label == "FID" else "frechet_distance": self.distance,
            "images_that_raise": self.raising,
            "images_that_lower": self.lowering,
            "top_percent_share": self.top_share,
            "exactness": None if exactness is None else vars(exactness),
        }


def space_influence(
    reference: Measurable,
    generated: Features,
    *,
    exact: bool = False,
    of_reference: bool = False,
    progress: Progress = silent,
) -> SpaceInfluence:
    """The influence of every image in one space; see `fidprobe.metrics.single_image` for the formulas.

    Args:
        reference: Of the real images.
        generated: N >= 3 images, each counted as often as it is there.
        exact: Also compute what leaving each image out does exactly.
        of_reference: Also compute the influence of the reference's images, if they are features.
        progress: Reports images.

    Raises:
        MismatchError: the sides come from different feature spaces.
        InputError: NaN or infinite features, or fewer than 3 images of a set whose influence is asked for.
    """
    real = reference if isinstance(reference, GaussianStatistics) else GaussianStatistics.of(reference)
    made = GaussianStatistics.of(generated)
    known = [side for side in (real, generated) if side.provenance.extractor is not None]
    space = known[0].space if known else "unknown"
    in_space = stage(progress, f"[{space}]")
    single = SingleImage(real, made)
    removal = _by_rows("leaving out images", single.removed, generated.features, in_space) if exact else None
    side = None
    if of_reference and isinstance(reference, Features):
        # The distance is symmetric: seen from the reference, the generated set is the reference.
        other = SingleImage(made, real)
        side = _by_rows("influence of the reference", other.influence, reference.features, in_space)
    return SpaceInfluence(
        label=metric_label(space),
        extractor=known[0].provenance.extractor if known else None,
        dim=generated.dim,
        distance=single.value,
        influence=_by_rows("influence of images", single.influence, generated.features, in_space),
        removal_exact=removal,
        reference=side,
        vanishes=vanishes(single.value, real, made),
    )


def rank_correlation(first: Values, second: Values) -> float | None:
    """Spearman's rank correlation, -1..1; None where either side is constant."""
    from scipy.stats import spearmanr

    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(spearmanr(first, second).statistic)


def _by_rows(what: str, compute: Callable[[Tensor], Tensor], features: Tensor, progress: Progress) -> Values:
    """Compute a number for every image, a block at a time."""
    out = []
    for start in range(0, len(features), _ROWS):
        out.append(compute(features[start : start + _ROWS]).cpu().numpy())
        progress(what, min(start + _ROWS, len(features)), len(features))
    return np.concatenate(out)
