"""Hugging Face datasets with an image column (the `datasets` extra)."""

import threading
from pathlib import Path
from typing import Any

from fidprobe.errors import FidprobeError, InputError, SourceError
from fidprobe.images.decode import decode_image, digest_bytes
from fidprobe.images.image_files import read_file
from fidprobe.images.source import DecodedImage, IndexedImages
from fidprobe.runtime.messages import one_line
from fidprobe.runtime.packages import require

__all__ = ["HuggingFaceSource", "is_huggingface", "open_huggingface"]


_KINDS = ("datasets.arrow_dataset", "datasets.dataset_dict", "datasets.iterable_dataset")


def is_huggingface(value: object) -> bool:
    """Whether a value is of one of the `datasets` package's classes, without importing the package.

    The whole module name counts, because many projects have a `datasets` package of their own.
    """
    return any(kind.__module__ in _KINDS for kind in type(value).__mro__)


class HuggingFaceSource(IndexedImages):
    """The first image column of a `datasets.Dataset`; labels from its first class column.

    The stored bytes are decoded by fidprobe, so that files are treated alike wherever they come from.

    Args:
        dataset: A map-style dataset, one split.
        description: For messages and provenance.

    Raises:
        InputError: several splits, a streamed dataset or no image column.
        SourceError: the dataset is empty.
    """

    def __init__(self, dataset: Any, *, description: str) -> None:
        import datasets

        if isinstance(dataset, dict):
            raise InputError(f"{description} has the splits {', '.join(map(str, dataset))}; choose one")
        if not isinstance(dataset, datasets.Dataset):
            raise InputError(f"{description} is streamed; load it without streaming")
        features = dataset.features
        image = next((name for name, kind in features.items() if isinstance(kind, datasets.Image)), None)
        label = next((name for name, kind in features.items() if isinstance(kind, datasets.ClassLabel)), None)
        if image is None:
            raise InputError(f"{description} has no image column, only {', '.join(features)}")
        if len(dataset) == 0:
            raise SourceError(f"no images in {description}: it has no rows")
        self.description = description
        self._column = image
        self._lock = threading.Lock()
        plain = dataset.with_format(None)
        self._rows = plain.select_columns([image]).cast_column(image, datasets.Image(decode=False))
        if label is not None:
            self.class_names = tuple(features[label].names)
            self._labels = [
                value if value is not None and value >= 0 else None for value in plain.select_columns([label])[:][label]
            ]

    def __len__(self) -> int:
        return len(self._rows)

    def _read(self, index: int) -> bytes:
        with self._lock:
            value = self._rows[index][self._column]
        data, path = (value or {}).get("bytes"), (value or {}).get("path")
        if data is not None:
            return bytes(data)
        if path is None:
            raise SourceError(f"{self.description}[{index}]: the row has no image")
        return read_file(path)

    def _decode(self, index: int) -> DecodedImage:
        return decode_image(self._read(index), f"{self.description}[{index}]")

    def _digest(self, index: int) -> bytes:
        return digest_bytes(self._read(index))


def open_huggingface(text: str) -> HuggingFaceSource:
    """Open `hf:NAME:SPLIT`, or `hf:FOLDER[:SPLIT]` for a dataset saved with `save_to_disk`.

    Raises:
        InputError: no or an unknown split is named.
        PackageError: the `datasets` package cannot be imported.
        SourceError: the dataset cannot be loaded.
    """
    require("datasets", text)
    import datasets

    name, split = text.removeprefix("hf:"), None
    if not Path(name).is_dir():
        name, _, split = name.rpartition(":")
    if not name or split == "":
        raise InputError(f"{text}: name dataset and split, as in hf:cifar10:train")
    shown_bars = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        if Path(name).is_dir() and any((Path(name) / file).is_file() for file in _SAVED):
            dataset = datasets.load_from_disk(name)
        else:
            if split is None:
                raise InputError(f"{text}: name the split as well, as in {text}:train")
            dataset = datasets.load_dataset(name, split=split)
            split = None
    except InputError:
        raise
    except Exception as error:  # hub, network, parser and file errors of many libraries
        reason = one_line(error, with_class=True)
        raise SourceError(f"{text}: cannot be loaded ({reason}); offline, give a saved dataset's folder") from error
    finally:
        if shown_bars:
            datasets.enable_progress_bars()
    if isinstance(dataset, dict) and split is not None:
        if split not in dataset:
            raise InputError(f"{text}: no split {split!r}; there are {', '.join(map(str, dataset))}")
        dataset = dataset[split]
    elif split is not None and str(getattr(dataset, "split", None)) != split:
        raise InputError(f"{text}: holds only the split {getattr(dataset, 'split', None)}; leave the split out")
    try:
        if isinstance(dataset, datasets.Dataset):
            # Arrow itself reads beyond its memory where a damaged file's offsets say so.
            dataset.data.validate(full=True)
        return HuggingFaceSource(dataset, description=text)
    except FidprobeError:
        raise
    except Exception as error:  # columns whose types lie, in any of several libraries
        raise SourceError(f"{text}: damaged ({one_line(error)}); save the dataset again") from error


_SAVED = ("dataset_info.json", "dataset_dict.json")
