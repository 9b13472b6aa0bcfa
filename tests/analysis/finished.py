"""Finished attacks in a folder: small, on real PNG files and made-up features."""

from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

import fidprobe
from fidprobe.analysis.attack.files import write_attack
from fidprobe.attacks.attack import Attack
from fidprobe.features.value import Features
from fidprobe.images import open_images
from fidprobe.provenance import ExtractorProvenance, Provenance, SourceProvenance
from tests.helpers import relu_features

COUNT = 80


def write_pictures(folder: Path, *, count: int = COUNT, first: int = 0) -> None:
    """PNG files of one shade each, `first`, `first + 1`, ...: a picture tells which one it is."""
    folder.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(np.full((8, 6, 3), first + i, dtype=np.uint8)).save(folder / f"{i:03d}.png")


def write_finished(
    folder: Path,
    pictures: Path,
    attack: Attack | None = None,
    *,
    second: bool = True,
) -> None:
    """Attack features that claim to be of the pictures, with a second opinion or without."""
    images = open_images(pictures)
    names = tuple(item.name for item in images.items())
    rows = relu_features(len(images), 6, 1, shift=0.2)
    real = relu_features(120, 6, 0)

    def features(values: Tensor, extractor: str, source: SourceProvenance, names: tuple[str, ...] | None) -> Features:
        provenance = Provenance(ExtractorProvenance(extractor, "0" * 64, "tf1"), source)
        return Features(values, values[:, :4].clone(), names=names, provenance=provenance)

    pool = SourceProvenance(str(pictures), len(images), content=images.content())
    truth = SourceProvenance("real", len(real), content="real")
    chosen = attack or fidprobe.Resampling(keep=30, draw="systematic", draws=2)
    attacked = fidprobe.attack(
        features(real, "first", truth, None),
        features(rows, "first", pool, names),
        chosen,
        second_reference=features(real[:, :3].tanh(), "second", truth, None) if second else None,
        second_candidates=features(rows[:, :3].tanh(), "second", pool, names) if second else None,
    )
    write_attack(attacked, folder)
