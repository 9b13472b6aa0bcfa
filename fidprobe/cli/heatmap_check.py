"""`fidprobe heatmap-check`: whether heatmaps show where FID looks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fidprobe.cli.options import NETWORKS, Reading, Reference, Seed, TwoNetworks, folder, option
from fidprobe.cli.output import Output, checked_folder, command_line

__all__ = ["heatmap_check"]

_INTERRUPTED = "; features of the sets as they are stay (none with --no-cache), those under noise are measured anew"


@dataclass(frozen=True)
class NoiseReading(Reading):
    """Reading images; the seed is the noise's and the randomised network's as well."""

    seed: Seed = 0
    """Draws the subset, the noise and the randomised weights."""


def heatmap_check(
    reference: Reference,
    generated: Annotated[str, Parameter(help="Generated images; features will not do.")],
    /,
    *,
    scales: Annotated[
        str, option("S,S,...", "Standard deviations of the noise, as shares of the range 0..255.")
    ] = "0.02,0.05,0.1,0.2",
    out: Annotated[Path, folder("Where table and figures go.")] = Path("out"),
    networks: TwoNetworks = TwoNetworks(),
    layer: Annotated[
        str | None, option("MODULE", "Map this module's output instead of what is pooled to features.", group=NETWORKS)
    ] = None,
    reading: NoiseReading = NoiseReading(),
    output: Output = Output(),
) -> None:
    """Check the heatmaps of GENERATED: noise where they are bright must raise FID more than where they are dark.

    Also compares them with maps of the same network with randomised weights, which must differ. Every scale takes
    three passes over GENERATED. Writes FOLDER/heatmap-check.json, heatmap-check.csv and figures.

    Example: fidprobe heatmap-check real/ model/ --scales 0.05,0.2 -o out/
    """
    numbers = _parsed(scales)

    from fidprobe.analysis.heatmap_check.files import write_heatmap_check
    from fidprobe.analysis.heatmap_check.measure import check_heatmaps
    from fidprobe.analysis.heatmap_check.text import heatmap_check_lines

    out = checked_folder(out, "the check of heatmaps")
    with output.bars(_INTERRUPTED) as progress:
        result = check_heatmaps(
            reference,
            generated,
            scales=numbers,
            seed=reading.seed,
            layer=layer,
            **networks.arguments(),
            options=reading.options(),
            progress=progress,
        )
    write_heatmap_check(result, out, command=command_line())
    output.show(
        result, lambda: heatmap_check_lines(result), sets={"reference": reference, "generated": generated}, outcome=out
    )


def _parsed(scales: str) -> list[float]:
    """Numbers between commas.

    Raises:
        InputError: something else.
    """
    from fidprobe.errors import InputError

    try:
        return [float(part) for part in scales.split(",")]
    except ValueError as error:
        raise InputError(f"--scales takes numbers with commas between, as in 0.05,0.2, not {scales!r}") from error
