"""Options that several commands share, each described once."""

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fidprobe.analysis.scores.metric_choices import METRIC_NAMES

if TYPE_CHECKING:
    from fidprobe.analysis.sets.networks import NetworkSpec
    from fidprobe.features.extraction import ReadOptions

__all__ = [
    "RESUMED",
    "BatchSize",
    "Device",
    "ExtractorName",
    "Generated",
    "Json",
    "Limit",
    "Metrics",
    "NoCache",
    "Quiet",
    "Reference",
    "Resize",
    "SecondFeatures",
    "SecondOpinion",
    "SecondOpinions",
    "SecondWeights",
    "Seed",
    "SimilaritySide",
    "SkipBad",
    "Source",
    "Unverified",
    "WeightsFile",
    "choice",
    "choices",
    "command_line",
    "read_options",
]

_READING, _NETWORKS = "Reading images", "Networks"


_SOURCE = "folder, zip, tar, npz, npy, features file, generator.safetensors, cifar10:train, module:function ..."
Reference = Annotated[str, typer.Argument(metavar="REFERENCE", help=f"Real images: {_SOURCE}", show_default=False)]
Generated = Annotated[str, typer.Argument(metavar="GENERATED", help="Generated images, likewise.", show_default=False)]
Source = Annotated[str, typer.Argument(metavar="SOURCE", help=_SOURCE, show_default=False)]
SecondFeatures = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="This set's features in the second space, where the set itself is a features file.",
        rich_help_panel=_NETWORKS,
    ),
]


class ResizeRule(StrEnum):
    """Resize rules by name."""

    TF1 = "tf1"
    CLEAN = "clean"
    TORCH = "torch"
    TORCH_ANTIALIAS = "torch-antialias"
    NATIVE = "native"


Metrics = Annotated[
    str,
    typer.Option(
        "--metrics", "-m", metavar="LIST", help=f"What to measure, comma-separated: {', '.join(METRIC_NAMES)}."
    ),
]
SimilaritySide = Annotated[
    int | None,
    typer.Option(
        "--ms-ssim-side", min=176, metavar="N", help="Resize pictures to N x N for ms-ssim, where their sizes differ."
    ),
]
ExtractorName = Annotated[
    str, typer.Option("--extractor", "-e", metavar="NAME", help="Main feature space.", rich_help_panel=_NETWORKS)
]
SecondOpinion = Annotated[
    str,
    typer.Option(
        "--second-opinion", "-s", metavar="NAME", help="Space that has to confirm.", rich_help_panel=_NETWORKS
    ),
]
SecondOpinions = Annotated[
    list[str] | None,
    typer.Option(
        "--second-opinion",
        "-s",
        metavar="NAME",
        help="Space that has to confirm, clip by default; give it again for further ones, which need images.",
        rich_help_panel=_NETWORKS,
    ),
]
Resize = Annotated[
    ResizeRule | None,
    typer.Option(help="Resize rule of the main space (the network's own by default).", rich_help_panel=_NETWORKS),
]
WeightsFile = Annotated[
    Path | None,
    typer.Option("--weights", metavar="FILE", help="Local weights of the main network.", rich_help_panel=_NETWORKS),
]
SecondWeights = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Local weights of the (first) second opinion.", rich_help_panel=_NETWORKS),
]
Unverified = Annotated[
    bool,
    typer.Option(
        "--unverified-weights",
        help="Accept local weights that are not the published ones; recorded in the result.",
        rich_help_panel=_NETWORKS,
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE", help="cpu, cuda, cuda:1, mps (a GPU by default, if any).", rich_help_panel=_NETWORKS
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        min=2,
        metavar="N",
        help="Use a random subset of N images of each set, the first N of a generator; statistics stay whole.",
        rich_help_panel=_READING,
    ),
]
Seed = Annotated[int, typer.Option(min=0, metavar="S", help="Draws the subset.", rich_help_panel=_READING)]
SkipBad = Annotated[
    bool,
    typer.Option("--skip-bad", help="Leave out unreadable images and list them.", rich_help_panel=_READING),
]
BatchSize = Annotated[
    int,
    typer.Option(min=1, metavar="N", help="Images a step; does not change results.", rich_help_panel=_READING),
]
NoCache = Annotated[
    bool,
    typer.Option("--no-cache", help="Neither reuse nor keep extracted features.", rich_help_panel=_READING),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]


RESUMED = (
    "; features kept so far (all but the last thousand images or so, none with --no-cache) are used when the same "
    "command runs again"
)
"""What is told when an extraction is interrupted."""


def read_options(limit: int | None, seed: int, skip_bad: bool, batch_size: int, no_cache: bool) -> "ReadOptions":
    """The library's form of the reading options."""
    from fidprobe.cli.processes import ranks
    from fidprobe.features.extraction import ReadOptions

    kept = ReadOptions if no_cache else ReadOptions.with_cache
    return kept(limit=limit, seed=seed, skip_bad=skip_bad, batch_size=batch_size, ranks=ranks())


def choice(
    name: str,
    device: str | None,
    resize: ResizeRule | None = None,
    weights: Path | None = None,
    unverified: bool = False,
) -> "NetworkSpec":
    """The library's form of the network options.

    Raises:
        InputError: a device that is not there.
    """
    import torch

    from fidprobe.analysis.sets.networks import NetworkSpec
    from fidprobe.errors import InputError
    from fidprobe.runtime.files import expanded

    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {device!r} cannot be used ({str(error).splitlines()[0]}); try cpu") from error
    weights = expanded(weights) if weights else None
    return NetworkSpec(name, resize.value if resize else None, weights, unverified, device)


def choices(names: list[str] | None, device: str | None, weights: Path | None, unverified: bool) -> list["NetworkSpec"]:
    """The library's form of several second opinions; `weights` are the first one's.

    Raises:
        InputError: one that is named twice, or a device that is not there.
    """
    from fidprobe.errors import InputError

    names = names or ["clip"]
    if twice := [name for i, name in enumerate(names) if name in names[:i]]:
        raise InputError(f"--second-opinion {twice[0]} was given twice; one opinion counts once")
    return [choice(name, device, None, None if i else weights, unverified) for i, name in enumerate(names)]


def command_line() -> str:
    """The command line as one could type it again."""
    return shlex.join(["fidprobe", *sys.argv[1:]])
