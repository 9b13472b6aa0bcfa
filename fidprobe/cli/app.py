"""The commands. Heavy imports happen inside them, so that `fidprobe --help` is quick."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fidprobe.cli import options as o
from fidprobe.cli.attack import attack
from fidprobe.cli.audit_text import audit_lines, print_gate
from fidprobe.cli.bars import Bars
from fidprobe.cli.classes import classes
from fidprobe.cli.compare import compare
from fidprobe.cli.conventions import conventions
from fidprobe.cli.correlate import correlate
from fidprobe.cli.generate import generate
from fidprobe.cli.grids import grids
from fidprobe.cli.heatmap import heatmap
from fidprobe.cli.heatmap_check import heatmap_check
from fidprobe.cli.influence import influence
from fidprobe.cli.interrupts import Interrupts
from fidprobe.cli.output import checked_output, print_written
from fidprobe.cli.prd import prd
from fidprobe.cli.processes import join, ranks
from fidprobe.cli.text import print_advice, render_scores
from fidprobe.cli.train import train
from fidprobe.cli.weights import weights_app

if TYPE_CHECKING:
    from fidprobe.inputs import Input

__all__ = ["app"]

app = typer.Typer(
    name="fidprobe",
    help="Is that FID gain real? FID with a second opinion, audits and reports.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(weights_app, name="weights")
app.command()(attack)
app.command()(classes)
app.command()(compare)
app.command()(conventions)
app.command()(correlate)
app.command()(generate)
app.command()(grids)
app.command()(heatmap)
app.command()(heatmap_check)
app.command()(influence)
app.command()(prd)
app.command()(train)


def _version(show: bool) -> None:
    if show:
        from importlib.metadata import version

        typer.echo(f"fidprobe {version('fidprobe')}")
        raise typer.Exit


@app.callback()
def _main(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    del version
    join(context.invoked_subcommand)


@app.command()
def audit(
    reference: o.Reference,
    generated: o.Generated,
    baseline: Annotated[
        str | None, typer.Option(metavar="OTHER", help="Another model's images: is the gain over it real?")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the report goes.")] = Path("out"),
    metrics: o.Metrics = "fid,kid,prd,is",
    no_budget: Annotated[
        bool,
        typer.Option("--no-budget", help="Do not find out how much of FID choosing among the model's images removes."),
    ] = False,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help="Exit with code 1 if this holds or cannot be known, e.g. confirmed_share<0.5; may be given again.",
        ),
    ] = None,
    ms_ssim_side: o.SimilaritySide = None,
    extractor: o.ExtractorName = "inception",
    second_opinion: o.SecondOpinions = None,
    resize: o.Resize = None,
    weights: o.WeightsFile = None,
    second_weights: o.SecondWeights = None,
    unverified: o.Unverified = False,
    device: o.Device = None,
    second_reference: o.SecondFeatures = None,
    second_generated: o.SecondFeatures = None,
    second_baseline: o.SecondFeatures = None,
    limit: o.Limit = None,
    seed: o.Seed = 0,
    skip_bad: o.SkipBad = False,
    batch_size: o.BatchSize = 64,
    no_cache: o.NoCache = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Is GENERATED's gain over a baseline real? Writes FOLDER/report.html, report.md and report.json.

    Example: fidprobe audit real/ model/ --baseline old-model/ -o out/
    """
    from fidprobe.analysis.audit.gates import parse_gate
    from fidprobe.analysis.audit.measure import audit as run
    from fidprobe.analysis.report.files import report_paths, write_report
    from fidprobe.analysis.scores.metric_choices import MetricChoices
    from fidprobe.runtime.files import expanded

    gates = [parse_gate(one) for one in fail_if or ()]
    out = expanded(out)
    report_paths(out)  # an unwritable folder must not surface after the work
    with Bars(quiet=quiet, interrupted=o.RESUMED) as progress, Interrupts() as interrupted:
        result = run(
            reference,
            generated,
            baseline=baseline,
            metrics=metrics,
            extractor=o.choice(extractor, device, resize, weights, unverified),
            second_opinion=o.choices(second_opinion, device, second_weights, unverified),
            second_reference=second_reference,
            second_generated=second_generated,
            second_baseline=second_baseline,
            budget=not no_budget,
            options=o.read_options(limit, seed, skip_bad, batch_size, no_cache),
            choices=MetricChoices(ms_ssim_side=ms_ssim_side),
            interrupted=interrupted,
            progress=progress,
        )
    checked = [gate.check(result) for gate in gates]
    html, *_ = write_report(result, out, command=o.command_line())
    if as_json:
        typer.echo(result.json_text(o.command_line()), nl=False)
    else:
        typer.echo("\n".join([*audit_lines(result), f"report: {html}"]))
    print_advice(result.advice)
    for one in checked:
        found = "unknown" if one.value is None else one.value if isinstance(one.value, str) else f"{one.value:.4g}"
        print_gate(one.condition, found, failed=one.failed)
    if any(one.failed for one in checked):
        raise typer.Exit(1)


@app.command()
def score(
    reference: o.Reference,
    generated: o.Generated,
    metrics: o.Metrics = "fid",
    extractor: o.ExtractorName = "inception",
    second_opinion: o.SecondOpinion = "clip",
    resize: o.Resize = None,
    weights: o.WeightsFile = None,
    second_weights: o.SecondWeights = None,
    unverified: o.Unverified = False,
    device: o.Device = None,
    second_reference: o.SecondFeatures = None,
    second_generated: o.SecondFeatures = None,
    kid_subset_size: Annotated[
        int, typer.Option(min=2, metavar="N", help="Images in each of the 100 KID subsets.")
    ] = 1000,
    is_splits: Annotated[int, typer.Option(min=1, metavar="N", help="Parts of the Inception Score.")] = 10,
    is_natural_order: Annotated[
        bool, typer.Option("--is-natural-order", help="Split images as listed, as the original code, not shuffled.")
    ] = False,
    is_biased: Annotated[
        bool, typer.Option("--is-biased", help="Keep the classifier's bias in the logits, as StudioGAN.")
    ] = False,
    ms_ssim_side: o.SimilaritySide = None,
    convention: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Choose all of these and the resize rule as a library does: ttur, pytorch-fid, clean-fid, "
            "torchmetrics, torch-fidelity, stylegan or adm.",
        ),
    ] = None,
    limit: o.Limit = None,
    seed: o.Seed = 0,
    skip_bad: o.SkipBad = False,
    batch_size: o.BatchSize = 64,
    no_cache: o.NoCache = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Print scores of GENERATED against REFERENCE, each distance with its second opinion.

    FID also takes statistics (an npz with mu and sigma) on either side.

    Example: fidprobe score cifar10:train samples.npz --metrics fid,kid,is --json
    """
    from dataclasses import replace

    from fidprobe.analysis.conventions.table import advise_on_convention, conventions_named
    from fidprobe.analysis.scores.measure import measure_score_sets
    from fidprobe.analysis.scores.metric_choices import MetricChoices
    from fidprobe.analysis.scores.metric_registry import parse_metrics
    from fidprobe.analysis.scores.score_sets import open_score_sets
    from fidprobe.errors import InputError

    choices = MetricChoices(kid_subset_size, is_splits, is_natural_order, is_biased)
    row = None
    if convention is not None:
        (row,) = conventions_named([convention])
        if resize is not None or choices != MetricChoices():
            raise InputError(
                f"--convention {convention} chooses the resize rule, KID's subsets and the Inception Score's parts; "
                "leave out --resize, --kid-subset-size, --is-splits, --is-natural-order and --is-biased"
            )
        resize, choices = o.ResizeRule(row.resize), row.choices()
    with Bars(quiet=quiet, interrupted=o.RESUMED) as progress:
        options = o.read_options(limit, seed, skip_bad, batch_size, no_cache)
        sets = open_score_sets(
            reference,
            generated,
            metrics,
            extractor=o.choice(extractor, device, resize, weights, unverified),
            second_opinion=o.choice(second_opinion, device, None, second_weights, unverified),
            second_reference=second_reference,
            second_generated=second_generated,
            options=options,
            progress=progress,
        )
        if not ranks().first:
            return
        choices = replace(choices, ms_ssim_side=ms_ssim_side)
        scored = measure_score_sets(sets, choices=choices, progress=progress)
    if as_json:
        typer.echo(json.dumps(scored.to_json(), indent=2, allow_nan=False))
    else:
        typer.echo("\n".join(render_scores(scored)))
    advice = advise_on_convention(row, parse_metrics(metrics), scored.main.extractor) if row else []
    print_advice([*scored.advice, *advice])


@app.command()
def features(
    source: o.Source,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The .safetensors to write.")],
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
    """Extract the features of SOURCE to a file that every other command takes in its place.

    Example: fidprobe features real/ -o real.safetensors
    """
    from fidprobe.errors import InputError
    from fidprobe.features.extraction import extract
    from fidprobe.features.value import Features
    from fidprobe.images import ImageSource
    from fidprobe.inputs import open_input

    out = checked_output(out, ".safetensors", "features")
    options = o.read_options(limit, seed, skip_bad, batch_size, no_cache)
    found = open_input(source, options)
    _warn_of_limit(found, limit)
    if isinstance(found, ImageSource):
        network = o.choice(extractor, device, resize, weights, unverified)
        with Bars(quiet=quiet, interrupted=o.RESUMED) as progress:
            found = extract(found, network.load(progress), options, progress=progress)
    if not isinstance(found, Features):
        raise InputError(f"{source}: statistics have no features; give the images they were made from")
    if not ranks().first:
        return
    found.save(out)
    print_written(found, out, as_json)


@app.command()
def stats(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="As of `fidprobe features`, or statistics; several are merged, exactly.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The .npz to write.")],
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
    """Save mean and covariance of all SOURCEs' features as an npz that pytorch-fid and others read too.

    Example: fidprobe stats real/ -o real.npz
    """
    from fidprobe.analysis.sets.merged_statistics import merged_statistics
    from fidprobe.inputs import open_input

    out = checked_output(out, ".npz", "statistics")
    options = o.read_options(limit, seed, skip_bad, batch_size, no_cache)
    opened = [open_input(source, options) for source in sources]
    for one in opened:
        _warn_of_limit(one, limit)
    network = o.choice(extractor, device, resize, weights, unverified)
    with Bars(quiet=quiet, interrupted=o.RESUMED) as progress:
        merged = merged_statistics(opened, extractor=network, options=options, progress=progress)
    if not ranks().first:
        return
    merged.save(out)
    print_written(merged, out, as_json)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the report goes.")] = Path(
        "demo-out"
    ),
    no_cache: o.NoCache = False,
    quiet: o.Quiet = False,
) -> None:
    """Two audits offline, in a few minutes: a real gain and a bought one. No downloads, no GPU.

    The models come with fidprobe: AM-GAN on CIFAR-10 against an earlier checkpoint of itself, and chosen images of it
    against its images as they come. The ImageNet network is efficientnet-lite0, the second opinion an encoder that
    learnt from CIFAR-10 without labels (docs/models.md).
    """
    from fidprobe.analysis.output.folders import output_folder
    from fidprobe.analysis.report.demo import demo_cases, write_demo
    from fidprobe.runtime.files import expanded

    out = output_folder(expanded(out), "the demo")
    with Bars(quiet=quiet, interrupted=o.RESUMED) as progress:
        cases = demo_cases(options=o.read_options(None, 0, False, 64, no_cache), progress=progress)
    page = write_demo(cases, out, command=o.command_line())
    for case in cases:
        typer.echo("\n".join([case.title, *audit_lines(case.audit), ""]))
        print_advice(case.audit.advice)
    typer.echo(f"both verdicts: {page}")


def _warn_of_limit(opened: "Input", limit: int | None) -> None:
    """Say that statistics have no subset."""
    from fidprobe.statistics import GaussianStatistics

    if isinstance(opened, GaussianStatistics) and limit is not None:
        typer.echo("warning: --limit draws no subset of statistics; they stay whole", err=True)
