"""Mistakes on a command line, each in one line."""

import re
import shlex
from typing import TYPE_CHECKING, Literal, get_args, get_origin

from cyclopts import (
    App,
    Argument,
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
    ValidationError,
)

from fidprobe.runtime.files import is_file
from fidprobe.runtime.messages import escape_controls, unknown_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["command_without_downloads", "mistake_text"]

_EMBEDDED = {"--extractor": "efficientnet-lite0", "--second-opinion": "cifar10-encoder"}
_OF_NETWORKS = (*_EMBEDDED, "-e", "-s", "--weights", "--second-weights", "--resize")
_KINDS = {int: "a whole number", float: "a number", bool: "no value"}


def mistake_text(error: CycloptsError, app: App) -> str:
    """What the user got wrong, and the remedy.

    Args:
        error: As the command line's library raised it.
        app: All commands.
    """
    chain = error.command_chain or ()
    page = f"`{' '.join(['fidprobe', *chain, '--help'])}`"
    match error:
        case UnknownOptionError():
            given = (error.token.keyword or error.token.value).partition("=")[0]
            names = (name for one in error.argument_collection for name in one.names if name.startswith("-"))
            return f"unknown option {given}; {_nearest(given, names)}{page} lists all"
        case UnknownCommandError() | UnusedCliTokensError():
            given = (error.unused_tokens or [""])[0]
            for name in chain:
                app = app[name]
            if given.startswith("-"):
                return f"unknown option {given}; {page} lists all"
            if commands := [name for name in app if not name.startswith("-")]:
                return unknown_name("command", given, commands)
            several = ""
            if is_file(given):  # the shell has taken a pattern for itself
                pattern = re.sub(r"[0-9]+", "*", escape_controls(given))
                several = f"several files are one set by a pattern between quotes, such as '{pattern}'; "
            return f"unexpected argument {given!r}; {several}see {page}"
        case MissingArgumentError(argument=Argument() as argument):
            if error.keyword:
                return f"{error.keyword} takes a value; see {page}"
            return f"{_name(argument)} is missing; see {page}"
        case ValidationError():
            return error.exception_message
        case CoercionError(argument=Argument() as argument):
            return _unfit(error, argument)
    return " ".join(str(error).split())


def command_without_downloads(arguments: "Sequence[str]", app: App) -> str | None:
    """The same command with networks that come with fidprobe; None where that changes nothing.

    Args:
        arguments: As typed, without the program's name.
        app: All commands.
    """
    flags = {flag for one in app[arguments[0]].assemble_argument_collection() for flag in one.names}
    chosen = [part for flag, name in _EMBEDDED.items() if flag in flags for part in (flag, name)]
    kept, left = [], iter(arguments)
    for token in left:
        flag, given, _ = token.partition("=")
        if flag not in _OF_NETWORKS:
            kept.append(token)
        elif not given:
            next(left, None)
    changed = [*kept, *chosen]
    return shlex.join(["fidprobe", *changed]) if chosen and sorted(changed) != sorted(arguments) else None


def _unfit(error: CoercionError, argument: Argument) -> str:
    """A value that its option does not take."""
    name = (error.token.keyword if error.token else None) or _name(argument)
    if error.msg is not None:
        return f"{name} {error.msg}"
    value = error.token.value if error.token else ""
    if get_origin(error.target_type) is Literal:
        return f"{name}: {unknown_name('value', value, get_args(error.target_type))}"
    return f"{name} takes {_KINDS.get(error.target_type or str, 'another kind of value')}, not {value!r}"


def _name(argument: Argument) -> str:
    """`REFERENCE`, `--out`."""
    return (
        argument.name
        if argument.name.startswith("--") and argument.index is None
        else argument.name.lstrip("-").upper()
    )


def _nearest(given: str, names: "Iterable[str]") -> str:
    from difflib import get_close_matches

    near = get_close_matches(given, list(names), n=1)
    return f"did you mean {near[0]}? " if near else ""
