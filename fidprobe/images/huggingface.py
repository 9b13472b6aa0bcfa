"""Hugging Face datasets with an image column (the `datasets` extra)."""

import threading
from pathlib import Path
from typing import Any

from fidprobe.errors import FidprobeError, InputError, SourceError
from fidprobe.images.arrow_columns import choose_columns
from fidprobe.images.decode import decode_image, digest_bytes
from fidprobe.images.file_names import SAVED_DATASET, class_index
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
    """The image column of a `datasets.Dataset`, and its class column, as `choose_columns` finds them.

    The stored bytes are decoded by fidprobe, so that files are treated alike wherever they come from.

    Args:
        dataset: A map-style dataset, one split.
        description: For messages and provenance.
        column: Which column holds the images, where there are several.

    Raises:
        InputError: several splits, a streamed dataset, no image column, or several and none is named.
        SourceError: the dataset is empty.
    """

    def __init__(self, dataset: Any, *, description: str, column: str | None = None) -> None:
        import datasets

        if isinstance(dataset, dict):
            raise InputError(f"{description} has the splits {', '.join(map(str, dataset))}; choose one")
        if not isinstance(dataset, datasets.Dataset):
            raise InputError(f"{description} is streamed; load it without streaming")
        choice = f"{description}?column={{}}" if description.startswith("hf:") else "dataset.select_columns(['{}'])"
        columns = choose_columns(dataset.features.arrow_schema, description, column, choice=choice)
        if len(dataset) == 0:
            raise SourceError(f"no images in {description}: it has no rows")
        self.description = description
        self._column = columns.image
        self._lock = threading.Lock()
        plain = dataset.with_format(None)
        self._rows = plain.select_columns([columns.image]).cast_column(columns.image, datasets.Image(decode=False))
        if columns.label is not None:
            self.class_names = columns.class_names
            values = plain.select_columns([columns.label])[:][columns.label]
            try:
                self._labels = [None if value is None else class_index(value) for value in values]
            except ValueError as error:
                raise SourceError(f"{description}: {error}; mend the labels") from error

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


def open_huggingface(text: str, column: str | None = None) -> HuggingFaceSource:
    """Open `hf:NAME:SPLIT`, or `hf:FOLDER[:SPLIT]` for a dataset saved with `save_to_disk`.

    Args:
        text: That name.
        column: Which column holds the images, where there are several.

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
        if Path(name).is_dir() and any((Path(name) / file).is_file() for file in SAVED_DATASET):
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
        held = getattr(dataset, "split", None)
        told = "does not say which split it is" if held is None else f"holds only the split {held}"
        raise InputError(f"{text}: {told}; leave the split out")
    try:
        if isinstance(dataset, datasets.Dataset):
            # Arrow itself reads beyond its memory where a damaged file's offsets say so.
            dataset.data.validate(full=True)
        return HuggingFaceSource(dataset, description=text, column=column)
    except FidprobeError:
        raise
    except Exception as error:  # columns whose types lie, in any of several libraries
        raise SourceError(f"{text}: damaged ({one_line(error)}); save the dataset again") from error
