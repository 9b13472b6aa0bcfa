"""What every command prints: the result or its JSON, where its files are, warnings; and checks before the work."""

import json
import shlex
import shutil
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

from cyclopts import Parameter

from fidprobe.cli.bars import Bars
from fidprobe.cli.flags import arguments_as_flags
from fidprobe.cli.options import flag
from fidprobe.errors import SourceWarning
from fidprobe.runtime.messages import escape_controls

if TYPE_CHECKING:
    from fidprobe.analysis.output.result import Document
    from fidprobe.analysis.sets.advice import Advice
    from fidprobe.features.value import Features
    from fidprobe.statistics import GaussianStatistics

__all__ = [
    "INTERRUPTED",
    "RESUMED",
    "Output",
    "Quiet",
    "checked_folder",
    "command_line",
    "print_advice",
    "print_lines",
    "print_skipped",
    "print_warning",
    "print_written",
    "printed_warnings",
    "result_json",
]

_MOST_PATHS = 8  # of models on the terminal
INTERRUPTED = 130
"""The exit code of a command that Ctrl-C has ended."""
RESUMED = (
    "; features kept so far (all but the last thousand images or so, none with --no-cache) are used when the same "
    "command runs again"
)
"""What to say when an extraction is interrupted."""

Quiet = Annotated[bool, flag("No progress bars.", alias="-q")]


@Parameter(name="*")
@dataclass(frozen=True)
class Output:
    """How a command prints."""

    as_json: Annotated[bool, flag("Print the result as JSON.", name="--json")] = False
    quiet: Quiet = False

    def bars(self, interrupted: str = RESUMED) -> Bars:
        """Progress bars, unless they are not wanted.

        Args:
            interrupted: What to say when Ctrl-C ends the work.
        """
        return Bars(quiet=self.quiet, interrupted=interrupted)

    def show(
        self,
        result: "Document | Mapping[str, Any]",
        lines: Callable[[], Iterable[str]],
        advice: "Iterable[Advice] | None" = None,
        sets: Mapping[str, str | Sequence[str] | None] | None = None,
        **places: Path,
    ) -> None:
        """Print the result as JSON or as lines, which sets it is of and where its files are, and warnings on stderr.

        Args:
            result: What the JSON holds; a document's also states the command line.
            lines: Returns the lines.
            advice: What to warn of; the result's own by default, if it has any.
            sets: What was measured, as the user gave it; printed above the lines. None for a set that was not given.
            **places: What the files are, with `_` for a space, and where; printed below the lines.
        """
        if self.as_json:
            text = result_json(result) if isinstance(result, Mapping) else result.json_text(command_line())
            print(text.removesuffix("\n"), flush=True)  # noqa: T201
        else:
            where = [f"{name.replace('_', ' ')}: {escape_controls(str(path))}" for name, path in places.items()]
            print_lines(*_set_lines(sets or {}), *lines(), *where)
        print_advice(getattr(result, "advice", ()) if advice is None else advice)


def _set_lines(sets: Mapping[str, str | Sequence[str] | None]) -> list[str]:
    """`reference: real/`, a line each, then an empty one."""
    lines = []
    for name, given in sets.items():
        paths = [given] if isinstance(given, str) else list(given or ())
        if len(paths) > _MOST_PATHS:
            paths[_MOST_PATHS - 1 :] = [f"{len(paths) - _MOST_PATHS + 1:,} more"]
        if paths:
            lines.append(f"{name}: {escape_controls(', '.join(paths))}")
    return [*lines, ""] if lines else []


def print_lines(*lines: str) -> None:
    """Print on stdout, at once, with flags in place of the Python arguments that a text names."""
    print(arguments_as_flags("\n".join(lines)), flush=True)  # noqa: T201


def print_warning(text: str) -> None:
    """Print a warning on stderr, where it cannot rewrite the terminal: wrapped there, on one line in a log file."""
    warning = f"warning: {escape_controls(arguments_as_flags(text))}"
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        warning = textwrap.fill(warning, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    print(warning, file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def printed_warnings() -> Iterator[None]:
    """Print fidprobe's own Python warnings as all other warnings; those of other libraries stay as they are."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, SourceWarning):
            print_warning(str(message))
        else:
            others(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        others = warnings.showwarning
        warnings.showwarning = show
        warnings.simplefilter("always", SourceWarning)
        yield


def print_advice(advice: "Iterable[Advice]") -> None:
    """Print what a reader must know before believing a result."""
    for one in advice:
        print_warning(one.text)


def print_skipped(skipped: Iterable[tuple[str, str]]) -> None:
    """Print which images were left out, and why."""
    for name, reason in skipped:
        print_warning(f"skipped {name}: {reason}")


def command_line() -> str:
    """The command line as one could type it again."""
    return shlex.join(["fidprobe", *sys.argv[1:]])


def result_json(data: Any) -> str:
    """Plain data as JSON text, which refuses numbers that are not finite."""
    return json.dumps(data, indent=2, allow_nan=False)


def checked_folder(out: Path, what: str, *, subfolders: Iterable[str] = ()) -> Path:
    """Check before the work that its results can be written into a folder; `~` is the home folder.

    Args:
        out: As the user gave it.
        what: `a report`, for the message.
        subfolders: Those that the result replaces as a whole.

    Raises:
        InputError: the folder cannot be made or written, or a subfolder was not made by fidprobe.
    """
    from fidprobe.analysis.output.folders import output_folder
    from fidprobe.runtime.files import expanded

    return output_folder(expanded(out), what, subfolders=subfolders)


def print_written(value: "Features | GaussianStatistics", out: Path, output: Output) -> None:
    """Print what was written to a file, and which images were skipped."""
    from fidprobe.statistics import count_of

    count = count_of(value)
    many = "unknown number of" if count is None else f"{count:,}"
    source = value.provenance.source
    output.show(
        {"file": str(out), "count": count, "dimensions": value.dim, **value.provenance.to_json()},
        lambda: [
            f"{escape_controls(str(out))}: {many} images, {value.dim} dimensions [{escape_controls(value.space)}]"
        ],
    )
    print_skipped(source.skipped if source else ())
