"""A correlation in words, for the terminal."""

from fidprobe.analysis.correlation.figures import agreement_text
from fidprobe.analysis.correlation.measure import Correlation
from fidprobe.analysis.output.wording import aligned, amount, number, shortened
from fidprobe.runtime.messages import escape_controls

__all__ = ["correlation_lines"]

_TITLES = {"main": "distance", "logits": "in logits", "second": "second opinion"}


def correlation_lines(correlation: Correlation) -> list[str]:
    """A row for each model, then how far the spaces agree."""
    columns = [space for space in _TITLES if space in correlation.labels]
    lines = [f"{_TITLES[space]}: {escape_controls(correlation.labels[space])}" for space in columns]
    lines += [f"{_TITLES[space]}: not available: {escape_controls(why)}" for space, why in correlation.missing.items()]
    rows = [["model", "images", *(_TITLES[space] for space in columns)]]
    for name, model in correlation.models.items():
        values = {"main": model.main, "logits": model.logits, "second": model.second}
        cells = ["" if (value := values[space]) is None else number(value) for space in columns]
        rows.append([shortened(name, 32), amount(model.images.count), *cells])
    lines += aligned(rows)
    for space, agreement in correlation.agreements.items():
        first, second = agreement_text(agreement)
        lines.append(f"distance and {_TITLES[space]}: {first}")
        lines += [f"  {second}"] if second else []
    return lines
