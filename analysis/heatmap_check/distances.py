"""How far noise in each region moves a Fréchet distance, with paired standard errors.

Standard errors are those of the generated images' sampling: the infinitesimal jackknife over the exact derivative I_i
of F with respect to each image's weight (`fidprobe.metrics.single_image`), sqrt(Σ I_i² / (N (N - 1))). All sets show
the same N images under the same noise, so a difference of distances has the differences of the I_i, image by image,
and a ratio (F_h - F_0) / (F_all - F_0) = s has (I_h - I_0 - s (I_all - I_0)) / (F_all - F_0).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.heatmap_check.noise import HALVES, REGIONS
from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.features.value import Features
from fidprobe.metrics.single_image import SingleImage
from fidprobe.statistics import GaussianStatistics

__all__ = ["Measured", "NoisyDistance", "SpaceCheck", "noisy_distance", "space_check"]

_CLEAR = 2  # standard errors from which on a rise can be divided by


@dataclass(frozen=True)
class Measured:
    """A number and its standard error, both in the same unit."""

    value: float
    error: float

    def to_json(self) -> dict[str, float]:
        """Plain data."""
        return {"value": self.value, "standard_error": self.error}


@dataclass(frozen=True, eq=False)
class NoisyDistance:
    """F of one set, and what each of its images does to it.

    Attributes:
        value: F.
        influence: float64 [N], I.
    """

    value: float
    influence: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SpaceCheck:
    """Distances to the reference in one space; tuples have an entry for each noise scale.

    Attributes:
        space: Short name of the feature space.
        clean: F_0, without noise.
        noised: Region -> the distance with noise there.
        rises: Region -> F - F_0.
        shares: Half -> its share of the rise that noise everywhere causes, (F_half - F_0) / (F_all - F_0); None where
            that rise is not larger than two of its standard errors.
        differences: F_important - F_unimportant.
    """

    space: str
    clean: Measured
    noised: Mapping[str, tuple[Measured, ...]]
    rises: Mapping[str, tuple[Measured, ...]]
    shares: Mapping[str, tuple[Measured | None, ...]]
    differences: tuple[Measured, ...]

    @property
    def label(self) -> str:
        """How the distance is written: `FID`, `FD[clip]`, ..."""
        return metric_label(self.space)

    @property
    def important_raises_more(self) -> bool:
        """Whether noise in the important half raises the distance more than in the other, at every scale."""
        return all(one.value > 0 for one in self.differences)

    def to_json(self, scales: Sequence[float]) -> dict[str, Any]:
        """Plain data."""
        key = "frechet_inception_distance" if self.label == "FID" else "frechet_distance"
        rows = []
        for i, scale in enumerate(scales):
            regions: dict[str, Any] = {}
            for region in REGIONS:
                regions[region] = {key: self.noised[region][i].to_json(), "rise": self.rises[region][i].to_json()}
                if region in HALVES:
                    share = self.shares[region][i]
                    regions[region]["share"] = None if share is None else share.to_json()
            rows.append({"scale": scale, **regions, "difference": self.differences[i].to_json()})
        return {
            "label": self.label,
            "space": self.space,
            key: self.clean.to_json(),
            "noised": rows,
            "important_raises_more": self.important_raises_more,
        }


def noisy_distance(reference: GaussianStatistics, generated: Features) -> NoisyDistance:
    """The distance of one set to the reference, and the influence of its images.

    Raises:
        InputError: fewer than 3 images, or NaN or infinite features.
    """
    single = SingleImage(reference, GaussianStatistics.of(generated))
    return NoisyDistance(single.value, single.influence(generated.features).cpu().numpy())


def space_check(space: str, clean: NoisyDistance, noised: Mapping[str, Sequence[NoisyDistance]]) -> SpaceCheck:
    """What the distances say.

    Args:
        space: Short name of the feature space.
        clean: Without noise.
        noised: Region -> one for each noise scale, of the same images in the same order.
    """
    shares: dict[str, tuple[Measured | None, ...]] = {}
    for half in HALVES:
        pairs = zip(noised[half], noised["all"], strict=True)
        shares[half] = tuple(_share(clean, one, everywhere) for one, everywhere in pairs)
    return SpaceCheck(
        space=space,
        clean=_measured(clean.value, clean.influence),
        noised={region: tuple(_measured(one.value, one.influence) for one in noised[region]) for region in REGIONS},
        rises={region: tuple(_difference(one, clean) for one in noised[region]) for region in REGIONS},
        shares=shares,
        differences=tuple(
            _difference(more, less) for more, less in zip(*(noised[half] for half in HALVES), strict=True)
        ),
    )


def _measured(value: float, influence: npt.NDArray[np.float64]) -> Measured:
    n = len(influence)
    return Measured(value, float(np.sqrt(np.square(influence).sum() / (n * (n - 1)))))


def _difference(one: NoisyDistance, other: NoisyDistance) -> Measured:
    return _measured(one.value - other.value, one.influence - other.influence)


def _share(clean: NoisyDistance, half: NoisyDistance, everywhere: NoisyDistance) -> Measured | None:
    rise = _difference(everywhere, clean)
    if rise.value <= _CLEAR * rise.error or rise.value <= 0:
        return None
    share = (half.value - clean.value) / rise.value
    influence = half.influence - clean.influence - share * (everywhere.influence - clean.influence)
    return _measured(share, influence / rise.value)
