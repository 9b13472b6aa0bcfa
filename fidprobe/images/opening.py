"""Open an image source of any kind: files, names and Python values."""

import errno
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from fidprobe.arguments import Seed, checked
from fidprobe.embedded import EMBEDDED, PREFIX, embedded_file
from fidprobe.errors import InputError, SourceError
from fidprobe.images.arrays import ArraySource, open_npy, open_npz
from fidprobe.images.contents import foreign_content
from fidprobe.images.datasets import DatasetSource
from fidprobe.images.file_names import IMAGE_EXTENSIONS, is_image, relative_names, valid_names
from fidprobe.images.folder import open_folder
from fidprobe.images.functions import FunctionSource, import_function
from fidprobe.images.generator_source import GeneratorSource, parse_settings
from fidprobe.images.huggingface import HuggingFaceSource, is_huggingface, open_huggingface
from fidprobe.images.image_files import build_source, read_file
from fidprobe.images.joined import JoinedSource
from fidprobe.images.parquet import open_parquet
from fidprobe.images.patterns import expand_pattern, is_pattern
from fidprobe.images.source import ImageSource, RandomSubset
from fidprobe.images.tars import open_tars
from fidprobe.images.torch_files import held_by_torch
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
_PICKLES = (".pth", ".ckpt", ".bin", ".pkl", ".pickle")
_PARQUET = ".parquet"
_TRAINED = ".safetensors"
_EMPTY = "an empty text is not an image source; write . for the current folder"
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@checked
def open_images(source: Any, *, limit: int | None = None, seed: Seed = 0) -> ImageSource:
    """Open any image source.

    Args:
        source: A path: a folder, `.zip`, `.tar`, `.tar.gz`, `.tgz`, a folder inside one of these
            (`cifar10.zip/train`), `.npy`, `.npz`, several of these by a pattern (`shards-{000..004}.tar`,
            `samples_*.npz`, `out/*_fake_B.png`) or in a list, one kind of images of WebDataset's samples
            (`shards-*.tar?key=mask.png`),
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
        raise InputError(_EMPTY)
    path = _expanded(text)
    if path.is_dir():
        return open_folder(path, text)
    if path.is_file():
        return _open_file(path, text, limit, seed)
    if path.is_symlink() and not path.exists():
        raise SourceError(f"{escape_controls(text)}: {_broken(path)}")
    if text.startswith(PREFIX):
        name, _, query = text.removeprefix(PREFIX).partition("?")
        if EMBEDDED.get(name.partition("/")[0]) == "reference":
            raise _features_instead(text)
        return TrainedGeneratorSource(embedded_file(name, "generator"), query, description=text, limit=limit, seed=seed)
    file, _, query = text.rpartition("?")
    if text.startswith("hf:"):
        return _open_hf(text)
    if file.lower().endswith(_NETWORKS) and _expanded(file).is_file():
        return TorchScriptSource(_expanded(file), query, description=text, limit=limit, seed=seed)
    if file.lower().endswith(_TRAINED) and _expanded(file).is_file():
        return _open_trained(_expanded(file), query, text, limit, seed)
    set_up = "?" in text and re.match(r"\w+=", query) is not None
    if set_up and file.lower().endswith(_PARQUET):
        return _open_parquets(file, query, text, seed)
    key = None
    if set_up and (query.startswith("key=") or file.lower().endswith(_TARS)):
        key = parse_settings(query, text, {"key": str}, example="key=jpg")["key"]
        path = _expanded(file)
    for archive in (path, *path.parents):
        if archive.name.lower().endswith(_ARCHIVES) and archive.is_file():
            inside = "" if archive == path else path.relative_to(archive).as_posix()
            if archive.name.lower().endswith(_TARS):
                return open_tars([archive], text, inside=inside, key=key)
            if key is None:
                return open_zip(archive, text, inside)
    if is_pattern(str(path)) and not (set_up and key is None):
        return _open_several(expand_pattern(str(path)), text, seed, key=key)
    if key is not None and path.exists():
        raise InputError(f"{escape_controls(text)}: ?key= chooses in tars of WebDataset, and this is none")
    if text.partition(":")[0] in {name.partition(":")[0] for name in TORCHVISION_NAMES} and ":" in text:
        return open_torchvision(text)
    if _FUNCTION.fullmatch(text):
        return FunctionSource(import_function(text), description=text, limit=limit, seed=seed)
    raise SourceError(_missing(path, text))


def _open_hf(text: str) -> ImageSource:
    name, _, query = text.rpartition("?")
    column = None
    if re.match(r"\w+=", query):
        column = _column(query, text)
    else:
        name = text
    if name.lower().endswith(_PARQUET) and (path := _expanded(name.removeprefix("hf:"))).is_file():
        return open_parquet(path, text, column)
    return open_huggingface(name, column)


def _open_parquets(file: str, query: str, text: str, seed: int) -> ImageSource:
    column = _column(query, text)
    paths = expand_pattern(str(_expanded(file)))
    if len(paths) == 1:
        return open_parquet(paths[0], text, column)
    return _join([f"{path}?column={column}" for path in paths], relative_names(paths), text, seed)


def _column(query: str, text: str) -> str:
    settings = parse_settings(query, text, {"column": str}, example="column=image")
    return str(settings["column"])


def _open_several(
    paths: Sequence[Path], text: str, seed: int, *, key: str | None = None, in_order: bool = False
) -> ImageSource:
    """Open files or folders as one source: pictures, shards, or parts of a set."""
    if all(path.name.lower().endswith(_TARS) for path in paths):
        return open_tars(paths, text, key=key)
    if key is not None:
        raise InputError(f"{escape_controls(text)}: ?key= chooses in tars of WebDataset, and these are none")
    pictures = [path for path in paths if is_image(path.name) and not path.is_dir()]
    if pictures:
        # Other files beside pictures do not count, as in a folder; sets do.
        if (other := next((path for path in paths if path.is_dir() or _is_container(path)), None)) is not None:
            raise InputError(
                f"{escape_controls(text)}: {escape_controls(str(pictures[0]))} is a single image and "
                f"{escape_controls(str(other))} is not; name either the images or the sets"
            )
        names = relative_names(pictures)
        files = [(name, os.fspath(path)) for name, path in zip(names, pictures, strict=True)]
        return build_source(text, files, read_file, in_order=in_order)
    return _join([str(path) for path in paths], relative_names(paths), text, seed)


def _join(texts: Sequence[str], names: Sequence[str], description: str, seed: int) -> ImageSource:
    if len(texts) == 1:
        return _open_text(texts[0], None, seed)
    twice = next((text for text, count in Counter(texts).items() if count > 1), None)
    if twice is not None:
        raise SourceError(f"{escape_controls(twice)} is named twice; name each part of the set once")
    parts = [_open_text(text, None, seed) for text in texts]
    return JoinedSource(list(zip(names, parts, strict=True)), description=description)


def _is_container(path: Path) -> bool:
    return path.name.lower().endswith((*_ARCHIVES, ".npz", ".npy", _PARQUET))


def _broken(path: Path) -> str:
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "a link to itself; nothing is behind it"
    return f"a link to {escape_controls(str(path.readlink()))}, which is not there"


def _check_torchscript(path: Path, text: str) -> None:
    """Raise if a file is of torch.save or of another kind, with what it holds and how that is read."""
    if (held := held_by_torch(path) or foreign_content(path, own="a zip archive")) is not None:
        raise SourceError(f"{escape_controls(text)}: {held}")


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
        _PARQUET: lambda: open_parquet(path, text),
        _TRAINED: lambda: _open_trained(path, "", text, limit, seed),
        **dict.fromkeys(_TARS, lambda: open_tars([path], text)),
    }
    for ending, opener in openers.items():
        if name.endswith(ending):
            return opener()
    if name.endswith(_NETWORKS):
        _check_torchscript(path, text)
        raise InputError(f"{text}: a generator needs its latent size, as in {text}?z=512")
    if name.endswith(IMAGE_EXTENSIONS):
        raise SourceError(f"{escape_controls(text)}: a single image; give the folder or archive that holds the images")
    if name.endswith(_PICKLES):
        _check_torchscript(path, text)
    if (foreign := foreign_content(path)) is not None:
        raise SourceError(f"{escape_controls(text)}: not an image source by its name, and by its content {foreign}")
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
        if all(isinstance(part, str | os.PathLike) for part in source):
            return _open_list([os.fsdecode(part) for part in source], seed)
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


def _open_list(texts: Sequence[str], seed: int) -> ImageSource:
    """Open a list of names as one source, in its order."""
    if any(not text.strip() for text in texts):
        raise InputError(_EMPTY)
    paths = [_expanded(text) for text in texts]
    description = f"list of {len(texts)}"
    if all(is_image(path.name) or path.exists() for path in paths):
        return _open_several(paths, description, seed, in_order=True)
    return _join(texts, valid_names(path.name for path in paths), description, seed)


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
    likes = _pattern_of(close[0], siblings) if close else None
    hint = (
        f"did you mean '{escape_controls(likes[0])}', which matches {likes[1]} files?"
        if likes
        else f"did you mean {escape_controls(close[0])}?"
        if close
        else ("cifar10:train is a torchvision name, hf:NAME:SPLIT a Hugging Face one, module:function a generator")
    )
    return f"{escape_controls(text)}: no such file or folder; {hint}"


def _pattern_of(name: str, siblings: Sequence[str]) -> tuple[str, int] | None:
    """Return the pattern of a numbered file and how many of its neighbours match; None if it stands alone."""
    likes = {sibling for sibling in siblings if re.sub(r"[0-9]+", "0", sibling) == re.sub(r"[0-9]+", "0", name)}
    if len(likes) < 2:
        return None
    path = Path(name)
    return str(path.with_name(re.sub(r"[0-9]+", "*", path.name))), len(likes)
