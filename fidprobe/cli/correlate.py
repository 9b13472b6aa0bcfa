"""`fidprobe correlate`: over several models, do distances in logits and in the second opinion follow the main one?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fidprobe.cli import options as o
from fidprobe.cli.bars import Bars
from fidprobe.cli.models import SecondModels, named_models
from fidprobe.cli.text import print_advice
from fidprobe.runtime.messages import escape_controls

if TYPE_CHECKING:
    from fidprobe.analysis.correlation.measure import Correlation

__all__ = ["correlate"]


def correlate(
    reference: o.Reference,
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Generated images of at least two models or checkpoints, likewise; three make a correlation.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where table and figure go.")] = Path(
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
    second_model: SecondModels = None,
    limit: o.Limit = None,
    seed: o.Seed = 0,
    skip_bad: o.SkipBad = False,
    batch_size: o.BatchSize = 64,
    no_cache: o.NoCache = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Correlate distances of MODELs in pre-logits with those in logits and in the second opinion.

    Writes FOLDER/correlate.json, correlate.csv and the figure correlate as svg, pdf and png.

    Example: fidprobe correlate real/ run/step-*/ -o out/
    """
    from fidprobe.analysis.correlation.files import write_correlation
    from fidprobe.analysis.correlation.measure import correlate as run
    from fidprobe.analysis.output.folders import output_folder
    from fidprobe.runtime.files import expanded

    out = expanded(out)
    output_folder(out, "a correlation")  # an unwritable folder must not surface after the work
    named, seconds = named_models(models, second_model)
    with Bars(quiet=quiet, interrupted=o.RESUMED) as progress:
        found = run(
            reference,
            named,
            extractor=o.choice(extractor, device, resize, weights, unverified),
            second_opinion=o.choice(second_opinion, device, None, second_weights, unverified),
            second_reference=second_reference,
            second_models=seconds,
            options=o.read_options(limit, seed, skip_bad, batch_size, no_cache),
            progress=progress,
        )
    write_correlation(found, out, command=o.command_line())
    if as_json:
        typer.echo(found.json_text(o.command_line()), nl=False)
    else:
        typer.echo("\n".join([*_lines(found), f"table and figure: {escape_controls(str(out))}"]))
    print_advice(found.advice)


def _lines(found: "Correlation") -> list[str]:
    """A row a model, then how far the spaces agree."""
    from fidprobe.analysis.correlation.figures import agreement_text
    from fidprobe.analysis.output.wording import amount, number, shortened

    titles = {"main": "distance", "logits": "in logits", "second": "second opinion"}
    columns = [which for which in titles if which in found.labels]
    lines = [f"{titles[which]}: {escape_controls(found.labels[which])}" for which in columns]
    lines += [f"{titles[which]}: not available: {escape_controls(why)}" for which, why in found.missing.items()]
    rows = [["model", "images", *(titles[which] for which in columns)]]
    for name, one in found.models.items():
        values = {"main": one.main, "logits": one.logits, "second": one.second}
        told = ["" if values[which] is None else number(values[which] or 0.0) for which in columns]
        rows.append([shortened(name, 32), amount(one.images.count), *told])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    for which, agreed in found.agreements.items():
        first, second = agreement_text(agreed)
        lines.append(f"distance and {titles[which]}: {first}")
        lines += [f"  {second}"] if second else []
    return lines
