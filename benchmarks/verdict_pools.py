"""Image pools of known quality, made of CIFAR-10 training pictures: clean, blurred, noisy, compressed.

Every picture is in one of these pools only, so that no two share their sampling noise. A further pool of 25,000
pictures has a degradation of its own for each. Each pool is a zip of PNG files named `<class>/<number>.png`.

    python -m benchmarks.verdict_pools cifar10-jpeg.zip WORK                 pools
    python -m benchmarks.verdict_pools cifar10-jpeg.zip WORK --extractor E     ... and their features
"""

import argparse
import io
import zipfile
from pathlib import Path
from zlib import crc32

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from fidprobe.extractors import load_extractor
from fidprobe.features.extraction import ReadOptions, extract
from fidprobe.features.value import Features

__all__ = ["POOLS", "features_of", "reference_features", "write_pools", "write_zip"]

Pixels = npt.NDArray[np.uint8]

POOLS: dict[str, tuple[str, float, int]] = {
    # name: (what is done, how strongly, images)
    "blur-1": ("blur", 0.4, 4000),
    "blur-2": ("blur", 0.6, 4000),
    "blur-3": ("blur", 0.9, 2000),
    "noise-1": ("noise", 3, 2000),
    "noise-2": ("noise", 7, 4000),
    "noise-3": ("noise", 14, 4000),
    "jpeg-1": ("jpeg", 75, 2000),
    "jpeg-2": ("jpeg", 45, 4000),
    "jpeg-3": ("jpeg", 20, 4000),
    "clean": ("clean", 0, 4000),
}
"""Blur: standard deviation of a Gaussian in pixels. Noise: standard deviation in 8-bit steps. JPEG: quality."""


DEGRADED = 25_000
"""Pictures of the pool whose pictures are degraded by different amounts."""


def degraded(picture: Image.Image, kind: str, level: float, rng: np.random.Generator) -> Pixels:
    """A picture made worse in one way, uint8 [h, w, 3]."""
    if kind == "blur":
        picture = picture.filter(ImageFilter.GaussianBlur(level))
    elif kind == "jpeg":
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=int(level))
        picture = Image.open(stream).convert("RGB")
    pixels = np.asarray(picture)
    if kind == "noise":
        noisy = pixels + rng.normal(0, level, pixels.shape)
        pixels = noisy.round().clip(0, 255).astype(np.uint8)
    return pixels


def write_zip(path: Path, pictures: dict[str, Pixels]) -> None:
    """PNG files in a zip without compression of its own; whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".partial")
    with zipfile.ZipFile(temporary, "w") as archive:
        for name, pixels in pictures.items():
            stream = io.BytesIO()
            Image.fromarray(pixels).save(stream, "PNG")
            archive.writestr(zipfile.ZipInfo(name), stream.getvalue())
    temporary.rename(path)


def write_pools(cifar: Path, folder: Path) -> None:
    """Make the pools that are not there yet."""
    with zipfile.ZipFile(cifar) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("train/") and name.endswith(".jpg"))
        order = np.random.default_rng(0).permutation(len(names))
        start = 0
        for pool, (kind, level, count) in POOLS.items():
            chosen = [names[i] for i in order[start : start + count]]
            assert len(chosen) == count, f"{cifar} has too few pictures for {pool}"
            start += count
            if (folder / f"{pool}.zip").exists():
                continue
            rng = np.random.default_rng(crc32(pool.encode()))
            pictures = {}
            for name in chosen:
                with Image.open(io.BytesIO(archive.read(name))) as picture:
                    made = degraded(picture.convert("RGB"), kind, level, rng)
                pictures[name.removeprefix("train/").replace(".jpg", ".png")] = made
            write_zip(folder / f"{pool}.zip", pictures)


def write_degraded(cifar: Path, path: Path) -> None:
    """25,000 training pictures, each with a blur and a noise of its own, unless they are there.

    Blur of 0 to 0.9 pixels, noise of 0 to 10 steps, uniformly. It shares pictures with the other pools.
    """
    if path.exists():
        return
    rng = np.random.default_rng(0)
    pictures = {}
    with zipfile.ZipFile(cifar) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("train/") and name.endswith(".jpg"))
        for i in sorted(rng.choice(len(names), DEGRADED, replace=False)):
            with Image.open(io.BytesIO(archive.read(names[i]))) as picture:
                blurred = degraded(picture.convert("RGB"), "blur", float(rng.uniform(0, 0.9)), rng)
            noise = rng.normal(0, float(rng.uniform(0, 10)), blurred.shape)
            made = (blurred + noise).round().clip(0, 255).astype(np.uint8)
            pictures[names[i].removeprefix("train/").replace(".jpg", ".png")] = made
    write_zip(path, pictures)


def features_of(pool: str, work: Path, extractor: str) -> Features:
    """A pool's features in a space, from the work folder if they have been extracted before."""
    return _extracted(f"{work}/pools/{pool}.zip", pool, work, extractor)


def reference_features(cifar: Path, work: Path, extractor: str) -> Features:
    """Features of the 10,000 test pictures."""
    return _extracted(f"{cifar}/test", "reference", work, extractor)


def _extracted(source: str, name: str, work: Path, extractor: str) -> Features:
    file = work / "features" / f"{name}-{Path(extractor).stem.replace(':', '-')}.safetensors"
    if not file.exists():
        print(f"{name}: extracting {extractor}", flush=True)
        file.parent.mkdir(parents=True, exist_ok=True)
        options = ReadOptions(cache=work / "cache", batch_size=64)
        extract(source, load_extractor(extractor), options).save(file)
    return Features.load(file)


def main() -> None:
    """Write pools; extract if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cifar", type=Path, help="zip of train/<class>/NNNN.jpg and test/<class>/NNNN.jpg")
    parser.add_argument("work", type=Path, help="folder for pools and features")
    parser.add_argument("--extractor", nargs="*", default=[])
    parser.add_argument("--pools", nargs="+", default=[*POOLS, "degraded"])
    args = parser.parse_args()
    write_pools(args.cifar, args.work / "pools")
    write_degraded(args.cifar, args.work / "pools" / "degraded.zip")
    for extractor in args.extractor:
        reference_features(args.cifar, args.work, extractor)
        for pool in args.pools:
            features_of(pool, args.work, extractor)


if __name__ == "__main__":
    main()
