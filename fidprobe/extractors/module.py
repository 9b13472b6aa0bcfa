"""A user's own ``torch.nn.Module`` as a feature network.

The contract is that of `fidprobe.extractors.torchscript`: ``forward(images)`` takes float32 [n, 3, h, w], RGB, in
0..255, and gives features [n, d] or ``(features, logits)``; ``input_size`` and ``activations`` are optional.

fidprobe works on a copy in evaluation mode: the module itself may be trained on, and the space does not change with it.
The space is called ``module:`` with the class's name and the first digits of the SHA-256 of the module's structure and
weights, so that features of two states of one network are never taken for features of one space. What `forward` does
beyond them is not part of that.
"""

import copy
import hashlib

import torch
from torch import Tensor, nn

from fidprobe.errors import InputError
from fidprobe.extractors.base import Embedding
from fidprobe.extractors.state_dicts import state_dict_sha256
from fidprobe.extractors.torchscript import TorchScript, wrapped
from fidprobe.runtime.messages import one_line

__all__ = ["ModuleExtractor", "load_module"]

_DIGITS = 6


class ModuleExtractor(TorchScript):
    """A module behind the contract above."""

    in_threads = False  # it may keep what it likes

    def embed(self, prepared: Tensor) -> Embedding:
        """Features, and logits if the module gives a pair.

        Raises:
            InputError: the module's own code fails.
        """
        try:
            return super().embed(prepared)
        except Exception as error:  # the code is the user's
            if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or "DefaultCPUAllocator" in str(error):
                raise
            raise InputError(
                f"{self.provenance.name} does not take float32 images of shape {list(prepared.shape)} "
                f"({one_line(error, with_class=True)}); it must map [n, 3, h, w] in 0..255 to features [n, d] or "
                "(features, logits), or declare the side of its square pictures as `input_size`"
            ) from error


def load_module(module: nn.Module) -> ModuleExtractor:
    """Copy a module and call it once, on black pictures, to learn its dimensions; it stays on its device.

    Raises:
        InputError: the module cannot be copied, or breaks the contract; says how.
    """
    name = f"module:{getattr(module, 'original_name', type(module).__name__)}"
    try:
        own = copy.deepcopy(module)
        weights = hashlib.sha256(f"{module!r} {state_dict_sha256(own.state_dict())}".encode()).hexdigest()
        device = next((tensor.device for tensor in own.state_dict().values()), torch.device("cpu"))
        extractor = wrapped(ModuleExtractor, own, name=f"{name}:{weights[:_DIGITS]}", weights=weights, resize="native")
    except InputError:
        raise
    except Exception as error:  # copies run the user's code
        raise InputError(
            f"{name} cannot be copied ({one_line(error, with_class=True)}); give a module whose weights are initialised"
        ) from error
    extractor.to(device)
    return extractor
