"""Is that FID gain real? FID with a second opinion beside it, audits and reports.

What matters first:
    audit, write_report      is the gain of one set of images over another real? and its report
    score                    metrics of a set against a reference, each distance with its second opinion
    compare                  several models: which have nearly the same FID, and how they differ
    attack                   how far FID falls when images are only chosen, none bettered
    extract, load_extractor  images to features, by a network
    Features                 a network's outputs, with names and provenance, in memory or on disk
    GaussianStatistics       their mean and covariance
    ReadOptions              how images are read: subset, bad files, batch size, cache
    CrossCheckedFID          both distances while training, as a torchmetrics metric
    FidprobeError            what every mistake of a user raises, in one line

Metrics of features:
    frechet, frechet_distance (differentiable), frechet_infinity, frechet_sampling, kernel_distance, cmmd,
    precision_recall, density_coverage, prd, inception_score, inception_score_infinity, am_score, mode_score,
    ms_ssim_within_classes (of images), class_space

Questions about sets:
    compare_classes, conventions, correlate, heatmaps, check_heatmaps, influence, prd_curves

Files of their answers:
    write_attack, write_classes, write_comparison, write_correlation, write_heatmap_check, write_heatmaps,
    write_influence, write_prd

Attacks and choices:
    Resampling, Top1Matching, AttackSpace, CertifiedSolver, GradientDescent, MetricChoices, NetworkSpec,
    open_images, ranks_of_torchrun

Results, for type hints:
    Audit, Verdict, ScoreResult, Comparison, Attacked, ComparedClasses, Conventions, Correlation, Heatmaps,
    HeatmapCheck, Influence, PRDCurves, FrechetResult, FrechetSampling, Extrapolation, KernelResult, CmmdResult,
    PrecisionRecallResult, DensityCoverageResult, PRDResult, InceptionScoreResult, AMScoreResult, ModeScoreResult,
    IntraClassResult, Extractor, ImageSource, Provenance

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
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fidprobe.analysis.attack.files import write_attack as write_attack
    from fidprobe.analysis.attack.measure import Attacked as Attacked
    from fidprobe.analysis.attack.measure import attack as attack
    from fidprobe.analysis.audit.measure import audit as audit
    from fidprobe.analysis.audit.result import Audit as Audit
    from fidprobe.analysis.classes.files import write_classes as write_classes
    from fidprobe.analysis.classes.measure import ComparedClasses as ComparedClasses
    from fidprobe.analysis.classes.measure import compare_classes as compare_classes
    from fidprobe.analysis.comparison.files import write_comparison as write_comparison
    from fidprobe.analysis.comparison.measure import Comparison as Comparison
    from fidprobe.analysis.comparison.measure import compare as compare
    from fidprobe.analysis.conventions.measure import Conventions as Conventions
    from fidprobe.analysis.conventions.measure import conventions as conventions
    from fidprobe.analysis.correlation.files import write_correlation as write_correlation
    from fidprobe.analysis.correlation.measure import Correlation as Correlation
    from fidprobe.analysis.correlation.measure import correlate as correlate
    from fidprobe.analysis.heatmap_check.files import write_heatmap_check as write_heatmap_check
    from fidprobe.analysis.heatmap_check.measure import HeatmapCheck as HeatmapCheck
    from fidprobe.analysis.heatmap_check.measure import check_heatmaps as check_heatmaps
    from fidprobe.analysis.heatmaps.files import write_heatmaps as write_heatmaps
    from fidprobe.analysis.heatmaps.measure import Heatmaps as Heatmaps
    from fidprobe.analysis.heatmaps.measure import heatmaps as heatmaps
    from fidprobe.analysis.influence.files import write_influence as write_influence
    from fidprobe.analysis.influence.measure import Influence as Influence
    from fidprobe.analysis.influence.measure import influence as influence
    from fidprobe.analysis.prd.files import write_prd as write_prd
    from fidprobe.analysis.prd.measure import PRDCurves as PRDCurves
    from fidprobe.analysis.prd.measure import prd_curves as prd_curves
    from fidprobe.analysis.report.files import write_report as write_report
    from fidprobe.analysis.scores.measure import ScoreResult as ScoreResult
    from fidprobe.analysis.scores.measure import score as score
    from fidprobe.analysis.scores.metric_choices import MetricChoices as MetricChoices
    from fidprobe.analysis.scores.training_metric import CrossCheckedFID as CrossCheckedFID
    from fidprobe.analysis.verdict.rule import Verdict as Verdict
    from fidprobe.attacks.certified_solver import CertifiedSolver as CertifiedSolver
    from fidprobe.attacks.gradient_descent import GradientDescent as GradientDescent
    from fidprobe.attacks.resampling import Resampling as Resampling
    from fidprobe.attacks.spaces import AttackSpace as AttackSpace
    from fidprobe.attacks.top1 import Top1Matching as Top1Matching
    from fidprobe.errors import FidprobeError as FidprobeError
    from fidprobe.extractors import load_extractor as load_extractor
    from fidprobe.extractors.base import Extractor as Extractor
    from fidprobe.extractors.chosen import NetworkSpec as NetworkSpec
    from fidprobe.features.extraction import ReadOptions as ReadOptions
    from fidprobe.features.extraction import extract as extract
    from fidprobe.features.value import Features as Features
    from fidprobe.images import ImageSource as ImageSource
    from fidprobe.images import open_images as open_images
    from fidprobe.metrics.am_score import AMScoreResult as AMScoreResult
    from fidprobe.metrics.am_score import am_score as am_score
    from fidprobe.metrics.class_space import class_space as class_space
    from fidprobe.metrics.cmmd import CmmdResult as CmmdResult
    from fidprobe.metrics.cmmd import cmmd as cmmd
    from fidprobe.metrics.density_coverage import DensityCoverageResult as DensityCoverageResult
    from fidprobe.metrics.density_coverage import density_coverage as density_coverage
    from fidprobe.metrics.extrapolation import Extrapolation as Extrapolation
    from fidprobe.metrics.extrapolation import frechet_infinity as frechet_infinity
    from fidprobe.metrics.extrapolation import inception_score_infinity as inception_score_infinity
    from fidprobe.metrics.frechet import FrechetResult as FrechetResult
    from fidprobe.metrics.frechet import frechet as frechet
    from fidprobe.metrics.frechet import frechet_distance as frechet_distance
    from fidprobe.metrics.frechet_sampling import FrechetSampling as FrechetSampling
    from fidprobe.metrics.frechet_sampling import frechet_sampling as frechet_sampling
    from fidprobe.metrics.inception_score import InceptionScoreResult as InceptionScoreResult
    from fidprobe.metrics.inception_score import inception_score as inception_score
    from fidprobe.metrics.kernel import KernelResult as KernelResult
    from fidprobe.metrics.kernel import kernel_distance as kernel_distance
    from fidprobe.metrics.mode_score import ModeScoreResult as ModeScoreResult
    from fidprobe.metrics.mode_score import mode_score as mode_score
    from fidprobe.metrics.ms_ssim import IntraClassResult as IntraClassResult
    from fidprobe.metrics.ms_ssim import ms_ssim_within_classes as ms_ssim_within_classes
    from fidprobe.metrics.neighbours import PrecisionRecallResult as PrecisionRecallResult
    from fidprobe.metrics.neighbours import precision_recall as precision_recall
    from fidprobe.metrics.prd import PRDResult as PRDResult
    from fidprobe.metrics.prd import prd as prd
    from fidprobe.provenance import Provenance as Provenance
    from fidprobe.runtime.ranks import ranks_of_torchrun as ranks_of_torchrun
    from fidprobe.statistics import GaussianStatistics as GaussianStatistics

    __version__: str

_HOME = {
    "AMScoreResult": "metrics.am_score",
    "AttackSpace": "attacks.spaces",
    "Attacked": "analysis.attack.measure",
    "Audit": "analysis.audit.result",
    "CertifiedSolver": "attacks.certified_solver",
    "CmmdResult": "metrics.cmmd",
    "ComparedClasses": "analysis.classes.measure",
    "Comparison": "analysis.comparison.measure",
    "Conventions": "analysis.conventions.measure",
    "Correlation": "analysis.correlation.measure",
    "CrossCheckedFID": "analysis.scores.training_metric",
    "DensityCoverageResult": "metrics.density_coverage",
    "Extractor": "extractors.base",
    "Extrapolation": "metrics.extrapolation",
    "Features": "features.value",
    "FidprobeError": "errors",
    "FrechetResult": "metrics.frechet",
    "FrechetSampling": "metrics.frechet_sampling",
    "GaussianStatistics": "statistics",
    "GradientDescent": "attacks.gradient_descent",
    "HeatmapCheck": "analysis.heatmap_check.measure",
    "Heatmaps": "analysis.heatmaps.measure",
    "ImageSource": "images",
    "InceptionScoreResult": "metrics.inception_score",
    "Influence": "analysis.influence.measure",
    "IntraClassResult": "metrics.ms_ssim",
    "KernelResult": "metrics.kernel",
    "MetricChoices": "analysis.scores.metric_choices",
    "ModeScoreResult": "metrics.mode_score",
    "NetworkSpec": "extractors.chosen",
    "PRDCurves": "analysis.prd.measure",
    "PRDResult": "metrics.prd",
    "PrecisionRecallResult": "metrics.neighbours",
    "Provenance": "provenance",
    "ReadOptions": "features.extraction",
    "Resampling": "attacks.resampling",
    "ScoreResult": "analysis.scores.measure",
    "Top1Matching": "attacks.top1",
    "Verdict": "analysis.verdict.rule",
    "am_score": "metrics.am_score",
    "attack": "analysis.attack.measure",
    "audit": "analysis.audit.measure",
    "check_heatmaps": "analysis.heatmap_check.measure",
    "class_space": "metrics.class_space",
    "cmmd": "metrics.cmmd",
    "compare": "analysis.comparison.measure",
    "compare_classes": "analysis.classes.measure",
    "conventions": "analysis.conventions.measure",
    "correlate": "analysis.correlation.measure",
    "density_coverage": "metrics.density_coverage",
    "extract": "features.extraction",
    "frechet": "metrics.frechet",
    "frechet_distance": "metrics.frechet",
    "frechet_infinity": "metrics.extrapolation",
    "frechet_sampling": "metrics.frechet_sampling",
    "heatmaps": "analysis.heatmaps.measure",
    "inception_score": "metrics.inception_score",
    "inception_score_infinity": "metrics.extrapolation",
    "influence": "analysis.influence.measure",
    "kernel_distance": "metrics.kernel",
    "load_extractor": "extractors",
    "mode_score": "metrics.mode_score",
    "ms_ssim_within_classes": "metrics.ms_ssim",
    "open_images": "images",
    "prd": "metrics.prd",
    "prd_curves": "analysis.prd.measure",
    "precision_recall": "metrics.neighbours",
    "ranks_of_torchrun": "runtime.ranks",
    "score": "analysis.scores.measure",
    "write_attack": "analysis.attack.files",
    "write_classes": "analysis.classes.files",
    "write_comparison": "analysis.comparison.files",
    "write_correlation": "analysis.correlation.files",
    "write_heatmap_check": "analysis.heatmap_check.files",
    "write_heatmaps": "analysis.heatmaps.files",
    "write_influence": "analysis.influence.files",
    "write_prd": "analysis.prd.files",
    "write_report": "analysis.report.files",
}

__all__ = [
    "AMScoreResult",
    "AttackSpace",
    "Attacked",
    "Audit",
    "CertifiedSolver",
    "CmmdResult",
    "ComparedClasses",
    "Comparison",
    "Conventions",
    "Correlation",
    "CrossCheckedFID",
    "DensityCoverageResult",
    "Extractor",
    "Extrapolation",
    "Features",
    "FidprobeError",
    "FrechetResult",
    "FrechetSampling",
    "GaussianStatistics",
    "GradientDescent",
    "HeatmapCheck",
    "Heatmaps",
    "ImageSource",
    "InceptionScoreResult",
    "Influence",
    "IntraClassResult",
    "KernelResult",
    "MetricChoices",
    "ModeScoreResult",
    "NetworkSpec",
    "PRDCurves",
    "PRDResult",
    "PrecisionRecallResult",
    "Provenance",
    "ReadOptions",
    "Resampling",
    "ScoreResult",
    "Top1Matching",
    "Verdict",
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


if not TYPE_CHECKING:  # a type checker would take every name for one that is there

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            return version("fidprobe")
        if name not in _HOME:
            raise AttributeError(f"module 'fidprobe' has no attribute {name!r}")
        return getattr(import_module(f"fidprobe.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
