"""`fidprobe conventions`: one pair of sets by every library's conventions, side by side."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from fidprobe.cli import options as o
from fidprobe.cli.bars import Bars
from fidprobe.cli.text import print_advice
from fidprobe.runtime.messages import escape_controls

if TYPE_CHECKING:
    from fidprobe.analysis.conventions.convention_scores import ConventionScores
    from fidprobe.analysis.conventions.measure import Conventions

__all__ = ["conventions"]

_NONE, _LACKING = "–", "n/a"


def conventions(
    reference: o.Reference,
    generated: o.Generated,
    convention: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="ttur, pytorch-fid, clean-fid, torchmetrics, torch-fidelity, stylegan or adm; may be given again. "
            "All by default.",
        ),
    ] = None,
    extractor: o.ExtractorName = "inception",
    second_opinion: o.SecondOpinion = "clip",
    weights: o.WeightsFile = None,
    second_weights: o.SecondWeights = None,
    unverified: o.Unverified = False,
    device: o.Device = None,
    second_reference: o.SecondFeatures = None,
    second_generated: o.SecondFeatures = None,
    limit: o.Limit = None,
    seed: o.Seed = 0,
    skip_bad: o.SkipBad = False,
    batch_size: o.BatchSize = 64,
    no_cache: o.NoCache = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Print what each library would print for GENERATED against REFERENCE, and what differs between them.

    Images go through the network once for each resize rule.

    Example: fidprobe conventions real/ model/ --limit 10000
    """
    from fidprobe.analysis.conventions.measure import conventions as run

    with Bars(quiet=quiet, interrupted=o.RESUMED) as progress:
        found = run(
            reference,
            generated,
            names=convention,
            extractor=o.choice(extractor, device, None, weights, unverified),
            second_opinion=o.choice(second_opinion, device, None, second_weights, unverified),
            second_reference=second_reference,
            second_generated=second_generated,
            options=o.read_options(limit, seed, skip_bad, batch_size, no_cache),
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2, allow_nan=False))
    else:
        typer.echo("\n".join(_lines(found)))
    print_advice(found.advice)


def _lines(found: "Conventions") -> list[str]:
    """A table of numbers, the spread in a sentence, the second opinion, and what differs."""
    from fidprobe.analysis.output.wording import amount, number

    def many(name: str) -> str:
        count = found.sets[name].count
        return "an unknown number of" if count is None else amount(count)

    label = escape_controls(found.label)
    lines = [f"{label} of {many('generated')} images against {many('reference')}, by each library's conventions"]
    distance, kernel = _names(found)
    table = [["", distance, f"{kernel} × 1000", "IS", "precision", "recall"]]
    table += [_cells(row) for row in found.rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for name, *cells in table:
        line = "  ".join([name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])])
        lines.append(line.rstrip())
    if found.second:
        lines.append(
            f"second opinion {escape_controls(found.second_label)}: {found.second.value:.6g} "
            "(of the other columns: none)"
        )
    else:
        lines.append("second opinion: not computed")
    if (spread := found.spread) and spread.ratio is not None:
        lines.append(
            f"Conventions alone move {label} from {number(spread.low)} ({spread.lowest}) to {number(spread.high)} "
            f"({spread.highest}): a factor of {spread.ratio:.4g}."
        )
    return [part for line in [*lines, *_differences(found), *_reasons(found)] for part in _wrapped(line)]


def _names(found: "Conventions") -> tuple[str, str]:
    """FID and KID are Inception's alone."""
    return ("FID", "KID") if found.label == "FID" else ("FD", "KD")


def _differences(found: "Conventions") -> list[str]:
    """How each library gets its FID; only Inception's pixels are scaled as the library does."""
    from fidprobe.analysis.conventions.table import RESIZES

    rows = [["what differs", "resize", "pixels", "covariance"]]
    for one in (row.convention for row in found.rows):
        pixels = one.scaling if found.label == "FID" else "the network's"
        rows.append([one.name, RESIZES[one.resize], pixels, "/ (n − 1)" if one.covariance_ddof else "/ n"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["", *("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)]


def _cells(row: "ConventionScores") -> list[str]:
    """Numbers of one library, with a spread where the library tells one."""
    from fidprobe.analysis.output.wording import plus_minus

    one, kernel, score, balls = row.convention, row.kernel, row.score, row.balls
    lacking = {
        metric: _LACKING if metric in row.missing else _NONE for metric in ("fid", "kid", "is", "precision-recall")
    }
    cells = [one.name, f"{row.frechet.value:.6g}" if row.frechet else lacking["fid"]]
    if kernel and one.kernel:
        spread = one.kernel.spread
        cells.append(plus_minus(1000 * kernel.mean, 1000 * kernel.std) if spread else f"{1000 * kernel.mean:.4g}")
    else:
        cells.append(lacking["kid"])
    if score and one.parts:
        told = one.parts.std_ddof is not None
        cells.append(plus_minus(score.mean, score.std) if told else f"{score.mean:.4g}")
    else:
        cells.append(lacking["is"])
    if balls:
        return [*cells, f"{balls.precision:.4f}", f"{balls.recall:.4f}"]
    elsewhere = f"n/a: {one.balls.space}" if one.balls and one.balls.space != "pool3" else lacking["precision-recall"]
    return [*cells, elsewhere, elsewhere]


def _reasons(found: "Conventions") -> list[str]:
    """Why a metric that a library has is not there."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in found.rows:
        for metric, why in row.missing.items():
            reasons.setdefault((metric, why), []).append(row.convention.name)
    distance, kernel = _names(found)
    named = {"fid": distance, "kid": kernel, "is": "IS", "precision-recall": "precision, recall"}
    lines = [f"{named[metric]} ({', '.join(names)}): {why}" for (metric, why), names in reasons.items()]
    return ["", "not computed", *lines] if lines else []


def _wrapped(line: str) -> list[str]:
    """Sentences within 80 columns."""
    import textwrap

    return textwrap.wrap(line, 80, subsequent_indent="  ", break_long_words=False) if len(line) > 80 else [line]
