"""Open an image source of any kind: files, names and Python values."""

import os
import re
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from fidprobe.arguments import Seed, checked
from fidprobe.embedded import EMBEDDED, PREFIX, embedded_file
from fidprobe.errors import InputError, SourceError
from fidprobe.images.arrays import ArraySource, open_npy, open_npz
from fidprobe.images.datasets import DatasetSource
from fidprobe.images.file_names import IMAGE_EXTENSIONS
from fidprobe.images.folder import open_folder
from fidprobe.images.functions import FunctionSource, import_function
from fidprobe.images.generator_source import GeneratorSource
from fidprobe.images.huggingface import HuggingFaceSource, is_huggingface, open_huggingface
from fidprobe.images.source import ImageSource, RandomSubset
from fidprobe.images.tars import expand_shards, open_tars
from fidprobe.images.torchscript_generator import TorchScriptSource
from fidprobe.images.torchvision_names import TORCHVISION_NAMES, open_torchvision
from fidprobe.images.trained_generator import TrainedGeneratorSource
from fidprobe.images.zips import open_zip
from fidprobe.runtime.messages import escape_controls
from fidprobe.runtime.tensor_files import safetensors_format

__all__ = ["open_images"]

_TARS = (".tar", ".tar.gz", ".tgz")
_ARCHIVES = (".zip", *_TARS)
_NETWORKS = (".pt", ".ts", ".torchscript")
_TRAINED = ".safetensors"
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@checked
def open_images(source: Any, *, limit: int | None = None, seed: Seed = 0) -> ImageSource:
    """Open any image source.

    Args:
        source: A path: a folder, `.zip`, `.tar`, `.tar.gz`, `.tgz`, a folder inside one of these
            (`cifar10.zip/train`), WebDataset shards (`shards-{000..004}.tar`, `shards-*.tar`), `.npy`, `.npz`,
            a TorchScript generator (`generator.pt?z=512`, see `TorchScriptSource`), a trained generator
            (`generator.safetensors`, see `TrainedGeneratorSource`). A name: `embedded:am-gan` (a generator that comes
            with fidprobe), `cifar10:train`
            (torchvision), `hf:NAME:SPLIT` or `hf:FOLDER:SPLIT` (Hugging Face), `module:function` (a function
            that yields batches). A value: a tensor, an array, a list of them or of PIL images, a map-style
            torch dataset, a Hugging Face dataset, a function that yields batches, an ImageSource.
        limit: Use a random subset of this size (see `RandomSubset`); of a generator, the first so many images.
        seed: Seed of the subset, or of the generator.

    Raises:
        SourceError: the source is missing, empty or cannot be read.
        InputError: the source is of no known kind, or the limit or seed makes no sense.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit {limit} is not a whole number from 1 up")
    if isinstance(source, str | os.PathLike):
        text = os.fsdecode(source)
        try:
            opened = _open_text(text, limit, seed)
        except OSError as error:  # a name too long, a folder that may not be entered
            raise SourceError(f"{escape_controls(text)}: cannot be opened ({error.strerror or error})") from error
    else:
        opened = _open_value(source, limit, seed)
    # A generator has no end: its limit is how many images it makes, and is applied already.
    generated = opened is not source and isinstance(opened, FunctionSource | GeneratorSource)
    return opened if limit is None or generated else RandomSubset(opened, limit=limit, seed=seed)


def _open_text(text: str, limit: int | None, seed: int) -> ImageSource:
    if not text.strip():
        raise InputError("an empty text is not an image source; write . for the current folder")
    path = _expanded(text)
    if path.is_dir():
        return open_folder(path, text)
    if path.is_file():
        return _open_file(path, text, limit, seed)
    if text.startswith(PREFIX):
        name, _, query = text.removeprefix(PREFIX).partition("?")
        if EMBEDDED.get(name.partition("/")[0]) == "reference":
            raise _features_instead(text)
        return TrainedGeneratorSource(embedded_file(name, "generator"), query, description=text, limit=limit, seed=seed)
    if text.startswith("hf:"):
        return open_huggingface(text)
    file, _, query = text.rpartition("?")
    if file.lower().endswith(_NETWORKS) and _expanded(file).is_file():
        return TorchScriptSource(_expanded(file), query, description=text, limit=limit, seed=seed)
    if file.lower().endswith(_TRAINED) and _expanded(file).is_file():
        return _open_trained(_expanded(file), query, text, limit, seed)
    if re.search(r"[{*?\[]", text) and text.lower().endswith(_TARS):
        return open_tars(expand_shards(str(path)), text)
    for archive in path.parents:
        if archive.is_file() and archive.name.lower().endswith(_ARCHIVES):
            inside = path.relative_to(archive).as_posix()
            if archive.name.lower().endswith(".zip"):
                return open_zip(archive, text, inside)
            return open_tars([archive], text, inside)
    if text.partition(":")[0] in {name.partition(":")[0] for name in TORCHVISION_NAMES} and ":" in text:
        return open_torchvision(text)
    if _FUNCTION.fullmatch(text):
        return FunctionSource(import_function(text), description=text, limit=limit, seed=seed)
    raise SourceError(_missing(path, text))


def _features_instead(text: str) -> InputError:
    return InputError(
        f"{escape_controls(text)}: holds features, not images; commands that measure take it in their place"
    )


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        user = text.partition("/")[0]
        raise SourceError(
            f"{escape_controls(text)}: there is no user {escape_controls(user)}; write the folder's path"
        ) from error


def _open_trained(path: Path, query: str, text: str, limit: int | None, seed: int) -> ImageSource:
    held = safetensors_format(path)
    if held == "features":
        raise _features_instead(text)
    if held not in ("generator", None):
        raise SourceError(
            f"{escape_controls(text)}: holds neither a trained generator nor features "
            f"({escape_controls(held) or 'it does not say what'}); `fidprobe train` and `fidprobe features` make them"
        )
    return TrainedGeneratorSource(path, query, description=text, limit=limit, seed=seed)


def _open_file(path: Path, text: str, limit: int | None, seed: int) -> ImageSource:
    name = path.name.lower()
    openers: dict[str, Callable[[], ImageSource]] = {
        ".zip": lambda: open_zip(path, text),
        ".npz": lambda: open_npz(path, text),
        ".npy": lambda: open_npy(path, text),
        _TRAINED: lambda: _open_trained(path, "", text, limit, seed),
        **dict.fromkeys(_TARS, lambda: open_tars([path], text)),
    }
    for ending, opener in openers.items():
        if name.endswith(ending):
            return opener()
    if name.endswith(_NETWORKS):
        raise InputError(f"{text}: a generator needs its latent size, as in {text}?z=512")
    if name.endswith(IMAGE_EXTENSIONS):
        raise SourceError(f"{escape_controls(text)}: a single image; give the folder or archive that holds the images")
    raise SourceError(
        f"{escape_controls(text)}: not an image source by its name; known are folders, "
        f"{', '.join((*openers, *_NETWORKS))}"
    )


def _open_value(source: Any, limit: int | None, seed: int) -> ImageSource:
    import torch

    if isinstance(source, ImageSource):
        return source
    if isinstance(source, np.ndarray | torch.Tensor):
        return ArraySource([_collection(source)], description=_described(source))
    if is_huggingface(source):
        return HuggingFaceSource(source, description=f"{type(source).__name__} (Hugging Face)")
    if isinstance(source, list | tuple):
        if not source:
            raise SourceError("no images in the list: it is empty")
        if all(isinstance(part, np.ndarray | torch.Tensor) and part.ndim == 4 for part in source):
            return ArraySource([_collection(part) for part in source], description=f"list of {len(source)} batches")
        return DatasetSource(source, description=f"list of {len(source)}")
    if isinstance(source, torch.utils.data.DataLoader):
        raise InputError("a DataLoader is not an image source; give its dataset")
    if hasattr(source, "__getitem__") and hasattr(source, "__len__") and not isinstance(source, dict):
        return DatasetSource(source, description=type(source).__name__)
    if isinstance(source, torch.utils.data.IterableDataset):
        raise InputError("an iterable dataset has no items by number; give a map-style one, or a function")
    if callable(source):
        name = getattr(source, "__qualname__", type(source).__name__)
        return FunctionSource(source, description=name, limit=limit, seed=seed)
    raise InputError(
        f"a {type(source).__name__} is not an image source; give a path, a name like cifar10:train, an array, "
        "a tensor, a dataset or a function"
    )


def _collection(array: Any) -> Any:
    """Refuse single numbers, and detach tensors; a tensor on another device stays there and is fetched row by row."""
    if array.ndim == 0:
        raise InputError("a single number is not images")
    return array if isinstance(array, np.ndarray) else array.detach()


def _described(array: Any) -> str:
    kind = "array" if isinstance(array, np.ndarray) else "tensor"
    return f"{kind} {list(array.shape)}"


def _missing(path: Path, text: str) -> str:
    siblings: list[str] = []
    if path.parent.is_dir():
        siblings = [str(path.parent / e.name) for e in os.scandir(path.parent) if not e.name.startswith(".")]
    close = get_close_matches(str(path), [*siblings, *TORCHVISION_NAMES], n=1)
    hint = (
        f"did you mean {escape_controls(close[0])}?"
        if close
        else ("cifar10:train is a torchvision name, hf:NAME:SPLIT a Hugging Face one, module:function a generator")
    )
    return f"{escape_controls(text)}: no such file or folder; {hint}"
