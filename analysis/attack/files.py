"""An attack's outcome as files: JSON, weights, names, figures and, if wanted, the chosen images."""

import os
from collections.abc import Iterator
from pathlib import Path

import torch

from fidprobe.analysis.attack.chosen_images import write_images
from fidprobe.analysis.attack.figures import curve_figure, weights_figure
from fidprobe.analysis.attack.measure import Attacked
from fidprobe.analysis.output.replaceable_folder import check_own_folder
from fidprobe.analysis.output.result_files import replaced_result
from fidprobe.analysis.output.wording import json_text, visible
from fidprobe.analysis.output.writers import output_folder, write_array, write_figure, write_table, write_text
from fidprobe.errors import InputError
from fidprobe.runtime.progress import Progress, silent

__all__ = ["attack_folder", "attack_json", "state_path", "write_attack"]

_FIGURES = ("curve", "weights")


def attack_folder(folder: str | os.PathLike[str], *, images: bool = False) -> Path:
    """Find out before the work whether an attack's outcome can be written.

    Args:
        folder: Where.
        images: Whether chosen images will be written into it as well.

    Raises:
        InputError: the folder cannot be made or written, or its `images` is not fidprobe's.
    """
    path = output_folder(folder, "an attack's outcome")
    if images:
        check_own_folder(path / "images")
    return path


def state_path(folder: Path) -> Path:
    """Where a run that writes into `folder` keeps its state."""
    return folder / "attack-state.safetensors"


def attack_json(attacked: Attacked, *, command: str | None = None) -> str:
    """Everything but weights, choices and pictures as JSON text.

    Args:
        attacked: What to tell.
        command: The command line that made it.

    Raises:
        InputError: a number is not finite; names its place.
    """
    return json_text({**attacked.to_json(), "command": command}, "the attack")


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
        command: The command line that made it, to be told.
        progress: Told of the images.

    Returns:
        The path of `attack.json`.

    Raises:
        InputError: the folder cannot be written, there are no pictures to write, or a number is not finite.
        SourceError: a picture cannot be read any more.
    """
    text = attack_json(attacked, command=command)
    path = attack_folder(folder, images=images)
    outcome = attacked.outcome
    first = outcome.choices[0].tolist()
    files, folders = ("log_weights.npy",), ("images",)
    with replaced_result(path, "attack.json", "the attack", files=files, figures=_FIGURES, folders=folders) as fresh:
        write_text(fresh / "chosen.txt", "".join(f"{_name(attacked, index)}\n" for index in first))
        _write_table(attacked, fresh / "weights.csv")
        if outcome.solution is not None:
            write_array(fresh / "log_weights.npy", outcome.solution.log_weights.numpy())
            curve, histogram = curve_figure(outcome.solution), weights_figure(outcome.solution)
            write_figure(curve, fresh / "curve", "Objective and lower bound over the optimisation")
            write_figure(histogram, fresh / "weights", "Histogram of the candidates' log-weights")
        if images:
            if attacked.images is None or attacked.names is None:
                raise InputError("the candidates are features, without pictures to write; give the images themselves")
            write_images(attacked.images, attacked.names, first, fresh / "images", progress=progress)
        write_text(fresh / "attack.json", text)
    return path / "attack.json"


def _name(attacked: Attacked, index: int) -> str:
    """A candidate in a line of text: its name without control characters, or its place where it has none."""
    return str(index) if attacked.names is None else visible(attacked.names[index])


def _write_table(attacked: Attacked, path: Path) -> None:
    """Every candidate's weight, and how often each draw took it."""
    outcome = attacked.outcome
    seed = outcome.attack["seed"]
    header = ["index", "name"]
    if outcome.solution is not None:
        header.append("log_weight")
    header += [f"drawn_seed_{seed + draw}" for draw in range(len(outcome.choices))]
    write_table(path, header, _rows(attacked))


def _rows(attacked: Attacked) -> Iterator[list[str | int]]:
    outcome = attacked.outcome
    drawn = [torch.bincount(choice, minlength=attacked.candidates).tolist() for choice in outcome.choices]
    weights = None if outcome.solution is None else outcome.solution.log_weights.tolist()
    for index in range(attacked.candidates):
        row: list[str | int] = [index, "" if attacked.names is None else attacked.names[index]]
        if weights is not None:
            row.append(repr(weights[index]))
        yield row + [counts[index] for counts in drawn]
