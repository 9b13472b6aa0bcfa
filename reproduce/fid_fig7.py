"""Kynkäänniemi et al. 2022, Figures 7 and 16: two models of about the same FID, which CLIP's distance tells apart.

FIDPROBE_DATA=/data python -m reproduce.fid_fig7 --scale paper
"""

from dataclasses import dataclass

from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.analysis.sets.pictures import read_pictures
from fidprobe.analysis.weight_grids.figures import Panel, side_by_side_figure
from fidprobe.analysis.weight_grids.measure import celled
from fidprobe.images import open_images
from fidprobe.metrics.frechet import frechet
from fidprobe.metrics.neighbours import precision_recall
from fidprobe.statistics import GaussianStatistics
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting
from reproduce.fid_attacks import tolerance
from reproduce.generators import set_features

# FID, recall, FID of CLIP.
PUBLISHED = {"Projected FastGAN": (4.71, 0.42, 4.87), "StyleGAN2": (5.63, 0.46, 2.90)}


@dataclass(frozen=True)
class Pair:
    """Exact inputs.

    Attributes:
        reference: Real images, a name for `DataFolder.find`.
        models: Label, generated images; two.
        images: Of each set.
        extractor: The main space.
        recall_space: The space of improved precision and recall.
        second_opinion: The second space.
        shown: Images in a grid.
    """

    reference: str
    models: tuple[tuple[str, str], tuple[str, str]]
    images: int
    extractor: str
    recall_space: str
    second_opinion: str
    shown: int


PRESETS = {
    "smoke": Pair(
        "embedded:am-gan?seed=1",
        (("AM-GAN, early", "embedded:am-gan-early"), ("AM-GAN", "embedded:am-gan")),
        60,
        "cifar10-classifier",
        "cifar10-classifier",
        "cifar10-encoder",
        9,
    ),
    "paper": Pair(
        "ffhq-256",
        (("Projected FastGAN", "projected-fastgan-ffhq-256"), ("StyleGAN2", "stylegan2-ffhq-256")),
        50_000,
        "inception",
        "vgg16",
        "clip",
        48,
    ),
}


def run(preset: Pair, setting: Setting) -> Outcome:
    """Measure both."""
    images = {label: open_images(setting.data.find(place), limit=preset.images) for label, place in preset.models}
    opened = {"reference": open_images(setting.data.find(preset.reference), limit=preset.images), **images}
    main, second = set_features(opened, preset.extractor, preset.second_opinion, setting)
    [recalled] = set_features(opened, preset.recall_space, None, setting)
    cells, panels = [], []
    for label, pictures in images.items():
        fid, recall, clip = PUBLISHED.get(label, (None, None, None))
        values = []
        for sides, published in ((main, fid), (second, clip)):
            reference, generated = sides["reference"], sides[label]
            space = metric_label(reference.space, "FD")
            value = frechet(GaussianStatistics.of(reference), GaussianStatistics.of(generated)).value
            cells.append(Cell(f"{label}, {space}", value, published, tolerance(published)))
            values.append(f"{space} {value:.2f}")
        both = precision_recall(recalled["reference"], recalled[label])
        cells.append(Cell(f"{label}, recall", both.recall, recall, None if recall is None else 0.05))
        names = [item.name for item in pictures.items(range(preset.shown))]
        panels.append(Panel([celled(picture) for picture in read_pictures(pictures, names)], [label, *values]))
    figure = side_by_side_figure(panels[0], panels[1], "Images as they come")
    note = f"Recall is measured in {preset.recall_space}, the space of the text that the paper cites for it."
    return Outcome(cells, {}, [Drawing(figure, "Images of both models")], [note] if setting.scale == "paper" else [])


EXPERIMENT = Experiment(
    "fid_fig7",
    "fid",
    "Figures 7 and 16",
    "two models of about the same FID",
    PRESETS,
    run,
    needs={"paper": "FFHQ, images of Projected FastGAN and StyleGAN2, official weights and a GPU"},
    costs={"paper": "an hour"},
)

if __name__ == "__main__":
    EXPERIMENT.main()
