"""Data sets of torchvision by name: `cifar10:train`."""

import contextlib
import io
import os
from pathlib import Path
from typing import Any

from fidprobe.errors import InputError, SourceError
from fidprobe.images.datasets import DatasetSource
from fidprobe.runtime.files import cache_folder
from fidprobe.runtime.messages import one_line
from fidprobe.runtime.packages import require

__all__ = ["TORCHVISION_NAMES", "open_torchvision"]

_TRAIN_TEST: dict[str, dict[str, Any]] = {"train": {"train": True}, "test": {"train": False}}

# name -> (class in torchvision.datasets, split -> arguments)
_DATASETS: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "cifar10": ("CIFAR10", _TRAIN_TEST),
    "cifar100": ("CIFAR100", _TRAIN_TEST),
    "mnist": ("MNIST", _TRAIN_TEST),
    "fashionmnist": ("FashionMNIST", _TRAIN_TEST),
    "kmnist": ("KMNIST", _TRAIN_TEST),
    "svhn": ("SVHN", {split: {"split": split} for split in ("train", "test", "extra")}),
    "stl10": ("STL10", {split: {"split": split} for split in ("train", "test", "unlabeled")}),
}

TORCHVISION_NAMES = tuple(f"{name}:{split}" for name, (_, splits) in _DATASETS.items() for split in splits)
"""Every name that `open_torchvision` takes."""


def open_torchvision(text: str) -> DatasetSource:
    """Open a data set of torchvision by `name:split`.

    Files are looked for in `$FIDPROBE_DATA`, or without it in `torchvision` in the cache folder, and downloaded there
    only if they are absent. torchvision verifies them by the MD5 it publishes.

    Raises:
        InputError: an unknown name or split.
        PackageError: torchvision cannot be imported.
        SourceError: the files are damaged, or absent and cannot be downloaded.
    """
    name, _, split = text.partition(":")
    if name not in _DATASETS or split not in _DATASETS[name][1]:
        raise InputError(f"{text!r} is not a torchvision name; there are {', '.join(TORCHVISION_NAMES)}")
    require("torchvision", text)
    import torchvision.datasets

    class_name, splits = _DATASETS[name]
    root = Path(os.environ.get("FIDPROBE_DATA") or cache_folder() / "torchvision")
    make = getattr(torchvision.datasets, class_name)
    try:
        dataset = make(root, download=False, **splits[split])
    except (RuntimeError, OSError):  # "Dataset not found or corrupted"
        dataset = _download(make, root, splits[split], text)
    except Exception as error:  # damage that no checksum found, as MNIST's unpacked files have none
        raise SourceError(
            f"{text}: torchvision's files for {class_name} in {root} are damaged ({one_line(error)}); remove them, or "
            "put sound ones there"
        ) from error
    return DatasetSource(dataset, description=text)


def _download(make: Any, root: Path, arguments: dict[str, Any], text: str) -> Any:
    try:
        root.mkdir(parents=True, exist_ok=True)
        with contextlib.redirect_stdout(io.StringIO()):  # torchvision prints
            return make(root, download=True, **arguments)
    except Exception as error:  # urllib, sockets, archives and checksums
        raise SourceError(
            f"{text}: not in {root} and cannot be downloaded ({one_line(error)}); offline, put torchvision's files for "
            f"{make.__name__} there, or set FIDPROBE_DATA to the folder that has them"
        ) from error
