"""MS-SSIM within classes of several sets side by side (Zhou et al. 2018, Table 2), as text and as a figure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fidprobe.analysis.output.figure_style import INK, WIDTH, name_rows, styled
from fidprobe.analysis.output.model_points import MOST_NAMED, legend_columns, model_legend, model_mark, style_scatter
from fidprobe.analysis.output.wording import amount, number, shortened
from fidprobe.errors import InputError, MismatchError
from fidprobe.metrics.ms_ssim import IntraClassResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Collapse", "collapsed_classes", "intra_class_figure"]

_MOST = 30  # classes whose rows can be read
_SURE = 3.0  # standard errors of a difference: of a hundred classes one in ten is beyond by chance


@dataclass(frozen=True)
class Collapse:
    """A class whose generated images are more alike than the real ones.

    Attributes:
        name: The class.
        generated, reference: Mean MS-SSIM on each side.
        errors: The difference in its standard errors.
    """

    name: str
    generated: float
    reference: float
    errors: float


def collapsed_classes(reference: IntraClassResult, generated: IntraClassResult) -> tuple[Collapse, ...]:
    """Classes more alike than in the reference by more than three standard errors, the surest first.

    Classes that one side lacks, or knows by a single pair, are left out.

    Raises:
        MismatchError: pictures were compared at different sizes.
    """
    _check_sizes({"the reference": reference, "the generated images": generated})
    real = {one.name: one for one in reference.classes}
    found = []
    for one in generated.classes:
        other = real.get(one.name)
        if other is None or one.standard_error is None or other.standard_error is None:
            continue
        error = float(np.hypot(one.standard_error, other.standard_error))
        difference = one.mean - other.mean
        if difference > _SURE * error:
            found.append(Collapse(one.name, one.mean, other.mean, difference / error if error else float("inf")))
    return tuple(sorted(found, key=lambda one: -one.errors))


def intra_class_figure(sets: Mapping[str, IntraClassResult]) -> "Figure":
    """Mean MS-SSIM of every class, with its standard error, a mark for each set.

    Args:
        sets: Name -> result, the reference first; twelve at most. Of more than thirty classes, those with the largest
            mean in any set are shown.

    Raises:
        InputError: no sets, or too many.
        MismatchError: pictures were compared at different sizes.
    """
    if not 1 <= len(sets) <= MOST_NAMED:
        raise InputError(f"a figure of MS-SSIM within classes shows 1 to {MOST_NAMED} sets, got {len(sets)}")
    _check_sizes(sets)
    from matplotlib.figure import Figure

    means: dict[str, float] = {}
    for result in sets.values():
        for one in result.classes:
            means[one.name] = max(means.get(one.name, 0.0), one.mean)
    largest = sorted(means, key=lambda name: -means[name])[:_MOST]
    classes = [name for name in means if name in set(largest)]
    names = [shortened(name, 24) for name in sets]
    legend_rows = -(-len(names) // legend_columns(names))
    with styled():
        height = 1.1 + 0.17 * legend_rows + (0.18 + 0.02 * len(sets)) * len(classes)
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        style_scatter(axes)
        axes.grid(visible=False, axis="y")
        for i, result in enumerate(sets.values()):
            rows = {one.name: one for one in result.classes}
            shown = [(place, rows[name]) for place, name in enumerate(classes) if name in rows]
            offset = 0.5 * ((i + 0.5) / len(sets) - 0.5)
            places = [place + offset for place, _ in shown]
            errors = [one.standard_error or 0.0 for _, one in shown]
            values = [one.mean for _, one in shown]
            mark = model_mark(i)
            axes.plot(values, places, **{**mark, "markersize": 4.5})
            axes.errorbar(values, places, xerr=errors, fmt="none", ecolor=mark["color"], elinewidth=1, zorder=1)
        name_rows(axes, np.arange(len(classes)), [shortened(name, 24) for name in classes])
        axes.tick_params(axis="y", left=False)
        axes.set_ylim(len(classes) - 0.4, -0.6)
        axes.set_xlim(left=0)
        first = next(iter(sets.values()))
        of = f", {len(classes)} of {amount(len(means))} classes" if len(classes) < len(means) else ""
        size = f"{first.size[1]} × {first.size[0]} pixels"
        axes.set_xlabel(f"mean MS-SSIM of pairs within a class ± standard error\n({size}{of})")
        top, result = max(sets.items(), key=lambda item: item[1].maximum)
        largest_of = f"{shortened(result.maximum_class, 16)}, {shortened(top, 16)}"
        title = f"largest: {number(result.maximum, 3)} ({largest_of})"
        axes.set_title(title, fontsize=8, color=INK, loc="left", parse_math=False)
        model_legend(figure, names)
    return figure


def _check_sizes(sets: Mapping[str, IntraClassResult]) -> None:
    sizes = {result.size: name for name, result in sets.items()}
    if len(sizes) > 1:
        told = ", ".join(f"{width}x{height} ({name})" for (height, width), name in sizes.items())
        raise MismatchError(f"MS-SSIM at several sizes does not compare: {told}; give all the same side")
