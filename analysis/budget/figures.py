"""The null-space budget as a figure: what each attack removes in the main space, and what a second opinion sees."""

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from fidprobe.analysis.budget.result import MOSTLY_NOISE, Budget, Effect
from fidprobe.analysis.budget.text import percent_text, reference_text
from fidprobe.analysis.budget.weights import BUDGET_ATTACKS, TITLES
from fidprobe.analysis.output.figure_style import INK, SPACE_COLOURS, WIDTH, bar_panels, name_rows, styled
from fidprobe.analysis.output.wording import shortened
from fidprobe.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["budget_figure"]

_COLOURS = (*SPACE_COLOURS, "#e69f00", "#d55e00", "#f0e442", "#0072b2")  # Okabe and Ito's; the main space first
_HATCHES = ("", "////", "||||", "\\\\\\\\", "xxxx", "----", "++++")  # for those who print in gray
_AXIS = "removed by choosing among the model's images (%)"
_NOTES = 46  # characters of a line below the axis
_LABEL = 34  # characters of a distance's label in the legend
_PANEL = 2.1  # inches that a panel needs at least
_NAMES = 1.5  # inches for the attacks' names


def budget_figure(budgets: Mapping[str, Budget]) -> "Figure":
    """Bars of the reduction of each distance by each attack, a panel for each model.

    Args:
        budgets: Model's name -> its budget; at least one.

    Raises:
        InputError: no budgets, or more second opinions than there are colours.
    """
    if not budgets:
        raise InputError("there is no null-space budget to draw")
    labels = list(dict.fromkeys(label for one in budgets.values() for label in _labels(one)))
    if len(labels) > len(_COLOURS):
        raise InputError(f"a figure of null-space budgets shows {len(_COLOURS)} spaces at most, not {len(labels)}")
    from matplotlib.ticker import MaxNLocator

    attacks = [
        name
        for name in BUDGET_ATTACKS
        if any(name in {r.attack for r in one.removals} or name in one.missing for one in budgets.values())
    ]
    with styled():
        width = max(WIDTH, _NAMES + _PANEL * len(budgets))
        per_row = 0.14 + 0.15 * max(2, len(labels))
        reach = _reach(budgets)
        notes = textwrap.wrap(_notes(budgets, rises=reach[0] < 0), _NOTES)
        fixed = 1.0 + 0.16 * (len(notes) + len(labels))
        figure, panels = bar_panels(width, fixed + per_row * len(attacks), len(budgets))
        for axes, (name, budget) in zip(panels, budgets.items(), strict=True):
            _panel(axes, budget, attacks, labels)
            axes.set_xlim(*reach)
            axes.set_ylim(len(attacks) - 0.5, -0.5)
            axes.xaxis.set_major_locator(MaxNLocator(5 if len(budgets) == 1 else 4, steps=[1, 2, 2.5, 5, 10]))
            if len(budgets) > 1:
                title = "\n".join(filter(None, (shortened(name, 26), _error(budget))))
                axes.set_title(title, fontsize=9, color=INK, parse_math=False)
        rows = np.arange(len(attacks))
        for i, axes in enumerate(panels):
            name_rows(axes, rows, [TITLES[name] for name in attacks] if i == 0 else [""] * len(attacks))
        below = "\n".join((_AXIS, *notes))
        if len(panels) == 1:
            panels[0].set_xlabel(below, parse_math=False)
        else:
            figure.supxlabel(below, fontsize=9, color=INK, parse_math=False)
            figure.set_layout_engine("constrained", wspace=0.06)
        handles, texts = panels[0].get_legend_handles_labels()
        unique = dict(zip(texts, handles, strict=True))
        legend = figure.legend(
            list(unique.values()), list(unique), loc="outside upper right", frameon=False, labelcolor=INK, fontsize=8
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure


def _panel(axes: "Axes", budget: Budget, attacks: list[str], labels: list[str]) -> None:
    """One model's bars."""
    done = {
        removal.attack: dict(zip(_labels(budget), (effect for effect, _ in removal.effects), strict=True))
        for removal in budget.removals
    }
    height = 0.8 / len(labels)
    for i, label in enumerate(labels):
        drawn = [(row, done[name][label]) for row, name in enumerate(attacks) if label in done.get(name, {})]
        places = [row + (i - (len(labels) - 1) / 2) * height for row, _ in drawn]
        values = [_removed(effect) for _, effect in drawn]
        axes.barh(
            places,
            values,
            height=0.92 * height,
            color=_COLOURS[i],
            hatch=_HATCHES[i],
            edgecolor="white",
            linewidth=0,
            label=label,
        )
        for place, value, (_, effect) in zip(places, values, drawn, strict=True):
            axes.annotate(
                "from 0" if effect.percent is None else f"{'−' if value < 0 else ''}{percent_text(abs(value))}",
                (value, place),
                xytext=(-3 if value < 0 else 3, 0),
                textcoords="offset points",
                ha="right" if value < 0 else "left",
                va="center",
                fontsize=7,
                color=INK,
            )
    for row, name in enumerate(attacks):
        if name not in done:
            axes.annotate(
                "not computed",
                (0, row),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
                style="italic",
                color=INK,
            )
    axes.axvline(0, color=INK, linewidth=0.8)


def _notes(budgets: Mapping[str, Budget], *, rises: bool) -> str:
    """What a reader must know to read the bars."""
    where = {reference_text(one) for one in budgets.values()}
    notes = [where.pop()] if len(where) == 1 else []
    if not any(one.second_labels for one in budgets.values()):
        notes.append("no second opinion")
    if len(budgets) == 1:
        notes += filter(None, map(_error, budgets.values()))
    if rises:
        notes.append("below 0 the distance rises")
    return f"({'; '.join(notes)})" if notes else ""


def _error(budget: Budget) -> str:
    """Why the bars mean little; empty where they do not."""
    if budget.noise is None or budget.noise < MOSTLY_NOISE:
        return ""
    return f"{shortened(budget.label, 20)}: {percent_text(100 * budget.noise)} sampling error"


def _labels(budget: Budget) -> list[str]:
    """The main space's and the second opinions'; the latter say so, which tells two spaces of unknown name apart."""
    others = [f"{shortened(label, _LABEL)} (second opinion)" for label in budget.second_labels]
    return [shortened(budget.label, _LABEL), *others]


def _removed(effect: Effect) -> float:
    return -(effect.percent or 0.0)


def _reach(budgets: Mapping[str, Budget]) -> tuple[float, float]:
    """Ends of the axis, the same in all panels, with room for the numbers beside the bars."""
    values = [
        _removed(effect) for budget in budgets.values() for removal in budget.removals for effect, _ in removal.effects
    ]
    low, high = min([0.0, *values]), max([0.0, *values])
    room = (0.2 if len(budgets) == 1 else 0.3) * ((high - low) or 1.0)
    return (low - room if low < 0 else 0.0), (high + room if high > 0 or low == 0 else 0.0)
