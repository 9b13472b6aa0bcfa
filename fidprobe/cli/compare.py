"""`fidprobe compare`: of several models, which have the same FID, and how do these differ in the second opinion?"""

from pathlib import Path
from typing import Annotated

import typer

from fidprobe.cli import options as o
from fidprobe.cli.bars import Bars
from fidprobe.cli.models import SecondModels, named_models
from fidprobe.cli.text import print_advice
from fidprobe.runtime.messages import escape_controls

__all__ = ["compare"]


def compare(
    reference: o.Reference,
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL", help="Generated images of at least two models, likewise.", show_default=False),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where table and figure go.")] = Path(
        "out"
    ),
    within: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of the best FID of a group that counts as nearly equal.")
    ] = 0.05,
    extractor: o.ExtractorName = "inception",
    second_opinion: o.SecondOpinions = None,
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
    """Compare MODELs of nearly equal FID by the second opinion and by recall.

    Writes FOLDER/compare.json, compare.csv, compare.md and the figure compare as svg, pdf and png.

    Example: fidprobe compare real/ model-a/ model-b/ model-c/ -o out/
    """
    from fidprobe.analysis.comparison.files import write_comparison
    from fidprobe.analysis.comparison.measure import compare as run
    from fidprobe.analysis.comparison.text import comparison_lines
    from fidprobe.analysis.output.folders import output_folder
    from fidprobe.runtime.files import expanded

    out = expanded(out)
    output_folder(out, "a comparison")  # an unwritable folder must not surface after the work
    named, seconds = named_models(models, second_model)
    with Bars(quiet=quiet, interrupted=o.RESUMED) as progress:
        found = run(
            reference,
            named,
            extractor=o.choice(extractor, device, resize, weights, unverified),
            second_opinion=o.choices(second_opinion, device, second_weights, unverified),
            second_reference=second_reference,
            second_models=seconds,
            within=within,
            options=o.read_options(limit, seed, skip_bad, batch_size, no_cache),
            progress=progress,
        )
    write_comparison(found, out, command=o.command_line())
    if as_json:
        typer.echo(found.json_text(o.command_line()), nl=False)
    else:
        typer.echo("\n".join([*comparison_lines(found), f"table and figure: {escape_controls(str(out))}"]))
    print_advice(found.advice)
