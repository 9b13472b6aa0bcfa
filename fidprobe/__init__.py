"""Is that FID gain real? FID with a second opinion beside it, audits and reports.

Example:
    >>> import torch
    >>> import fidprobe
    >>> real = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8)
    >>> noisy = (real * 0.5).to(torch.uint8)
    >>> scored = fidprobe.score(real, noisy, extractor="efficientnet-lite0", second_opinion="random")
    >>> scored.main.label
    'FD[efficientnet-lite0]'

Everything here is loaded on first use, so that `import fidprobe` takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fidprobe.analysis.attack_output import write_attack as write_attack
    from fidprobe.analysis.attacking import attack as attack
    from fidprobe.analysis.audit import audit as audit
    from fidprobe.analysis.class_comparing import compare_classes as compare_classes
    from fidprobe.analysis.class_output import write_classes as write_classes
    from fidprobe.analysis.comparison import compare as compare
    from fidprobe.analysis.comparison_output import write_comparison as write_comparison
    from fidprobe.analysis.conventions import conventions as conventions
    from fidprobe.analysis.correlation import correlate as correlate
    from fidprobe.analysis.correlation_output import write_correlation as write_correlation
    from fidprobe.analysis.heatmap_check import check_heatmaps as check_heatmaps
    from fidprobe.analysis.heatmap_check_output import write_heatmap_check as write_heatmap_check
    from fidprobe.analysis.heatmap_output import write_heatmaps as write_heatmaps
    from fidprobe.analysis.heatmaps import heatmaps as heatmaps
    from fidprobe.analysis.influence import influence as influence
    from fidprobe.analysis.influence_output import write_influence as write_influence
    from fidprobe.analysis.metric_choices import MetricChoices as MetricChoices
    from fidprobe.analysis.prd_curves import prd_curves as prd_curves
    from fidprobe.analysis.prd_output import write_prd as write_prd
    from fidprobe.analysis.report import write_report as write_report
    from fidprobe.analysis.scoring import score as score
    from fidprobe.analysis.training_metric import CrossCheckedFID as CrossCheckedFID
    from fidprobe.attacks.certified import CertifiedSolver as CertifiedSolver
    from fidprobe.attacks.gradient_descent import GradientDescent as GradientDescent
    from fidprobe.attacks.resampling import Resampling as Resampling
    from fidprobe.attacks.spaces import AttackSpace as AttackSpace
    from fidprobe.attacks.top1 import Top1Matching as Top1Matching
    from fidprobe.errors import FidprobeError as FidprobeError
    from fidprobe.extraction import ReadOptions as ReadOptions
    from fidprobe.extraction import extract as extract
    from fidprobe.extractors import load_extractor as load_extractor
    from fidprobe.features import Features as Features
    from fidprobe.images import open_images as open_images
    from fidprobe.metrics.am_score import am_score as am_score
    from fidprobe.metrics.class_space import class_space as class_space
    from fidprobe.metrics.cmmd import cmmd as cmmd
    from fidprobe.metrics.density_coverage import density_coverage as density_coverage
    from fidprobe.metrics.extrapolation import frechet_infinity as frechet_infinity
    from fidprobe.metrics.extrapolation import inception_score_infinity as inception_score_infinity
    from fidprobe.metrics.frechet import frechet as frechet
    from fidprobe.metrics.frechet import frechet_distance as frechet_distance
    from fidprobe.metrics.frechet_sampling import frechet_sampling as frechet_sampling
    from fidprobe.metrics.inception_score import inception_score as inception_score
    from fidprobe.metrics.kernel import kernel_distance as kernel_distance
    from fidprobe.metrics.mode_score import mode_score as mode_score
    from fidprobe.metrics.ms_ssim import ms_ssim_within_classes as ms_ssim_within_classes
    from fidprobe.metrics.neighbours import precision_recall as precision_recall
    from fidprobe.metrics.prd import prd as prd
    from fidprobe.ranks import ranks_of_torchrun as ranks_of_torchrun
    from fidprobe.statistics import GaussianStatistics as GaussianStatistics

_HOME = {
    "AttackSpace": "attacks.spaces",
    "CertifiedSolver": "attacks.certified",
    "CrossCheckedFID": "analysis.training_metric",
    "Features": "features",
    "FidprobeError": "errors",
    "GaussianStatistics": "statistics",
    "GradientDescent": "attacks.gradient_descent",
    "MetricChoices": "analysis.metric_choices",
    "ReadOptions": "extraction",
    "Resampling": "attacks.resampling",
    "Top1Matching": "attacks.top1",
    "am_score": "metrics.am_score",
    "attack": "analysis.attacking",
    "audit": "analysis.audit",
    "check_heatmaps": "analysis.heatmap_check",
    "class_space": "metrics.class_space",
    "cmmd": "metrics.cmmd",
    "compare": "analysis.comparison",
    "compare_classes": "analysis.class_comparing",
    "conventions": "analysis.conventions",
    "correlate": "analysis.correlation",
    "density_coverage": "metrics.density_coverage",
    "extract": "extraction",
    "frechet": "metrics.frechet",
    "frechet_distance": "metrics.frechet",
    "frechet_infinity": "metrics.extrapolation",
    "frechet_sampling": "metrics.frechet_sampling",
    "heatmaps": "analysis.heatmaps",
    "inception_score": "metrics.inception_score",
    "inception_score_infinity": "metrics.extrapolation",
    "influence": "analysis.influence",
    "kernel_distance": "metrics.kernel",
    "load_extractor": "extractors",
    "mode_score": "metrics.mode_score",
    "ms_ssim_within_classes": "metrics.ms_ssim",
    "open_images": "images",
    "prd": "metrics.prd",
    "prd_curves": "analysis.prd_curves",
    "precision_recall": "metrics.neighbours",
    "ranks_of_torchrun": "ranks",
    "score": "analysis.scoring",
    "write_attack": "analysis.attack_output",
    "write_classes": "analysis.class_output",
    "write_comparison": "analysis.comparison_output",
    "write_correlation": "analysis.correlation_output",
    "write_heatmap_check": "analysis.heatmap_check_output",
    "write_heatmaps": "analysis.heatmap_output",
    "write_influence": "analysis.influence_output",
    "write_prd": "analysis.prd_output",
    "write_report": "analysis.report",
}

__all__ = [
    "AttackSpace",
    "CertifiedSolver",
    "CrossCheckedFID",
    "Features",
    "FidprobeError",
    "GaussianStatistics",
    "GradientDescent",
    "MetricChoices",
    "ReadOptions",
    "Resampling",
    "Top1Matching",
    "am_score",
    "attack",
    "audit",
    "check_heatmaps",
    "class_space",
    "cmmd",
    "compare",
    "compare_classes",
    "conventions",
    "correlate",
    "density_coverage",
    "extract",
    "frechet",
    "frechet_distance",
    "frechet_infinity",
    "frechet_sampling",
    "heatmaps",
    "inception_score",
    "inception_score_infinity",
    "influence",
    "kernel_distance",
    "load_extractor",
    "mode_score",
    "ms_ssim_within_classes",
    "open_images",
    "prd",
    "prd_curves",
    "precision_recall",
    "ranks_of_torchrun",
    "score",
    "write_attack",
    "write_classes",
    "write_comparison",
    "write_correlation",
    "write_heatmap_check",
    "write_heatmaps",
    "write_influence",
    "write_prd",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fidprobe' has no attribute {name!r}")
    return getattr(import_module(f"fidprobe.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
