"""What a caller chooses: metrics by name, and what papers vary in them. Its import takes no time."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fidprobe.arguments import Between, Count, Natural, checked

__all__ = ["METRIC_NAMES", "MetricChoices"]

METRIC_NAMES = (
    "fid", "kid", "fid-infinity", "sfid", "fd-dinov2", "cmmd", "fd-logits", "fd-probabilities",
    "pr", "dc", "prd", "is", "is-infinity", "am", "mode", "ms-ssim",
)  # fmt: skip
"""The registry's names in its order, for `--help`, which cannot wait for the registry's imports; a test compares."""

_JSON_KEYS = {
    "inception_splits": "is_splits",
    "inception_natural_order": "is_natural_order",
    "inception_keeps_bias": "is_biased",
    "inception_split_size": "is_split_size",
    "inception_std_ddof": "is_std_ddof",
}


@checked
@dataclass(frozen=True)
class MetricChoices:
    """What papers and libraries vary in one and the same metric.

    The defaults are torch-fidelity's; `fidprobe.analysis.conventions.table` has those of other libraries.

    Attributes:
        kid_subset_size: Images in a subset of the papers' KID, which is left out when a side has fewer.
        inception_splits: Parts of the Inception Score; fewer where there are fewer images.
        inception_natural_order: Split images as they are listed, as the original code did, instead of shuffled.
        inception_keeps_bias: Keep the classifier's bias in the logits, as StudioGAN does; the original code had none.
        inception_split_size: Images in a part, in place of a number of parts (ADM: 5000); None for `inception_splits`.
        inception_std_ddof: The variance over parts is divided by their number less this (torchmetrics: 1).
        covariance_ddof: Covariances in Fréchet distances are divided by the number of images less this (StyleGAN: 0).
        neighbours: Balls of precision and recall reach to this neighbour (the paper: 3).
        strict_balls: A ball's border does not belong to it, as in prdc.
        ms_ssim_side: Pixels a side of the squares that pictures are resized to for MS-SSIM; needed where their sizes
            differ. None to leave them as they are.
    """

    kid_subset_size: Annotated[int, Between(2)] = 1000
    inception_splits: Count = 10
    inception_natural_order: bool = False
    inception_keeps_bias: bool = False
    inception_split_size: Count | None = None
    inception_std_ddof: Natural = 0
    covariance_ddof: Annotated[int, Between(0, 1)] = 1
    neighbours: Count = 3
    strict_balls: bool = False
    ms_ssim_side: Count | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {_JSON_KEYS.get(name, name): value for name, value in asdict(self).items()}
