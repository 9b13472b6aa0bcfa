"""The commands. Heavy imports happen inside them, so that `fidprobe --help` is quick."""

import inspect
import re
import sys
from collections.abc import Callable, Sequence

from cyclopts import App, Group, Parameter

from fidprobe.cli.attack import attack
from fidprobe.cli.audit import audit
from fidprobe.cli.classes import classes
from fidprobe.cli.compare import compare
from fidprobe.cli.conventions import conventions
from fidprobe.cli.correlate import correlate
from fidprobe.cli.demo import demo
from fidprobe.cli.features import features, stats
from fidprobe.cli.generate import generate
from fidprobe.cli.grids import grids
from fidprobe.cli.heatmap import heatmap
from fidprobe.cli.heatmap_check import heatmap_check
from fidprobe.cli.influence import influence
from fidprobe.cli.options import OPTIONS
from fidprobe.cli.output import print_lines
from fidprobe.cli.prd import prd
from fidprobe.cli.score import score
from fidprobe.cli.train import train
from fidprobe.cli.weights import weights
from fidprobe.runtime.processes import join

__all__ = ["app", "run"]


def _version() -> str:
    from importlib.metadata import version

    return f"fidprobe {version('fidprobe')}"


def _unwrapped(command: Callable[..., None]) -> str:
    """A command's docstring, each paragraph on one line: the terminal wraps it."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.getdoc(command) or "")


app = App(
    name="fidprobe",
    help="Is that FID gain real? FID with a second opinion, audits and reports.",
    version=_version,
    help_flags=("--help", "-h"),
    help_format="plaintext",
    default_parameter=Parameter(negative=(), allow_repeating=True),  # of an option given again, the last one counts
    group_arguments=Group("Arguments", sort_key=0),
    group_parameters=OPTIONS,
    group_commands=Group("Commands", sort_key=2),
    print_error=False,
    exit_on_error=False,
)
COMMANDS: tuple[Callable[..., None], ...] = (
    *(attack, audit, classes, compare, conventions, correlate, demo, features, generate, grids, heatmap),
    *(heatmap_check, influence, prd, score, stats, train),
)
DIVIDED = ("attack", "features", "score", "stats")  # what several processes share under torchrun
for command in COMMANDS:
    app.command(command, help=_unwrapped(command))
app.command(weights)


@app.command(name="--show-completion", group=OPTIONS)
def _show_completion() -> None:
    """Show completion for the current shell, to copy it or to change the installation."""
    from cyclopts.completion.detect import ShellDetectionError

    from fidprobe.errors import InputError

    try:
        print_lines(app.generate_completion())
    except ShellDetectionError as error:
        raise InputError("the shell is not known; set SHELL to bash, zsh, fish or powershell") from error


app.register_install_completion_command(group=OPTIONS, help="Install completion for the current shell.")
for name, text in (("--help", "Show this message and exit."), ("--version", "Show the version.")):
    app[name].group, app[name].help = OPTIONS, text


def run(arguments: Sequence[str]) -> None:
    """Run a command.

    Args:
        arguments: As typed, without the program's name; none prints the help page and ends with exit code 2.

    Raises:
        CycloptsError: a mistake on the command line.
        FidprobeError: a mistake that the library found.
    """
    command, bound, _ = app.parse_args(arguments)
    chain, *_ = app.parse_commands(arguments)
    if chain and not chain[0].startswith("-"):
        join(chain[0], DIVIDED)
    command(*bound.args, **bound.kwargs)
    if not arguments:
        sys.exit(2)
