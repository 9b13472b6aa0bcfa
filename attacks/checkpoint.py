"""A solver's state on disk. A run that was killed goes on from it to the same result."""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor

from fidprobe.errors import InputError
from fidprobe.extractors.state_dicts import state_dict_sha256
from fidprobe.runtime.files import atomic_path, is_file
from fidprobe.runtime.messages import one_line
from fidprobe.statistics import GaussianStatistics

__all__ = ["Checkpoint", "fingerprint"]

_INTERVAL = 30.0  # seconds between two saves


class Checkpoint:
    """One file that holds the latest state of one problem.

    Args:
        path: The file; its folder is made.
        problem: The `fingerprint` of the problem; a file of another problem is not used.
        interval: Seconds between two saves.
    """

    def __init__(self, path: Path, problem: str, *, interval: float = _INTERVAL) -> None:
        self.path = path
        self._problem = problem
        self._interval = interval
        self._saved = time.monotonic()

    def load(self, settings: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors and scalars of a run of this problem with these settings; None if none is stored.

        Raises:
            InputError: the file is damaged.
        """
        if not is_file(self.path):
            return None
        try:
            with safetensors.safe_open(self.path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("problem") != self._problem or metadata.get("settings") != _text(settings):
                    return None
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - no mapping
            if metadata["sha256"] != _digest(metadata["scalars"], tensors):
                raise ValueError("its content is not what was saved")
            return tensors, dict(json.loads(metadata["scalars"]))
        except (safetensors.SafetensorError, OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise InputError(f"{self.path}: damaged ({one_line(error)}); delete it to start anew") from error

    def due(self) -> bool:
        """Whether it is time to save again."""
        return time.monotonic() - self._saved >= self._interval

    def save(self, settings: Mapping[str, Any], tensors: Mapping[str, Tensor], scalars: Mapping[str, Any]) -> None:
        """Replace the file. The old one stays until the new one is complete.

        Raises:
            InputError: it cannot be written.
        """
        metadata = {"problem": self._problem, "settings": _text(settings), "scalars": json.dumps(scalars)}
        metadata["sha256"] = _digest(metadata["scalars"], tensors)
        with atomic_path(self.path) as temporary:
            try:
                save_file({name: t.contiguous().cpu() for name, t in tensors.items()}, temporary, metadata)
            except safetensors.SafetensorError as error:  # this is how a full disk shows
                raise OSError(str(error)) from error
        self._saved = time.monotonic()


def fingerprint(reference: GaussianStatistics, candidates: Tensor, device: torch.device | str) -> str:
    """SHA-256 of a problem: the reference's moments and count, the candidates, and the kind of device."""
    shape = f"{candidates.dtype} {list(candidates.shape)} {reference.count}"
    total = hashlib.sha256(f"{torch.device(device).type} {shape}".encode())
    for tensor in (reference.mean, reference.cov):
        total.update(np.ascontiguousarray(tensor.cpu().numpy()).data)
    for start in range(0, len(candidates), 8192):
        total.update(np.ascontiguousarray(candidates[start : start + 8192].cpu().numpy()).data)
    return total.hexdigest()


def _digest(scalars: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the state: the file format itself does not notice a bit that changed on the disk."""
    return hashlib.sha256(f"{scalars} {state_dict_sha256(tensors)}".encode()).hexdigest()


def _text(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True)
