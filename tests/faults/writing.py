"""Every command that writes, with the least that makes it write."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from fidprobe.features.value import Features
from fidprobe.provenance import ExtractorProvenance, Provenance
from tests.analysis.finished import write_finished, write_pictures
from tests.cli.test_generate import written
from tests.extractors.contract import pictures
from tests.helpers import relu_features

__all__ = ["COMMANDS", "Writing", "inputs", "snapshot"]

_SETS = ("real.safetensors", "made.safetensors")
_IMAGES = ("real", "made", "-e", "random", "--no-cache")
_SHORT = ("--steps", "2", "--batch-size", "4", "--width", "0.03")


@dataclass(frozen=True)
class Writing:
    """A command that writes.

    Attributes:
        arguments: Without `-o`; the second is something to read.
        out: What it writes: a folder, unless it has a suffix.
        earlier: Files in that folder that an earlier run may have left, with the one first that tells whose they are.
    """

    arguments: tuple[str, ...]
    out: str = "out"
    earlier: tuple[str, ...] = ()

    def onto(self, folder: Path) -> tuple[str, ...]:
        """All arguments, with the output in a folder."""
        return (*self.arguments, "-o", str(folder / self.out), *(() if self.arguments[0] == "demo" else ("-q",)))

    def leave_earlier(self, folder: Path) -> None:
        """An output as an earlier run may have left it."""
        out = folder / self.out
        if out.suffix:
            out.write_text("earlier")
        for name in self.earlier:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_text("earlier")


COMMANDS = {
    "features": Writing(("features", *_IMAGES[:1], *_IMAGES[2:]), "f.safetensors"),
    "stats": Writing(("stats", "real.safetensors"), "s.npz"),
    "attack": Writing(
        ("attack", *_SETS, "--keep", "20", "--draws", "1", "--steps", "2"),
        earlier=("attack.json", "weights.csv", "curve.svg", "log_weights.npy", "images/.fidprobe", "images/000000.png"),
    ),
    "attack, images": Writing(
        ("attack", *_IMAGES, "-s", "random:1", "--keep", "4", "--draws", "1", "--steps", "2", "--images"),
        earlier=("attack.json", "chosen.txt", "images/.fidprobe", "images/000000.png"),
    ),
    "attack, sweep": Writing(
        ("attack", *_SETS, "--space", "top-n,middle-n", "--n", "1", "--keep", "20", "--draws", "1", "--steps", "2"),
        earlier=("sweep.json", "sweep.pdf", "top-n-1/attack.json"),
    ),
    "audit": Writing(("audit", *_SETS, "--no-budget"), earlier=("report.json", "report.html", "report.md")),
    "classes": Writing(("classes", *_SETS), earlier=("classes.json", "classes.csv", "class-shifts.svg")),
    "compare": Writing(("compare", *_SETS, "other.safetensors"), earlier=("compare.json", "compare.md", "compare.png")),
    "correlate": Writing(("correlate", *_SETS, "other.safetensors"), earlier=("correlate.json", "correlate.svg")),
    "demo": Writing(("demo",), earlier=("index.html",)),
    "generate, folder": Writing(("generate", "plain.safetensors", "-n", "6")),
    "generate, zip": Writing(("generate", "plain.safetensors", "-n", "6"), "s.zip"),
    "generate, npz": Writing(("generate", "plain.safetensors", "-n", "6"), "s.npz"),
    "generate, grid": Writing(("generate", "plain.safetensors", "-n", "6"), "s.png"),
    "grids": Writing(
        ("grids", "first", "--images", "candidates", "--count", "4"), earlier=("grids.json", "samples.svg")
    ),
    "heatmap": Writing(
        ("heatmap", *_IMAGES, "--count", "2"),
        earlier=("heatmap.json", "heatmaps.html", "overlays/.fidprobe", "overlays/000.png", "means.npz"),
    ),
    "heatmap-check": Writing(
        ("heatmap-check", *_IMAGES, "-s", "random:1", "--scales", "0.2"),
        earlier=("heatmap-check.json", "heatmap-check.csv", "heatmap-check-sanity.pdf"),
    ),
    "influence": Writing(("influence", *_SETS), earlier=("influence.json", "influence.csv", "influence_classes.svg")),
    "prd": Writing(("prd", *_SETS, "--clusters", "4", "--runs", "2"), earlier=("prd.json", "prd.csv", "prd-f.png")),
    "train, generator": Writing(("train", "gan", "real", *_SHORT), earlier=("losses.csv", "curves.svg")),
    "train, classifier": Writing(
        ("train", "classifier", "classes", "--steps", "1", "--batch-size", "4"), earlier=("losses.csv",)
    ),
}
"""By name."""


def inputs(folder: Path) -> None:
    """What the commands read."""
    for name, count, seed in (("real", 14, 0), ("made", 12, 1), ("classes/cat", 4, 2), ("classes/dog", 4, 3)):
        (folder / name).mkdir(parents=True)
        for i, picture in enumerate(pictures(count, 40, 56, seed=seed)):
            Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / name / f"{i:02}.png")
    for name, seed, shift in (("real", 0, 0.0), ("made", 1, 0.2), ("other", 2, 0.4)):
        rows = relu_features(60, 4, seed, shift=shift)
        provenance = Provenance(ExtractorProvenance("test-space", "0" * 64, "tf1"))
        names = tuple(f"{i}.png" for i in range(60))
        classes = ("cat", "dog", "ship")
        features = Features(rows, rows[:, :3].clone(), names=names, class_names=classes, provenance=provenance)
        features.save(folder / f"{name}.safetensors")
    written(folder / "plain.safetensors", classes=0)
    write_pictures(folder / "candidates")
    write_finished(folder / "first", folder / "candidates")


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Every file, hidden ones as well, and (None) every folder."""
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")}
