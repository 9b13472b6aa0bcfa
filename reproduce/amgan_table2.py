"""Zhou et al. 2018, Table 2: the largest mean MS-SSIM within a class, for real images and models.

Pictures of 32 pixels are enlarged here, since five scales need 176, so that our values do not compare with the paper's.
Compare them with those of the real images, the first set.

python -m reproduce.amgan_table2 --scale small
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.output.figure_style import INK, WIDTH, name_rows, styled
from fidprobe.analysis.output.model_points import MOST_NAMED, legend_columns, model_legend, model_mark, style_scatter
from fidprobe.analysis.output.wording import amount, number, shortened
from fidprobe.errors import InputError, MismatchError
from fidprobe.images import ImageSource, open_images
from fidprobe.metrics.ms_ssim import ALIKE, IntraClassResult, ms_ssim_within_classes
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting
from reproduce.generators import KEPT_SMALL, MODELS_SMOKE, SMALL_RUNS, Kept, features, networks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "EXPERIMENT",
    "PRESETS",
    "PUBLISHED",
    "Alikeness",
    "Collapse",
    "collapsed_classes",
    "intra_class_figure",
    "repeated",
]

_MOST = 30  # classes whose rows can be read
_SURE = 3.0  # standard errors of a difference; chance puts one in ten sets of a hundred classes beyond that


@dataclass(frozen=True)
class Alikeness:
    """The table's exact inputs.

    Attributes:
        real: Real images; class folders, or a generator whose classes the classifier tells.
        kept: Generators.
        images: Samples of each generator.
        classifier: Tells the classes of images that have none, by its Top-1.
        repeated: Pictures of each class of a collapsed set, made of the real ones; 0 for none.
        pairs: For each class.
        seed: Of the pairs.
    """

    real: str
    kept: tuple[Kept, ...]
    images: int
    classifier: str
    repeated: int
    pairs: int
    seed: int = 0


# Dynamic labels, predefined labels.
PUBLISHED = {
    "AC-GAN*": (0.61, 0.35),
    "AC-GAN*+": (0.39, 0.36),
    "LabelGAN": (0.35, 0.32),
    "AM-GAN": (0.36, 0.36),
}

PRESETS = {
    "smoke": Alikeness("embedded:am-gan?seed=1", MODELS_SMOKE.kept[:1], 60, "cifar10-classifier", 0, 2),
    "small": Alikeness(
        "cifar10/test",
        tuple(one for one in KEPT_SMALL if one.step in (3_000, 12_000)),
        2_000,
        "cifar10-classifier",
        20,
        200,
    ),
}


def run(preset: Alikeness, setting: Setting) -> Outcome:
    """Compare pairs of every set."""
    (classifier,) = networks([preset.classifier], setting)

    def of(source: str, limit: int | None) -> IntraClassResult:
        opened = open_images(setting.data.find(source), limit=limit)
        labels = None
        if opened.class_names is None:
            logits = features(source, classifier, setting, limit).logits
            if logits is None or classifier.class_names is None:
                raise InputError(f"{preset.classifier} has no classes; name a classifier of the data set's own")
            labels = [classifier.class_names[int(label)] for label in logits.argmax(dim=1)]
        return within(opened, labels)

    def within(images: ImageSource, labels: list[str] | None) -> IntraClassResult:
        return ms_ssim_within_classes(
            images, labels=labels, pairs=preset.pairs, seed=preset.seed, progress=setting.progress
        )

    real = open_images(setting.data.find(preset.real), limit=None if preset.repeated else preset.images)
    found = {"real images": of(preset.real, None if preset.repeated else preset.images)}
    if preset.repeated:
        pictures, labels = repeated(real, preset.repeated)
        found[f"{preset.repeated} real images repeated"] = within(open_images(pictures), labels)
    for one in preset.kept:
        found[one.name] = of(one.source, preset.images)
    first, *_ = found.values()
    cells: list[Cell] = []
    details: dict[str, Any] = {}
    for name, result in found.items():
        collapsed = collapsed_classes(first, result)
        cells += [
            Cell(f"{name}, largest mean MS-SSIM", result.maximum, digits=3),
            Cell(f"{name}, mean over the classes", result.mean, digits=3),
            Cell(f"{name}, pairs from {ALIKE:g} on", 100 * result.alike, unit="%", digits=1),
            Cell(f"{name}, classes more alike than real images", len(collapsed), digits=0),
        ]
        details[name] = {**asdict(result), "more_alike_than_real": [one.name for one in collapsed]}
    last = {one.run: found[one.name] for one in preset.kept}
    for model, columns in PUBLISHED.items():
        for labels_of, published in zip(("dynamic", "predefined"), columns, strict=True):
            ours = last[model].maximum if model in last and labels_of == "dynamic" else None
            cells.append(Cell(f"largest mean MS-SSIM, {model}, {labels_of}", ours, published))
    notes = [
        "Pictures of 32 pixels are enlarged to 176, which five scales need: ours compare with our real images, not "
        "with the paper's numbers.",
        f"Classes of generated images are {preset.classifier}'s Top-1.",
    ]
    if setting.scale == "small":
        notes.append(SMALL_RUNS)
    short = {shortened(name, 24): result for name, result in found.items()}
    return Outcome(cells, details, [Drawing(intra_class_figure(short), "Mean MS-SSIM within classes")], notes)


def repeated(images: ImageSource, count: int) -> tuple[list[npt.NDArray[np.uint8]], list[str]]:
    """The first pictures of each class ten times, each time with other Gaussian noise of 4 grey levels, and labels.

    Raises:
        InputError: images without classes.
    """
    if images.class_names is None:
        raise InputError(f"{images.description} has no classes; give images in class folders to repeat some of each")
    classes: dict[str, list[npt.NDArray[np.uint8]]] = {name: [] for name in images.class_names}
    for item in images.items():
        if item.label is not None and len(kept := classes[images.class_names[item.label]]) < count:
            kept.append(item.decode().pixels)
    rng = np.random.default_rng(0)
    pictures, labels = [], []
    for name, kept in classes.items():
        for picture in kept * 10:
            noised = picture + rng.normal(0, 4, picture.shape)
            pictures.append(noised.clip(0, 255).round().astype(np.uint8))
            labels.append(name)
    return pictures, labels


@dataclass(frozen=True)
class Collapse:
    """A class whose generated images are more alike than the real ones.

    Attributes:
        name: The class.
        generated, reference: Mean MS-SSIM on each side.
        errors: The difference in units of its standard error.
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


EXPERIMENT = Experiment(
    "amgan_table2",
    "amgan",
    "Table 2",
    "how alike images of a class are",
    PRESETS,
    run,
    needs={"small": "cifar10, am-gan-run, gan-run"},
)

if __name__ == "__main__":
    EXPERIMENT.main()
