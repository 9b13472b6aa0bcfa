"""Kynkäänniemi et al. 2022, Figure 10: noise where heatmaps are bright raises FID more than noise where they are dark.

python -m reproduce.fid_fig10 --scale small
FIDPROBE_DATA=/data python -m reproduce.fid_fig10 --scale paper
"""

from dataclasses import dataclass

from fidprobe.analysis.heatmap_check.figures import check_examples_figure, check_noise_figure, shown_scale
from fidprobe.analysis.heatmap_check.measure import check_heatmaps
from fidprobe.images import open_images
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting


@dataclass(frozen=True)
class Noise:
    """Exact inputs.

    Attributes:
        reference: Real images, a name for `DataFolder.find`.
        references: How many of them; None for all.
        generated: Generated images, likewise.
        images: How many of these.
        scales: Standard deviations as shares of the range of grey levels; the paper shows pictures at 0.05 and
            states no others.
        extractor: The main space.
        second_opinion: The second space.
    """

    reference: str
    references: int | None
    generated: str
    images: int
    scales: tuple[float, ...]
    extractor: str
    second_opinion: str


PRESETS = {
    "smoke": Noise("embedded:am-gan", 80, "embedded:am-gan-early", 40, (0.1,), "cifar10-classifier", "cifar10-encoder"),
    "small": Noise(
        "cifar10/test", None, "embedded:am-gan?seed=1", 1_500, (0.05, 0.1, 0.2), "efficientnet-lite0", "cifar10-encoder"
    ),
    "paper": Noise("ffhq-256", 50_000, "stylegan2-ffhq-256", 50_000, (0.02, 0.05, 0.1, 0.2), "inception", "clip"),
}


def run(preset: Noise, setting: Setting) -> Outcome:
    """Maps, noise, distances."""
    found = check_heatmaps(
        open_images(setting.data.find(preset.reference), limit=preset.references),
        open_images(setting.data.find(preset.generated), limit=preset.images),
        scales=preset.scales,
        extractor=preset.extractor,
        second_opinion=preset.second_opinion,
        options=setting.options,
        progress=setting.progress,
    )
    cells = []
    for space in (found.main, found.second):
        if space is None:
            continue
        cells.append(Cell(f"{space.label}, without noise", space.clean.value))
        for region, measured in space.noised.items():
            for scale, one in zip(found.scales, measured, strict=True):
                cells.append(Cell(f"{space.label}, noise {scale:g}, {region}", one.value))
        for scale, one in zip(found.scales, space.differences, strict=True):
            cells.append(Cell(f"{space.label}, noise {scale:g}, important less unimportant", one.value))
            cells.append(Cell(f"{space.label}, noise {scale:g}, its standard error", one.error))
    notes = []
    if setting.scale == "small":
        notes = [
            "CIFAR-10's test images and AM-GAN's in place of FFHQ and StyleGAN2; EfficientNet-Lite0 in place of "
            "Inception-V3. The paper draws the curves and prints no number."
        ]
    drawings = [
        Drawing(check_noise_figure(found), "Distances against noise in each region"),
        Drawing(
            check_examples_figure(found.examples, shown_scale(found.scales)),
            "Pictures, their maps and noise",
            "examples",
        ),
    ]
    return Outcome(cells, found.to_json(), drawings, notes)


EXPERIMENT = Experiment(
    "fid_fig10",
    "fid",
    "Figure 10",
    "noise in important and in unimportant regions",
    PRESETS,
    run,
    needs={"small": "cifar10", "paper": "FFHQ, StyleGAN2's images, official weights and a GPU"},
    costs={"paper": "an hour"},
)

if __name__ == "__main__":
    EXPERIMENT.main()
