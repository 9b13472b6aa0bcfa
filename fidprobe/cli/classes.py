"""`fidprobe classes`: which classes are seen more or less often than in the reference."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fidprobe.cli import options as o
from fidprobe.cli.bars import Bars
from fidprobe.cli.text import print_advice
from fidprobe.runtime.messages import escape_controls

if TYPE_CHECKING:
    from fidprobe.analysis.classes.statistics import ClassComparison, ClassShift

__all__ = ["classes"]

_WIDTH = 80


def classes(
    reference: o.Reference,
    generated: o.Generated,
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Count the N most probable classes of each image.")] = 1,
    count: Annotated[
        int, typer.Option(min=1, metavar="K", help="Over- and under-represented classes to show, of each kind.")
    ] = 10,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where table and figures go.")] = Path(
        "out"
    ),
    extractor: o.ExtractorName = "inception",
    resize: o.Resize = None,
    weights: o.WeightsFile = None,
    unverified: o.Unverified = False,
    device: o.Device = None,
    limit: o.Limit = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0, metavar="S", help="Draws the subset and the permutations.", rich_help_panel="Reading images"
        ),
    ] = 0,
    skip_bad: o.SkipBad = False,
    batch_size: o.BatchSize = 64,
    no_cache: o.NoCache = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Compare the classes that a classifier sees in GENERATED and in REFERENCE, and say which differ beyond chance.

    Writes FOLDER/classes.json, classes.csv and figures.

    Example: fidprobe classes real/ model/ --top 5 -o out/
    """
    from fidprobe.analysis.classes.files import write_classes
    from fidprobe.analysis.classes.measure import compare_classes
    from fidprobe.analysis.output.folders import output_folder
    from fidprobe.runtime.files import expanded

    out = output_folder(expanded(out), "class histograms")  # an unwritable folder must not surface after the work
    with Bars(quiet=quiet, interrupted=o.RESUMED) as progress:
        compared = compare_classes(
            reference,
            generated,
            top=top,
            extractor=o.choice(extractor, device, resize, weights, unverified),
            options=o.read_options(limit, seed, skip_bad, batch_size, no_cache),
            seed=seed,
            progress=progress,
        )
    write_classes(compared, out, number=count, command=o.command_line())
    if as_json:
        typer.echo(compared.json_text(o.command_line()), nl=False)
    else:
        typer.echo("\n".join([*_lines(compared.comparison, count), f"outcome: {escape_controls(str(out))}"]))
    print_advice(compared.advice)


def _lines(comparison: "ClassComparison", count: int) -> list[str]:
    """Totals, the distance beside its noise floor, then the classes."""
    from fidprobe.analysis.classes.statistics import FALSE_DISCOVERY_RATE
    from fidprobe.analysis.output.wording import amount, number, plus_minus

    sets = (comparison.reference, comparison.generated)
    many = "Top-1 confidence" if comparison.top == 1 else f"Top-{comparison.top} probability"
    rows = [
        ["", "reference", "generated"],
        ["images", *(amount(one.images) for one in sets)],
        ["classes that occur", *(amount(one.classes) for one in sets)],
        ["effective classes", *(number(one.effective_classes) for one in sets)],
        ["entropy (nats)", *(number(one.entropy) for one in sets)],
        [f"mean {many}", *(number(one.probability, 3) for one in sets)],
    ]
    distance = comparison.total_variation
    floor = plus_minus(distance.equal_mean, distance.equal_std).replace("\N{NO-BREAK SPACE}", " ")
    reached = distance.p_value * (1 + distance.permutations) > 1.5
    least = "" if reached else f", the least that {amount(distance.permutations)} permutations can give"
    shown = {verdict: comparison.shifted(verdict) for verdict in ("over", "under")}
    found, occur = sum(map(len, shown.values())), len(comparison.classes)
    rare = sum(one.too_rare for one in comparison.classes)
    room = max(24, *(len(row[0]) + 1 for row in rows))
    lines = [
        *(f"{name:<{room}}{first:>10}{second:>11}" for name, first, second in rows),
        "",
        f"total variation {number(distance.value)}; equal sets would show {floor}",
        f"p = {distance.p_value:.3g}{least}",
        f"{amount(found)} of {amount(occur)} classes differ (false discovery rate {100 * FALSE_DISCOVERY_RATE:.0f} %)"
        + (f"; {amount(rare)} {'is' if rare == 1 else 'are'} too rare to tell" if rare else ""),
    ]
    for verdict, shifts in shown.items():
        if shifts:
            lines += ["", *_table(f"{verdict}-represented", shifts[:count])]
            if len(shifts) > count:
                lines.append(f" and {amount(len(shifts) - count)} more")
    return lines


def _table(title: str, shifts: "list[ClassShift]") -> list[str]:
    """A class a line, no longer than 80 characters."""
    from fidprobe.analysis.output.wording import amount, number, shortened, visible

    rows = [[title, "reference", "generated", "points", "ratio", "95 % interval"]]
    for one in shifts:
        interval = "only generated" if one.ratio is None else "only reference"
        if one.ratio_interval is not None:
            interval = " to ".join(number(end, 3) for end in one.ratio_interval)
        points = f"{100 * one.difference:+.2f}".replace("-", "−")
        ratio = number(one.ratio, 3) if one.ratio else ""
        rows.append([visible(one.name), *map(amount, one.counts), points, ratio, interval])
    widths = [max(len(row[i]) for row in rows) for i in range(1, len(rows[0]))]
    room = max(len(title), min(_WIDTH - sum(widths) - 2 * len(widths), max(len(row[0]) for row in rows) + 1))
    return [
        "  ".join(
            [
                (row[0] if not i else " " + shortened(row[0], room - 1)).ljust(room),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths, strict=True)),
            ]
        ).rstrip()
        for i, row in enumerate(rows)
    ]
