"""`fidprobe weights`: list, fetch and verify network weights."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from fidprobe.cli.bars import Bars
from fidprobe.cli.options import Json, Quiet

__all__ = ["weights_app"]

weights_app = typer.Typer(help="Network weights: list, fetch, verify.", invoke_without_command=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name out of `fidprobe weights list`.")]


@weights_app.callback()
def _default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_weights(as_json=False)


@weights_app.command("list")
def list_weights(as_json: Json = False) -> None:
    """List the networks with published weights, and what of them is on this machine."""
    from fidprobe.extractors.weights import WEIGHTS, status

    found = [status(name) for name in WEIGHTS]
    if as_json:
        rows = [{**asdict(one), "path": str(one.path)} for one in found]
        typer.echo(json.dumps(rows, indent=2))
        return
    width = max(map(len, WEIGHTS)) + 2
    for one in found:
        size = f"{(one.size or one.entry.size or 0) / 1e6:.0f} MB" if one.size or one.entry.size else ""
        typer.echo(f"{one.entry.name:<{width}}{one.state:<9}{size:>8}  {one.entry.purpose}")
        typer.echo(f"{'':<{width}}{one.path}")


@weights_app.command()
def fetch(name: Name, quiet: Quiet = False) -> None:
    """Download weights from their official address, going on where a broken download stopped."""
    from fidprobe.extractors.weights import fetch as run

    with Bars(quiet=quiet, interrupted="; the same command goes on with the download") as progress:
        found = run(name, progress=progress)
    typer.echo(f"{name}: {found.path} (sha256 {found.sha256}{'' if found.verified else ', not published: recorded'})")


@weights_app.command()
def verify(name: Name) -> None:
    """Check the hash of weights on this machine."""
    from fidprobe.extractors.weights import verify as run

    found = run(name)
    how = "is the published one" if found.verified else "is as first recorded; its publisher gives none"
    typer.echo(f"{name}: {found.path}: sha256 {found.sha256} {how}")
