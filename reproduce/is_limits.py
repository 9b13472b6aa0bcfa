"""The Inception Score's article: its bounds 1 and N, who reaches them, and its two forms, which are one number.

python -m reproduce.is_limits
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from fidprobe.features.value import Features
from fidprobe.metrics.inception_score import InceptionScoreResult, inception_score
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting
from reproduce.lecture_losses import panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EXPERIMENT", "Limits", "kl_form", "of_perfect_draws", "run", "score_of"]

Array = npt.NDArray[np.float64]

_EXACT = 1e-6  # relative to N: logits are float32
_LEAST = 1e-45  # below it a share is nothing: the logit of a class that is not meant
_ROUNDING = 1e-12  # of ln IS, whose terms are sums in float64


@dataclass(frozen=True)
class Limits:
    """What the score is taken of.

    Attributes:
        classes: N.
        kept: Classes that a generator makes which knows no others.
        images: Of the exact cases, a multiple of `classes` and of `kept`.
        sets: Random sets of predictions that must keep to the bounds.
        most: Images of the largest of them.
        drawn: Images of a perfect generator, which draws its classes at random.
        draws: So many times.
        seed: Of all draws.
    """

    classes: int
    kept: int
    images: int
    sets: int
    most: int
    drawn: int
    draws: int
    seed: int


PRESETS = {
    "smoke": Limits(10, 5, 200, 20, 50, 100, 20, 0),
    # 1000 classes as Inception's; 5,000 images are a tenth of the usual 50,000, as of each split.
    "paper": Limits(1000, 500, 10_000, 200, 500, 5000, 40, 0),
}


def score_of(probabilities: Array) -> InceptionScoreResult:
    """The Inception Score, fidprobe's, of predictions, all in one split.

    Args:
        probabilities: p(y|x), [n, N], rows that add up to 1; shares below 1e-45 count as none.
    """
    logits = torch.from_numpy(np.log(np.maximum(probabilities, _LEAST))).float()
    return inception_score(Features(torch.ones(len(logits), 1), logits=logits), splits=1)


def kl_form(probabilities: Array) -> float:
    """The article's definition of ln IS, the mean of KL(p(·|x) || mean p), in nats."""
    logits = torch.from_numpy(np.log(np.maximum(probabilities, _LEAST))).float().double()
    p = logits.softmax(1).numpy()  # of the same float32 logits as fidprobe's
    ratio = np.divide(p, p.mean(0), out=np.ones_like(p), where=p > 0)
    return float((p * np.log(ratio, out=np.zeros_like(p), where=p > 0)).sum(1).mean())


def of_perfect_draws(classes: int, images: int) -> float:
    """E ln IS of images that are each beyond doubt and of a class drawn evenly at random: E H of their shares, in nats.

    Each class has a binomial number K of the n images, so that E H = -N E[K/n ln(K/n)].
    """
    k = np.arange(1, images + 1)
    log_factorial = np.array([math.lgamma(i + 1) for i in range(images + 1)])
    log_probability = (
        log_factorial[images]
        - log_factorial[k]
        - log_factorial[images - k]
        - k * math.log(classes)
        + (images - k) * math.log1p(-1 / classes)
    )
    return float(-classes * (np.exp(log_probability) * (k / images) * np.log(k / images)).sum())


def run(preset: Limits, setting: Setting) -> Outcome:
    """Equality cases, random sets against the bounds, both forms, and what sampling leaves of N."""
    rng = np.random.default_rng(preset.seed)
    setting.progress("limits", 0, 3)
    cells = _cases(preset, rng)
    setting.progress("limits", 1, 3)
    cells += _bounds(preset, rng)
    setting.progress("limits", 2, 3)
    numbers = np.unique(np.geomspace(preset.classes / 10, 100 * preset.classes, 13).round().astype(int))
    expected = [math.exp(of_perfect_draws(preset.classes, int(n))) for n in numbers]
    found = [
        score_of(np.eye(preset.classes)[rng.integers(preset.classes, size=preset.drawn)]).mean
        for _ in range(preset.draws)
    ]
    error = float(np.std(np.log(found), ddof=1) / math.sqrt(preset.draws))
    cells.append(
        Cell(
            f"ln IS of {preset.drawn} sure images of random classes, mean of {preset.draws} draws",
            float(np.mean(np.log(found))),
            of_perfect_draws(preset.classes, preset.drawn),
            round(4 * error, 4),  # standard errors of the mean
            "nats",
            4,
        )
    )
    cells.append(Cell("such a perfect generator's IS", float(np.mean(found)), digits=1))
    setting.progress("limits", 3, 3)
    doubts = np.linspace(0, 1, 41)
    by_doubt = [(number, [_doubtful(number, d) for d in doubts]) for number in (preset.classes, preset.kept)]
    details = {
        "doubt": doubts.tolist(),
        "inception_score_by_doubt": {str(number): scores for number, scores in by_doubt},
        "images": numbers.tolist(),
        "inception_score_by_images": expected,
        "draws": found,
    }
    notes = [
        "The article prints no numbers: in the paper's place stands what its bounds and its definition give in closed "
        "form.",
        "IS = N needs exactly equal shares of the classes. A perfect generator that draws its classes at random misses "
        f"it by sampling alone: of N = {preset.classes} classes, {preset.drawn} images score {np.mean(found):.4g}.",
    ]
    drawing = Drawing(
        _figure(preset, doubts, by_doubt, numbers, expected),
        "Inception Score over doubt, and over the number of images",
    )
    return Outcome(cells, details, [drawing], notes)


def _cases(preset: Limits, rng: np.random.Generator) -> list[Cell]:
    """Where the score is known."""
    classes, kept = preset.classes, preset.kept
    sure = np.eye(classes)[np.arange(preset.images) % classes]
    indistinct = np.tile(rng.dirichlet(np.ones(classes)), (preset.images, 1))
    shares = rng.dirichlet(np.ones(kept))
    counts = rng.multinomial(preset.images - kept, shares) + 1  # every kept class is there
    uneven = np.eye(classes)[np.repeat(np.arange(kept), counts)]
    weights = counts / counts.sum()
    half = 0.5 * sure + 0.5 / classes
    # One class has 1/2 + 1/(2N), each other 1/(2N): ln IS = ln N - H of that.
    top, rest = 0.5 + 0.5 / classes, 0.5 / classes
    doubt = -top * math.log(top) - (classes - 1) * rest * math.log(rest)
    cases: Sequence[tuple[str, Array, float]] = (
        ("all images predicted alike", indistinct, 1.0),
        ("all images surely of one class", np.eye(classes)[np.zeros(preset.images, dtype=int)], 1.0),
        ("all images in doubt between all classes", np.full((preset.images, classes), 1 / classes), 1.0),
        (f"sure, evenly of {kept} classes", np.eye(classes)[np.arange(preset.images) % kept], kept),
        (
            f"sure, unevenly of {kept} classes: exp H of the shares",
            uneven,
            math.exp(-(weights * np.log(weights)).sum()),
        ),
        (f"half in doubt, evenly of {classes} classes", half, classes * math.exp(-doubt)),
        (f"sure, evenly of all {classes} classes: N", sure, classes),
    )
    return [Cell(name, score_of(p).mean, value, _EXACT * classes, digits=4) for name, p, value in cases]


def _bounds(preset: Limits, rng: np.random.Generator) -> list[Cell]:
    """Random sets, from sure predictions to doubtful ones, against the bounds and in both forms."""
    below = above = 0
    apart = 0.0
    least, most = math.inf, -math.inf
    top = math.log(preset.classes)
    for _ in range(preset.sets):
        images = int(rng.integers(2, preset.most + 1))  # one image has ln IS = 0
        sharpness = 10.0 ** rng.uniform(-3, 2)
        predictions = np.maximum(rng.dirichlet(np.full(preset.classes, sharpness), images), _LEAST)
        predictions /= predictions.sum(1, keepdims=True)
        found = score_of(predictions)
        value = found.marginal_entropy - found.conditional_entropy
        below += value < -_ROUNDING
        above += value > top + _ROUNDING
        apart = max(apart, abs(value - kl_form(predictions)))
        least, most = min(least, value), max(most, value)
    return [
        Cell(f"random sets with ln IS below 0, of {preset.sets}", below, 0, 0, digits=0),
        Cell(f"random sets with ln IS above ln N, of {preset.sets}", above, 0, 0, digits=0),
        Cell("their least ln IS", least, unit="nats", digits=4),
        Cell(f"their greatest ln IS; ln N is {top:.4f}", most, unit="nats", digits=4),
        Cell("KL form against entropy form, greatest difference", apart, 0, 1e-9, "nats", 10),
    ]


def _doubtful(classes: int, doubt: float) -> float:
    """IS of even predictions, each `doubt` parts all classes and the rest one."""
    return score_of((1 - doubt) * np.eye(classes) + doubt / classes).mean


def _figure(
    preset: Limits,
    doubts: Array,
    by_doubt: Sequence[tuple[int, Sequence[float]]],
    numbers: Array,
    expected: Sequence[float],
) -> "Figure":
    from fidprobe.analysis.output.figure_style import COLOURS, INK, styled

    with styled():
        figure, (left, right) = panels(2)
        styles = ((COLOURS["generated"], "-"), (COLOURS["baseline"], "--"))
        for (number, scores), (colour, dashes) in zip(by_doubt, styles, strict=True):
            left.plot(doubts, scores, color=colour, linestyle=dashes, label=f"N = {number}")
            left.axhline(number, color=colour, linewidth=0.6, linestyle=(0, (2, 3)))
        left.set_xlabel("doubt of each image (share of all classes)")
        left.set_ylabel("Inception Score")
        left.set_yscale("log")
        left.set_ylim(0.9, 1.4 * preset.classes)
        left.legend(frameon=False, labelcolor=INK, loc="lower left")
        right.plot(numbers, expected, color=COLOURS["generated"], marker="o", markersize=3.5)
        right.axhline(preset.classes, color=INK, linewidth=0.8, linestyle=(0, (2, 3)))
        right.annotate(f"N = {preset.classes}", (numbers[0], preset.classes), xytext=(0, 3), textcoords="offset points")
        right.set_xscale("log")
        right.set_ylim(0, 1.12 * preset.classes)
        right.set_xlabel("images of a perfect generator")
        right.set_ylabel("expected Inception Score")
    return figure


EXPERIMENT = Experiment("is_limits", "is", "Bounds", "the Inception Score's bounds and limiting cases", PRESETS, run)

if __name__ == "__main__":
    EXPERIMENT.main()
