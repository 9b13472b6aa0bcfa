"""What papers and libraries vary in one and the same metric."""

from dataclasses import dataclass

__all__ = ["MetricChoices"]


@dataclass(frozen=True)
class MetricChoices:
    """The defaults are torch-fidelity's; `fidprobe.analysis.conventions.table` has those of other libraries.

    Attributes:
        kid_subset_size: Images in a subset of the papers' KID, which is left out when a side has fewer.
        is_splits: Parts of the Inception Score; fewer where there are fewer images.
        is_natural_order: Split images as they are listed, as the original code did, instead of shuffled.
        is_biased: Keep the classifier's bias in the logits, as StudioGAN does; the original code had none.
        is_split_size: Images in a part, in place of a number of parts (ADM: 5000); None for `is_splits`.
        is_std_ddof: What the variance over parts is divided by: the number of parts less this (torchmetrics: 1).
        covariance_ddof: Likewise of covariances in Fréchet distances (StyleGAN: 0).
        neighbours: Balls of precision and recall reach to this neighbour (the paper: 3).
        strict_balls: A ball's border does not belong to it, as prdc has it.
        ms_ssim_side: Pixels of the squares that pictures are resized to for MS-SSIM, where they are of several sizes.
    """

    kid_subset_size: int = 1000
    is_splits: int = 10
    is_natural_order: bool = False
    is_biased: bool = False
    is_split_size: int | None = None
    is_std_ddof: int = 0
    covariance_ddof: int = 1
    neighbours: int = 3
    strict_balls: bool = False
    ms_ssim_side: int | None = None
