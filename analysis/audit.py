"""The audit: a generated set (and a baseline) against the reference, in the ImageNet space and in a second one."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.class_histogram import ClassHistogram, top1_histogram
from fidprobe.analysis.scores import METRICS, MetricChoices
from fidprobe.analysis.scoring import Scored, SpaceScores, measure_sets
from fidprobe.analysis.sets import Network, open_sets
from fidprobe.errors import InputError, SourceError
from fidprobe.extraction import ReadOptions
from fidprobe.features import Features
from fidprobe.images import ImageSource
from fidprobe.progress import Progress, silent
from fidprobe.statistics import GaussianStatistics

__all__ = ["Audit", "Change", "audit"]

_GRID = 24  # images shown of each set


@dataclass(frozen=True)
class Change:
    """From the baseline to the generated set, in one space; negative is better.

    Attributes:
        label: `FID`, `FD[clip]`, ...
        baseline: The baseline's Fréchet distance.
        generated: The generated set's.
        percent: 100 (generated - baseline) / baseline; None for a baseline of 0.
    """

    label: str
    baseline: float
    generated: float
    percent: float | None


@dataclass(frozen=True)
class Audit:
    """The outcome of an audit; `fidprobe.analysis.report` shows it, `to_json` gives it to programs.

    Attributes:
        scored: Scores in both spaces, sets, counts and advice.
        histogram: Top-1 classes of all sets; None without a classifier's logits on every side.
        grids: Set name -> pictures drawn at random for the eye, uint8 [h, w, 3] of any sizes; sets that came as
            features have none.
    """

    scored: Scored
    histogram: ClassHistogram | None
    grids: Mapping[str, tuple[npt.NDArray[np.uint8], ...]] = field(repr=False)

    @property
    def changes(self) -> tuple[Change, ...]:
        """What the model changes against the baseline in each space; empty without a baseline."""
        spaces = [self.scored.main] + ([self.scored.second] if self.scored.second else [])
        return tuple(found for space in spaces if (found := _change(space)) is not None)

    def to_json(self) -> dict[str, Any]:
        """Everything but the pictures."""
        return {
            **self.scored.to_json(),
            "changes": [asdict(one) for one in self.changes],
            "top1_classes": self.histogram.to_json() if self.histogram else None,
        }


def _change(space: SpaceScores) -> Change | None:
    if "baseline" not in space.scores:
        return None
    after, before = (space.scores[name].frechet for name in ("generated", "baseline"))
    if after is None or before is None:
        return None
    percent = 100 * (after.value - before.value) / before.value if before.value > 0 else None
    return Change(space.label, before.value, after.value, percent)


def audit(
    reference: Any,
    generated: Any,
    *,
    baseline: Any = None,
    extractor: Network = "inception",
    second_opinion: Network = "clip",
    second_reference: Any = None,
    second_generated: Any = None,
    second_baseline: Any = None,
    options: ReadOptions | None = None,
    choices: MetricChoices | None = None,
    progress: Progress = silent,
) -> Audit:
    """Score a generated set, and a baseline if given, in both spaces, and collect what a reader must see.

    Args:
        reference: Real images: anything `fidprobe.images.open_images` takes, features, or a path to either.
        generated: The model's images, likewise.
        baseline: Another model's, to state the change from it.
        extractor: The main, ImageNet space.
        second_opinion: The space that must confirm.
        second_reference: The reference's features in the second space, where `reference` is features.
        second_generated: The generated set's.
        second_baseline: The baseline's.
        options: Subset, bad files, batch size, cache.
        choices: What papers vary in a metric.
        progress: Told of each stage.

    Raises:
        FidprobeError: any user's mistake, in one line.
    """
    opened = open_sets({"reference": reference, "generated": generated, "baseline": baseline}, options, progress)
    seconds = open_sets(
        {"reference": second_reference, "generated": second_generated, "baseline": second_baseline}, options, progress
    )
    if extra := set(seconds) - set(opened):
        raise InputError(f"second-opinion features were given for {', '.join(sorted(extra))}, which is not audited")
    # Pictures first: they are quick, and an unreadable source shows at once.
    grids = {name: _grid(side, options) for name, side in opened.items() if isinstance(side, ImageSource)}
    scored, features = measure_sets(
        opened,
        seconds,
        METRICS,
        strict=False,
        extractor=extractor,
        second_opinion=second_opinion,
        options=options,
        choices=choices,
        progress=progress,
    )
    return Audit(scored, _histogram(features), {name: grid for name, grid in grids.items() if grid})


def _grid(images: ImageSource, options: ReadOptions | None) -> tuple[npt.NDArray[np.uint8], ...]:
    """Pictures for the eye: a fixed random draw."""
    drawn = np.random.default_rng(0).choice(len(images), min(_GRID, len(images)), replace=False)
    pictures = []
    for item in images.items(sorted(int(i) for i in drawn)):
        try:
            pictures.append(item.decode().pixels)
        except SourceError as error:
            if options is None or not options.skip_bad:
                raise SourceError(f"{error}; use --skip-bad to leave out such files") from error
    return tuple(pictures)


def _histogram(features: Mapping[str, Features | GaussianStatistics]) -> ClassHistogram | None:
    with_logits = {n: f for n, f in features.items() if isinstance(f, Features) and f.logits is not None}
    if set(with_logits) != set(features):
        return None
    return top1_histogram(with_logits["reference"], {n: f for n, f in with_logits.items() if n != "reference"})
