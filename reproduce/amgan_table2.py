"""Zhou et al. 2018, Table 2: the largest mean MS-SSIM within a class, for real images and models.

The paper's values of CIFAR-10 models reach from 0.32 to 0.61 (AC-GAN*, mode collapsed). They do not compare with ours
in absolute terms: pictures of 32 pixels are enlarged here, since five scales need 176. Compare with the real images,
the first set.

    python -m reproduce.amgan_table2 cifar10.zip/test model-a/ model-b/
    python -m reproduce.amgan_table2 cifar10.zip/test --names "CIFAR-10 test" --repeated 20
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.intra_class import collapsed_classes, intra_class_figure
from fidprobe.analysis.output import write_figure, write_text
from fidprobe.analysis.wording import json_text, plus_minus, shortened
from fidprobe.errors import FidprobeError, InputError
from fidprobe.images import ImageSource, open_images
from fidprobe.metrics.ms_ssim import ALIKE, ms_ssim_within_classes
from reproduce.amgan_fig5 import RESULTS


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", help="image sources with classes, real images first")
    parser.add_argument("--names", nargs="+", help="of the sets; by default real, set 1, set 2, ...")
    parser.add_argument("--repeated", type=int, help="add a collapsed set: so many real pictures a class, repeated")
    parser.add_argument("--pairs", type=int, default=200, help="for each class")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--side", type=int, help="resize all pictures to squares of this side")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of amgan_table2.json")
    parser.add_argument("--figures", type=Path, default=Path("out"), help="folder of amgan_table2.svg, .pdf and .png")
    args = parser.parse_args(arguments)
    names = args.names or ["real", *(f"set {i}" for i in range(1, len(args.sets)))]
    if len(set(names)) != len(args.sets):
        parser.error(f"give one name for each of {len(args.sets)} sets, each its own")
    found = {
        name: ms_ssim_within_classes(open_images(source), pairs=args.pairs, seed=args.seed, side=args.side)
        for name, source in zip(names, args.sets, strict=True)
    }
    if args.repeated:
        pictures, labels = repeated(open_images(args.sets[0]), args.repeated)
        found[f"{args.repeated} images repeated"] = ms_ssim_within_classes(
            open_images(pictures), labels=labels, pairs=args.pairs, seed=args.seed, side=args.side
        )
    real, told = found[names[0]], dict[str, Any]()
    for name, result in found.items():
        collapsed = collapsed_classes(real, result)
        print(
            f"{name}: largest {result.maximum:.3f} ({result.maximum_class}), mean {result.mean:.3f}, "
            f"{100 * result.alike:.2f} % of pairs from {ALIKE:g} on"
        )
        for row in result.classes:
            mean = f"{row.mean:.3f}" if row.standard_error is None else plus_minus(row.mean, row.standard_error)
            alike = f", {100 * row.alike:.1f} % from {ALIKE:g} on" if row.alike else ""
            print(f"  {shortened(row.name, 24):24} {mean}, {row.pairs} pairs of {row.images} images{alike}")
        if collapsed:
            print(f"  more alike than {names[0]}: {', '.join(one.name for one in collapsed)}")
        told[name] = {**asdict(result), "more_alike_than_the_first": [one.name for one in collapsed]}
    name = "amgan_table2"
    write_text(args.results / f"{name}.json", json_text(told, "Table 2"))
    write_figure(intra_class_figure(found), args.figures / name, "Mean MS-SSIM within classes")
    print(f"written to {args.results / f'{name}.json'} and {args.figures / name}.pdf")


def repeated(images: ImageSource, count: int) -> tuple[list[npt.NDArray[np.uint8]], list[str]]:
    """The first pictures of each class ten times, each time with other Gaussian noise of 4 grey levels, and labels."""
    if images.class_names is None:
        raise InputError(f"{images.description} has no classes; give images in class folders to repeat some of each")
    classes: dict[str, list[npt.NDArray[np.uint8]]] = {name: [] for name in images.class_names}
    for item in images.items():
        if item.label is not None and len(kept := classes[images.class_names[item.label]]) < count:
            kept.append(item.decode().pixels)
    rng = np.random.default_rng(0)
    pictures, labels = [], []
    for name, kept in classes.items():
        for picture in kept * 10:
            noised = picture + rng.normal(0, 4, picture.shape)
            pictures.append(noised.clip(0, 255).round().astype(np.uint8))
            labels.append(name)
    return pictures, labels


if __name__ == "__main__":
    try:
        main()
    except FidprobeError as error:
        raise SystemExit(f"error: {error}") from None
