"""The command line: parse, call the library, print."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run `fidprobe`; a user's mistake ends in one line on stderr and exit code 2, never in a traceback."""
    try:
        _run()
    except KeyboardInterrupt:  # while modules are loaded; later the commands say what was kept
        sys.exit(130)


def _run() -> None:
    # Local imports keep `import fidprobe.cli` free of everything for tools that only look up the entry point.
    import typer

    from fidprobe.cli.app import app
    from fidprobe.cli.flags import arguments_as_flags
    from fidprobe.cli.processes import standard_error, tells
    from fidprobe.errors import FidprobeError, InputError
    from fidprobe.runtime.messages import escape_controls, one_line

    try:
        app()
    except (FidprobeError, OSError) as error:
        told = error if isinstance(error, FidprobeError) else InputError(str(error))
        if tells(told):
            text = arguments_as_flags(" ".join(str(told).split()))
            typer.echo(f"fidprobe: error: {escape_controls(text)}", file=standard_error())
        sys.exit(2)
    except Exception as error:
        if not _is_out_of_memory(error):
            sys.stderr = standard_error()  # a defect of fidprobe's, of any process
            raise
        told = InputError(
            f"not enough memory ({one_line(error)}); take fewer images (--limit), a smaller --batch-size, or features "
            "of fewer dimensions: covariances need their square"
        )
        if tells(told):
            typer.echo(f"fidprobe: error: {told}", file=standard_error())
        sys.exit(2)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether Python, numpy or torch, on a CPU or a GPU, found no memory."""
    # Torch, which need not have been loaded, has a class for this on a GPU only.
    of_torch = type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error)
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and of_torch)
