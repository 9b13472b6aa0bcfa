"""How callers name a network, and how it is loaded once it is known to be needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from fidprobe.arguments import checked
from fidprobe.errors import AbsentWeightsError, WeightsError
from fidprobe.extractors import load_extractor
from fidprobe.extractors.base import Extractor
from fidprobe.runtime.progress import Progress, silent

__all__ = ["Network", "NetworkSpec", "load_network", "load_networks"]


@checked
@dataclass(frozen=True)
class NetworkSpec:
    """A network to load once it is known to be needed.

    Attributes:
        name: A registry name.
        resize: A resize rule; None for the network's own.
        weights: A local weights file.
        unverified_weights: Accept a local file that is not the published one.
        device: Where to compute.
        weights_argument: The caller's argument that names `weights`, for messages; None if there is no such argument.
    """

    name: str
    resize: str | None = None
    weights: Path | None = None
    unverified_weights: bool = False
    device: str = "cpu"
    weights_argument: str | None = "weights"

    def load(self, progress: Progress = silent) -> Extractor:
        """Load the network; see `fidprobe.extractors.load_extractor` for errors."""
        try:
            return load_extractor(
                self.name,
                resize=self.resize,
                weights=self.weights,
                unverified_weights=self.unverified_weights,
                device=self.device,
                progress=progress,
            )
        except WeightsError as error:
            if self.weights_argument is None:
                raise type(error)(str(error).replace(", or name a local copy with `weights`", "")) from error
            raise type(error)(str(error).replace("`weights`", f"`{self.weights_argument}`")) from error


Network = str | Extractor | NetworkSpec | nn.Module
"""How a caller names a network; of a module, `fidprobe.extractors.module` says what it must do."""


@checked
def load_network(chosen: Network, progress: Progress = silent) -> Extractor:
    """Load the network that a caller named; on a GPU where there is one and no device was chosen.

    Args:
        chosen: A registry name, a loaded network, what to load, or a module of one's own, which stays on its device.
        progress: Called during downloads.

    Raises:
        InputError: an unknown name, or a module that breaks the contract.
        WeightsError: weights missing, damaged, or not the official ones.
    """
    if isinstance(chosen, Extractor):
        return chosen
    if isinstance(chosen, nn.Module):
        from fidprobe.extractors.module import load_module

        return load_module(chosen)
    if isinstance(chosen, str):
        chosen = NetworkSpec(chosen, device="cuda" if torch.cuda.is_available() else "cpu")
    return chosen.load(progress)


def load_networks(chosen: Sequence[Network | None], progress: Progress = silent) -> list[Extractor | None]:
    """Load several networks before any work; where weights are absent, one error names all that are.

    Args:
        chosen: The networks; None for one that is not needed, which stays None.
        progress: Called during downloads.

    Raises:
        AbsentWeightsError: the weights of one network or more are not here and cannot be downloaded.
        InputError, WeightsError: as `load_network`.
    """
    networks: list[Extractor | None] = []
    absent: list[str] = []
    for network in chosen:
        try:
            networks.append(None if network is None else load_network(network, progress))
        except AbsentWeightsError as error:
            absent += error.args
    if absent:
        raise AbsentWeightsError(*dict.fromkeys(absent))
    return networks
