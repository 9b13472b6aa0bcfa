"""`fidprobe attack`: choose among generated images so that FID falls, and show what it was worth."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fidprobe.cli import options as o
from fidprobe.cli.attack_choice import AttackChoice, DrawName, SolverName
from fidprobe.cli.attack_text import attack_lines, sweep_lines
from fidprobe.cli.bars import Bars
from fidprobe.cli.interrupts import Interrupts
from fidprobe.cli.processes import patient, ranks
from fidprobe.cli.text import print_advice
from fidprobe.runtime.messages import escape_controls

if TYPE_CHECKING:
    from fidprobe.analysis.attack.measure import Attacked

__all__ = ["attack"]

_RESULT, _HOW = "The attack", "How it is solved"
_INTERRUPTED = 130
_RESUMED = (
    "; what was kept so far (features of all but the last thousand images or so, weights of up to half a minute ago) "
    "is used when the same command runs again"
)


def attack(
    reference: o.Reference,
    candidates: Annotated[
        str,
        typer.Argument(
            metavar="CANDIDATES",
            help="Generated images to choose from, likewise; the more the better.",
            show_default=False,
        ),
    ],
    space: Annotated[
        str,
        typer.Option(
            metavar="SPACE",
            help="What is matched: pre-logits, logits, top-n, middle-n (weights), or top-1 (class histogram); "
            "top-n,middle-n sweeps both.",
            rich_help_panel=_RESULT,
        ),
    ] = "pre-logits",
    n: Annotated[
        str | None,
        typer.Option(
            "--n",
            metavar="N[,N...]",
            help="Classes that top-n and middle-n mark of each image; several make a sweep.",
            rich_help_panel=_RESULT,
        ),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option(
            min=2,
            metavar="K",
            help="Images to choose; by default a fifth of the candidates, with top-1 as many as the reference.",
            rich_help_panel=_RESULT,
        ),
    ] = None,
    draw: Annotated[
        DrawName | None,
        typer.Option(
            metavar="WAY",
            help="How images are chosen by the weights: with-replacement (the paper's, default), systematic, swap or "
            "swap-unique (a search, the latter without repeats).",
            rich_help_panel=_RESULT,
        ),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="D",
            help="Draws of which mean and spread are told; 3 by default, 1 with swap.",
            rich_help_panel=_RESULT,
        ),
    ] = None,
    held_out: Annotated[
        float,
        typer.Option(
            "--held-out",
            metavar="SHARE",
            help="Share of the reference that is only scored against; 0 is the papers' way.",
            rich_help_panel=_RESULT,
        ),
    ] = 0.5,
    solver: Annotated[
        SolverName,
        typer.Option(
            metavar="NAME", help="certified, or gradient-descent, the paper's Algorithm 1.", rich_help_panel=_HOW
        ),
    ] = SolverName.CERTIFIED,
    tolerance: Annotated[
        float | None,
        typer.Option(
            metavar="T", help="Certified solver: stop within this share of the optimum (0.001).", rich_help_panel=_HOW
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="S",
            help="Steps at most (certified: 500), or exactly (gradient descent: 100000).",
            rich_help_panel=_HOW,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            metavar="A",
            help="Gradient descent: 10 for pre-logits, 5 for other spaces by default.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where weights, names and figures go.")
    ] = Path("out"),
    images: Annotated[bool, typer.Option("--images", help="Also write the chosen images, as PNG files.")] = False,
    extractor: o.ExtractorName = "inception",
    second_opinion: o.SecondOpinion = "clip",
    resize: o.Resize = None,
    weights: o.WeightsFile = None,
    second_weights: o.SecondWeights = None,
    unverified: o.Unverified = False,
    device: o.Device = None,
    second_reference: o.SecondFeatures = None,
    second_candidates: o.SecondFeatures = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=2,
            metavar="N",
            help="Use a random subset of N images of the reference.",
            rich_help_panel="Reading images",
        ),
    ] = None,
    candidate_count: Annotated[
        int | None,
        typer.Option(
            "--candidates",
            min=2,
            metavar="N",
            help="Use so many candidates: a random subset of a set, the first ones of a generator.",
            rich_help_panel="Reading images",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="S",
            help="Draws the subsets, the held-out part and, counted up, the images.",
            rich_help_panel="Reading images",
        ),
    ] = 0,
    skip_bad: o.SkipBad = False,
    batch_size: o.BatchSize = 64,
    no_cache: o.NoCache = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Choose CANDIDATES so that FID to REFERENCE falls, without one better image; the second opinion tells its worth.

    Writes FOLDER/attack.json, weights.csv, chosen.txt and figures. Several N make a sweep, with a folder each.

    Example: fidprobe attack real/ model/ --keep 50000 -o out/
    """
    from fidprobe.analysis.attack.candidate_sets import extract_attack_sets
    from fidprobe.analysis.attack.files import state_path, write_attack
    from fidprobe.analysis.attack.measure import attack_sets
    from fidprobe.analysis.attack.sweep import Sweep, Swept, write_sweep
    from fidprobe.analysis.output.folders import output_folder
    from fidprobe.attacks.resampling import Resampling
    from fidprobe.runtime.files import expanded

    network = o.choice(extractor, device, resize, weights, unverified)
    chosen = AttackChoice(draw, solver, tolerance, steps, learning_rate)
    common = {"keep": keep, "draws": draws, "seed": seed, "held_out": held_out, "device": network.device}
    attacks = chosen.attacks(space, n, ranks=ranks(), **common)
    out = expanded(out)
    folders = [out / name for name in attacks]
    swept = len(attacks) > 1
    for folder in folders if ranks().first else ():
        output_folder(
            folder, "an attack's outcome", subfolders=["images"] if images else []
        )  # an unwritable folder must not surface after the work
    done: list[Attacked] = []
    with Bars(quiet=quiet, interrupted=_RESUMED) as progress, Interrupts() as interrupted:
        sets = extract_attack_sets(
            reference,
            candidates,
            list(attacks.values()),
            extractor=network,
            second_opinion=o.choice(second_opinion, device, None, second_weights, unverified),
            second_reference=second_reference,
            second_candidates=second_candidates,
            options=o.read_options(limit, seed, skip_bad, batch_size, no_cache),
            candidate_options=o.read_options(candidate_count, seed, skip_bad, batch_size, no_cache),
            keep_images=images,
            interrupted=interrupted,
            progress=progress,
        )
        for one, folder in zip(attacks.values(), folders, strict=True):
            if folder != folders[0] and ranks().broadcast_json(interrupted.pressed):
                break
            if not ranks().first:
                with patient():
                    one.assist(sets.candidates)
                continue
            state = state_path(folder)
            attacked = attack_sets(sets, one, state=state, interrupted=interrupted, progress=progress)
            write_attack(attacked, folder, images=images, command=o.command_line(), progress=progress)
            done.append(attacked)
            if not interrupted.pressed:
                state.unlink(missing_ok=True)  # only now is there nothing left to lose
    if not ranks().first:
        return
    if not swept:
        text, lines = done[0].json_text(o.command_line()), attack_lines(done[0])
    else:
        pairs = zip(attacks.values(), done, strict=False)  # an interrupted sweep is shorter
        sweep = Sweep([Swept(one.space, attacked) for one, attacked in pairs if isinstance(one, Resampling)])
        write_sweep(sweep, out, command=o.command_line())
        text, lines = sweep.json_text(o.command_line()), sweep_lines(sweep.attacks)
    if as_json:
        typer.echo(text, nl=False)
    else:
        typer.echo("\n".join([*lines, f"outcome: {escape_controls(str(out))}"]))
    print_advice(dict.fromkeys(one for attacked in done for one in attacked.advice))
    if interrupted.pressed:
        typer.echo(f"fidprobe: {_fate(done, len(attacks))}", err=True)
        raise typer.Exit(_INTERRUPTED)


def _fate(done: list["Attacked"], asked: int) -> str:
    """What an interruption left."""
    outcome = done[-1].outcome
    if len(done) < asked:
        what = f"{asked - len(done)} of {asked} attacks are still to do; the same command does them"
    elif outcome.solution is None:
        what = "drawing stopped early, and the same command begins it anew"
    elif outcome.solution.stopped == "interrupted" or outcome.attack["draw"].startswith("swap"):
        what = "the same command goes on from there"
    else:
        what = "it came too late to stop anything"
    gap = None if outcome.solution is None else outcome.solution.relative_gap
    left = "" if gap is None else f", with a gap of {100 * gap:.3g} %"
    return f"interrupted; what was written is the best so far{left}; {what}"
