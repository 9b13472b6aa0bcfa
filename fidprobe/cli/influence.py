"""`fidprobe influence`: which images and classes raise FID, and whether the second opinion agrees."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fidprobe.cli import options as o
from fidprobe.cli.bars import Bars
from fidprobe.cli.text import print_advice
from fidprobe.runtime.messages import escape_controls

if TYPE_CHECKING:
    from fidprobe.analysis.influence.class_influence import ClassInfluence
    from fidprobe.analysis.influence.image_influence import SpaceInfluence
    from fidprobe.analysis.influence.measure import Influence

__all__ = ["influence"]

_WIDTH = 80
_TOLD = 3  # images named on the screen


def influence(
    reference: o.Reference,
    generated: o.Generated,
    exact: Annotated[
        bool, typer.Option("--exact", help="Also compute by how much FID changes without each image, exactly.")
    ] = False,
    count: Annotated[
        int, typer.Option(min=1, max=50, metavar="K", help="Images and classes to show, of either kind.")
    ] = 10,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where tables and figures go.")] = Path(
        "out"
    ),
    extractor: o.ExtractorName = "inception",
    second_opinion: o.SecondOpinion = "clip",
    resize: o.Resize = None,
    weights: o.WeightsFile = None,
    second_weights: o.SecondWeights = None,
    unverified: o.Unverified = False,
    device: o.Device = None,
    second_reference: o.SecondFeatures = None,
    second_generated: o.SecondFeatures = None,
    limit: o.Limit = None,
    seed: o.Seed = 0,
    skip_bad: o.SkipBad = False,
    batch_size: o.BatchSize = 64,
    no_cache: o.NoCache = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Tell how much each image of GENERATED, and each class, raises or lowers FID to REFERENCE.

    Writes FOLDER/influence.json, influence.csv (every image), influence_classes.csv and figures.

    Example: fidprobe influence real/ model/ -o out/
    """
    from fidprobe.analysis.influence.files import write_influence
    from fidprobe.analysis.influence.measure import influence as run
    from fidprobe.analysis.output.folders import output_folder
    from fidprobe.runtime.files import expanded

    out = output_folder(expanded(out), "the images' influence")  # an unwritable folder must not surface after the work
    with Bars(quiet=quiet, interrupted=o.RESUMED) as progress:
        found = run(
            reference,
            generated,
            exact=exact,
            extractor=o.choice(extractor, device, resize, weights, unverified),
            second_opinion=o.choice(second_opinion, device, None, second_weights, unverified),
            second_reference=second_reference,
            second_generated=second_generated,
            options=o.read_options(limit, seed, skip_bad, batch_size, no_cache),
            progress=progress,
        )
        write_influence(found, out, count=count, command=o.command_line(), progress=progress)
    if as_json:
        typer.echo(found.listing(count).json_text(o.command_line()), nl=False)
    else:
        typer.echo("\n".join([*_lines(found, count), f"outcome: {escape_controls(str(out))}"]))
    print_advice(found.advice)


def _lines(found: "Influence", count: int) -> list[str]:
    """Distances, how the images spread, classes, and the strongest images by name."""
    from fidprobe.analysis.output.wording import amount, number

    reference = found.sets["reference"].count
    against = "an unknown number" if reference is None else amount(reference)
    lines = [f"{amount(len(found))} generated images against {against}", *_space(found.main, "")]
    if found.second is None:
        lines.append("second opinion: not computed")
    else:
        lines += _space(found.second, " (second opinion)")
        ranks = found.rank_correlation
        told = "not defined: no differences" if ranks is None else number(ranks, 2)
        lines.append(f"rank correlation of both influences: {told}")
    if found.unsure_half_share is not None:
        share = f"{100 * found.unsure_half_share:.3g} %"
        lines.append(f"the half with the least confident predictions carries {share} of the distance")
    if not found.main.vanishes:
        for title, classes in (
            ("classes raising it", found.raising_classes(count)),
            ("classes lowering it", found.lowering_classes(count)),
        ):
            if classes:
                lines += ["", *_table(title, classes)]
    for title, order in (("images raising it", found.order), ("images lowering it", found.order[::-1])):
        lines += ["", *_images(found, title, order[:_TOLD].tolist())]
    return lines


def _space(space: "SpaceInfluence", role: str) -> list[str]:
    from fidprobe.analysis.output.wording import number

    raising = f"{100 * space.raising / len(space.influence):.3g} % of the images raise it"
    if space.top_share is not None:
        raising += f"; of that rise, the top 1 % hold {100 * space.top_share:.3g} %"
    lines = [f"{escape_controls(space.label)}{role}  {number(space.distance)}", f"  {raising}"]
    exactness = space.exactness
    if exactness is not None and exactness.largest_difference is not None:
        ranks = exactness.rank_correlation
        same = "" if ranks is None else f", rank correlation {number(ranks, 5)}"
        lines.append(
            f"  without an image: first order within {100 * exactness.largest_difference:.2g} % of exact{same}"
        )
    return lines


def _table(title: str, classes: "Sequence[ClassInfluence]") -> list[str]:
    """A class a line, no longer than 80 characters, columns without any value left out."""
    from fidprobe.analysis.output.wording import amount, signed_percent

    rows = [[title, "generated", "reference", "distance", "second opinion", "confidence"]]
    for one in classes:
        rows.append(
            [
                one.name,
                amount(one.generated),
                "" if one.reference is None else amount(one.reference),
                "" if one.percent is None else signed_percent(one.percent),
                "" if one.second_percent is None else signed_percent(one.second_percent),
                "" if one.confidence is None else f"{one.confidence:.2f}",
            ]
        )
    return _aligned(rows)


def _images(found: "Influence", title: str, indices: Sequence[int]) -> list[str]:
    """An image a line: its name, its influence in both spaces, its class."""
    from fidprobe.analysis.output.wording import number, shortened, signed_percent

    rows = [[title, "distance", "second opinion", "class"]]
    for i in indices:
        first, second = found.percents(i)
        rows.append(
            [
                str(i) if found.names is None else found.names[i],
                number(float(found.main.influence[i])) if first is None else signed_percent(first),
                "" if second is None else signed_percent(second),
                "" if found.top1 is None else shortened(found.class_names[found.top1.classes[i]], 20),
            ]
        )
    return _aligned(rows)


def _aligned(rows: list[list[str]]) -> list[str]:
    """A table's lines, no longer than 80 characters: names cut to the room, columns without any value left out."""
    from fidprobe.analysis.output.wording import shortened

    used = [i for i in range(1, len(rows[0])) if any(row[i] for row in rows[1:])]
    widths = {i: max(len(row[i]) for row in rows) for i in used}
    names = [f" {shortened(row[0], _WIDTH)}" for row in rows[1:]]
    room = max(len(rows[0][0]), min(_WIDTH - sum(widths.values()) - 2 * len(widths), max(map(len, names))))
    first = [rows[0][0], *(f" {shortened(row[0], room - 1)}" for row in rows[1:])]
    return [
        "  ".join([name.ljust(room), *(row[i].rjust(widths[i]) for i in used)]).rstrip()
        for name, row in zip(first, rows, strict=True)
    ]
