"""Where data sets are: under `FIDPROBE_DATA`, by names of ours, or as torchvision has them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fidprobe.embedded import PREFIX
from fidprobe.errors import InputError, SourceError
from fidprobe.images import ImageSource, open_images

__all__ = ["DATA_SETS", "DataFolder", "DataSet"]


@dataclass(frozen=True)
class DataSet:
    """A data set that scripts name.

    Attributes:
        what: In words, with how many images of which size.
        torchvision: Part (`train`) -> torchvision's name; None where torchvision does not have it.
        latent: Of a generator as TorchScript, the size of its latent.
        form: What it may be.
    """

    what: str
    torchvision: Mapping[str, str] | None = None
    latent: int | None = None
    form: str = "as a folder or .zip"


def _torchvision(name: str, what: str) -> DataSet:
    return DataSet(what, {part: f"{name}:{part}" for part in ("train", "test")})


def _generator(what: str, latent: int = 512) -> DataSet:
    return DataSet(f"samples of {what}", latent=latent, form="as a folder or .zip, or its TorchScript as .pt")


DATA_SETS = {
    "cifar10": _torchvision("cifar10", "CIFAR-10 as train/CLASS/ and test/CLASS/"),
    "mnist": _torchvision("mnist", "MNIST as train/CLASS/ and test/CLASS/"),
    "fashionmnist": _torchvision("fashionmnist", "Fashion-MNIST as train/CLASS/ and test/CLASS/"),
    "ffhq-256": DataSet("70,000 images of FFHQ at 256 x 256"),
    "lsun-cat-256": DataSet("images of LSUN Cat at 256 x 256"),
    "lsun-car-256": DataSet("images of LSUN Car at 256 x 256"),
    "lsun-places-256": DataSet("images of LSUN Places at 256 x 256"),
    "afhqv2-dog-512": DataSet("4,678 training images of AFHQ-v2 Dog at 512 x 512"),
    "stylegan2-ffhq-256": _generator("StyleGAN2 config F trained on FFHQ at 256 x 256"),
    "stylegan2-lsun-cat-256": _generator("StyleGAN2 trained on LSUN Cat"),
    "stylegan2-lsun-car-256": _generator("StyleGAN2 trained on LSUN Car"),
    "stylegan2-lsun-places-256": _generator("StyleGAN2 trained on LSUN Places"),
    "stylegan2-afhqv2-dog-512": _generator("StyleGAN2 with ADA trained on AFHQ-v2 Dog"),
    "stylegan2-ffhq-256-snapshots": DataSet(
        "folders or zips of samples of one training of StyleGAN2 on FFHQ, each with its step in its name",
        form="in a folder",
    ),
    "projected-fastgan-ffhq-256": _generator("Projected FastGAN trained on FFHQ", 256),
    **{
        f"{kind}{labels}-run": DataSet(
            f"a finished folder of `fidprobe train {kind}{option}` on CIFAR-10, with generators/",
            form="as it is",
        )
        for kind in ("am-gan", "gan", "gan-star", "ac-gan-star", "ac-gan-star-plus", "labelgan")
        for labels, option in (("", ""), ("-predefined", " --predefined"))
        if not (labels and kind in ("gan", "gan-star", "labelgan"))
    },
}
"""Name -> data set; docs/reproduce.md says how each is made."""

_FORMS = ("", ".zip", "-png.zip", "-jpeg.zip", ".tar", ".safetensors")
_SCRIPTS = (".pt", ".ts")  # TorchScript of a generator


class DataFolder:
    """Finds data sets by name.

    Args:
        folder: Where they lie; by default `FIDPROBE_DATA`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        named = os.environ.get("FIDPROBE_DATA")
        self.folder = folder or (Path(named) if named else None)

    def relative(self, text: str) -> str:
        """A text without the folder's own path before the names of what lies in it."""
        return text if self.folder is None else text.replace(f"{self.folder}{os.sep}", "")

    def find(self, name: str) -> str:
        """An image source by `NAME` or `NAME/PART`.

        What comes with fidprobe (`embedded:...`) is passed on as it is.

        Raises:
            SourceError: it is not there; says what to put where.
        """
        if name.startswith(PREFIX):
            return name
        key, _, part = name.partition("/")
        if key not in DATA_SETS:
            raise InputError(f"no data set is called {key!r}; there are {', '.join(DATA_SETS)}")
        known = DATA_SETS[key]
        if self.folder is not None:
            for form in _FORMS:
                place = self.folder / f"{key}{form}"
                if place.exists():
                    return f"{place}/{part}" if part else str(place)
            for form in _SCRIPTS if known.latent is not None else ():
                if (place := self.folder / f"{key}{form}").exists():
                    return f"{place}?z={known.latent}"
        if known.torchvision is not None and part in known.torchvision:
            return known.torchvision[part]
        where = f"{self.folder}/{key}" if self.folder is not None else f"{key} in a folder that FIDPROBE_DATA names"
        raise SourceError(f"{key} is missing: put {known.what}, {known.form}, at {where} (docs/reproduce.md)")

    def pool(self, name: str, most: int | None) -> ImageSource:
        """At most so many images to choose from: all of a folder or archive that has fewer.

        Raises:
            SourceError: it is not there, or cannot be read.
        """
        place = self.find(name)
        if most is None or _is_generator(place):
            return open_images(place, limit=most)
        images = open_images(place)
        return images if len(images) <= most else open_images(place, limit=most)


def _is_generator(place: str) -> bool:
    return place.startswith(PREFIX) or place.partition("?")[0].endswith((*_SCRIPTS, ".safetensors"))
