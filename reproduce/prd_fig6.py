"""Sajjadi et al. 2018, Figure 6: two generators of nearly one distance whose curves tell them apart.

The pair is chosen among the models of Figure 7: of all pairs whose distances differ by no more than a twentieth, the
one that differs most in F_1/8 less F_8; the one of more precision is called left, as the paper has it.

python -m reproduce.prd_fig6 --scale small
"""

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING

import torch

from fidprobe.analysis.output.figure_style import COLOURS, INK, styled
from fidprobe.analysis.output.wording import shortened
from fidprobe.analysis.prd.figures import square_axes
from fidprobe.errors import InputError
from fidprobe.features.value import Features
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting
from reproduce.generators import MODELS_SMALL, MODELS_SMOKE, SMALL_RUNS, Models
from reproduce.prd_models import MODELS_NOTES, MeasuredModels, measured_models, model_cells

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EXPERIMENT", "NEAR", "PRESETS", "PUBLISHED", "alike", "predictions"]

NEAR = 0.05
"""Of the smaller distance: pairs no further apart are nearly equal."""

PUBLISHED = {"left": 96.7, "right": 88.6}
"""§4.2: mean confidence in percent of a classifier of MNIST; both of the paper's models have a distance of 49."""

PRESETS = {"smoke": MODELS_SMOKE, "small": MODELS_SMALL}


def run(preset: Models, setting: Setting) -> Outcome:
    """Choose the pair, and ask the classifier about it."""
    found = measured_models(preset, setting)
    pair = alike(
        {name: one["main"] for name, one in found.distances.items()},
        {name: _lean(found, name) for name in found.distances},
    )
    cells: list[Cell] = []
    details = {}
    distances = [found.distances[name] for name in pair]
    for role, space in found.curves.spaces.items():
        ratio = distances[0][role] / distances[1][role]
        cells.append(Cell(f"distance of left over right's [{space}]", ratio, 1.0 if role == "main" else None, digits=3))
    for side, name in zip(PUBLISHED, pair, strict=True):
        confidence, shares = predictions(found.own[name])
        cells += [
            *model_cells(found, name, f"{side} ({name})"),
            Cell(f"{side}, mean confidence of a classifier", 100 * confidence, PUBLISHED[side], unit="%", digits=1),
            Cell(f"{side}, share of the largest class", 100 * max(shares), unit="%", digits=1),
            Cell(f"{side}, share of the smallest class", 100 * min(shares), unit="%", digits=1),
        ]
        details[side] = {"model": name, "confidence": confidence, "shares": shares, "distances": found.distances[name]}
    notes = []
    if setting.scale == "small":
        notes = [
            "The paper's pair are GANs of MNIST, chosen by hand; ours is chosen out of Figure 7's models by a rule: of "
            f"all pairs whose distances in the main space differ by no more than {100 * NEAR:g} %, the one whose "
            "curves lean apart most. The paper's confidences are of digits and do not compare.",
            *MODELS_NOTES,
            SMALL_RUNS,
        ]
    names = found.own[pair[0]].class_names or ()
    return Outcome(cells, details, [Drawing(_figure(found, pair, names), "Two models of nearly one distance")], notes)


def alike(distances: Mapping[str, float], leans: Mapping[str, float]) -> tuple[str, str]:
    """The pair of nearly equal distances that leans apart most; the nearest pair where none is near.

    Args:
        distances: Model -> Fréchet distance.
        leans: Model -> F_1/8 less F_8.

    Returns:
        The model of more precision, the one of more recall.

    Raises:
        InputError: fewer than two models.
    """
    if len(distances) < 2:
        raise InputError("a pair needs at least two models")
    apart = {
        (one, two): abs(distances[one] - distances[two]) / min(distances[one], distances[two])
        for one, two in combinations(distances, 2)
    }
    near = [pair for pair, gap in apart.items() if gap <= NEAR] or [min(apart, key=apart.__getitem__)]
    one, two = max(near, key=lambda pair: abs(leans[pair[0]] - leans[pair[1]]))
    return (one, two) if leans[one] >= leans[two] else (two, one)


def predictions(own: Features) -> tuple[float, list[float]]:
    """Mean confidence, 0..1, and the share of each class in the Top-1 predictions.

    Raises:
        InputError: no classifier.
    """
    if own.logits is None:
        raise InputError(f"{own.space} has no classes; name a classifier of the data set's own")
    confident, top = own.logits.double().softmax(dim=1).max(dim=1)
    counts = torch.bincount(top, minlength=own.logits.shape[1]).double()
    return float(confident.mean()), (counts / len(own)).tolist()


def _lean(found: MeasuredModels, model: str) -> float:
    curve = found.curve(model, "main")
    return curve.f_1_8 - curve.f_8


def _figure(found: MeasuredModels, pair: tuple[str, str], classes: tuple[str, ...]) -> "Figure":
    """The curves of both in each space, and the classes that the classifier sees in their samples."""
    from matplotlib.figure import Figure

    looks = tuple(zip(pair, (COLOURS["generated"], COLOURS["baseline"]), ("-", (0, (5, 1.5))), strict=True))
    with styled():
        figure = Figure(figsize=(6.4, 5.8), layout="constrained")
        grid = figure.add_gridspec(2, 2, height_ratios=[3, 1.8])
        for place, (role, space) in enumerate(found.curves.spaces.items()):
            axes = figure.add_subplot(grid[0, place])
            square_axes(axes)
            for name, colour, dashes in looks:
                curve = found.curve(name, role)
                axes.plot(curve.recall, curve.precision, color=colour, linestyle=dashes, linewidth=1.6, clip_on=False)
            axes.set_xlabel("recall")
            axes.set_ylabel("precision")
            far = " and ".join(f"{found.distances[name][role]:#.4g}" for name in pair)
            title = f"{shortened(space, 24)}{' (second opinion)' if role == 'second' else ''}\ndistances {far}"
            axes.set_title(title, fontsize=8, color=INK, loc="left", parse_math=False)
        axes = figure.add_subplot(grid[1, :])
        told = []
        for k, (name, colour, _) in enumerate(looks):
            confidence, shares = predictions(found.own[name])
            told.append(f"{100 * confidence:.1f} %")
            places = [c + 0.38 * (k - 0.5) for c in range(len(shares))]
            heights = [100 * share for share in shares]
            axes.bar(places, heights, 0.36, color=colour, edgecolor=INK, linewidth=0.5, label=shortened(name, 30))
        axes.axhline(100 / len(shares), color=INK, linewidth=0.8, linestyle=(0, (2, 3)))
        axes.set_xticks(range(len(shares)), [shortened(name, 10) for name in classes], fontsize=7)
        axes.set_ylabel("samples (%)")
        axes.spines[["top", "right"]].set_visible(False)
        title = f"classes that a classifier sees, mean confidence {' and '.join(told)}"
        axes.set_title(title, fontsize=8, color=INK, loc="left", parse_math=False)
        handles, _ = axes.get_legend_handles_labels()
        figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


EXPERIMENT = Experiment(
    "prd_fig6",
    "prd",
    "Figure 6",
    "two models of nearly one distance",
    PRESETS,
    run,
    needs={"small": "cifar10, am-gan-run, gan-run"},
)

if __name__ == "__main__":
    EXPERIMENT.main()
