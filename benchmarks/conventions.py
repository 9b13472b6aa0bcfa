"""What conventions alone do to a distance: photographs against the same photographs at a smaller size.

The "model" hands every photograph back with its shorter side shrunk to 128 pixels, as JPEG of quality 75: pictures of
two sizes, as papers compare them.

python -m benchmarks.conventions PHOTOGRAPHS.zip
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from benchmarks.recording import environment, printed_tenths, write
from fidprobe.analysis.conventions.measure import conventions
from fidprobe.features.extraction import ReadOptions
from fidprobe.images import open_images, read_images
from fidprobe.images.reading import SkippedImage

_SIDE = 128  # pixels
_QUALITY = 75


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", help="any image source")
    parser.add_argument("--limit", type=int, help="of photographs")
    parser.add_argument("--extractor", default="efficientnet-lite0")
    parser.add_argument("--second-opinion", default="random")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "conventions.json")
    args = parser.parse_args()
    options = ReadOptions.with_cache(limit=args.limit, batch_size=16)
    with TemporaryDirectory() as folder:
        _shrink(args.photographs, args.limit, Path(folder))
        found = conventions(
            args.photographs,
            Path(folder),
            extractor=args.extractor,
            second_opinion=args.second_opinion,
            options=options,
            progress=printed_tenths(),
        ).to_json()
    result = {
        "environment": environment(),
        "images": {name: one["count"] for name, one in found["sets"].items()},
        **{key: found[key] for key in ("label", "conventions", "spread", "second_opinion", "seconds")},
    }
    write(args.output, result)


def _shrink(photographs: str, limit: int | None, folder: Path) -> None:
    for read in read_images(open_images(photographs, limit=limit)):
        if isinstance(read, SkippedImage):
            raise SystemExit(f"{read.name}: {read.reason}")
        image = Image.fromarray(read.image.pixels)
        scale = _SIDE / min(image.size)
        size = round(image.width * scale), round(image.height * scale)
        image.resize(size, Image.Resampling.BICUBIC).save(folder / read.name, quality=_QUALITY)


if __name__ == "__main__":
    main()
