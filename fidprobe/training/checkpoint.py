"""The state of a training run in one safetensors file, from which the run goes on as if it had never stopped."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.optim import Optimizer

from fidprobe.errors import InputError, SourceError
from fidprobe.extractors.state_dicts import state_dict_sha256
from fidprobe.runtime.messages import one_line
from fidprobe.runtime.tensor_files import write_tensors

__all__ = ["load_checkpoint", "save_checkpoint"]

_KIND = "fidprobe training checkpoint 1"


def save_checkpoint(
    path: Path,
    *,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, Optimizer],
    further: Mapping[str, Tensor],
    settings: Mapping[str, Any],
    step: int,
) -> None:
    """Write weights, buffers and the optimizers' states; the file is whole or stays what it was.

    Args:
        path: Where to.
        modules: By name.
        optimizers: By name; only their states are kept, since the run sets their settings.
        further: Other tensors, by name.
        settings: The run's settings; plain JSON.
        step: Steps done.

    Raises:
        InputError: the file cannot be written.
    """
    tensors = {f"further/{name}": tensor for name, tensor in further.items()}
    for name, module in modules.items():
        tensors |= {f"module/{name}/{key}": tensor for key, tensor in module.state_dict().items()}
    for name, optimizer in optimizers.items():
        # A loaded state is in another order; sorted, the same run gives the same file.
        for place, state in sorted(optimizer.state_dict()["state"].items()):
            tensors |= {f"optimizer/{name}/{place}/{key}": tensor for key, tensor in sorted(state.items())}
    # Memory layouts (channels last) are not kept: copying tensors into the modules restores them.
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
    metadata = {"kind": _KIND, "step": str(step), "settings": json.dumps(settings), "sha256": _digest(step, tensors)}
    write_tensors(path, arrays, metadata)


def load_checkpoint(
    path: Path,
    *,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, Optimizer],
    settings: Mapping[str, Any],
) -> tuple[int, dict[str, Tensor]]:
    """Load a checkpoint's tensors into modules and optimizers.

    Returns:
        The steps done and the further tensors.

    Raises:
        SourceError: the file is no such checkpoint, or damaged.
        InputError: it belongs to a run with other settings; names the first that differs.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        if metadata.get("kind") != _KIND:
            raise SourceError(f"{path}: no checkpoint of a training run; give the folder of one")
        before, step = json.loads(metadata["settings"]), int(metadata["step"])
        if not isinstance(before, dict) or step < 1:
            raise ValueError(f"step {step}, settings {metadata['settings'][:60]}")
        if metadata.get("sha256", digest := _digest(step, tensors)) != digest:  # older files have none
            raise ValueError("its content is not what was saved")
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise SourceError(f"{path}: a damaged checkpoint ({one_line(error)}); remove it to begin again") from error
    for key in ("task", *settings, *before):  # the task is compared first
        if before.get(key) != settings.get(key):
            if key == "data":
                raise InputError(f"{path} belongs to a run on other pictures; give the same ones, or another folder")
            raise InputError(
                f"{path} belongs to a run with {key} {before.get(key)!r:.200}, and {settings.get(key)!r} was asked "
                "for; give the same settings to go on, or another folder"
            )
    try:
        for name, module in modules.items():
            module.load_state_dict(_below(tensors, f"module/{name}/"))
        for name, optimizer in optimizers.items():
            _restore(optimizer, _below(tensors, f"optimizer/{name}/"))
    except (RuntimeError, KeyError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())  # torch reports each weight on its own line
        raise SourceError(
            f"{path}: not the networks of this run ({one_line(ValueError(reason))}); remove it to begin again"
        ) from error
    return step, _below(tensors, "further/")


def _digest(step: int, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the state: the file format itself does not notice a bit that changed on the disk."""
    return hashlib.sha256(f"{step} {state_dict_sha256(tensors)}".encode()).hexdigest()


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _restore(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        place, _, key = name.partition("/")
        state.setdefault(int(place), {})[key] = tensor
    groups = optimizer.state_dict()["param_groups"]
    places = {place for group in groups for place in group["params"]}
    if state and state.keys() != places:  # an optimizer without any has not learnt yet
        raise ValueError(f"the optimizer's state is of {len(state)} weights, and there are {len(places)}")
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    # Moments get their weights' memory order, since sums in another order would differ in rounding.
    for parameter, held in optimizer.state.items():
        for key, tensor in held.items():
            if key != "step" and tensor.shape == parameter.shape:
                held[key] = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
