"""Whether heatmaps are right, on crops of photographs: noise in important and unimportant halves, randomised weights.

Half of an archive's photographs, cut into random crops, are the reference, the other half the generated set.

python -m benchmarks.heatmap_check PHOTOGRAPHS.zip
"""

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

import fidprobe
from benchmarks.recording import environment, printed_tenths, write
from fidprobe.images import open_images, read_images
from fidprobe.images.reading import SkippedImage

_SIDE = 224  # pixels of a crop
_LEAST = 0.7  # of the shorter side that a crop shows


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", help="any image source")
    parser.add_argument("--crops", type=int, default=4, help="of each photograph")
    parser.add_argument("--scales", type=float, nargs="+", default=[0.05, 0.2], help="of the noise")
    parser.add_argument("--extractor", default="efficientnet-lite0")
    parser.add_argument("--second-opinion", default="random")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "heatmap_check.json")
    args = parser.parse_args()
    sets = crops(args.photographs, args.crops)
    check = fidprobe.check_heatmaps(
        sets[0],
        sets[1],
        scales=args.scales,
        extractor=args.extractor,
        second_opinion=args.second_opinion,
        options=fidprobe.ReadOptions.with_cache(),
        progress=printed_tenths(),
    )
    fidprobe.write_heatmap_check(check, args.output.with_suffix(""))
    found = check.to_json()
    result = {
        "environment": environment(),
        "images": {name: one["count"] for name, one in found["sets"].items()},
        **{key: found[key] for key in ("main", "second_opinion", "sanity", "seconds")},
    }
    write(args.output, result)


def crops(photographs: str, number: int) -> list[npt.NDArray[np.uint8]]:
    """Two sets [n, 224, 224, 3] of crops of different photographs, every second one mirrored."""
    source = open_images(photographs)
    rng = np.random.default_rng(0)
    half = set(rng.permutation(len(source))[: len(source) // 2].tolist())
    sets: list[list[npt.NDArray[np.uint8]]] = [[], []]
    for read in read_images(source):
        assert not isinstance(read, SkippedImage)
        height, width = read.image.pixels.shape[:2]
        for i in range(number):
            side = rng.uniform(_LEAST, 1) * min(height, width)
            left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
            box = (left, top, left + side, top + side)
            crop = Image.fromarray(read.image.pixels).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS, box=box)
            sets[read.index in half].append(np.asarray(crop)[:, :: -1 if i % 2 else 1])
    return [np.stack(one) for one in sets]


if __name__ == "__main__":
    main()
