"""`fidprobe train`: a generator to audit, a classifier for the AM Score, or a second opinion of one's own."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fidprobe.cli import options as o
from fidprobe.cli.bars import Bars
from fidprobe.cli.interrupts import Interrupts
from fidprobe.runtime.messages import escape_controls

if TYPE_CHECKING:
    from fidprobe.training.generator_run import GeneratorRun
    from fidprobe.training.network_run import NetworkRun

__all__ = ["KIND_NAMES", "train"]

KIND_NAMES = (
    "gan, gan-saturating, dcgan, gan-star, labelgan, ac-gan, ac-gan-star, ac-gan-star-plus, am-gan, vae, classifier, "
    "encoder"
)
"""As in `fidprobe.training.kinds`, whose import would make `--help` slow; a test holds them together."""

_LEARNING, _LABELS, _SCORES = "Learning", "Labels of GANs", "Scores on the way"
_INTERRUPTED = 130


def train(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"What to train: {KIND_NAMES}.", show_default=False)],
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="Pictures, in class folders where labels are needed: folder, zip, cifar10:train ...",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the run goes, and goes on after a stop.")
    ],
    steps: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Of the whole run.", rich_help_panel=_LEARNING)
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=2, metavar="N", help="Pictures a step.", rich_help_panel=_LEARNING)
    ] = None,
    width: Annotated[
        float | None,
        typer.Option(metavar="X", help="Times the paper's channels.", rich_help_panel=_LEARNING),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(metavar="X", help="The highest.", rich_help_panel=_LEARNING)
    ] = None,
    average: Annotated[
        float | None,
        typer.Option(
            metavar="X", help="Decay of a moving average of the generator's weights.", rich_help_panel=_LEARNING
        ),
    ] = None,
    mixed_precision: Annotated[
        bool,
        typer.Option(
            "--mixed-precision",
            help="bfloat16 in the networks: faster where the hardware has it.",
            rich_help_panel=_LEARNING,
        ),
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(metavar="DEVICE", help="cpu, cuda, mps (a GPU by default).", rich_help_panel=_LEARNING),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(min=0, max=2**63 - 1, metavar="S", help="Of weights, order and noise.", rich_help_panel=_LEARNING),
    ] = 0,
    predefined: Annotated[
        bool,
        typer.Option(
            "--predefined", help="Each sample is made for a class, instead of dynamic labels.", rich_help_panel=_LABELS
        ),
    ] = False,
    smooth_real: Annotated[
        float | None, typer.Option(metavar="X", help="Label smoothing of real pictures.", rich_help_panel=_LABELS)
    ] = None,
    smooth_fake: Annotated[
        float | None, typer.Option(metavar="X", help="Of generated ones.", rich_help_panel=_LABELS)
    ] = None,
    smooth_generator: Annotated[
        float | None, typer.Option(metavar="X", help="Of the generator's target.", rich_help_panel=_LABELS)
    ] = None,
    auxiliary_weight: Annotated[
        float | None,
        typer.Option(metavar="X", help="Of the AC-GANs' class loss in the generator's.", rich_help_panel=_LABELS),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE", help="Other pictures, to test a classifier or encoder on.", rich_help_panel=_SCORES
        ),
    ] = None,
    visit_every: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Steps between generators kept, with a grid and scores (a twentieth of the run).",
            rich_help_panel=_SCORES,
        ),
    ] = None,
    save_every: Annotated[
        int, typer.Option(min=1, metavar="N", help="Steps that a kill can lose.", rich_help_panel=_LEARNING)
    ] = 200,
    evaluate: Annotated[
        str | None,
        typer.Option(
            metavar="REFERENCE",
            help="Real pictures to score generators against at every visit.",
            rich_help_panel=_SCORES,
        ),
    ] = None,
    evaluate_images: Annotated[
        int | None,
        typer.Option(min=2, metavar="N", help="Generated pictures a visit (2000).", rich_help_panel=_SCORES),
    ] = None,
    extractor: Annotated[
        str | None,
        typer.Option(
            "--extractor", "-e", metavar="NAME", help="Main feature space (inception).", rich_help_panel=_SCORES
        ),
    ] = None,
    second_opinion: Annotated[
        str | None,
        typer.Option(
            "--second-opinion", "-s", metavar="NAME", help="Space that has to confirm (clip).", rich_help_panel=_SCORES
        ),
    ] = None,
    classifier: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of the data set, for the AM Score, e.g. trained:run/network.safetensors.",
            rich_help_panel=_SCORES,
        ),
    ] = None,
    limit: o.Limit = None,
    skip_bad: o.SkipBad = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Train KIND on DATA into FOLDER; the same command again goes on where it was stopped.

    A generator (FOLDER/generator.safetensors) can be given wherever images are; a classifier or encoder
    (FOLDER/network.safetensors) as trained:FILE wherever a network is.

    Example: fidprobe train am-gan cifar10:train -o am-gan --width 0.25
    """
    from difflib import get_close_matches

    from fidprobe.analysis.output.folders import output_folder
    from fidprobe.errors import InputError
    from fidprobe.runtime.files import expanded
    from fidprobe.training.data import read_pictures
    from fidprobe.training.gan import GanTask
    from fidprobe.training.generator_run import train_generator
    from fidprobe.training.kinds import KINDS, new_task
    from fidprobe.training.network_run import train_network
    from fidprobe.training.vae import VaeTask

    if kind not in KINDS:
        near = get_close_matches(kind, KINDS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(f"nothing is trained by the name {kind!r}; {hint}choose from {KIND_NAMES}")
    one = KINDS[kind]
    if test is not None and one.generates:
        raise InputError(f"--test is for a classifier or encoder; {one.title} is scored with --evaluate")
    if evaluate is not None and not one.generates:
        raise InputError(f"--evaluate is for generators; a {one.title} is tested with --test")
    if visit_every is not None and not one.generates:
        raise InputError(f"--visit-every is for generators; of a {one.title} only the last state is kept")
    scoring = {
        "--extractor": extractor,
        "--second-opinion": second_opinion,
        "--classifier": classifier,
        "--evaluate-images": evaluate_images,
    }
    if evaluate is None and (idle := [name for name, value in scoring.items() if value is not None]):
        raise InputError(f"{idle[0]} is for scores, which are taken against --evaluate REFERENCE; give that as well")
    out = output_folder(expanded(out), "the training run")  # an unwritable folder must not surface after the work
    networks = o.choice(extractor or "inception", device)
    chosen: dict[str, Any] = {
        "width": width,
        "learning_rate": learning_rate,
        "average": average,
        "predefined": predefined or None,
        "smooth_real": smooth_real,
        "smooth_fake": smooth_fake,
        "smooth_generator": smooth_generator,
        "auxiliary_weight": auxiliary_weight,
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    found: GeneratorRun | NetworkRun
    with Bars(quiet=quiet, interrupted="; the same command goes on from the last checkpoint") as progress:
        pictures = read_pictures(data, limit=limit, seed=seed, skip_bad=skip_bad, progress=progress)
        sources = [pictures]
        size = batch_size or min(one.batch_size, len(pictures))
        total = steps or max(1, one.epochs * len(pictures) // size)
        task = new_task(
            kind,
            classes=pictures.classes,
            seed=seed,
            device=networks.device,
            mixed_precision=mixed_precision,
            chosen=given,
        )
        shared: dict[str, Any] = {"steps": total, "batch_size": size, "seed": seed, "progress": progress}
        if isinstance(task, GanTask | VaeTask):
            evaluator = None
            if evaluate is not None:
                from fidprobe.training.evaluation import Evaluator

                evaluator = Evaluator(
                    evaluate,
                    extractor=networks,
                    second_opinion=o.choice(second_opinion or "clip", device),
                    classifier=None if classifier is None else o.choice(classifier, device),
                    options=o.read_options(None, 0, skip_bad, 64, False),
                    progress=progress,
                )
            with Interrupts("stopping after this step") as interrupted:
                found = train_generator(
                    task,
                    pictures,
                    out,
                    visit_every=visit_every or max(1, total // 20),
                    save_every=save_every,
                    evaluator=evaluator,
                    evaluated_images=evaluate_images or 2000,
                    interrupted=interrupted,
                    **shared,
                )
        else:
            tested = None
            if test is not None:
                sources.append(tested := read_pictures(test, skip_bad=skip_bad, progress=progress))
            with Interrupts("stopping after this step") as interrupted:
                found = train_network(
                    task, pictures, out, save_every=save_every, test=tested, interrupted=interrupted, **shared
                )
    for source in sources:
        for name, reason in source.skipped:
            typer.echo(f"warning: skipped {escape_controls(name)}: {escape_controls(reason)}", err=True)
        if source.resized:
            told = (
                f"{source.resized:,} pictures of {escape_controls(source.description)} were resized to 32 x 32 pixels"
            )
            typer.echo(f"warning: {told}", err=True)
    if as_json:
        typer.echo(_told(found), nl=False)
    else:
        typer.echo("\n".join(_lines(found, one.title, total)))
    if found.trained.steps < total:
        raise typer.Exit(_INTERRUPTED)


def _told(found: "GeneratorRun | NetworkRun") -> str:
    """The run's own training.json, with where its files are."""
    told = json.loads((found.folder / "training.json").read_text(encoding="utf-8"))
    told |= {"folder": str(found.folder), "seconds": found.seconds}
    return json.dumps(told, indent=2, allow_nan=False) + "\n"


def _lines(found: "GeneratorRun | NetworkRun", title: str, total: int) -> list[str]:
    from fidprobe.analysis.scores.space_scores import metric_label
    from fidprobe.training.generator_run import GeneratorRun

    done = found.trained.steps
    state = f"{total:,} steps" if done == total else f"stopped after {done:,} of {total:,} steps"
    lines = [f"{title}: {state}, {found.seconds:,.0f} s this time"]
    if done:
        last = found.trained.losses[-min(100, done) :].mean(0).tolist()
        told = ", ".join(f"{name} {value:.3f}" for name, value in zip(found.trained.names, last, strict=True))
        lines.append(f"mean of the last {min(100, done)} steps: {told}")
    if isinstance(found, GeneratorRun):
        for one in found.evaluations[-1:]:
            lines += [f"{metric_label(space)}: {value:.4g}" for space, value in one.distances.items()]
            if one.inception_score is not None:
                lines.append(f"Inception Score: {one.inception_score:.3f}")
            if one.am_score is not None:
                lines.append(f"AM Score: {one.am_score:.3f}")
            lines.append(f"(scores of {one.images:,} images after {one.step:,} steps)")
        lines.append(f"generator: {escape_controls(str(found.generator))}")
    else:
        if found.accuracy is not None:
            what = "accuracy" if title == "classifier" else "linear probe"
            lines.append(f"{what}: {found.accuracy:.1%}")
        lines.append(f"network: {escape_controls(f'trained:{found.network}')}")
    return lines
