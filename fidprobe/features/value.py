"""Features: a network's outputs for a set of images, with names and provenance, in memory or on disk."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fidprobe.arguments import checked, shown
from fidprobe.errors import InputError
from fidprobe.features.matrices import float32_tensor, in_float32, is_array
from fidprobe.images.array_files import (
    LOAD_ERRORS,
    ArrayHeader,
    load_member,
    map_npy,
    member_header,
    member_names,
    npy_header,
)
from fidprobe.provenance import UNKNOWN, Provenance, SourceProvenance
from fidprobe.runtime import temporary_files
from fidprobe.runtime.brief import Brief
from fidprobe.runtime.files import atomic_path, is_file
from fidprobe.runtime.messages import one_line
from fidprobe.runtime.ranks import Ranks
from fidprobe.runtime.tensor_files import safetensors_format, tensor_header

__all__ = [
    "Features",
    "Matrix",
    "as_features",
    "check_finite_rows",
    "first_nonfinite_row",
    "is_features_file",
    "write_features",
]

_FORMAT = "fidprobe-features-1"
_ROWS = 8192  # copied or looked at together
_NO_DIGEST = "0" * 64  # placeholder for a file's own SHA-256 while that is computed
_COMPARED = 16  # rows that processes compare


@dataclass(frozen=True, eq=False, repr=False)
class Features(Brief):
    """Embeddings of a set of images; immutable.

    Numbers may be given as tensors or NumPy arrays of any floating-point type. They are kept in float32, which shares
    the memory of what is float32 already: leave that as it is.

    Attributes:
        features: float32 [n, d].
        logits: float32 [n, c], bias included; None where the network has no classifier.
        logit_bias: float32 [c], the bias the logits contain; None where there is none.
        names: One name an image; None if unknown.
        class_names: One name a logit; None if unknown.
        provenance: Which images, through which network.

    Raises:
        InputError: shapes or types that do not fit together, or values that float32 cannot hold.
    """

    features: Tensor
    logits: Tensor | None = None
    logit_bias: Tensor | None = None
    names: tuple[str, ...] | None = None
    class_names: tuple[str, ...] | None = None
    provenance: Provenance = UNKNOWN

    if TYPE_CHECKING:  # a dataclass knows one type for what is given and what is kept

        def __init__(
            self,
            features: Tensor | npt.NDArray[Any],
            logits: Tensor | npt.NDArray[Any] | None = None,
            logit_bias: Tensor | npt.NDArray[Any] | None = None,
            names: Sequence[str] | None = None,
            class_names: Sequence[str] | None = None,
            provenance: Provenance = UNKNOWN,
        ) -> None: ...

    def __post_init__(self) -> None:
        self._take_numbers()
        for what in ("names", "class_names"):
            if (texts := getattr(self, what)) is not None:
                object.__setattr__(self, what, _texts(texts, what))
        if not isinstance(self.provenance, Provenance):
            raise InputError(f"`provenance` must be a Provenance, not {shown(self.provenance)}")
        n = len(self.features)
        if self.names is not None and len(self.names) != n:
            raise InputError(f"there are {len(self.names)} names for {n} images")
        classes = None if self.logits is None else self.logits.shape[1]
        for what, value in (("class names", self.class_names), ("logit biases", self.logit_bias)):
            if value is not None and classes is not None and len(value) != classes:
                raise InputError(f"there are {len(value)} {what} for {classes} logits")

    def _take_numbers(self) -> None:
        """Make the numbers float32 tensors.

        Raises:
            InputError: no numbers, or of other shapes.
        """
        for what, ndim in (("features", 2), ("logits", 2), ("logit_bias", 1)):
            values = getattr(self, what)
            if values is None and what != "features":
                continue
            if not is_array(values):
                raise InputError(f"{what} must be a tensor or an array, not {shown(values)}")
            values = float32_tensor(values, what)
            if values.ndim != ndim or 0 in values.shape:
                shape = "matrix [images, dimensions]" if ndim == 2 else "row of numbers"
                raise InputError(f"{what} must be a non-empty {shape}, got {list(values.shape)}")
            object.__setattr__(self, what, values)
        n = len(self.features)
        if self.logits is not None and len(self.logits) != n:
            raise InputError(f"logits must have one row for each of {n} images, got {list(self.logits.shape)}")

    def __len__(self) -> int:
        return len(self.features)

    @property
    def dim(self) -> int:
        """d, the number of feature dimensions."""
        return self.features.shape[1]

    @property
    def space(self) -> str:
        """Short name of the feature space for messages and labels; `unknown` without provenance."""
        return self.provenance.space

    @property
    def logits_unbiased(self) -> Tensor | None:
        """float32 [n, c], logits without the classifier's bias, as the original Inception Score uses them."""
        if self.logits is None or self.logit_bias is None:
            return self.logits
        return self.logits - self.logit_bias

    @checked
    def select(
        self, indices: Sequence[int] | Tensor | npt.NDArray[Any], *, limit: int | None = None, seed: int | None = None
    ) -> "Features":
        """Return the rows at `indices`, in that order; repeats allowed.

        Args:
            indices: Positions, [m].
            limit: Size of the random subset that the rows are, if they are one; recorded.
            seed: Seed that drew it; recorded.

        Raises:
            InputError: no such rows.
        """
        index = _places(indices, len(self))
        source = self.provenance.source
        if source is not None:
            # Content hash and facts of the whole do not hold for a part.
            source = SourceProvenance(
                source.description, len(index), limit=limit, seed=seed, skipped=source.skipped, decoder=source.decoder
            )
        return replace(
            self,
            features=_rows(self.features, index),
            logits=None if self.logits is None else _rows(self.logits, index),
            names=None if self.names is None else tuple(self.names[int(i)] for i in index),
            provenance=replace(self.provenance, source=source),
        )

    def check_shared(self, ranks: Ranks) -> None:
        """Raise if the processes do not all have the same features, by shape, names, provenance and a few rows.

        Args:
            ranks: The processes, each of which calls this with its own features.

        Raises:
            InputError: a process has other features.
            ProcessError: another process has ended.
        """
        if ranks.size == 1:
            return
        some = np.linspace(0, len(self) - 1, _COMPARED).astype(np.int64)
        digest = hashlib.sha256(json.dumps([self.names, self.class_names, self.provenance.to_json()]).encode())
        for tensor in (self.features, self.logits):
            if tensor is not None:
                digest.update(np.ascontiguousarray(tensor[torch.from_numpy(some)].detach().cpu().numpy()).data)
        shape = f"{len(self)} x {self.dim} of {self.space}"
        ranks.check_equal("features", [shape, f"(SHA-256 {digest.hexdigest()[:12]})"])

    @checked
    def save(self, path: str | PathLike[str]) -> None:
        """Write a safetensors file; the old file stays until the new one is whole.

        Raises:
            InputError: the path does not end in `.safetensors`, or cannot be written.
        """
        write_features(path, [self], names=self.names, class_names=self.class_names, provenance=self.provenance)

    @classmethod
    @checked
    def load(cls, path: str | PathLike[str]) -> "Features":
        """Read features; the file is memory-mapped, so only the rows that are used stay in memory.

        The SHA-256 that a `.safetensors` was saved with is checked up to 1 GiB; larger files are not read for it.

        Args:
            path: `.safetensors` written by `save`; or a float `.npy` (or `.npz` with one array) of shape [n, d],
                taken as features of unknown provenance.

        Raises:
            InputError: no such file, damaged, not features, or numbers that float32 cannot tell apart.
        """
        path = Path(path)
        if not is_file(path):
            raise InputError(f"{path}: no such features file")
        return _load_safetensors(path) if path.suffix.lower() == ".safetensors" else _load_numpy(path)


Matrix = Features | Tensor | npt.NDArray[Any]
"""What functions of features take: the value, or a matrix [n, d] of any floating-point type."""


def as_features(side: Matrix, name: str, *, also: str = "") -> Features:
    """Features, or a bare matrix as features of unknown provenance, without its gradient.

    Args:
        side: What a caller gave as features.
        name: The argument's name, for messages.
        also: What else the caller takes, for messages: `, GaussianStatistics`.

    Raises:
        InputError: neither Features nor a matrix of floating-point numbers.
    """
    if isinstance(side, Features):
        return side
    if not is_array(side):
        hint = (
            "; `fidprobe.score` reads files, `fidprobe.Features.load` one of features"
            if isinstance(side, str | PathLike)
            else ""
        )
        raise InputError(
            f"`{name}` must be Features{also}, or a matrix [n, d] of floats (array or tensor), not {shown(side)}{hint}"
        )
    values = float32_tensor(side.detach() if isinstance(side, Tensor) else side, f"`{name}`")
    if values.ndim != 2 or 0 in values.shape:
        raise InputError(f"`{name}` must be a non-empty matrix [n, d], got {list(values.shape)}")
    return Features(values)


def _places(indices: Any, count: int) -> Tensor:
    """Positions of rows, int64.

    Raises:
        InputError: no whole numbers, or none of so many rows.
    """
    try:
        places = np.array(indices.detach().cpu().numpy() if isinstance(indices, Tensor) else indices, ndmin=1)
    except Exception as error:  # lists of anything
        raise InputError(f"`indices` must be whole numbers in a row, not {shown(indices)}") from error
    if places.ndim != 1 or (len(places) > 0 and places.dtype.kind not in "iu"):
        raise InputError(f"`indices` must be whole numbers in a row, not {shown(indices)}")
    if len(places) > 0 and not -count <= places.min() <= places.max() < count:
        raise InputError(f"there are {count} rows, and `indices` go from {places.min()} to {places.max()}")
    return torch.from_numpy(places.astype(np.int64))


def _texts(values: Any, what: str) -> tuple[str, ...]:
    """Names as a tuple.

    Raises:
        InputError: no list of texts.
    """
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if isinstance(values, str | bytes) or not isinstance(values, Sequence):
        raise InputError(f"`{what}` must be a list of texts, not {shown(values)}")
    texts = tuple(values)
    for text in texts:
        if not isinstance(text, str):
            raise InputError(f"`{what}` must be texts, and one is {shown(text)}")
    return texts


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """Copy the rows at `index`; a selection too large for memory is stored in a temporary file."""
    size = max(len(index), len(values)) * values.shape[1] * values.element_size()
    if values.device.type != "cpu" or size <= temporary_files.MAX_IN_MEMORY:
        return values[index]
    rows = values.detach().numpy()
    found = temporary_files.gather_rows(index.numpy(), values.shape[1], lambda at: rows[at], "a selection of features")
    return torch.from_numpy(found)


def first_nonfinite_row(rows: Tensor) -> int | None:
    """Number of the first row of a matrix that holds NaN or infinite values; None if all are finite."""
    for start in range(0, len(rows), _ROWS):
        finite = torch.isfinite(rows[start : start + _ROWS]).all(dim=1)
        if not bool(finite.all()):
            return start + int((~finite).nonzero()[0])
    return None


def check_finite_rows(what: str, rows: Tensor, *, first: int = 0) -> None:
    """Raise for the first row that holds NaN or infinite values.

    Args:
        what: Of what the rows are, for the message: `features`, `reference: logits`.
        rows: Floating-point [n, d].
        first: Number of the first row in the whole, for the message.

    Raises:
        InputError: names the row.
    """
    if (row := first_nonfinite_row(rows)) is not None:
        raise InputError(f"{what} row {first + row} holds NaN or infinite values; extract that image again")


def is_features_file(path: str | PathLike[str]) -> bool:
    """Whether a path holds features: a `.safetensors` of them, or a float matrix in `.npy` or `.npz`."""
    path = Path(path)
    if not is_file(path):
        return False
    match path.suffix.lower():
        case ".safetensors":
            # A damaged file counts as well: loading it names the damage.
            return safetensors_format(path) in ("features", None)
        case ".npy" | ".npz":
            try:
                header = _numpy_header(path)
            except InputError:
                return False
            return header is not None and _is_matrix(header)
    return False


def write_features(
    path: str | PathLike[str],
    parts: Sequence[Features],
    *,
    names: Sequence[str] | None,
    class_names: Sequence[str] | None,
    provenance: Provenance,
) -> None:
    """Stream consecutive parts of one set into one safetensors file, a part in memory at a time.

    Args:
        path: The target, `.safetensors`.
        parts: At least one, all of the same dimensions; their own names and provenance are not written.
        names: One for each image of the whole.
        class_names: One for each logit.
        provenance: Provenance of the whole.

    Raises:
        InputError: wrong suffix, names too long for the format, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".safetensors":
        raise InputError(f"{path}: features are saved as .safetensors; choose a name that ends so")
    first, count = parts[0], sum(map(len, parts)) if names is None else len(names)
    metadata = {"format": _FORMAT, "provenance": json.dumps(provenance.to_json()), "sha256": _NO_DIGEST}
    if names is not None:
        metadata["names"] = json.dumps(names)
    if class_names is not None:
        metadata["class_names"] = json.dumps(class_names)
    shapes: dict[str, list[int]] = {"features": [count, first.dim]}
    if first.logits is not None:
        shapes["logits"] = [count, first.logits.shape[1]]
        if first.logit_bias is not None:
            shapes["logit_bias"] = [first.logits.shape[1]]
    layout = {name: (np.float32, shape) for name, shape in shapes.items()}
    header = tensor_header(path, layout, metadata)
    digest = hashlib.sha256(header)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        stream.write(header)
        for name in shapes:
            for piece in [first] if name == "logit_bias" else parts:
                data = np.ascontiguousarray(getattr(piece, name).cpu().numpy(), dtype="<f4").data
                digest.update(data)
                stream.write(data)
        stream.seek(0)
        stream.write(tensor_header(path, layout, {**metadata, "sha256": digest.hexdigest()}))


def _load_safetensors(path: Path) -> Features:
    import safetensors

    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata: Mapping[str, str] = file.metadata() or {}
            names = list(file.keys())
            if metadata.get("format") != _FORMAT or "features" not in names:
                raise InputError(f"{path}: not a features file of fidprobe; make one with `fidprobe features`")
            tensors = {name: file.get_tensor(name) for name in names}
        # Older files have none.
        if (
            "sha256" in metadata
            and path.stat().st_size <= temporary_files.MAX_IN_MEMORY
            and _digest(path) != metadata["sha256"]
        ):
            raise InputError(f"{path}: damaged (its content is not what was saved); extract it again")
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(f"{path}: damaged or not a safetensors file ({one_line(error)}); extract it again") from error

    def listed(key: str) -> tuple[str, ...] | None:
        if key not in metadata:
            return None
        values = json.loads(metadata[key])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise InputError(f"{key} must be a list of texts, got {metadata[key][:60]}")
        return tuple(values)

    try:
        return Features(
            features=tensors["features"],
            logits=tensors.get("logits"),
            logit_bias=tensors.get("logit_bias"),
            names=listed("names"),
            class_names=listed("class_names"),
            provenance=Provenance.from_json(json.loads(metadata["provenance"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: its metadata is damaged ({one_line(error)}); extract it again") from error


def _digest(path: Path) -> str:
    """Compute the SHA-256 of a features file, with zeros in place of the digest that it records."""
    with path.open("rb") as stream:
        start = stream.read(8)
        header = stream.read(int.from_bytes(start, "little"))
        zeroed = re.sub(rb'"sha256": "[0-9a-f]{64}"', f'"sha256": "{_NO_DIGEST}"'.encode(), header, count=1)
        total = hashlib.sha256(start + zeroed)
        while chunk := stream.read(2**20):
            total.update(chunk)
    return total.hexdigest()


def _numpy_header(path: Path) -> ArrayHeader | None:
    """Read the header of the one array in a .npy or .npz, but not its data; None if an .npz holds several."""
    try:
        if path.suffix.lower() == ".npy":
            return npy_header(path)
        names = member_names(path)
        return member_header(path, names[0]) if len(names) == 1 else None
    except LOAD_ERRORS as error:
        raise _damaged(path, error) from error


def _is_matrix(header: ArrayHeader) -> bool:
    return len(header.shape) == 2 and 0 not in header.shape and np.issubdtype(header.dtype, np.floating)


def _load_numpy(path: Path) -> Features:
    header = _numpy_header(path)
    if header is None:
        raise InputError(f"{path}: holds several arrays; features files hold one float matrix [n, d]")
    if header.dtype.hasobject:
        raise _damaged(path, ValueError("Python objects"))
    if not _is_matrix(header):
        raise InputError(f"{path}: features must be a float matrix [n, d], got {header.dtype} {list(header.shape)}")
    try:
        # Torch wants writable arrays; copy-on-write maps are, and leave the file as it is.
        array = map_npy(path, "c") if path.suffix.lower() == ".npy" else load_member(path, member_names(path)[0], "c")
    except LOAD_ERRORS as error:
        raise _damaged(path, error) from error
    return Features(torch.from_numpy(in_float32(array, str(path))))


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: damaged, or holds pickled objects, which are never loaded ({one_line(error)})")
