"""`fidprobe weights`: list, fetch and verify network weights."""

from dataclasses import asdict
from typing import Annotated

from cyclopts import App, Parameter

from fidprobe.cli.bars import Bars
from fidprobe.cli.options import flag
from fidprobe.cli.output import Quiet, print_lines, result_json

__all__ = ["weights"]

weights = App(name="weights", help="Network weights: list, fetch, verify.")

Name = Annotated[str, Parameter(help="A name out of `fidprobe weights list`.")]


@weights.default
def _list() -> None:
    list_weights()


@weights.command(name="list")
def list_weights(*, as_json: Annotated[bool, flag("Print the result as JSON.", name="--json")] = False) -> None:
    """List the networks with published weights, and what of them is on this machine."""
    from fidprobe.extractors.weights import WEIGHTS, status

    states = [status(name) for name in WEIGHTS]
    if as_json:
        print_lines(result_json([{**asdict(state), "path": str(state.path)} for state in states]))
        return
    width = max(map(len, WEIGHTS)) + 2
    for state in states:
        bytes_ = state.size or state.entry.size
        size = f"{bytes_ / 1e6:.0f} MB" if bytes_ else ""
        print_lines(
            f"{state.entry.name:<{width}}{state.state:<9}{size:>8}  {state.entry.purpose}", f"{'':<{width}}{state.path}"
        )


@weights.command
def fetch(name: Name, /, *, quiet: Quiet = False) -> None:
    """Download weights from their official address, going on where a broken download stopped."""
    from fidprobe.extractors.weights import fetch as run

    with Bars(quiet=quiet, interrupted="; the same command goes on with the download") as progress:
        state = run(name, progress=progress)
    recorded = "" if state.verified else ", not published: recorded"
    print_lines(f"{name}: {state.path} (sha256 {state.sha256}{recorded})")


@weights.command
def verify(name: Name, /) -> None:
    """Check the hash of weights on this machine."""
    from fidprobe.extractors.weights import verify as run

    state = run(name)
    how = "is the published one" if state.verified else "is as first recorded; its publisher gives none"
    print_lines(f"{name}: {state.path}: sha256 {state.sha256} {how}")
