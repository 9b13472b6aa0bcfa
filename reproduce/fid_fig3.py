"""Kynkäänniemi et al. 2022, Figures 3 and 11: which regions of single images FID is most sensitive to.

python -m reproduce.fid_fig3 --scale small
FIDPROBE_DATA=/data python -m reproduce.fid_fig3 --scale paper
"""

from dataclasses import dataclass

import numpy as np

from fidprobe.analysis.heatmaps.figures import heatmaps_figure
from fidprobe.analysis.heatmaps.measure import heatmaps
from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.images import open_images
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting, suffix_of


@dataclass(frozen=True)
class Maps:
    """Exact inputs.

    Attributes:
        rows: Label, real images, generated images.
        references: Real images used; None for all.
        images: Generated images that make up the set.
        shown: Of them, drawn at random.
        extractor: The network.
    """

    rows: tuple[tuple[str, str, str], ...]
    references: int | None
    images: int
    shown: int
    extractor: str


PRESETS = {
    "smoke": Maps((("AM-GAN, early", "embedded:am-gan", "embedded:am-gan-early"),), 60, 40, 4, "cifar10-classifier"),
    "small": Maps(
        (("CIFAR-10, AM-GAN", "cifar10/test", "embedded:am-gan?seed=1"),), None, 1_500, 16, "efficientnet-lite0"
    ),
    "paper": Maps(
        (("FFHQ", "ffhq-256", "stylegan2-ffhq-256"), ("LSUN Cat", "lsun-cat-256", "stylegan2-lsun-cat-256")),
        50_000,
        50_000,
        24,
        "inception",
    ),
}


def run(preset: Maps, setting: Setting) -> Outcome:
    """Map images drawn at random."""
    cells, drawings, details = [], [], {}
    for label, real, made in preset.rows:
        found = heatmaps(
            open_images(setting.data.find(real), limit=preset.references),
            open_images(setting.data.find(made), limit=preset.images),
            count=preset.shown,
            extractor=preset.extractor,
            options=setting.options,
            progress=setting.progress,
        )
        # How localised: the share of a map's mass in the brighter half of its cells, about 50 % for a flat map.
        shares = [
            100 * float(np.sort(one.map, axis=None)[one.map.size // 2 :].sum() / one.map.sum()) for one in found.images
        ]
        cells.append(Cell(f"{label}, mass of maps in their brighter half", float(np.mean(shares)), unit="%", digits=1))
        space = metric_label(found.extractor.name, "FD")
        figure = heatmaps_figure(found.images, label=space)
        drawings.append(Drawing(figure, f"{label}: images under their heatmaps", suffix_of(label, preset.rows)))
        details[label] = [{"name": one.name, "predictions": [vars(p) for p in one.predictions]} for one in found.images]
    notes = []
    if setting.scale == "small":
        notes = [
            "AM-GAN's images of CIFAR-10 and EfficientNet-Lite0 in place of StyleGAN2's and Inception-V3. No second "
            "opinion: a map belongs to one space (Figure 10 measures the same maps in both)."
        ]
    return Outcome(cells, details, drawings, notes)


EXPERIMENT = Experiment(
    "fid_fig3",
    "fid",
    "Figures 3 and 11",
    "heatmaps of single images",
    PRESETS,
    run,
    needs={"small": "cifar10", "paper": "FFHQ and LSUN Cat, StyleGAN2's images, official weights and a GPU"},
    costs={"paper": "an hour"},
)

if __name__ == "__main__":
    EXPERIMENT.main()
