"""Kynkäänniemi et al. 2022, Figure 9: over training, distances in pre-logits and in logits correlate nearly perfectly.

Beside the paper: how the second opinion's distance does.

    python -m reproduce.fid_fig9 --scale small
    FIDPROBE_DATA=/data python -m reproduce.fid_fig9 --scale paper
"""

import re
from dataclasses import dataclass
from pathlib import Path

from fidprobe.analysis.correlation.figures import correlation_figure
from fidprobe.analysis.correlation.measure import correlate
from fidprobe.errors import SourceError
from fidprobe.images import open_images
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting


@dataclass(frozen=True)
class Snapshots:
    """Exact inputs.

    Attributes:
        reference: Real images, a name for `DataFolder.find`.
        references: How many of them; None for all.
        run: A folder of snapshots, likewise: generators of one training, or folders and zips of their samples; or the
            snapshots themselves, where they come with fidprobe.
        steps: Which of them, by the number in their name; empty for all.
        images: Samples of each.
        extractor: The main space.
        second_opinion: The second space.
    """

    reference: str
    references: int | None
    run: str | tuple[str, ...]
    steps: tuple[int, ...]
    images: int
    extractor: str
    second_opinion: str


PRESETS = {
    "smoke": Snapshots(
        "embedded:am-gan",
        100,
        ("embedded:am-gan-early", "embedded:am-gan?seed=1", "embedded:am-gan-early?seed=1"),
        (),
        60,
        "cifar10-classifier",
        "cifar10-encoder",
    ),
    "small": Snapshots(
        "cifar10/test",
        None,
        "am-gan-run",
        (250, 500, 1_000, 2_000, 3_000, 6_000, 9_000, 12_000),
        2_000,
        "efficientnet-lite0",
        "cifar10-encoder",
    ),
    "paper": Snapshots("ffhq-256", 50_000, "stylegan2-ffhq-256-snapshots", (), 50_000, "inception", "clip"),
}


def run(preset: Snapshots, setting: Setting) -> Outcome:
    """Measure every snapshot in three spaces."""
    models = {name: open_images(place, limit=preset.images) for name, place in snapshots(preset, setting).items()}
    found = correlate(
        open_images(setting.data.find(preset.reference), limit=preset.references),
        models,
        extractor=preset.extractor,
        second_opinion=preset.second_opinion,
        options=setting.options,
        progress=setting.progress,
    )
    cells = []
    for which, agreement in found.agreements.items():
        pair = f"{found.labels['main']} and {found.labels[which]}"
        cells += [
            Cell(f"{pair}, Pearson's r", agreement.pearson, digits=4),
            Cell(f"{pair}, Spearman's rho", agreement.spearman, digits=4),
        ]
    for name, one in found.models.items():
        for which, value in (("main", one.main), ("logits", one.logits), ("second", one.second)):
            if value is not None:
                cells.append(Cell(f"{name}, {found.labels[which]}", value))
    notes = []
    if setting.scale == "small":
        notes = [
            "Snapshots of the AM-GAN that comes with fidprobe, of one training on CIFAR-10, in place of StyleGAN2's on "
            "FFHQ; EfficientNet-Lite0 in place of Inception-V3. The paper says nearly perfect, and gives no number."
        ]
    return Outcome(cells, found.to_json(), [Drawing(correlation_figure(found), "Distances of snapshots")], notes)


def snapshots(preset: Snapshots, setting: Setting) -> dict[str, str]:
    """Name -> place, oldest first.

    Raises:
        SourceError: one is missing.
    """
    if isinstance(preset.run, tuple):
        return {place: setting.data.find(place) for place in preset.run}
    folder = Path(setting.data.find(preset.run))
    if not folder.is_dir():
        raise SourceError(f"{folder} is no folder of snapshots; unpack it (docs/reproduce.md)")
    kept = folder / "generators"
    places = sorted((kept if kept.is_dir() else folder).iterdir())
    found = {int(numbers[-1]): place for place in places if (numbers := re.findall(r"\d+", place.stem))}
    missing = [step for step in preset.steps if step not in found]
    if missing or not found:
        raise SourceError(
            f"{folder}: there is no snapshot of step {missing[0] if missing else 'any'}; see docs/reproduce.md"
        )
    return {f"step {step:,}": str(found[step]) for step in preset.steps or sorted(found)}


EXPERIMENT = Experiment(
    "fid_fig9",
    "fid",
    "Figure 9",
    "distances in pre-logits and logits over training",
    PRESETS,
    run,
    needs={
        "small": "cifar10 and am-gan-run",
        "paper": "FFHQ, snapshots of StyleGAN2's training, official weights and a GPU",
    },
    costs={"paper": "hours"},
)

if __name__ == "__main__":
    EXPERIMENT.main()
