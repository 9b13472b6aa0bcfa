"""Zhou et al. 2018, Figure 4: what an ImageNet classifier, and the data set's own, say of a data set's images.

a) Mean class probabilities, b) H(C(x)) in each class under the ImageNet classifier, c) under the data set's own.

python -m reproduce.amgan_fig4 --scale small
FIDPROBE_DATA=/data python -m reproduce.amgan_fig4 --scale paper
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fidprobe.analysis.output.figure_style import COLOURS, INK, WIDTH, name_rows, styled
from fidprobe.analysis.output.model_points import style_scatter
from fidprobe.analysis.output.wording import amount, images_text, number, shortened
from fidprobe.errors import InputError
from fidprobe.extractors.base import Extractor
from reproduce.class_entropies import CLEAR, ClassEntropies, Entropies, class_entropies
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting
from reproduce.generators import REAL, features, networks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["EXPERIMENT", "PRESETS", "PUBLISHED", "Doubt", "class_entropies_figure", "measured"]

_MOST = 30  # rows that can be read; of more classes, those of least and of most doubt are shown
_NAMED = 3  # classes predicted most, whose names are written
_FINEST = 1e-6  # least probability on the axis, in percent


@dataclass(frozen=True)
class Doubt:
    """The figure's exact inputs.

    Attributes:
        images: Real images in class folders, which the own classifier has learnt.
        unseen: Others, which it has not; empty for none.
        limit: Of each, at random; None for all.
        extractor: The ImageNet classifier.
        own: The data set's own; empty for none.
    """

    images: str
    unseen: str
    limit: int | None
    extractor: str
    own: str


# §6.2 and §6.4; its own classifier is a DenseNet.
PUBLISHED = {"truck": 2.14, "bird": 3.80, "clear": 99.6}

PRESETS = {
    # No features of real pictures by the own classifier come with fidprobe: panels a and b alone.
    "smoke": Doubt(REAL, "", 300, "efficientnet-lite0", ""),
    "small": Doubt("cifar10/train", "cifar10/test", None, "efficientnet-lite0", "cifar10-classifier"),
    "paper": Doubt("cifar10/train", "cifar10/test", None, "inception", "cifar10-classifier"),
}


def run(preset: Doubt, setting: Setting) -> Outcome:
    """Ask both classifiers."""
    imagenet, *own = networks([preset.extractor, *([preset.own] if preset.own else [])], setting)
    found = [measured(preset.images, network, preset, setting) for network in (imagenet, *own)]
    doubts = {row.name: row.mean for row in found[0].classes}
    least, most = min(doubts, key=doubts.__getitem__), max(doubts, key=doubts.__getitem__)
    top = found[0].to_json()["mean_probabilities"][0]
    judged = 0.15 if setting.scale == "paper" else None  # nats: JPEG copies, and a port of Inception
    cells = [
        Cell("a) H(mean C)", found[0].marginal_entropy, unit="nats"),
        Cell(f"a) probability of {top['name']}, the most probable class", 100 * top["probability"], unit="%", digits=1),
        *(
            Cell(f"b) mean H(C(x)), {name}", doubt, PUBLISHED.get(name), judged, "nats")
            for name, doubt in doubts.items()
        ),
        Cell(f"b) mean H(C(x)), most ({most}) less least ({least})", doubts[most] - doubts[least], unit="nats"),
        Cell(f"b) images below {CLEAR:g} nats", 100 * found[0].whole.clear, unit="%", digits=1),
    ]
    rows: list[tuple[str, ClassEntropies, float | None]] = [
        (f"c) images below {CLEAR:g} nats", one, PUBLISHED["clear"]) for one in found[1:]
    ]
    seen = [f"{preset.images} under {found[-1].space}"]
    if preset.unseen and own:
        held = measured(preset.unseen, own[0], preset, setting)
        rows.append((f"c) images below {CLEAR:g} nats, not learnt from", held, None))
        seen.append(f"{preset.unseen} under {held.space}")
        found.append(held)
    for name, one, published in rows:
        cells += [
            Cell(name, 100 * one.whole.clear, published, unit="%", digits=1),
            Cell(name.replace(f"images below {CLEAR:g} nats", "mean H(C(x))"), one.whole.mean, unit="nats", digits=3),
        ]
    drawn = [one if i < 2 else replace(one, space="not learnt from") for i, one in enumerate(found)]
    notes = []
    if setting.scale == "small":
        notes = [
            "JPEG copies of CIFAR-10's training pictures under EfficientNet-Lite0, not Inception: classes that are "
            "doubted much under one are not under the other, so that truck and bird compare with the paper's in kind "
            "alone.",
            "The own classifier is fidprobe's small ResNet (87.7 % of test pictures), which has learnt the training "
            "pictures, as the paper's DenseNet has; the cells of pictures that were not learnt from are the test "
            "part, which is how sure it can be of anything new.",
        ]
    return Outcome(
        cells,
        {"classifiers": [summary(one) for one in found], "of": [f"{preset.images} under {found[0].space}", *seen]},
        [Drawing(class_entropies_figure(drawn), "Predictions of classifiers on real images")],
        notes,
    )


def measured(source: str, network: Extractor, preset: Doubt, setting: Setting) -> ClassEntropies:
    """Entropies in each class of images that a preset names."""
    return class_entropies(features(source, network, setting, preset.limit))


def summary(found: ClassEntropies) -> dict[str, object]:
    """The numbers of one classifier; of the class probabilities, the twenty largest and the extremes."""
    data = found.to_json()
    probabilities = data.pop("mean_probabilities")
    return {
        **data,
        "predicted_classes": len(probabilities),
        "least_probability": probabilities[-1]["probability"],
        "most_probable": probabilities[:20],
    }


def class_entropies_figure(found: Sequence[ClassEntropies]) -> "Figure":
    """The first classifier's mean probabilities, and a panel of H(C(x)) by class for every classifier.

    Boxes reach from quartile to quartile, whiskers from 5 to 95 %; the line is the median, the diamond the mean.

    Args:
        found: At least one, of the same images: another data set's classifier first, the data set's own second.

    Raises:
        InputError: nothing to draw, or classifiers that saw other classes of images.
    """
    if not found:
        raise InputError("there are no class entropies to draw")
    if any([row.name for row in one.classes] != [row.name for row in found[0].classes] for one in found):
        raise InputError("the classifiers saw images of other classes; extract all of them from the same images")
    from matplotlib.figure import Figure

    rows = _rows(found[0])
    names = [row.name for row in rows]
    notes = "box: quartiles, whiskers: 5 and 95 %, line: median, diamond: mean"
    if len(rows) <= len(found[0].classes):
        notes += f"\n{_MOST} of {amount(len(found[0].classes))} classes: half those of least, half of most doubt"
    with styled():
        figure = Figure(figsize=(WIDTH, 3.9 + 0.2 * len(rows)), layout="constrained")
        grid = figure.add_gridspec(2, len(found), height_ratios=[2.0, 0.9 + 0.2 * len(rows)])
        top = figure.add_subplot(grid[0, :])
        style_scatter(top)
        _probabilities(top, found[0])
        panels: list[Axes] = []
        for place, one in enumerate(found):
            axes = figure.add_subplot(grid[1, place])
            style_scatter(axes)
            axes.grid(visible=False, axis="y")
            shown = {row.name: row for row in (*one.classes, one.whole)}
            _doubt(axes, [shown[name] for name in names])
            space = shortened(one.space, 30 if len(found) == 1 else 20)
            clear = f"{number(100 * one.whole.clear, 3)} % below {CLEAR:g} nats"
            title = f"{'bcdefgh'[place % 7]}) {space}\n{clear}"
            axes.set_title(title, fontsize=9 if len(found) < 3 else 7, color=INK, loc="left", parse_math=False)
            axes.set_xlabel("doubt H(C(x)) (nats)")
            axes.tick_params(axis="y", left=False)
            panels.append(axes)
        for axes in panels:
            labels = [shortened(name, 20) for name in names] if axes is panels[0] else [""] * len(names)
            name_rows(axes, np.arange(len(rows)), labels)
        figure.supxlabel(notes, fontsize=7.5, color=INK)
    return figure


def _rows(found: ClassEntropies) -> list[Entropies]:
    """The classes to show, and all images last."""
    classes = list(found.classes)
    if len(classes) > _MOST:
        chosen = sorted(classes, key=lambda row: row.mean)
        kept = {row.name for row in (*chosen[: _MOST // 2], *chosen[-(_MOST // 2) :])}
        classes = [row for row in chosen if row.name in kept]
    return [*classes, found.whole]


def _probabilities(axes: "Axes", found: ClassEntropies) -> None:
    """Panel a: the classifier's classes by falling mean probability, against even ones."""
    pairs = sorted(zip(found.mean_probabilities, found.predicted, strict=True), key=lambda pair: -pair[0])
    percent = np.array([max(100 * value, _FINEST) for value, _ in pairs])
    ranks = np.arange(1, len(pairs) + 1)
    axes.fill_between(ranks, percent, percent.min() / 2, step="mid", color=COLOURS["generated"], alpha=0.3, linewidth=0)
    axes.step(ranks, percent, where="mid", color=COLOURS["generated"], linewidth=1.4)
    axes.axhline(100 / len(pairs), color=COLOURS["baseline"], linewidth=1.2, linestyle=(0, (4, 2.5)))
    axes.annotate(
        "even",
        (1, 100 / len(pairs)),
        xycoords=("axes fraction", "data"),
        xytext=(-2, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color=INK,
    )
    axes.set_yscale("log")
    axes.set_ylim(bottom=percent.min() / 2)
    axes.set_xlim(0.5, len(pairs) + 0.5)
    axes.set_ylabel("mean probability (%)")
    axes.set_xlabel(f"classes of {shortened(found.space, 30)}, by falling probability", parse_math=False)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    entropy = f"H(mean C) = {number(found.marginal_entropy, 3)} of {number(float(np.log(len(pairs))), 3)} nats"
    most = ", ".join(f"{shortened(name, 16)} {number(100 * value, 2)} %" for value, name in pairs[:_NAMED])
    title = f"a) {entropy}, {images_text(found.whole.count)}\nmost: {most}"
    axes.set_title(title, fontsize=8, color=INK, loc="left", parse_math=False)


def _doubt(axes: "Axes", rows: Sequence[Entropies]) -> None:
    """Panels b, c: boxes of H(C(x)), all images apart from their classes."""
    for place, row in enumerate(rows):
        low, first, median, third, high = row.quantiles
        colour = COLOURS["reference"] if place == len(rows) - 1 else COLOURS["generated"]
        axes.plot([low, high], [place, place], color=INK, linewidth=0.8, solid_capstyle="butt", zorder=1)
        axes.barh(place, third - first, left=first, height=0.6, color=colour, edgecolor=INK, linewidth=0.6, zorder=2)
        axes.plot([median, median], [place - 0.3, place + 0.3], color="white", linewidth=1.6, zorder=3)
        axes.plot([row.mean], [place], marker="D", markersize=3.5, color="white", markeredgecolor=INK, zorder=4)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(left=0)


EXPERIMENT = Experiment(
    "amgan_fig4",
    "amgan",
    "Figure 4",
    "what classifiers say of real images",
    PRESETS,
    run,
    needs={"small": "cifar10", "paper": "cifar10, as lossless pictures, and Inception's weights"},
    costs={"paper": "an hour, or minutes on a GPU"},
)

if __name__ == "__main__":
    EXPERIMENT.main()
