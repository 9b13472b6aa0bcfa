"""Sajjadi et al. 2018, Figure 10: a classifier's entropies against precision and recall of many models.

The Inception Score's premise is that H(p(y|x)) is low where samples are good, and H(p(y)) high where they cover the
classes. Precision must then fall with the one and recall rise with the other.

python -m reproduce.prd_fig10 --scale small
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fidprobe.analysis.output.figure_style import INK, WIDTH, styled
from fidprobe.analysis.output.model_points import legend_columns, model_legend, model_mark, style_scatter
from fidprobe.errors import InputError
from fidprobe.metrics.inception_score import inception_score
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting
from reproduce.generators import MODELS_SMALL, MODELS_SMOKE, SMALL_RUNS, Models
from reproduce.prd_models import MODELS_NOTES, MeasuredModels, measured_models

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EXPERIMENT", "PRESETS", "PUBLISHED", "rank_correlation"]

PUBLISHED = {"precision": -0.83, "recall": 0.89}
"""§4.2: Spearman's correlations over 800 models."""

PRESETS = {"smoke": MODELS_SMOKE, "small": MODELS_SMALL}


def run(preset: Models, setting: Setting) -> Outcome:
    """Entropies of every model beside its curve."""
    found = measured_models(preset, setting)
    entropies = {one.name: inception_score(found.own[one.name], splits=1, biased=True) for one in preset.kept}
    doubt = [one.conditional_entropy for one in entropies.values()]
    spread = [one.marginal_entropy for one in entropies.values()]
    cells = []
    for role, space in found.curves.spaces.items():
        precision, recall = _values(found, role)
        cells += [
            Cell(
                f"rank correlation, F_1/8 and H(p(y|x)) [{space}]",
                rank_correlation(precision, doubt),
                PUBLISHED["precision"],
            ),
            Cell(
                f"rank correlation, F_8 and H(p(y)) [{space}]",
                rank_correlation(recall, spread),
                PUBLISHED["recall"],
            ),
        ]
    for name, one in entropies.items():
        cells += [
            Cell(f"{name}, mean H(p(y|x))", one.conditional_entropy, unit="nats", digits=3),
            Cell(f"{name}, H(p(y))", one.marginal_entropy, unit="nats", digits=3),
        ]
    notes = []
    if setting.scale == "small":
        notes = [
            "F_1/8 stands for precision, F_8 for recall.",
            *MODELS_NOTES,
            f"p(y|x) is {preset.classifier}'s. Models of one run follow one another in training, so that their ranks "
            "are not independent: correlations over eight of them are coarse.",
            SMALL_RUNS,
        ]
    drawing = Drawing(_figure(found, doubt, spread), "Entropies of a classifier against precision and recall")
    return Outcome(cells, {**found.curves.to_json(), "distances": found.distances}, [drawing], notes)


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's, -1..1.

    Raises:
        InputError: fewer than two models.
    """
    from scipy.stats import spearmanr

    if len(first) < 2:
        raise InputError("a correlation needs at least two models")
    return float(spearmanr(first, second).statistic)


def _values(found: MeasuredModels, role: str) -> tuple[list[float], list[float]]:
    """Precision and recall of the models that both spaces have."""
    curves = [found.curve(name, role) for name in found.curves.models]
    return [one.f_1_8 for one in curves], [one.f_8 for one in curves]


def _figure(found: MeasuredModels, doubt: Sequence[float], spread: Sequence[float]) -> "Figure":
    """A row a space: precision over H(p(y|x)), recall over H(p(y))."""
    from matplotlib.figure import Figure

    names = list(found.curves.models)
    spaces: Mapping[str, str] = found.curves.spaces
    rows = -(-len(names) // legend_columns(names))
    with styled():
        figure = Figure(figsize=(WIDTH, 0.3 + 2.5 * len(spaces) + 0.17 * rows), layout="constrained")
        panels = figure.subplots(len(spaces), 2, squeeze=False)
        for (role, space), line in zip(spaces.items(), panels, strict=True):
            precision, recall = _values(found, role)
            sides = (
                (doubt, precision, "mean H(p(y|x))", "F$_{1/8}$ (precision)"),
                (spread, recall, "H(p(y))", "F$_8$ (recall)"),
            )
            for axes, (x, y, across, up) in zip(line, sides, strict=True):
                style_scatter(axes)
                for i in range(len(names)):
                    axes.plot(x[i : i + 1], y[i : i + 1], **{**model_mark(i), "clip_on": False, "zorder": 3})
                axes.set_xlabel(f"{across} (nats)")
                axes.set_ylabel(up)
                axes.margins(0.1)
                told = f"rank correlation {rank_correlation(x, y):+.2f}"
                part = space if axes is line[0] else "second opinion" if role == "second" else "main space"
                axes.set_title(f"{part}\n{told}", fontsize=8, color=INK, loc="left", parse_math=False)
        model_legend(figure, names)
    return figure


EXPERIMENT = Experiment(
    "prd_fig10",
    "prd",
    "Figure 10",
    "a classifier's entropies against precision and recall",
    PRESETS,
    run,
    needs={"small": "cifar10, am-gan-run, gan-run"},
)

if __name__ == "__main__":
    EXPERIMENT.main()
