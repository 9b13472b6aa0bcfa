"""An attack's outcome as files: JSON, weights, names, figures and, if wanted, the chosen images."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch

from fidprobe.analysis.attack.candidate_sets import AttackSets
from fidprobe.analysis.attack.chosen_images import write_images
from fidprobe.analysis.attack.figures import curve_figure, weights_figure
from fidprobe.analysis.attack.measure import Attacked, attack_sets
from fidprobe.analysis.output.folders import output_folder
from fidprobe.analysis.output.result_files import result_folder
from fidprobe.analysis.output.wording import visible
from fidprobe.arguments import checked
from fidprobe.attacks.attack import Attack
from fidprobe.attacks.solver import never_interrupted
from fidprobe.errors import InputError
from fidprobe.runtime.processes import patient
from fidprobe.runtime.progress import Progress, silent
from fidprobe.runtime.ranks import Ranks

__all__ = ["attack_in_turn", "state_path", "write_attack"]


def state_path(folder: Path) -> Path:
    """Where a run that writes into `folder` keeps its state."""
    return folder / "attack-state.safetensors"


@checked
def write_attack(
    attacked: Attacked,
    folder: str | os.PathLike[str],
    *,
    images: bool = False,
    command: str | None = None,
    progress: Progress = silent,
) -> Path:
    """Write an attack's outcome, each file whole or not at all.

    `attack.json`; `chosen.txt` (the first draw's images by name, in drawn order, repeats repeated); and for attacks
    with weights `weights.csv`, `log_weights.npy` (float64 [N]), `curve` and `weights` as
    `.svg`, `.pdf` and `.png`. What an
    earlier attack left there goes, so that every file belongs to the `attack.json` beside it.

    Args:
        attacked: The outcome.
        folder: Where; made if missing.
        images: Also write the first draw's images as PNG files into the folder `images`.
        command: The command line that made it, which the JSON states.
        progress: Reports the images.

    Returns:
        The path of `attack.json`.

    Raises:
        InputError: the folder cannot be written, there are no pictures to write, or a number is not finite.
        SourceError: a picture cannot be read any more.
    """
    if images:  # a folder of that name that stays must not surface after the pictures were written
        output_folder(folder, attacked.WHAT, subfolders=["images"])
    outcome = attacked.outcome
    first = outcome.choices[0].tolist()
    with result_folder(
        folder,
        "attack",
        attacked,
        command=command,
        files=("log_weights.npy",),
        figures=("curve", "weights"),
        folders=("images",),
    ) as files:
        files.text("chosen.txt", "".join(f"{_name(attacked, index)}\n" for index in first))
        files.table("weights.csv", _header(attacked), _rows(attacked))
        if outcome.solution is not None:
            files.array("log_weights.npy", outcome.solution.log_weights.numpy())
            curve, histogram = curve_figure(outcome.solution), weights_figure(outcome.solution)
            files.figure("curve", curve, "Objective and lower bound over the optimisation")
            files.figure("weights", histogram, "Histogram of the candidates' log-weights")
        if images:
            if attacked.images is None or attacked.names is None:
                raise InputError("the candidates are features, without pictures to write; give the images themselves")
            write_images(attacked.images, attacked.names, first, files.folder / "images", progress=progress)
    return files.path


def _name(attacked: Attacked, index: int) -> str:
    """A candidate in a line of text: its name without control characters, or its place where it has none."""
    return str(index) if attacked.names is None else visible(attacked.names[index])


def _header(attacked: Attacked) -> list[str]:
    outcome = attacked.outcome
    seed = outcome.attack["seed"]
    weight = [] if outcome.solution is None else ["log_weight"]
    return ["index", "name", *weight, *(f"drawn_seed_{seed + draw}" for draw in range(len(outcome.choices)))]


def _rows(attacked: Attacked) -> Iterator[list[str | int]]:
    """Every candidate's weight, and how often each draw took it."""
    outcome = attacked.outcome
    drawn = [torch.bincount(choice, minlength=attacked.candidates).tolist() for choice in outcome.choices]
    weights = None if outcome.solution is None else outcome.solution.log_weights.tolist()
    for index in range(attacked.candidates):
        row: list[str | int] = [index, "" if attacked.names is None else attacked.names[index]]
        if weights is not None:
            row.append(repr(weights[index]))
        yield row + [counts[index] for counts in drawn]


def attack_in_turn(
    sets: AttackSets,
    attacks: Mapping[str, Attack],
    out: Path,
    *,
    ranks: Ranks,
    images: bool = False,
    command: str | None = None,
    interrupted: Callable[[], bool] = never_interrupted,
    progress: Progress = silent,
) -> Iterator[Attacked]:
    """Carry out attacks on the same sets, each into a folder of its own, until interrupted.

    Args:
        sets: What is attacked.
        attacks: Name of its folder in `out` -> attack.
        out: Where the folders are.
        ranks: The processes that share the work; only the first one yields outcomes.
        images: Also write the chosen images.
        command: The command line that asked for the attacks.
        interrupted: Whether to stop; the attack that is under way ends with its best so far.
        progress: Told of each stage.
    """
    for i, (name, one) in enumerate(attacks.items()):
        if i and ranks.broadcast_json(interrupted()):
            break
        if not ranks.first:
            with patient():
                one.assist(sets.candidates)
            continue
        state = state_path(out / name)
        attacked = attack_sets(sets, one, state=state, interrupted=interrupted, progress=progress)
        write_attack(attacked, out / name, images=images, command=command, progress=progress)
        yield attacked
        if not interrupted():
            state.unlink(missing_ok=True)  # only now is there nothing left to lose
