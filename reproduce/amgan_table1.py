"""Zhou et al. 2018, Table 1: Inception Score and AM Score of GAN variants with dynamic and predefined labels.

python -m reproduce.amgan_table1 --scale small
FIDPROBE_DATA=/data python -m reproduce.amgan_table1 --scale paper
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fidprobe.analysis.output.wording import images_text
from fidprobe.metrics.am_score import am_score
from fidprobe.metrics.inception_score import inception_score
from reproduce.experiment import Cell, Experiment, Outcome, Setting
from reproduce.generators import MODELS_SMOKE, SMALL_RUNS, Kept, features, kept, networks

__all__ = ["EXPERIMENT", "PRESETS", "PUBLISHED", "Variants"]


@dataclass(frozen=True)
class Variants:
    """The table's exact inputs.

    Attributes:
        models: Row and columns, as `PUBLISHED` has them -> the generator; others are told beside them.
        images: Samples of each, from seed 0.
        splits: Parts of the samples whose scores are averaged.
        reference: Real images for the AM Score.
        references: Of them, at random; None for all.
        extractor: The Inception Score's classifier.
        classifier: Of the data set's own classes, for the AM Score.
    """

    models: Mapping[str, Kept]
    images: int
    splits: int
    reference: str
    references: int | None
    extractor: str
    classifier: str


# Inception Score on CIFAR-10 with dynamic and predefined labels, on Tiny ImageNet likewise; the AM Score, likewise.
_ROWS: dict[str, tuple[float | None, ...]] = {
    "GAN": (7.04, 7.27, None, None, 0.45, 0.43, None, None),
    "GAN*": (7.25, 7.31, None, None, 0.40, 0.41, None, None),
    "AC-GAN*": (7.41, 7.79, 7.28, 7.89, 0.17, 0.16, 1.64, 1.01),
    "AC-GAN*+": (8.56, 8.01, 10.25, 8.23, 0.10, 0.14, 1.04, 1.20),
    "LabelGAN": (8.63, 7.88, 10.82, 8.62, 0.13, 0.25, 1.11, 1.37),
    "AM-GAN": (8.83, 8.35, 11.45, 9.55, 0.08, 0.05, 0.88, 0.61),
}
PUBLISHED = {
    f"{model}, {data}, {labels}": (inception, am)
    for place, (data, labels) in enumerate(
        (data, labels) for data in ("CIFAR-10", "Tiny ImageNet") for labels in ("dynamic", "predefined")
    )
    for model, row in _ROWS.items()
    if (inception := row[place]) is not None and (am := row[place + 4]) is not None
}

_TOLERANCE = 0.5  # of the Inception Score: generators are trained anew

PRESETS = {
    "smoke": Variants(
        {"AM-GAN, CIFAR-10, dynamic": MODELS_SMOKE.kept[0]},
        40,
        2,
        "embedded:am-gan?seed=1",
        40,
        "cifar10-classifier",
        "cifar10-classifier",
    ),
    "small": Variants(
        {
            "GAN, CIFAR-10, dynamic": kept("GAN", "gan-run", (3_000,))[0],
            "AM-GAN, CIFAR-10, dynamic": kept("AM-GAN", "am-gan-run", (3_000,))[0],
            "AM-GAN, CIFAR-10, dynamic, four times the steps": kept("AM-GAN", "am-gan-run", (12_000,))[0],
        },
        2_000,
        1,
        "cifar10/test",
        None,
        "efficientnet-lite0",
        "cifar10-classifier",
    ),
    "paper": Variants(
        {
            f"{title}, CIFAR-10, {labels}": kept(title, f"{kind}{folder}-run", (50_000,))[0]
            for kind, title in (
                ("gan", "GAN"),
                ("gan-star", "GAN*"),
                ("ac-gan-star", "AC-GAN*"),
                ("ac-gan-star-plus", "AC-GAN*+"),
                ("labelgan", "LabelGAN"),
                ("am-gan", "AM-GAN"),
            )
            for labels, folder in (("dynamic", ""), ("predefined", "-predefined"))
            if labels == "dynamic" or kind in ("ac-gan-star", "ac-gan-star-plus", "am-gan")
        },
        50_000,
        10,
        "cifar10/train",
        None,
        "inception",
        "cifar10-classifier",
    ),
}


def run(preset: Variants, setting: Setting) -> Outcome:
    """Score every model."""
    imagenet, own = networks([preset.extractor, preset.classifier], setting)
    real = features(preset.reference, own, setting, preset.references)
    found: dict[str, tuple[float, float]] = {}
    details: dict[str, Any] = {}
    for done, (label, one) in enumerate(preset.models.items()):
        setting.progress(f"models | {one.name}", done, len(preset.models))
        inception = inception_score(features(one.source, imagenet, setting, preset.images), splits=preset.splits)
        am = am_score(real, features(one.source, own, setting, preset.images), splits=preset.splits)
        assert am.split_mean is not None
        found[label] = inception.mean, am.split_mean
        details[label] = {
            "steps": one.step,
            "inception_score": inception.mean,
            "inception_score_std": inception.std,
            "am_score": am.split_mean,
            "am_score_std": am.split_std,
            "am_divergence": am.divergence,
            "am_entropy": am.conditional_entropy,
        }
    setting.progress("models", len(preset.models), len(preset.models))
    judged = setting.scale == "paper"
    cells = []
    for place, (score, unit) in enumerate((("Inception Score", ""), ("AM Score", "nats"))):
        for label in dict.fromkeys([*PUBLISHED, *found]):
            ours = found[label][place] if label in found else None
            published = PUBLISHED[label][place] if label in PUBLISHED else None
            tolerance = _TOLERANCE if judged and not place and published is not None else None
            cells.append(Cell(f"{score}, {label}", ours, published, tolerance, unit))
    cells += _gains(found)
    notes = [
        f"{images_text(preset.images)} of each model in {preset.splits} "
        f"{'parts' if preset.splits > 1 else 'part'}; the paper's 50,000 in 10.",
        f"The AM Score is {preset.classifier}'s, fidprobe's own: the paper's DenseNet was not published.",
    ]
    if setting.scale == "small":
        notes += [
            SMALL_RUNS,
            "GAN and AM-GAN are compared after equal steps; the Inception Score is by EfficientNet-Lite0's classes, "
            "so that its size does not compare with the paper's.",
        ]
    return Outcome(cells, details, notes=notes)


def _gains(found: Mapping[str, tuple[float, float]]) -> list[Cell]:
    """What AM-GAN has over GAN, both with dynamic labels, as the paper's columns have it."""
    pair = [f"{model}, CIFAR-10, dynamic" for model in ("AM-GAN", "GAN")]
    if any(label not in found for label in pair):
        return []
    cells = []
    for place, score in enumerate(("Inception Score", "AM Score")):
        ours = found[pair[0]][place] / found[pair[1]][place]
        theirs = PUBLISHED[pair[0]][place] / PUBLISHED[pair[1]][place]
        cells.append(Cell(f"{score}, AM-GAN over GAN, CIFAR-10, dynamic", ours, theirs))
    return cells


EXPERIMENT = Experiment(
    "amgan_table1",
    "amgan",
    "Table 1",
    "Inception Score and AM Score of GAN variants",
    PRESETS,
    run,
    needs={
        "small": "cifar10, am-gan-run, gan-run",
        "paper": "cifar10, nine runs of full width over 50,000 steps, official weights and a GPU",
    },
    costs={"paper": "days, mostly of training"},
)

if __name__ == "__main__":
    EXPERIMENT.main()
