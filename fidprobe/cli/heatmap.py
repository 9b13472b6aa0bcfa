"""`fidprobe heatmap`: the regions of images that FID is most sensitive to."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fidprobe.cli import options as o
from fidprobe.cli.bars import Bars
from fidprobe.cli.text import print_advice
from fidprobe.runtime.messages import escape_controls

if TYPE_CHECKING:
    from fidprobe.analysis.heatmaps.measure import Heatmaps

__all__ = ["heatmap"]

_WHICH = "Which images"
_CLASSES = 11  # with the mean over all they fill two rows of a figure


class Choose(StrEnum):
    """How images are chosen."""

    RANDOM = "random"
    INFLUENTIAL = "influential"


def heatmap(
    reference: o.Reference,
    generated: Annotated[
        str,
        typer.Argument(
            metavar="GENERATED",
            help="Generated images, likewise; features or statistics too with --images.",
            show_default=False,
        ),
    ],
    images: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Map these other images, each as if it joined GENERATED.",
            rich_help_panel=_WHICH,
        ),
    ] = None,
    choose: Annotated[
        Choose,
        typer.Option(
            metavar="HOW",
            help="random, or influential: those that raise or lower FID most.",
            rich_help_panel=_WHICH,
        ),
    ] = Choose.RANDOM,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Choose among images of such a name (* stands for any text); may be given several times.",
            rich_help_panel=_WHICH,
        ),
    ] = None,
    count: Annotated[int, typer.Option(min=1, metavar="K", help="Images to map at most.", rich_help_panel=_WHICH)] = 12,
    mean: Annotated[
        bool, typer.Option("--mean", help="Also the mean map over all generated images.", rich_help_panel=_WHICH)
    ] = False,
    per_class: Annotated[
        bool,
        typer.Option(
            "--per-class", help="Also the mean maps of the most frequent Top-1 classes.", rich_help_panel=_WHICH
        ),
    ] = False,
    classes: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="C", help="How many classes, which asks for them as well (11).", rich_help_panel=_WHICH
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE",
            help="Look at this module's output instead of what is pooled to features.",
            rich_help_panel="Networks",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where maps and page go.")] = Path("out"),
    extractor: o.ExtractorName = "inception",
    resize: o.Resize = None,
    weights: o.WeightsFile = None,
    unverified: o.Unverified = False,
    device: o.Device = None,
    limit: o.Limit = None,
    seed: o.Seed = 0,
    skip_bad: o.SkipBad = False,
    batch_size: o.BatchSize = 64,
    no_cache: o.NoCache = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Map what FID is most sensitive to in images of GENERATED (Grad-CAM of FID), beside what the network sees in them.

    Writes raw maps, overlays, a page and figures into FOLDER.

    Example: fidprobe heatmap real/ model/ --per-class -o out/
    """
    from fidprobe.analysis.heatmaps.files import write_heatmaps
    from fidprobe.analysis.heatmaps.measure import heatmaps
    from fidprobe.analysis.output.folders import output_folder
    from fidprobe.runtime.files import expanded

    out = output_folder(
        expanded(out), "heatmaps", subfolders=["overlays"]
    )  # an unwritable folder must not surface after the work
    with Bars(quiet=quiet, interrupted=o.RESUMED) as progress:
        made = heatmaps(
            reference,
            generated,
            images=images,
            only=only or (),
            choose=choose.value,
            count=count,
            mean=mean,
            classes=classes or (_CLASSES if per_class else 0),
            layer=layer,
            extractor=o.choice(extractor, device, resize, weights, unverified),
            options=o.read_options(limit, seed, skip_bad, batch_size, no_cache),
            progress=progress,
        )
    page = write_heatmaps(made, out, command=o.command_line())
    if as_json:
        typer.echo(made.json_text(o.command_line()), nl=False)
    else:
        typer.echo("\n".join([*_lines(made), f"heatmaps: {escape_controls(str(page))}"]))
    print_advice(made.advice)


def _lines(made: "Heatmaps") -> list[str]:
    """Every mapped image with its influence and what it is taken for."""
    from fidprobe.analysis.output.wording import amount, images_text, shortened, signed

    what = "change of the distance" if made.joined else "influence"
    where = f"layer {escape_controls(made.layer)}" if made.layer else "before the pooling"
    rows = [
        (
            signed(one.effect),
            shortened(one.name, 34),
            one.predictions[0] if one.predictions else None,
        )
        for one in made.images
    ]
    width = max(len(what), *(len(value) for value, _, _ in rows))
    longest = max(len(name) for _, name, _ in rows)
    lines = [
        f"{amount(len(rows))} of {images_text(made.fitting)} in the space of {escape_controls(made.extractor.name)}",
        f"{where}, {made.method}; second opinion: not asked",
        f"{what:>{width}}  image",
    ]
    for value, name, first in rows:
        seen = "" if first is None else f"  {shortened(first.name, 22)} {100 * first.probability:.0f} %"
        lines.append(f"{value:>{width}}  {name:<{longest}}{seen}".rstrip())
    for one in made.means:
        lines.append(f"mean over {images_text(one.count)}: {'all' if one.name is None else shortened(one.name, 40)}")
    return lines
