"""What one library's conventions give of two sets in one feature space."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from fidprobe.analysis.conventions.table import Convention
from fidprobe.analysis.sets.two_spaces import Measurable
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import FrechetResult, frechet
from fidprobe.metrics.inception_score import InceptionScoreResult, inception_score
from fidprobe.metrics.kernel import KernelSubsetsResult, kernel_distance_subsets
from fidprobe.metrics.neighbours import PrecisionRecallResult, precision_recall
from fidprobe.runtime.progress import Progress
from fidprobe.statistics import statistics_of

__all__ = ["ConventionScores", "Pair"]

T = TypeVar("T")

_ALONE = "a side came as statistics, which hold no single images"


@dataclass(frozen=True)
class ConventionScores:
    """What one library's conventions give.

    Attributes:
        convention: The library.
        frechet: Its FID.
        kernel: Its KID.
        score: Its Inception Score of the generated set; the std means nothing where the library prints none.
        balls: Its precision and recall.
        missing: `fid`, `kid`, `is`, `precision-recall` -> why it is None although the library has it.
    """

    convention: Convention
    frechet: FrechetResult | None
    kernel: KernelSubsetsResult | None
    score: InceptionScoreResult | None
    balls: PrecisionRecallResult | None
    missing: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Plain data, under torch-fidelity's keys; a std only where the library prints one."""
        one, kernel, score, balls = self.convention, self.kernel, self.score, self.balls
        named = self.frechet is not None and self.frechet.space == "inception"
        distances = {
            kind: f"{kind}_inception_distance" if named else f"{kind}_distance" for kind in ("frechet", "kernel")
        }
        out: dict[str, Any] = {
            "convention": one.name,
            "title": one.title,
            "resize": one.resize,
            "scaling": one.scaling,
            "covariance_ddof": one.covariance_ddof,
            distances["frechet"]: self.frechet.value if self.frechet else None,
        }
        if one.kernel:
            out[f"{distances['kernel']}_mean"] = kernel.mean if kernel else None
            if one.kernel.spread:
                out[f"{distances['kernel']}_std"] = kernel.std if kernel else None
            out[f"{distances['kernel']}_subset_size"] = kernel.subset_size if kernel else None
        if one.parts:
            out["inception_score_mean"] = score.mean if score else None
            if one.parts.std_ddof is not None:
                out["inception_score_std"] = score.std if score else None
            out["inception_score_splits"] = score.splits if score else None
        if one.balls:
            out["precision"] = balls.precision if balls else None
            out["recall"] = balls.recall if balls else None
        out["not_computed"] = dict(self.missing)
        return out


class Pair:
    """Two sets in one space; what several conventions share is computed once.

    Args:
        reference: Real images' features or statistics.
        generated: Generated images', of the same space.
        progress: Reports subsets and blocks of distances.

    Raises:
        InputError: NaN or infinite values, fewer than 2 images.
    """

    def __init__(self, reference: Measurable, generated: Measurable, progress: Progress) -> None:
        self._sides = reference, generated
        self._statistics = tuple(map(statistics_of, self._sides))
        self._progress = progress
        self._done: dict[tuple[Any, ...], Any] = {}

    def scores(self, one: Convention) -> ConventionScores:
        """Compute everything that one library has."""
        missing: dict[str, str] = {}
        distance = self._distance(one, missing)
        kernel, score, balls = self._kernel(one, missing), self._score(one, missing), self._balls(one, missing)
        return ConventionScores(one, distance, kernel, score, balls, missing)

    def _once(self, key: tuple[Any, ...], compute: Callable[[], T]) -> T:
        if key not in self._done:
            self._done[key] = compute()
        found: T = self._done[key]
        return found

    def _distance(self, one: Convention, missing: dict[str, str]) -> FrechetResult | None:
        ddof = one.covariance_ddof
        if ddof == 0 and None in (side.count for side in self._statistics):
            missing["fid"] = "statistics that do not state their count cannot be divided by it"
            return None
        return self._once(("fid", ddof), lambda: frechet(*self._statistics, ddof=ddof))

    def _kernel(self, one: Convention, missing: dict[str, str]) -> KernelSubsetsResult | None:
        reference, generated = self._sides
        if one.kernel is None:
            return None
        if not isinstance(reference, Features) or not isinstance(generated, Features):
            missing["kid"] = _ALONE
            return None
        smaller, size, subsets = min(len(reference), len(generated)), one.kernel.subset_size, one.kernel.subsets
        if smaller < size and not one.kernel.clips:
            missing["kid"] = f"refused of fewer than {size:,} images"
            return None
        size = min(smaller, size)
        return self._once(
            ("kid", subsets, size),
            lambda: kernel_distance_subsets(
                reference, generated, subsets=subsets, subset_size=size, progress=self._progress
            ),
        )

    def _score(self, one: Convention, missing: dict[str, str]) -> InceptionScoreResult | None:
        parts, generated = one.parts, self._sides[1]
        if parts is None:
            return None
        if not isinstance(generated, Features):
            missing["is"] = _ALONE
            return None
        if generated.logits is None:
            missing["is"] = "the features came without a classifier's logits"
            return None
        if parts.split_size is None and len(generated) < parts.splits:
            missing["is"] = f"fewer images than {parts.splits} parts"
            return None
        return self._once(
            ("is", parts),
            lambda: inception_score(
                generated,
                splits=parts.splits,
                split_size=parts.split_size,
                shuffle=parts.order == "shuffled",
                std_ddof=parts.std_ddof or 0,
            ),
        )

    def _balls(self, one: Convention, missing: dict[str, str]) -> PrecisionRecallResult | None:
        balls, (reference, generated) = one.balls, self._sides
        if balls is None:
            return None
        if balls.space != "pool3":
            missing["precision-recall"] = (
                f"of {balls.space} features (extractor {balls.space.lower()}), which are not computed here"
            )
        elif not isinstance(reference, Features) or not isinstance(generated, Features):
            missing["precision-recall"] = _ALONE
        elif min(len(reference), len(generated)) < balls.neighbours + 2:
            missing["precision-recall"] = f"a set has fewer than {balls.neighbours + 2} images"
        else:
            return self._once(
                ("balls", balls),
                lambda: precision_recall(
                    reference, generated, k=balls.neighbours, strict=balls.strict, progress=self._progress
                ),
            )
        return None
