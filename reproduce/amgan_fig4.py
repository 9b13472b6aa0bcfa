"""Zhou et al. 2018, Figure 4: what an ImageNet classifier, and the data set's own, say of a data set's images.

a) Mean class probabilities, b) H(C(x)) in each class under the ImageNet classifier, c) under the data set's own.

python -m reproduce.amgan_fig4 --scale small
FIDPROBE_DATA=/data python -m reproduce.amgan_fig4 --scale paper
"""

from dataclasses import dataclass, replace

from fidprobe.extractors.base import Extractor
from fidprobe.features.value import Features
from reproduce.class_entropies import CLEAR, ClassEntropies, class_entropies
from reproduce.class_entropies_figure import class_entropies_figure
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting
from reproduce.generators import REAL, features, networks

__all__ = ["EXPERIMENT", "PRESETS", "PUBLISHED", "Doubt", "main", "measured"]


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
        {"classifiers": [told(one) for one in found], "of": [f"{preset.images} under {found[0].space}", *seen]},
        [Drawing(class_entropies_figure(drawn), "Predictions of classifiers on real images")],
        notes,
    )


def measured(source: str, network: Extractor, preset: Doubt, setting: Setting) -> ClassEntropies:
    """Entropies in each class of images that a preset names."""
    found: Features = features(source, network, setting, preset.limit)
    return class_entropies(found)


def told(found: ClassEntropies) -> dict[str, object]:
    """Numbers of one classifier; of its classes' probabilities the twenty largest, and the extremes."""
    data = found.to_json()
    probabilities = data.pop("mean_probabilities")
    return {
        **data,
        "predicted_classes": len(probabilities),
        "least_probability": probabilities[-1]["probability"],
        "most_probable": probabilities[:20],
    }


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
main = EXPERIMENT.main

if __name__ == "__main__":
    main()
