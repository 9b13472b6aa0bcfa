"""fidprobe's own settings of torch, in place of the caller's, which stay as they were."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

__all__ = ["own_settings"]


@contextmanager
def own_settings() -> Iterator[None]:
    """Compute in the precision that the code names, whatever the caller has set for the process or the thread.

    TF32 (in convolutions by default, in products after `torch.set_float32_matmul_precision`) and autocast keep 8 or 10
    bits of mantissa: features, and with them FID, would differ between machines in the third digit. Another default
    type or device would reach tensors that networks and functions make on their way.
    """
    with ExitStack() as stack:
        if torch.empty(0).device.type != "cpu":
            stack.enter_context(torch.device("cpu"))  # where no device is named; it costs time at every operation
        for kind in ("cpu", "cuda", "mps"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        # The following belong to the process, not to a thread, and are touched only where they differ.
        stack.enter_context(_full_precision())
        if (dtype := torch.get_default_dtype()) != torch.float32:
            stack.callback(torch.set_default_dtype, dtype)
            torch.set_default_dtype(torch.float32)
        yield


@contextmanager
def _full_precision() -> Iterator[None]:
    backends: Any = torch.backends
    with ExitStack() as stack:
        # torch's older settings can be neither read nor written once a caller has set one of these.
        for operation in (backends.cudnn.conv, backends.cuda.matmul, backends.mkldnn.conv, backends.mkldnn.matmul):
            if (precision := operation.fp32_precision) not in ("ieee", "none"):
                stack.callback(setattr, operation, "fp32_precision", precision)
                operation.fp32_precision = "ieee"
        yield
