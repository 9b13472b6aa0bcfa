"""Files that commands write: found out before the work, told after it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from fidprobe.runtime.messages import escape_controls

if TYPE_CHECKING:
    from fidprobe.features.value import Features
    from fidprobe.statistics import GaussianStatistics

__all__ = ["checked_output", "print_written"]


def checked_output(out: Path, suffix: str, what: str) -> Path:
    """Find out before the work whether its result can be written; `~` is the home folder.

    Args:
        out: As the user gave it.
        suffix: What its name must end in.
        what: `features`, for the message.

    Raises:
        InputError: another ending, a folder by that name, or a place that cannot be written.
    """
    from fidprobe.errors import InputError
    from fidprobe.runtime.files import check_writable, expanded

    out = expanded(out)
    if out.suffix.lower() != suffix:
        raise InputError(f"{out}: {what} are saved as {suffix}; choose a name that ends so")
    if out.is_dir():
        raise InputError(f"cannot write {out}: it is a folder; choose another name")
    try:
        check_writable(out.parent)
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror or error}; choose another folder") from error
    return out


def print_written(found: "Features | GaussianStatistics", out: Path, as_json: bool) -> None:
    """Say what was written, and on stderr what was skipped."""
    from fidprobe.features.value import Features

    count = len(found) if isinstance(found, Features) else found.count
    if as_json:
        told = {"file": str(out), "count": count, "dimensions": found.dim, **found.provenance.to_json()}
        typer.echo(json.dumps(told, indent=2, allow_nan=False))
    else:
        many = "unknown number of" if count is None else f"{count:,}"
        typer.echo(
            f"{escape_controls(str(out))}: {many} images, {found.dim} dimensions [{escape_controls(found.space)}]"
        )
    source = found.provenance.source
    for name, reason in source.skipped if source else ():
        typer.echo(f"warning: skipped {escape_controls(name)}: {escape_controls(reason)}", err=True)
