"""Whether an error means that there was no memory."""

__all__ = ["is_out_of_memory"]


def is_out_of_memory(error: Exception) -> bool:
    """Whether Python, numpy or torch, on a CPU or a GPU, found no memory."""
    # Torch, which need not have been loaded, has a class for this on a GPU only.
    of_torch = type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error)
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and of_torch)
