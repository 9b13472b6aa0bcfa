"""Real pictures for a first audit without any download: patches of the photographs inside scikit-image's wheel."""

from importlib.resources import files
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from fidprobe.errors import InputError
from fidprobe.images import ImageSource, open_images

__all__ = ["demo_sets", "demo_sources"]

# Photographs of things; scans, text and synthetic pictures in the same wheel are left out.
_PHOTOGRAPHS = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)
_SIDE = 64  # pixels of a patch
_QUALITY = 10  # of the JPEG that plays the weak model


def demo_sets(per_photograph: int = 64, seed: int = 0) -> dict[str, npt.NDArray[np.uint8]]:
    """Three sets of patches [n, 64, 64, 3]: `reference`, `baseline` and `generated`.

    Every photograph is cut into disjoint patches, half of which become the reference. The other half, as two
    image-processing "models" would hand them back: `baseline` after strong JPEG compression, `generated` after
    the same compression followed by a median filter, which removes its blocks but no information comes back.

    Args:
        per_photograph: At most this many patches are taken of each photograph.
        seed: Shuffles patches before they are divided.

    Raises:
        InputError: scikit-image is not installed.
    """
    try:
        folder = files("skimage.data")
    except ModuleNotFoundError as error:
        raise InputError("the demo's photographs come with scikit-image: pip install 'fidprobe[demo]'") from error
    rng = np.random.default_rng(seed)
    reference: list[npt.NDArray[np.uint8]] = []
    rest: list[npt.NDArray[np.uint8]] = []
    for name in _PHOTOGRAPHS:
        photo = np.asarray(Image.open(BytesIO((folder / name).read_bytes())).convert("RGB"))
        rows, cols = photo.shape[0] // _SIDE, photo.shape[1] // _SIDE
        cut = photo[: rows * _SIDE, : cols * _SIDE].reshape(rows, _SIDE, cols, _SIDE, 3).swapaxes(1, 2)
        patches = cut.reshape(-1, _SIDE, _SIDE, 3)
        patches = patches[rng.permutation(len(patches))][: per_photograph // 2 * 2]
        reference.extend(patches[: len(patches) // 2])
        rest.extend(patches[len(patches) // 2 : len(patches) // 2 * 2])
    baseline = [_compressed(patch) for patch in rest]
    generated = [_smoothed(patch) for patch in baseline]
    sets = {"reference": reference, "baseline": baseline, "generated": generated}
    return {name: np.stack(patches) for name, patches in sets.items()}


def demo_sources() -> dict[str, ImageSource]:
    """The sets of `demo_sets` as image sources, described for the report.

    Raises:
        InputError: scikit-image is not installed.
    """
    told = {
        "reference": "patches of photographs",
        "baseline": f"other patches as JPEG, quality {_QUALITY}",
        "generated": "JPEG patches, median-filtered",
    }
    sources = {name: open_images(patches) for name, patches in demo_sets().items()}
    for name, source in sources.items():
        source.description = told[name]
    return sources


def _compressed(patch: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    stream = BytesIO()
    Image.fromarray(patch).save(stream, "JPEG", quality=_QUALITY)
    return np.asarray(Image.open(stream).convert("RGB"))


def _smoothed(patch: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    from PIL import ImageFilter

    return np.asarray(Image.fromarray(patch).filter(ImageFilter.MedianFilter(3)))
