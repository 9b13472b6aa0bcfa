"""What the report says of the price of the gain."""

from typing import Any

from fidprobe.analysis.audit.result import Audit
from fidprobe.analysis.output.wording import shortened
from fidprobe.analysis.price.text import price_rows, price_sentence

__all__ = ["price_view"]


def price_view(audit: Audit) -> dict[str, Any] | None:
    """The sentence, a row for each cap, what the curves are of, and what to know; None without a price."""
    price = audit.price
    if price is None:
        return None
    heading, *rows = price_rows(price)
    return {
        "sentence": price_sentence(price),
        "heading": heading,
        "rows": rows,
        "spaces": [shortened(judge.label, 40) for judge in price.judges[:2]],
        "warnings": [advice.text for advice in price.advice],
    }
