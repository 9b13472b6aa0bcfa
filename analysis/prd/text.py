"""PRD curves in words: for the terminal, a table for each space."""

from fidprobe.analysis.output.wording import aligned, amount, images_text, shortened, wrapped
from fidprobe.analysis.prd.measure import PRDCurves

__all__ = ["beta_text", "curve_lines", "space_text"]

_NAME = 32


def curve_lines(curves: PRDCurves) -> list[str]:
    """How it was measured, then a row a model and a table a space, in at most 80 columns."""
    means = f"{curves.runs} runs" if curves.runs > 1 else "1 run"
    lines = wrapped(
        f"{means} of {curves.clusters} clusters, each on {images_text(curves.images)} of every set; the reference has "
        f"{images_text(curves.reference.count)}"
    )
    for space in curves.spaces:
        lines += ["", *_table(curves, space)]
    if "second" not in curves.spaces:
        lines += ["", *wrapped(f"second opinion: not available: {shortened(curves.no_second, 200)}")]
    return lines


def beta_text(beta: float) -> tuple[str, str]:
    """`F_8`, `F_1/8`: how both are written, the one that weighs recall by β first."""
    inverse = f"1/{beta:g}" if beta >= 1 else f"{1 / beta:g}"
    return f"F_{beta:g}", f"F_{inverse}"


def space_text(curves: PRDCurves, space: str, length: int) -> str:
    """`clip (second opinion)`: a space's name, cut to a length, and its role."""
    name = curves.spaces[space]
    named = "features of an unknown space" if name == "unknown" else shortened(name, length)
    return named if space == "main" else f"{named} (second opinion)"


def _table(curves: PRDCurves, space: str) -> list[str]:
    first, second = beta_text(curves.beta)
    roles = ("recall", "precision") if curves.beta >= 1 else ("precision", "recall")
    rows = [["model", "images", f"{first} ({roles[0]})", f"{second} ({roles[1]})"]]
    for name, one in curves.models.items():
        curve = one.curves.get(space)
        told = ["not measured", "not measured"]
        if curve is not None:
            told = [_number(curve.max_f(b), curve.spread(b), curve.runs) for b in (curves.beta, 1 / curves.beta)]
        rows.append([shortened(name, _NAME), amount(one.images.count), *told])
    return [f"{space_text(curves, space, 50)}:", *aligned(rows)]


def _number(value: float, spread: float, runs: int) -> str:
    return f"{value:.4f} ± {spread:.4f}" if runs > 1 else f"{value:.4f}"
