"""What torch.save wrote, read from its pickle's opcodes: nothing is unpickled, built or run.

Such files are no image sources. Their content is, once numpy has saved it; the messages say by which line.
"""

import io
import pickletools
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fidprobe.errors import InputError
from fidprobe.images.array_files import statistics_names
from fidprobe.images.pixels import batch_layout
from fidprobe.runtime.messages import escape_controls
from fidprobe.runtime.zip_members import check_member

__all__ = ["held_by_torch"]

_MOST = 2**22  # bytes of opcodes; a network of 10,000 tensors takes 2 MB
_LONGEST = 80  # characters of a name
_MAGIC = 0x1950A86A20F9469CFC6C  # how torch began its files before 1.6
_LEGACY = 4  # pickles in a file from before torch 1.6: two numbers, the system, the content
_WEIGHTS_OF_A_NETWORK = (
    "weights of a network{}, which do not say how it runs; save the network itself with "
    "`torch.jit.script(network).save({})` and give {}?z=512, 512 being its latent size"
)


@dataclass(frozen=True)
class _Array:
    """A tensor or an array, of which the opcodes tell the shape."""

    shape: tuple[int, ...]


@dataclass
class _Object:
    """Anything else that a class or function would make."""

    name: str


class _Mark:
    """Where a group of values begins on the stack."""


def held_by_torch(path: Path) -> str | None:
    """Say what a file of torch.save holds and how it can be read; None if it is none, or TorchScript."""
    try:
        found = _content(path)
    except Exception:  # damaged opcodes and archives, by nearly any error: no file that torch.save wrote
        return None
    if found is None:
        return None
    return _told(found[0], path)


def _content(path: Path) -> tuple[Any] | None:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            pickles = [member for member in archive.infolist() if member.filename.endswith("/data.pkl")]
            if len(pickles) != 1 or any(name.endswith("/constants.pkl") for name in names):
                return None
            check_member(pickles[0], remedy="")
            if pickles[0].file_size > _MOST:
                return None
            with archive.open(pickles[0]) as stream:
                return (_walk(io.BytesIO(stream.read(pickles[0].file_size))),)
    with path.open("rb") as file:
        stream_of_all = io.BytesIO(file.read(_MOST))
    if stream_of_all.getvalue()[:1] != b"\x80":
        return None
    value = _walk(stream_of_all)
    if value != _MAGIC:  # another pickle
        return None
    for _ in range(_LEGACY - 1):
        value = _walk(stream_of_all)
    return (value,)


def _walk(stream: io.BytesIO) -> Any:
    """Follow the opcodes of one pickle, with stand-ins for whatever a class or function would make."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}

    def group() -> list[Any]:
        at = next(place for place in reversed(range(len(stack))) if isinstance(stack[place], _Mark))
        values = stack[at + 1 :]
        del stack[at:]
        return values

    argument: Any
    for opcode, argument, _ in pickletools.genops(stream):
        match opcode.name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "MARK":
                stack.append(_Mark())
            case "GLOBAL":
                stack.append(_Object(str(argument).replace(" ", ".")))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                stack.append(_Object(f"{module}.{name}"))
            case "BINPUT" | "LONG_BINPUT" | "PUT":
                memo[int(argument)] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET" | "GET":
                stack.append(memo[int(argument)])
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_TUPLE":
                stack.append(())
            case "EMPTY_SET":
                stack.append([])
            case "TUPLE":
                stack.append(tuple(group()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                size = int(opcode.name[-1])
                stack[-size:] = [tuple(stack[-size:])]
            case "LIST":
                stack.append(group())
            case "DICT":
                values = group()
                stack.append(_pairs(values))
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                _update(stack[-1], [key, value])
            case "SETITEMS":
                values = group()
                _update(stack[-1], values)
            case "APPEND":
                value = stack.pop()
                _extend(stack[-1], [value])
            case "APPENDS" | "ADDITEMS":
                values = group()
                _extend(stack[-1], values)
            case "BINPERSID":
                named = stack.pop()  # old files name modules so, to keep their source
                stack.append(named[1] if named[0] == "module" else _Object("storage"))
            case "REDUCE" | "NEWOBJ":
                arguments, made_by = stack.pop(), stack.pop()
                stack.append(_made(made_by, arguments))
            case "BUILD":
                state, value = stack.pop(), stack.pop()
                stack.append(_built(value, state))
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode.name == "NEWTRUE")
            case _ if opcode.stack_before == [] and len(opcode.stack_after) == 1 and argument is not None:
                stack.append(argument)  # numbers and texts
            case _:
                raise ValueError(f"opcode {opcode.name}, which torch.save does not write")
    return stack.pop()


def _pairs(values: list[Any]) -> dict[Any, Any]:
    return {key: value for key, value in zip(values[::2], values[1::2], strict=True) if isinstance(key, str | int)}


def _update(target: Any, values: list[Any]) -> None:
    if isinstance(target, dict):
        target.update(_pairs(values))


def _extend(target: Any, values: list[Any]) -> None:
    if isinstance(target, list):
        target.extend(values)


def _made(made_by: Any, arguments: Any) -> Any:
    name = made_by.name if isinstance(made_by, _Object) else ""
    if name.startswith("torch._utils._rebuild_tensor") and isinstance(arguments, tuple):
        return _Array(_shape(arguments[2]))
    if name == "torch._utils._rebuild_parameter" and isinstance(arguments, tuple):
        return arguments[0]
    if name == "collections.OrderedDict":
        return {}
    return _Object(name)


def _built(value: Any, state: Any) -> Any:
    if isinstance(value, _Object) and value.name.endswith("multiarray._reconstruct") and isinstance(state, tuple):
        return _Array(_shape(state[1]))
    return value


def _shape(sizes: Any) -> tuple[int, ...]:
    if not all(0 <= size < 2**63 for size in sizes):
        raise ValueError(f"a size of {len(sizes)} axes that no array has")
    return tuple(int(size) for size in sizes)


def _told(value: Any, path: Path) -> str:
    name = path.name
    load = f"torch.load({name!r})"
    npy, npz = path.with_suffix(".npy").name, path.with_suffix(".npz").name
    if isinstance(value, dict):
        arrays = [key for key, part in value.items() if isinstance(key, str) and isinstance(part, _Array)]
        if (pair := statistics_names(arrays)) is not None:
            mu, sigma = pair
            line = f"d = {load}; np.savez({npz!r}, mu=d[{mu!r}], sigma=d[{sigma!r}])"
            return _said(f"statistics under {mu!r} and {sigma!r}; save them for numpy: `{line}`, and give {npz}")
    for key, part in _parts(value):
        what = _kind(part)
        if what is not None:
            line = f"np.save({npy!r}, {load}{key and f'[{key!r}]'}{'.float()' if what == 'features' else ''}.numpy())"
            under = f" under {key!r}" if key else ""
            return _said(f"{what} {list(part.shape)}{under}; save them for numpy: `{line}`, and give {npy}")
    if isinstance(value, list | tuple) and value and (what := _kind(value[0])) is not None:
        line = f"np.save({npy!r}, torch.cat({load}).numpy())"
        return _said(
            f"a list of {len(value)}, such as {what} {list(value[0].shape)}; save them for numpy: `{line}`, and give "
            f"{npy}"
        )
    if (weights := _weights(value)) is not None:
        listed = f" ({', '.join(weights[:3])}{', ...' if weights[3:] else ''})"
        return _said(_WEIGHTS_OF_A_NETWORK.format(listed, repr(name), name))
    if isinstance(value, _Object):
        return _said(
            f"a pickled {value.name[:80]}, which is never loaded; save a network with "
            f"`torch.jit.script(network).save({name!r})`, arrays with np.save"
        )
    return _said("no tensors that could be images, features or statistics; save arrays with np.save")


def _said(text: str) -> str:
    return escape_controls(f"a file of torch.save; it holds {text}")


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the value itself, or the arrays of a dictionary with the names of images and features first."""
    if isinstance(value, _Array):
        yield "", value
    if isinstance(value, dict) and not _like_weights(value):
        arrays = [(key, part) for key, part in value.items() if isinstance(part, _Array) and _is_name(key)]
        yield from sorted(arrays, key=lambda pair: _kind(pair[1]) != "images")


def _is_name(key: Any) -> bool:
    return isinstance(key, str) and len(key) <= _LONGEST


def _like_weights(value: dict[Any, Any]) -> bool:
    """Whether names are those of a state dict: `conv.weight`, or nothing but tensors called weight and bias."""
    return any(isinstance(key, str) and key.rpartition(".")[2] in ("weight", "bias") for key in value)


def _kind(part: Any) -> str | None:
    if not isinstance(part, _Array) or 0 in part.shape:
        return None
    if len(part.shape) == 2:
        return "features"
    try:
        batch_layout(part.shape)
    except InputError:
        return None
    return "images"


def _weights(value: Any) -> list[str] | None:
    """Return the names of the tensors of a state dict, or of the first one in a checkpoint."""
    if not isinstance(value, dict):
        return None
    for held in (value, *value.values()):
        if isinstance(held, dict):
            names = [key for key, part in held.items() if isinstance(part, _Array) and _is_name(key)]
            if names:
                return names
    return None
