"""Scores by every library's conventions in words, for the terminal."""

from fidprobe.analysis.conventions.convention_scores import ConventionScores
from fidprobe.analysis.conventions.measure import Conventions
from fidprobe.analysis.conventions.table import RESIZES
from fidprobe.analysis.output.wording import aligned, amount, number, plus_minus, wrapped
from fidprobe.runtime.messages import escape_controls

__all__ = ["convention_lines"]

_NONE, _LACKING = "–", "n/a"


def convention_lines(conventions: Conventions) -> list[str]:
    """A table of numbers, the second opinion, the spread in a sentence, and what differs."""
    distance, kernel = _names(conventions)
    label = escape_controls(conventions.label)
    generated, reference = (_count(conventions, name) for name in ("generated", "reference"))
    lines = [
        f"{label} of {generated} images against {reference}, by each library's conventions",
        *aligned([["", distance, f"{kernel} × 1000", "IS", "precision", "recall"], *map(_cells, conventions.rows)]),
    ]
    if conventions.second:
        lines.append(
            f"second opinion {escape_controls(conventions.second_label)}: {conventions.second.value:.6g} "
            "(of the other columns: none)"
        )
    else:
        lines.append("second opinion: not computed")
    if (spread := conventions.spread) and spread.ratio is not None:
        lines.append(
            f"Conventions alone move {label} from {number(spread.low)} ({spread.lowest}) to {number(spread.high)} "
            f"({spread.highest}): a factor of {spread.ratio:.4g}."
        )
    lines += ["", *_differences(conventions), *_reasons(conventions)]
    return [part for line in lines for part in wrapped(line, indent="  ")]


def _count(conventions: Conventions, name: str) -> str:
    count = conventions.sets[name].count
    return "an unknown number of" if count is None else amount(count)


def _names(conventions: Conventions) -> tuple[str, str]:
    """FID and KID are Inception's alone."""
    return ("FID", "KID") if conventions.label == "FID" else ("FD", "KD")


def _differences(conventions: Conventions) -> list[str]:
    """How each library gets its FID; only Inception's pixels are scaled as the library does."""
    rows = [["what differs", "resize", "pixels", "covariance"]]
    for one in (row.convention for row in conventions.rows):
        pixels = one.scaling if conventions.label == "FID" else "the network's"
        rows.append([one.name, RESIZES[one.resize], pixels, "/ (n − 1)" if one.covariance_ddof else "/ n"])
    return aligned(rows, left=4)


def _cells(row: ConventionScores) -> list[str]:
    """Numbers of one library, with a spread where the library gives one."""
    one, kernel, score, balls = row.convention, row.kernel, row.score, row.balls
    lacking = {
        metric: _LACKING if metric in row.missing else _NONE for metric in ("fid", "kid", "is", "precision-recall")
    }
    cells = [one.name, f"{row.frechet.value:.6g}" if row.frechet else lacking["fid"]]
    if kernel and one.kernel:
        mean, std = 1000 * kernel.mean, 1000 * kernel.std
        cells.append(plus_minus(mean, std) if one.kernel.spread else f"{mean:.4g}")
    else:
        cells.append(lacking["kid"])
    if score and one.parts:
        has_spread = one.parts.std_ddof is not None
        cells.append(plus_minus(score.mean, score.std) if has_spread else f"{score.mean:.4g}")
    else:
        cells.append(lacking["is"])
    if balls:
        return [*cells, f"{balls.precision:.4f}", f"{balls.recall:.4f}"]
    elsewhere = f"n/a: {one.balls.space}" if one.balls and one.balls.space != "pool3" else lacking["precision-recall"]
    return [*cells, elsewhere, elsewhere]


def _reasons(conventions: Conventions) -> list[str]:
    """Why a metric that a library has is not there."""
    libraries: dict[tuple[str, str], list[str]] = {}
    for row in conventions.rows:
        for metric, why in row.missing.items():
            libraries.setdefault((metric, why), []).append(row.convention.name)
    distance, kernel = _names(conventions)
    titles = {"fid": distance, "kid": kernel, "is": "IS", "precision-recall": "precision, recall"}
    lines = [f"{titles[metric]} ({', '.join(names)}): {why}" for (metric, why), names in libraries.items()]
    return ["", "not computed", *lines] if lines else []
