"""Weight grids as files: figures, and JSON that says which images they show."""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from fidprobe.analysis.attack.finished import FinishedAttack
from fidprobe.analysis.attack.measure import score_label
from fidprobe.analysis.output.result_files import replaced_result
from fidprobe.analysis.output.wording import amount, json_text, number, plus_minus, shortened, signed_percent
from fidprobe.analysis.output.writers import output_folder, write_figure, write_text
from fidprobe.analysis.weight_grids.figures import Panel, side_by_side_figure, strips_figure
from fidprobe.analysis.weight_grids.measure import AttackGrids, Places, WeightGrids
from fidprobe.attacks.rescoring import Score, Spread

__all__ = ["grid_names", "grids_json", "tail_weights", "told_distances", "write_grids"]

_LONGEST = 60  # characters of an attack's name in a file's
_FIGURE = re.compile(rf"weights-[A-Za-z0-9._-]{{1,{_LONGEST}}}")
_PART = {"held_out": "the held-out part of the reference", "optimised": "the reference that the attacks optimised"}


def grid_names(grids: WeightGrids) -> list[str]:
    """A name for each attack to show, its folder's, made unique; it may hold any character."""
    names: list[str] = []
    for one in grids.attacks:
        name = one.attack.folder.resolve().name or "attack"
        numbered = (f"{name}-{i}" for i in range(2, len(grids.attacks) + 2))
        names.append(name if name not in names else next(other for other in numbered if other not in names))
    return names


def _figure_names(grids: WeightGrids) -> list[str | None]:
    """A figure's name for each attack with weights: `weights-` and what is plain in the folder's name, made unique.

    Letter case alone tells no files apart everywhere.
    """
    taken: set[str] = set()
    figures: list[str | None] = []
    for name, one in zip(grid_names(grids), grids.attacks, strict=True):
        if not one.tails:
            figures.append(None)
            continue
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:_LONGEST].strip("-") or "attack"
        endings = ("", *(f"-{i}" for i in range(2, len(grids.attacks) + 2)))
        tried = (f"{plain[: _LONGEST - len(ending)]}{ending}" for ending in endings)
        figure = next(other for other in tried if other.lower() not in taken)
        taken.add(figure.lower())
        figures.append(f"weights-{figure}")
    return figures


def _earlier_figures(folder: Path) -> list[str]:
    """The figures of the weights that `grids.json` names; nothing that another program may have written there."""
    try:
        attacks = json.loads((folder / "grids.json").read_text(encoding="utf-8"))["attacks"]
        named = [one["figure"] for one in attacks]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return []
    return [name for name in named if isinstance(name, str) and _FIGURE.fullmatch(name)]


def told_distances(attack: FinishedAttack, part: str) -> list[Score]:
    """The Fréchet distances that stand under an attack's images: the main space's and the second opinion's, if any."""
    found = (attack.distance(role, part) for role in ("main", "second_opinion"))
    return [score for score in found if score is not None]


def grids_json(grids: WeightGrids, *, command: str | None = None) -> str:
    """Which images are in which grid, with weights (relative to their mean; 0: never drawn) and distances, as JSON.

    Args:
        grids: What to tell.
        command: The command line that made it.

    Raises:
        InputError: a number is not finite; names its place.
    """
    first = grids.attacks[0].attack
    names = first.names
    data = {
        "sets": {
            name: {"count": first.counts[name], "description": source.description if source else None}
            for name, source in first.sets.items()
        },
        "seed": grids.seed,
        "count": grids.count,
        "share": grids.share,
        "reference": grids.part,
        "random": [{"index": int(place), "name": names[place]} for place in grids.random],
        "attacks": [
            {"name": name, "figure": figure, **_attack_json(one, grids.part)}
            for name, figure, one in zip(grid_names(grids), _figure_names(grids), grids.attacks, strict=True)
        ],
        "warnings": [vars(one) for one in grids.advice],
        "command": command,
    }
    return json_text(data, "the grids")


def write_grids(grids: WeightGrids, folder: str | os.PathLike[str], *, command: str | None = None) -> Path:
    """Write `samples` and, for each attack with weights, `weights-NAME`, as `.svg`, `.pdf`, `.png`; and `grids.json`.

    What of an attack's name is plain is in its figure's, which `grids.json` tells; the figures of weights that an
    earlier `grids.json` names go.

    Args:
        grids: What was drawn.
        folder: Where; made if missing.
        command: The command line that made it, to be told.

    Returns:
        The path of `grids.json`.

    Raises:
        InputError: a file cannot be written, or a number is not finite.
    """
    text = grids_json(grids, command=command)
    path = output_folder(folder, "grids")
    with replaced_result(path, "grids.json", "the grids", figures=_earlier_figures(path)) as fresh:
        write_figure(
            strips_figure(_strips(grids), _notes(grids)),
            fresh / "samples",
            "Random candidates and images that attacks chose",
        )
        for name, figure, one in zip(grid_names(grids), _figure_names(grids), grids.attacks, strict=True):
            if figure is not None:
                smallest, largest = (_tail(one, grids, which) for which in ("smallest", "largest"))
                write_figure(
                    side_by_side_figure(smallest, largest, _heading(one, name)),
                    fresh / figure,
                    f"Images of the smallest and of the largest weights: {one.attack.title}",
                )
        write_text(fresh / "grids.json", text)
    return path / "grids.json"


def _attack_json(one: AttackGrids, part: str) -> dict[str, Any]:
    attack, weights = one.attack, _weights(one)

    def images(places: Places) -> list[dict[str, Any]]:
        return [
            {
                "index": int(place),
                "name": attack.names[place],
                "weight": None if weights is None else float(weights[place]),
                "times_drawn": int(attack.drawn[place]),
            }
            for place in places
        ]

    return {
        "folder": str(attack.folder),
        "title": attack.title,
        "attack": dict(attack.settings),
        "keep": attack.keep,
        "scores": [{"label": score_label(score), **score.to_json()} for score in told_distances(attack, part)],
        **{
            which: {"among": len(tail), "weights": _range(one, which), "images": images(one.sampled[which])}
            for which, tail in one.tails.items()
        },
        "chosen": images(one.chosen),
    }


def _weights(one: AttackGrids) -> Any:
    """float64 [N], relative to their mean."""
    return None if one.attack.log_weights is None else np.exp(one.attack.log_weights)


def _range(one: AttackGrids, which: str) -> tuple[float, float]:
    values = _weights(one)[one.tails[which]]
    return float(values.min()), float(values.max())


def _heading(one: AttackGrids, name: str) -> str:
    return f"{one.attack.title} ({shortened(name, 20)}), random images by weight"


def tail_weights(one: AttackGrids, which: str) -> str:
    """In words, what the `smallest` or `largest` weights are, relative to their mean."""
    low, high = _range(one, which)
    if high == 0:
        return "all of weight 0, never drawn"
    ends = [number(low, 3), number(high, 3)]
    return f"weights {ends[0]} to {ends[1]} (mean 1)" if ends[0] != ends[1] else f"weight {ends[0]} (mean 1)"


def _tail(one: AttackGrids, grids: WeightGrids, which: str) -> Panel:
    lines = [f"{which} {100 * grids.share:.4g} %, {amount(len(one.tails[which]))} images", tail_weights(one, which)]
    return Panel([grids.pictures[int(place)] for place in one.sampled[which]], lines)


def _strips(grids: WeightGrids) -> list[Panel]:
    """The random sample with the distances of random draws, then each attack's images with theirs."""
    names = grid_names(grids)
    letters = [_letter(i) for i in range(len(names) + 1)]
    total = amount(len(grids.attacks[0].attack.names))
    before: dict[tuple[str, ...], list[str]] = {}
    panels = []
    for letter, name, one in zip(letters[1:], names, grids.attacks, strict=True):
        told = told_distances(one.attack, grids.part)
        before.setdefault(_lines([(score, score.random, "") for score in told]), []).append(letter)
        changes = [(score, score.drawn, _change(score)) for score in told]
        title = f"({letter}) {one.attack.title} ({shortened(name, 20)}): {amount(one.attack.keep)} of {total}"
        panels.append(Panel([grids.pictures[int(i)] for i in one.chosen], [title, *_lines(changes)]))
    random = ["(a) Random sample of the candidates"]
    for lines, whom in before.items():
        # Attacks that keep other numbers of images, or split the reference otherwise, have other random draws.
        random += [f"as many as ({'), ('.join(whom)}): {line}" for line in lines] if before.keys() - {lines} else lines
    return [Panel([grids.pictures[int(i)] for i in grids.random], random), *panels]


def _lines(told: list[tuple[Score, Spread, str]]) -> tuple[str, ...]:
    lines = []
    for score, spread, change in told:
        value = number(spread.mean) if spread.std is None else plus_minus(spread.mean, spread.std)
        role = ", second opinion" if score.role == "second_opinion" else ""
        lines.append(f"{shortened(score_label(score), 34)} {value}{change}{role}")
    if not any(score.role == "second_opinion" for score, _, _ in told):
        lines.append("second opinion: not computed")
    return tuple(lines)


def _change(score: Score) -> str:
    return "" if score.percent is None else f" ({signed_percent(score.percent)})"


def _notes(grids: WeightGrids) -> list[str]:
    draws = {len(score.drawn.values) for one in grids.attacks for score in told_distances(one.attack, grids.part)}
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
