"""Weight grids as files: figures, and JSON that says which images they show."""

import json
import os
import re
from pathlib import Path

from fidprobe.analysis.attack.measure import score_label
from fidprobe.analysis.output.result_files import result_folder
from fidprobe.analysis.output.wording import amount, number, plus_minus, shortened, signed_percent
from fidprobe.analysis.weight_grids.figures import Panel, side_by_side_figure, strips_figure
from fidprobe.analysis.weight_grids.measure import LONGEST_NAME, AttackGrids, WeightGrids
from fidprobe.arguments import checked
from fidprobe.attacks.rescoring import DistanceBeforeAfter, Spread

__all__ = ["tail_weights", "write_grids"]

_FIGURE = re.compile(rf"weights-[A-Za-z0-9._-]{{1,{LONGEST_NAME}}}")
_PART = {"held_out": "the held-out part of the reference", "optimised": "the reference that the attacks optimised"}


def _earlier_figures(folder: Path) -> list[str]:
    """Read from `grids.json` which figures of weights an earlier run wrote; names of no such figure are left out."""
    try:
        attacks = json.loads((folder / "grids.json").read_text(encoding="utf-8"))["attacks"]
        named = [one["figure"] for one in attacks]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return []
    return [name for name in named if isinstance(name, str) and _FIGURE.fullmatch(name)]


@checked
def write_grids(grids: WeightGrids, folder: str | os.PathLike[str], *, command: str | None = None) -> Path:
    """Write `samples` and, for each attack with weights, `weights-NAME`, as `.svg`, `.pdf`, `.png`; and `grids.json`.

    What of an attack's name is plain is in its figure's, which `grids.json` tells; the figures of weights that an
    earlier `grids.json` names go.

    Args:
        grids: What was drawn.
        folder: Where; made if missing.
        command: The command line that made it, which the JSON states.

    Returns:
        The path of `grids.json`.

    Raises:
        InputError: a file cannot be written, or a number is not finite.
    """
    earlier = _earlier_figures(Path(folder))
    with result_folder(folder, "grids", grids, command=command, figures=earlier) as files:
        samples = strips_figure(_strips(grids), _notes(grids))
        files.figure("samples", samples, "Random candidates and images that attacks chose")
        for name, figure, one in zip(grids.names, grids.figure_names, grids.attacks, strict=True):
            if figure is not None:
                smallest, largest = (_tail(one, grids, which) for which in ("smallest", "largest"))
                grid = side_by_side_figure(smallest, largest, _heading(one, name))
                files.figure(figure, grid, f"Images of the smallest and of the largest weights: {one.attack.title}")
    return files.path


def _heading(one: AttackGrids, name: str) -> str:
    return f"{one.attack.title} ({shortened(name, 20)}), random images by weight"


def tail_weights(one: AttackGrids, which: str) -> str:
    """Describe the range of the `smallest` or `largest` weights, relative to their mean."""
    low, high = one.weight_range(which)
    if high == 0:
        return "all of weight 0, never drawn"
    ends = [number(low, 3), number(high, 3)]
    return f"weights {ends[0]} to {ends[1]} (mean 1)" if ends[0] != ends[1] else f"weight {ends[0]} (mean 1)"


def _tail(one: AttackGrids, grids: WeightGrids, which: str) -> Panel:
    lines = [f"{which} {100 * grids.share:.4g} %, {amount(len(one.tails[which]))} images", tail_weights(one, which)]
    return Panel([grids.pictures[int(place)] for place in one.sampled[which]], lines)


def _strips(grids: WeightGrids) -> list[Panel]:
    """The random sample with the distances of random draws, then each attack's images with theirs."""
    names = grids.names
    letters = [_letter(i) for i in range(len(names) + 1)]
    total = amount(len(grids.attacks[0].attack.names))
    before: dict[tuple[str, ...], list[str]] = {}
    panels = []
    for letter, name, one in zip(letters[1:], names, grids.attacks, strict=True):
        told = one.attack.distances(grids.part)
        before.setdefault(_lines([(score, score.random, "") for score in told]), []).append(letter)
        changes = [(score, score.drawn, _change(score)) for score in told]
        title = f"({letter}) {one.attack.title} ({shortened(name, 20)}): {amount(one.attack.keep)} of {total}"
        panels.append(Panel([grids.pictures[int(i)] for i in one.chosen], [title, *_lines(changes)]))
    random = ["(a) Random sample of the candidates"]
    for lines, whom in before.items():
        # Attacks that keep other numbers of images, or split the reference otherwise, have other random draws.
        random += [f"as many as ({'), ('.join(whom)}): {line}" for line in lines] if before.keys() - {lines} else lines
    return [Panel([grids.pictures[int(i)] for i in grids.random], random), *panels]


def _lines(told: list[tuple[DistanceBeforeAfter, Spread, str]]) -> tuple[str, ...]:
    lines = []
    for score, spread, change in told:
        value = number(spread.mean) if spread.std is None else plus_minus(spread.mean, spread.std)
        role = ", second opinion" if score.role == "second_opinion" else ""
        lines.append(f"{shortened(score_label(score), 34)} {value}{change}{role}")
    if not any(score.role == "second_opinion" for score, _, _ in told):
        lines.append("second opinion: not computed")
    return tuple(lines)


def _change(score: DistanceBeforeAfter) -> str:
    return "" if score.percent is None else f" ({signed_percent(score.percent)})"


def _notes(grids: WeightGrids) -> list[str]:
    draws = {len(score.drawn.values) for one in grids.attacks for score in one.attack.distances(grids.part)}
    spread = "" if draws == {1} else "mean ± standard deviation over draws, "
    return [f"Fréchet distances to {_PART[grids.part]};", f"{spread}the change from the random draw in brackets"]


def _letter(place: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    text = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        text = chr(ord("a") + rest) + text
    return text
