"""`fidprobe features` and `fidprobe stats`: what stands in for images, as files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from fidprobe.cli.options import SOURCES, MainNetwork, Reading, option
from fidprobe.cli.output import Output, print_warning, print_written
from fidprobe.runtime.processes import ranks

if TYPE_CHECKING:
    from fidprobe.inputs import Input

__all__ = ["features", "stats"]


def features(
    source: Annotated[str, Parameter(help=SOURCES)],
    /,
    *,
    out: Annotated[Path, option("FILE", "The .safetensors to write.", alias="-o")],
    network: MainNetwork = MainNetwork(),
    reading: Reading = Reading(),
    output: Output = Output(),
) -> None:
    """Extract the features of SOURCE to a file that every other command takes in its place.

    Example: fidprobe features real/ -o real.safetensors
    """
    from fidprobe.analysis.output.folders import output_file
    from fidprobe.errors import InputError
    from fidprobe.features.extraction import extract
    from fidprobe.features.value import Features
    from fidprobe.images import ImageSource

    out = output_file(out, ".safetensors", "features")
    opened = _open(source, reading)
    if isinstance(opened, ImageSource):
        chosen = network.main()
        with output.bars() as progress:
            opened = extract(opened, chosen.load(progress), reading.options(), progress=progress)
    if not isinstance(opened, Features):
        raise InputError(f"{source}: statistics have no features; give the images they were made from")
    if ranks().first:
        opened.save(out)
        print_written(opened, out, output)


def stats(
    *sources: Annotated[
        str,
        Parameter(
            name="SOURCE", required=True, help="As of `fidprobe features`, or statistics; several are merged, exactly."
        ),
    ],
    out: Annotated[Path, option("FILE", "The .npz to write.", alias="-o")],
    network: MainNetwork = MainNetwork(),
    reading: Reading = Reading(),
    output: Output = Output(),
) -> None:
    """Save mean and covariance of all SOURCEs' features as an npz that pytorch-fid and others read too.

    Example: fidprobe stats real/ -o real.npz
    """
    from fidprobe.analysis.output.folders import output_file
    from fidprobe.analysis.sets.merged_statistics import merged_statistics

    out = output_file(out, ".npz", "statistics")
    opened = [_open(source, reading) for source in sources]
    chosen = network.main()
    with output.bars() as progress:
        merged = merged_statistics(opened, extractor=chosen, options=reading.options(), progress=progress)
    if ranks().first:
        merged.save(out)
        print_written(merged, out, output)


def _open(source: str, reading: Reading) -> "Input":
    """Open a source, with a warning where it has no subset."""
    from fidprobe.inputs import open_input
    from fidprobe.statistics import GaussianStatistics

    opened = open_input(source, reading.options())
    if isinstance(opened, GaussianStatistics) and reading.limit is not None:
        print_warning("--limit draws no subset of statistics; they stay whole")
    return opened
