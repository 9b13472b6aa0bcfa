"""`fidprobe prd`: precision and recall of models as curves (Sajjadi et al. 2018)."""

from pathlib import Path
from typing import Annotated

import typer

from fidprobe.cli import options as o
from fidprobe.cli.bars import Bars
from fidprobe.cli.models import SecondModels, named_models
from fidprobe.cli.text import print_advice
from fidprobe.runtime.messages import escape_controls

__all__ = ["prd"]


def prd(
    reference: o.Reference,
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="GENERATED", help="Generated images of one or more models, likewise.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where curves and figures go.")] = Path(
        "out"
    ),
    clusters: Annotated[int, typer.Option(min=2, metavar="K", help="Of k-means on both sets together.")] = 20,
    runs: Annotated[int, typer.Option(min=1, metavar="N", help="Clusterings whose curves are averaged.")] = 10,
    beta: Annotated[
        float, typer.Option(metavar="B", help="F_B (recall, above 1) and F_1/B (precision) are printed.")
    ] = 8.0,
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
    seed: Annotated[
        int,
        typer.Option(
            min=0, metavar="S", help="Draws subsets and begins clusterings.", rich_help_panel="Reading images"
        ),
    ] = 0,
    skip_bad: o.SkipBad = False,
    batch_size: o.BatchSize = 64,
    no_cache: o.NoCache = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Tell dropped modes (recall) of each GENERATED from bad or invented ones (precision).

    The first argument is the reference, real images. Writes FOLDER/prd.json, prd.csv (the curves' points) and figures
    as svg, pdf and png. Any embedding can be measured: a float matrix in an npy file, a row for each text or image.

    Example: fidprobe prd real/ model-a/ model-b/ -o out/
    """
    from fidprobe.analysis.output.folders import output_folder
    from fidprobe.analysis.prd.files import write_prd
    from fidprobe.analysis.prd.measure import PRDCurves, prd_curves
    from fidprobe.analysis.prd.text import curve_lines
    from fidprobe.runtime.files import expanded

    out = expanded(out)
    output_folder(out, PRDCurves.WHAT)  # an unwritable folder must not surface after the work
    named, seconds = named_models(models, second_model)
    with Bars(quiet=quiet, interrupted=o.RESUMED) as progress:
        found = prd_curves(
            reference,
            named,
            clusters=clusters,
            runs=runs,
            seed=seed,
            beta=beta,
            extractor=o.choice(extractor, device, resize, weights, unverified),
            second_opinion=o.choice(second_opinion, device, None, second_weights, unverified),
            second_reference=second_reference,
            second_models=seconds,
            options=o.read_options(limit, seed, skip_bad, batch_size, no_cache),
            progress=progress,
        )
    write_prd(found, out, command=o.command_line())
    if as_json:
        typer.echo(found.json_text(o.command_line()), nl=False)
    else:
        told = curve_lines(found, reference=reference)
        typer.echo("\n".join([*told, "", f"curves and figures: {escape_controls(str(out))}"]))
    print_advice(found.advice)
