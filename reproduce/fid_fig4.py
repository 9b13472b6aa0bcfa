"""Kynkäänniemi et al. 2022, Figures 4 and 12: Top-1 classes of real and generated images, and mean maps of classes.

python -m reproduce.fid_fig4 --scale small
FIDPROBE_DATA=/data python -m reproduce.fid_fig4 --scale paper
"""

from dataclasses import dataclass

from fidprobe.analysis.classes.figures import class_histogram_figure
from fidprobe.analysis.classes.measure import compare_classes
from fidprobe.analysis.heatmaps.figures import means_figure
from fidprobe.analysis.heatmaps.measure import heatmaps
from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.images import open_images
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting


@dataclass(frozen=True)
class Classes:
    """Exact inputs.

    Attributes:
        reference: Real images, a name for `DataFolder.find`.
        references: How many of them; None for all.
        generated: Generated images, likewise.
        images: How many of these for the histogram.
        mapped: How many of them for the maps.
        classes: Of which maps are averaged, the most frequent.
        extractor: The network, with a classifier.
    """

    reference: str
    references: int | None
    generated: str
    images: int
    mapped: int
    classes: int
    extractor: str


PRESETS = {
    "smoke": Classes("embedded:am-gan", 60, "embedded:am-gan-early", 60, 40, 2, "cifar10-classifier"),
    "small": Classes("cifar10/train", None, "embedded:am-gan?seed=1", 50_000, 3_000, 11, "efficientnet-lite0"),
    "paper": Classes("ffhq-256", 50_000, "stylegan2-ffhq-256", 50_000, 50_000, 17, "inception"),
}


def run(preset: Classes, setting: Setting) -> Outcome:
    """Count classes, then average maps."""
    reference = open_images(setting.data.find(preset.reference), limit=preset.references)
    place = setting.data.find(preset.generated)
    compared = compare_classes(
        reference,
        open_images(place, limit=preset.images),
        extractor=preset.extractor,
        options=setting.options,
        progress=setting.progress,
    )
    mapped = heatmaps(
        reference,
        open_images(place, limit=preset.mapped),
        count=1,
        classes=preset.classes,
        extractor=preset.extractor,
        options=setting.options,
        progress=setting.progress,
    )
    comparison = compared.comparison
    histogram = comparison.histogram()
    cells = [Cell("Total variation of Top-1 classes", comparison.total_variation.value, digits=3)]
    for side in ("reference", "generated"):
        counts = sorted(histogram.counts[side], reverse=True)
        share = 100 * sum(counts[:10]) / sum(counts)
        cells += [
            Cell(f"Share of the ten most frequent classes, {side}", share, unit="%", digits=1),
            Cell(f"Classes that occur, {side}", sum(count > 0 for count in counts), digits=0),
        ]
    drawings = [
        Drawing(class_histogram_figure(histogram), "Top-1 classes of real and generated images", "classes"),
        Drawing(
            means_figure(mapped.means, label=metric_label(mapped.extractor.name, "FD")),
            "Mean pictures and mean heatmaps, of all images and of classes",
            "means",
        ),
    ]
    notes = []
    if setting.scale == "small":
        notes = [
            "CIFAR-10, AM-GAN's images and EfficientNet-Lite0 in place of FFHQ, StyleGAN2's and Inception-V3. No "
            "distance is reported, hence no second opinion."
        ]
    return Outcome(cells, comparison.to_json(), drawings, notes)


EXPERIMENT = Experiment(
    "fid_fig4",
    "fid",
    "Figures 4 and 12",
    "Top-1 classes, and mean heatmaps of classes",
    PRESETS,
    run,
    needs={"small": "cifar10", "paper": "FFHQ, StyleGAN2's images, official weights and a GPU"},
    costs={"paper": "an hour"},
)

if __name__ == "__main__":
    EXPERIMENT.main()
