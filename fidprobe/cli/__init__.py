"""The command line: parse, call the library, print."""

import errno
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fidprobe.errors import FidprobeError

__all__ = ["main"]


def main() -> None:
    """Run `fidprobe`; a user's mistake ends in one line on stderr and exit code 2, never in a traceback."""
    try:
        _run()
    except KeyboardInterrupt:  # the commands have said what was kept
        sys.exit(130)


def _run() -> None:
    # Local imports keep `import fidprobe.cli` free of everything for tools that only look up the entry point.
    from cyclopts import CycloptsError

    from fidprobe.cli.app import app, run
    from fidprobe.cli.output import printed_warnings
    from fidprobe.errors import AbsentWeightsError, FidprobeError, InputError, PackageError
    from fidprobe.runtime.memory import is_out_of_memory
    from fidprobe.runtime.messages import escape_controls, one_line
    from fidprobe.runtime.processes import standard_error

    try:
        with printed_warnings():
            run(sys.argv[1:])
    except CycloptsError as error:
        from fidprobe.cli.mistakes import mistake_text

        _fail(InputError(escape_controls(mistake_text(error, app))))
    except AbsentWeightsError as error:
        from fidprobe.cli.mistakes import command_without_downloads

        _fail(error, command_without_downloads(sys.argv[1:], app))
    except FidprobeError as error:
        _fail(error)
    except OSError as error:
        if error.errno == errno.EPIPE:  # whoever read the output has ended, as in `fidprobe ... | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        _fail(InputError(str(error)))
    except ImportError as error:
        from fidprobe.runtime.packages import import_problem

        if (problem := import_problem(error)) is None:
            raise
        _fail(PackageError(problem))
    except Exception as error:
        if not is_out_of_memory(error):
            sys.stderr = standard_error()  # a defect of fidprobe's, of any process
            raise
        _fail(
            InputError(
                f"not enough memory ({one_line(error)}); take fewer images (--limit), a smaller --batch-size, or "
                "features of fewer dimensions: covariances need their square"
            )
        )


def _fail(error: "FidprobeError", instead: str | None = None) -> None:
    """Print an error on one line, from one process, and end the program with exit code 2.

    Args:
        error: What the user can mend.
        instead: A command that works where this one does not.
    """
    from fidprobe.cli.flags import arguments_as_flags
    from fidprobe.errors import AbsentWeightsError
    from fidprobe.runtime.messages import escape_controls
    from fidprobe.runtime.processes import should_print, standard_error

    if should_print(error):
        for part in error.args if isinstance(error, AbsentWeightsError) else [str(error)]:
            text = arguments_as_flags(" ".join(part.split()))
            print(f"fidprobe: error: {escape_controls(text)}", file=standard_error())
        if instead:
            print(f"without downloads: {escape_controls(instead)}", file=standard_error())
    sys.exit(2)
