"""Grids by weight in words, for the terminal."""

from fidprobe.analysis.attack.measure import score_label
from fidprobe.analysis.output.wording import amount, number, signed_percent
from fidprobe.analysis.weight_grids.files import tail_weights
from fidprobe.analysis.weight_grids.measure import WeightGrids
from fidprobe.runtime.messages import escape_controls

__all__ = ["grid_lines"]


def grid_lines(grids: WeightGrids) -> list[str]:
    """Each attack's distances before and after it, and its smallest and largest weights."""
    part = "held-out part of the reference" if grids.part == "held_out" else "optimised reference"
    lines = [f"distances to the {part}, random draw -> chosen:"]
    for name, one in zip(grids.names, grids.attacks, strict=True):
        lines.append(f"{one.attack.title} ({escape_controls(name)}), {amount(one.attack.keep)} images")
        scores = one.attack.distances(grids.part)
        for score in scores:
            role = " (second opinion)" if score.role == "second_opinion" else ""
            change = "" if score.percent is None else f"  ({signed_percent(score.percent)})"
            values = f"{number(score.random.mean)} -> {number(score.drawn.mean)}"
            lines.append(f"  {escape_controls(score_label(score))}{role}  {values}{change}")
        if not any(score.role == "second_opinion" for score in scores):
            lines.append("  second opinion: not computed")
        for which, tail in one.tails.items():
            lines.append(f"  {which} {100 * grids.share:.4g} %: {amount(len(tail))} images, {tail_weights(one, which)}")
    return lines
