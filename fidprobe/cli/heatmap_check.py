"""`fidprobe heatmap-check`: whether heatmaps show where FID looks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fidprobe.cli import options as o
from fidprobe.cli.bars import Bars
from fidprobe.cli.flags import arguments_as_flags
from fidprobe.cli.text import print_advice
from fidprobe.runtime.messages import escape_controls

if TYPE_CHECKING:
    from fidprobe.analysis.heatmap_check.distances import Measured, SpaceCheck
    from fidprobe.analysis.heatmap_check.measure import HeatmapCheck

__all__ = ["heatmap_check"]

_INTERRUPTED = "; features of the sets as they are stay (none with --no-cache), those under noise are measured anew"


def heatmap_check(
    reference: o.Reference,
    generated: Annotated[
        str,
        typer.Argument(metavar="GENERATED", help="Generated images; features will not do.", show_default=False),
    ],
    scales: Annotated[
        str,
        typer.Option(metavar="S,S,...", help="Standard deviations of the noise, as shares of the range 0..255."),
    ] = "0.02,0.05,0.1,0.2",
    layer: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE",
            help="Map this module's output instead of what is pooled to features.",
            rich_help_panel="Networks",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where table and figures go.")] = Path(
        "out"
    ),
    extractor: o.ExtractorName = "inception",
    second_opinion: o.SecondOpinion = "clip",
    resize: o.Resize = None,
    weights: o.WeightsFile = None,
    second_weights: o.SecondWeights = None,
    unverified: o.Unverified = False,
    device: o.Device = None,
    limit: o.Limit = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="S",
            help="Draws the subset, the noise and the randomised weights.",
            rich_help_panel="Reading images",
        ),
    ] = 0,
    skip_bad: o.SkipBad = False,
    batch_size: o.BatchSize = 64,
    no_cache: o.NoCache = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Check the heatmaps of GENERATED: noise where they are bright must raise FID more than where they are dark.

    Also compares them with maps of the same network with randomised weights, which must differ. Every scale takes
    three passes over GENERATED. Writes FOLDER/heatmap-check.json, heatmap-check.csv and figures.

    Example: fidprobe heatmap-check real/ model/ --scales 0.05,0.2 -o out/
    """
    from fidprobe.analysis.heatmap_check.files import write_heatmap_check
    from fidprobe.analysis.heatmap_check.measure import check_heatmaps
    from fidprobe.analysis.output.folders import output_folder
    from fidprobe.runtime.files import expanded

    numbers = _parsed(scales)
    out = output_folder(expanded(out), "the check of heatmaps")  # an unwritable folder must not surface after the work
    with Bars(quiet=quiet, interrupted=_INTERRUPTED) as progress:
        check = check_heatmaps(
            reference,
            generated,
            scales=numbers,
            seed=seed,
            layer=layer,
            extractor=o.choice(extractor, device, resize, weights, unverified),
            second_opinion=o.choice(second_opinion, device, None, second_weights, unverified),
            options=o.read_options(limit, seed, skip_bad, batch_size, no_cache),
            progress=progress,
        )
    write_heatmap_check(check, out, command=o.command_line())
    if as_json:
        typer.echo(check.json_text(o.command_line()), nl=False)
    else:
        typer.echo("\n".join([*_lines(check), f"outcome: {escape_controls(str(out))}"]))
    print_advice(check.advice)


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


def _lines(check: "HeatmapCheck") -> list[str]:
    """Distances without noise, the table, what it says, and the sanity check."""
    from fidprobe.analysis.output.wording import amount

    reference = check.sets["reference"].count
    against = "an unknown number" if reference is None else amount(reference)
    lines = [f"{amount(check.sets['generated'].count)} generated images against {against}"]
    spaces = [(check.main, "")] if check.second is None else [(check.main, ""), (check.second, " (second opinion)")]
    lines += [f"{escape_controls(space.label)}{role} without noise  {_text(space.clean)}" for space, role in spaces]
    if check.second is None:
        lines.append("second opinion: not computed")
    lines += ["", *_table(check), ""]
    lines.append("noise in the important half raises the distance more:")
    lines += [f"  {escape_controls(space.label)}{role}  {_verdict(space)}" for space, role in spaces]
    return [*lines, *_sanity(check)]


def _table(check: "HeatmapCheck") -> list[str]:
    """A line for each scale and region, and the halves' difference; shares are of the rise by noise in all pixels."""
    from fidprobe.analysis.heatmap_check.noise import REGIONS

    spaces = [check.main] if check.second is None else [check.main, check.second]
    rows = [["noise", "in", "distance", "of rise", "second opinion", "of rise"][: 2 + 2 * len(spaces)]]
    for i, scale in enumerate(check.scales):
        for region in REGIONS:
            cells = [f"{scale:g}" if region == REGIONS[0] else "", region]
            for one in spaces:
                share = one.shares[region][i] if region in one.shares else None
                cells += [_text(one.noised[region][i]), "" if share is None else _percent(share)]
            rows.append(cells)
        cells = ["", "difference"]
        for one in spaces:
            cells += [_text(one.differences[i]), ""]
        rows.append(cells)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _text(measured: "Measured") -> str:
    from fidprobe.analysis.output.wording import plus_minus

    return plus_minus(measured.value, measured.error).replace("\N{NO-BREAK SPACE}", " ")


def _percent(share: "Measured") -> str:
    from fidprobe.analysis.output.wording import plus_minus

    return f"{plus_minus(100 * share.value, 100 * share.error)} %".replace("\N{NO-BREAK SPACE}", " ")


def _verdict(space: "SpaceCheck") -> str:
    more, total = sum(one.value > 0 for one in space.differences), len(space.differences)
    return "at every scale" if more == total else f"at {more} of {total} scales"


def _sanity(check: "HeatmapCheck") -> list[str]:
    from fidprobe.analysis.output.wording import number

    if check.sanity is None:
        return [f"sanity check of the maps: not made: {escape_controls(arguments_as_flags(check.sanity_missing))}"]
    sanity = check.sanity

    def told(correlation: float | None) -> str:
        return "not defined" if correlation is None else number(correlation, 2)

    return [
        f"sanity check of {len(sanity.names)} maps: {'passed' if sanity.passed else 'FAILED'}",
        "  rank correlation of maps by trained and by randomised weights",
        f"    of the same image   {told(sanity.same_image.spearman)}",
        f"    of different images {told(sanity.other_images.spearman)} (what all maps share, such as the border)",
        f"  of different images, both by trained weights {told(sanity.unrelated.spearman)}",
    ]
