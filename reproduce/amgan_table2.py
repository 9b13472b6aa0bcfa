"""Zhou et al. 2018, Table 2: the largest mean MS-SSIM within a class, for real images and models.

The paper's values do not compare with ours in absolute terms: pictures of 32 pixels are enlarged here, since five
scales need 176. Compare with the real images, the first set.

python -m reproduce.amgan_table2 --scale small
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.output.wording import shortened
from fidprobe.errors import InputError
from fidprobe.images import ImageSource, open_images
from fidprobe.metrics.ms_ssim import ALIKE, IntraClassResult, ms_ssim_within_classes
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting
from reproduce.generators import KEPT_SMALL, MODELS_SMOKE, SMALL_RUNS, Kept, features, networks
from reproduce.intra_class import collapsed_classes, intra_class_figure

__all__ = ["EXPERIMENT", "PRESETS", "PUBLISHED", "Alikeness", "main", "repeated"]


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


EXPERIMENT = Experiment(
    "amgan_table2",
    "amgan",
    "Table 2",
    "how alike images of a class are",
    PRESETS,
    run,
    needs={"small": "cifar10, am-gan-run, gan-run"},
)
main = EXPERIMENT.main

if __name__ == "__main__":
    main()
