"""`fidprobe grids`: show which images an attack preferred, and that they look no better."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fidprobe.cli import options as o
from fidprobe.cli.bars import Bars
from fidprobe.cli.text import print_advice
from fidprobe.runtime.messages import escape_controls

if TYPE_CHECKING:
    from fidprobe.analysis.weight_grids.measure import WeightGrids

__all__ = ["grids"]


def grids(
    attacks: Annotated[
        list[str],
        typer.Argument(metavar="ATTACK", help="Output folders of fidprobe attack.", show_default=False),
    ],
    images: Annotated[
        str,
        typer.Option(
            metavar="CANDIDATES", help="The images that the attacks chose from, as given to them.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the figures go.")] = Path("grids"),
    count: Annotated[int, typer.Option(min=1, max=400, metavar="N", help="Images in a grid.")] = 36,
    share: Annotated[
        float,
        typer.Option(metavar="SHARE", help="Part of the candidates that count as smallest, and as largest, weights."),
    ] = 0.1,
    seed: Annotated[int, typer.Option(min=0, metavar="S", help="Draws the images.")] = 0,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Show random images of an attack's smallest and largest weights, and what attacks chose beside a random sample.

    Writes FOLDER/samples (with FID and the second opinion below each grid), weights-ATTACK and grids.json.

    Example: fidprobe grids out/ --images model/ -o grids/
    """
    from fidprobe.analysis.output.folders import output_folder
    from fidprobe.analysis.weight_grids.files import write_grids
    from fidprobe.analysis.weight_grids.measure import weight_grids
    from fidprobe.runtime.files import expanded

    out = expanded(out)
    output_folder(out, "grids")  # an unwritable folder must not surface after the work
    with Bars(quiet=quiet) as progress:
        found = weight_grids(attacks, images, count=count, share=share, seed=seed, progress=progress)
        write_grids(found, out, command=o.command_line())
    if as_json:
        typer.echo(found.json_text(o.command_line()), nl=False)
    else:
        typer.echo("\n".join([*_lines(found), f"grids: {escape_controls(str(out))}"]))
    print_advice(found.advice)


def _lines(found: "WeightGrids") -> list[str]:
    """Each attack's distances, before and after, and what its tails hold."""
    from fidprobe.analysis.attack.measure import score_label
    from fidprobe.analysis.output.wording import amount, number, signed_percent
    from fidprobe.analysis.weight_grids.files import tail_weights

    part = "held-out part of the reference" if found.part == "held_out" else "optimised reference"
    lines = [f"distances to the {part}, random draw -> chosen:"]
    for name, one in zip(found.names, found.attacks, strict=True):
        lines.append(f"{one.attack.title} ({escape_controls(name)}), {amount(one.attack.keep)} images")
        told = one.attack.distances(found.part)
        for score in told:
            role = " (second opinion)" if score.role == "second_opinion" else ""
            change = "" if score.percent is None else f"  ({signed_percent(score.percent)})"
            values = f"{number(score.random.mean)} -> {number(score.drawn.mean)}"
            lines.append(f"  {escape_controls(score_label(score))}{role}  {values}{change}")
        if not any(score.role == "second_opinion" for score in told):
            lines.append("  second opinion: not computed")
        for which, tail in one.tails.items():
            lines.append(f"  {which} {100 * found.share:.4g} %: {amount(len(tail))} images, {tail_weights(one, which)}")
    return lines
