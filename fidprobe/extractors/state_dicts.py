"""Reading weights files without executing anything in them."""

import hashlib
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from fidprobe.errors import WeightsError
from fidprobe.runtime.messages import one_line
from fidprobe.runtime.torchscript_files import open_torchscript
from fidprobe.runtime.zip_members import check_members

__all__ = ["build_loaded", "jit_load", "load_strictly", "own_randomness", "read_state_dict", "state_dict_sha256"]

_Module = TypeVar("_Module", bound=nn.Module)
_LONGEST = 80  # characters of a tensor's name in a message
_SPARE = 2**26  # bytes that a tensor may take beyond those in its file


@contextmanager
def own_randomness() -> Iterator[None]:
    """Restore the caller's random state after a network is built, which draws initial weights."""
    with torch.random.fork_rng(devices=[]):
        yield


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors``, torch (``weights_only``) or TorchScript file, on the CPU.

    It unwraps ``{"state_dict": ...}`` and ``{"model": ...}`` and strips a common ``module.`` prefix, which training
    frameworks leave behind.

    Raises:
        WeightsError: the file is unreadable, no state dict, or holds Python objects, which only unpickling restores;
            unpickling can run any code.
    """
    try:
        state = _read(path)
    except WeightsError:
        raise
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} is damaged or holds Python objects besides tensors; those are refused because unpickling "
            "them can run any code: convert it to a state dict or safetensors"
        ) from error
    except Exception as error:  # in a damaged file any of three parsers may raise nearly any error
        raise WeightsError(f"{path} cannot be read as weights: {one_line(error)}") from error
    for key in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not state or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f"{path} holds no state dict (a mapping from names to tensors)")
    tensors = {str(key): value for key, value in state.items()}
    for key, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_nested or tensor.device.type != "cpu":
            raise WeightsError(f"{path}: {_shown(key)} is no plain tensor; convert the file to a plain state dict")
        held = tensor.untyped_storage().nbytes()
        if tensor.numel() * tensor.element_size() > held + _SPARE:  # strides of 0 make a huge tensor of a few bytes
            raise WeightsError(
                f"{path}: {_shown(key)} claims shape {list(tensor.shape)} and is {held} bytes; get the file again"
            )
    if all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): value for key, value in tensors.items()}
    return tensors


def _read(path: Path) -> object:
    if path.suffix.lower() == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            check_members(archive.infolist(), remedy="save it again with torch.save")
            # Plain torch files have no `constants.pkl`.
            torchscript = any(name.endswith("/constants.pkl") for name in archive.namelist())
        if torchscript:
            return jit_load(path).state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old storages warn, and users cannot do anything about it
        return torch.load(path, map_location="cpu", weights_only=True)


def _shown(text: str) -> str:
    return "".join(char for char in text if char.isprintable())[:_LONGEST]


def jit_load(path: Path) -> torch.jit.ScriptModule:
    """Load a TorchScript archive on the CPU; torch's deprecation notices do not reach the user.

    Raises:
        WeightsError: not a TorchScript archive, or damaged.
    """
    try:
        return open_torchscript(path)
    except Exception as error:  # as above
        raise WeightsError(f"{path} is not a readable TorchScript archive: {one_line(error)}") from error


def build_loaded(build: Callable[[], _Module], state: Mapping[str, Tensor], path: Path) -> _Module:
    """Build a module and load tensors into it as `load_strictly` does.

    The module is built on the meta device: its first weights take neither time, memory nor random numbers.

    Raises:
        WeightsError: the tensors do not fit.
    """
    with torch.device("meta"):
        module = build()
    module.to_empty(device="cpu")
    load_strictly(module, state, path)
    return module


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load tensors into a module as float32; every name, shape and kind of numbers must fit.

    The tensors become the module's own. Only `num_batches_tracked` may be missing: files from before torch 0.4.1 lack
    it, and evaluation never reads it.

    Raises:
        WeightsError: names the first tensors that are missing, left over, or of another shape or kind.
    """
    wanted = module.state_dict()
    counters = {key: torch.tensor(0) for key in wanted if key.rpartition(".")[2] == "num_batches_tracked"}
    state = counters | dict(state)
    wrong = [
        *(f"{key} is missing" for key in wanted if key not in state),
        *(f"{_shown(key)} is unknown" for key in state if key not in wanted),
        *(
            f"{key} has shape {list(state[key].shape)}, not {list(wanted[key].shape)}"
            for key in wanted
            if key in state and state[key].shape != wanted[key].shape
        ),
        *(
            f"{key} is {state[key].dtype}, not {wanted[key].dtype}"
            for key in wanted
            if key in state and _kind(state[key]) != _kind(wanted[key])
        ),
    ]
    if wrong:
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise WeightsError(f"{path} does not fit {type(module).__name__}: {', '.join(wrong[:3])}{more}")
    own = {
        key: value.to(torch.float32, copy=True) if value.is_floating_point() else value for key, value in state.items()
    }
    module.load_state_dict(own, assign=True)


def _kind(tensor: Tensor) -> tuple[bool, bool]:
    return tensor.is_floating_point(), tensor.is_complex()


def state_dict_sha256(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of tensors, in order of name: an identity without a file."""
    total = hashlib.sha256()
    for key in sorted(state):
        tensor = state[key].detach().cpu().contiguous()
        total.update(f"{key} {tensor.dtype} {list(tensor.shape)}\n".encode())
        total.update(struct.pack("<q", tensor.numel()))
        # Bytes, whatever the type: numpy knows no bfloat16.
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
