"""The price of a gain in words: one sentence, and a table of what is left of the gain under each cap."""

import math

from fidprobe.analysis.output.wording import amount, joined, number, plus_minus, shortened
from fidprobe.analysis.price.result import GainPrice

__all__ = ["cap_text", "price_rows", "price_sentence"]

_LABEL = 40  # characters of a distance's label
_PERCENT = "\N{NO-BREAK SPACE}%"


def price_sentence(price: GainPrice) -> str:
    """`No choosing among the baseline's images reaches the model's FID ...`: one or two full sentences."""
    label = shortened(price.label, _LABEL)
    if not price.judges[0].fell:
        return f"The gain costs nothing: {label} did not fall, so that there is nothing to buy."
    what = f"the model's {joined([shortened(one, _LABEL) for one in price.fell])}"
    what += " at once" if len(price.fell) > 1 else ""
    if math.isinf(price.lower):
        return _never(price, what)
    least = f"one of fewer than {number(price.lower, 3)}"
    if math.isinf(price.upper):
        return (
            f"Keeping {least} of the baseline's images does not reach {what} (certified); what would reach them is not "
            "known."
        )
    error = "" if price.error is None else f" (standard error {number(price.error, 2)})"
    sentence = f"Keeping one of {number(price.upper, 3)}{error} of the baseline's images reaches {what}"
    sentence += f"; keeping {least} does not (certified)." if price.lower > 1 else "."
    if price.held_out is not None:
        sentence += f" On the held-out part of the reference these weights {_left_text(price.held_out)}."
    return sentence


def price_rows(price: GainPrice) -> list[list[str]]:
    """A heading, then a row for each cap: what the best weights found leave of the gain, and what all weights leave."""
    rows = [["kept", "left by the best found", "left by any (certified)", "s.e."]]
    for one in price.caps:
        error = "" if one.error is None else _share(one.error)
        rows.append([cap_text(one.cap), _share(one.attained), _share(one.certified), error])
    return rows


def cap_text(cap: float) -> str:
    """`1 of 5`, `any weights`."""
    return "any weights" if math.isinf(cap) else f"1 of {cap:g}"


def _never(price: GainPrice, what: str) -> str:
    best, images = price.unlimited, amount(price.images["baseline"])
    sentence = f"No choosing among the baseline's {images} images reaches {what}, at any price (certified)"
    if best is None:
        return f"{sentence}."
    spread = _share(best.certified)
    if best.error is not None:
        spread = f"{plus_minus(100 * best.certified, 100 * best.error)}{_PERCENT}"
    if price.beyond_error:
        return f"{sentence}: at least {spread} of the gain stays out of reach."
    return f"{sentence} for these images, but within their sampling error: {spread} of the gain stays out of reach."


def _left_text(left: float) -> str:
    """What weights leave of the gain elsewhere: below 0 they reach it there too."""
    return "reach them too" if left <= 0 else f"leave {_share(left)} of the gain"


def _share(value: float) -> str:
    """`26 %`, `−5.1 %`: a share of the gain."""
    return f"{'−' if value < 0 else ''}{number(abs(100 * value), 2)}{_PERCENT}"
