"""The null-space budget in words: one sentence for the verdict, and a table for the terminal."""

from fidprobe.analysis.budget.result import MOSTLY_NOISE, Budget, Effect, Removal
from fidprobe.analysis.budget.weights import TITLES
from fidprobe.analysis.output.wording import amount, images_text, number, shortened, signed_percent, wrapped

__all__ = ["budget_lines", "budget_sentence", "effect_cells", "percent_text", "reference_text", "size_text"]

_LABEL = 40  # characters of a distance's label: the table then fits 80 columns
_SPACE = "\N{NO-BREAK SPACE}"
_ROW = "{:<{}}  {:>8} {:>8}  {:>8}  {:>6}"


def budget_sentence(budget: Budget) -> str:
    """`choosing among this model's images removes 61 % of FID; FD[clip] sees 8 % (half of the reference held out)`.

    Of the attack that removes most. It begins in lower case and has no full stop, so that it fits into another one.
    """
    label, where = shortened(budget.label, _LABEL), reference_text(budget)
    largest = budget.largest
    if largest is None:
        if budget.removals:
            return f"{label} is 0 but for rounding: choosing among this model's images has nothing to remove"
        why = "; ".join(dict.fromkeys(budget.missing.values()))
        return f"how much choosing among this model's images removes of {label} is not known: {why}"
    removed = -(largest.main.percent or 0.0)
    if removed <= 0:
        return f"choosing among this model's images removes nothing of {label} ({where})"
    seen = [_seen(one) for one in largest.second_opinions.values()]
    opinion = ", ".join(seen) if seen else "there is no second opinion"
    if budget.noise is not None and budget.noise >= MOSTLY_NOISE:
        label += f", which is {percent_text(100 * budget.noise)} sampling error"
    return f"choosing among this model's images removes {percent_text(removed)} of {label}; {opinion} ({where})"


def budget_lines(budget: Budget) -> list[str]:
    """A table of at most 80 columns: every attack in every space, what is missing, and how to read it."""
    counts = budget.reference_counts
    measured = counts["held_out" if "held_out" in counts else "whole"]
    lines = [f"null-space budget: {images_text(budget.count)}, weighted; {reference_text(budget)}"]
    rows = [shortened(budget.label, _LABEL - 17)]
    rows += [f"{shortened(label, _LABEL - 17)} (second opinion)" for label in budget.second_labels]
    width = max(30, 2 + max(map(len, rows)))
    lines.append(
        _ROW.format(f"against {images_text(measured)}", width, "equal", "weighted", "change", "share").rstrip()
    )
    for removal in budget.removals:
        gap = "" if removal.gap is None else f", at most {number(max(removal.gap, 0.0), 2)} points short"
        lines.append(f"{removal.title} ({size_text(removal)}{gap})")
        for name, (effect, share) in zip(rows, removal.effects, strict=True):
            lines.append(_ROW.format(f"  {name}", width, *effect_cells(effect, share)).rstrip())
    if budget.noise is not None:
        lines.append(f"sampling error: {percent_text(100 * budget.noise)} of {rows[0]} at equal weights")
    for name, why in budget.missing.items():
        lines += wrapped(f"{TITLES[name]}: not computed: {why}", indent="  ")
    if not budget.second_labels:
        lines.append("second opinion: not computed")
    return lines


def reference_text(budget: Budget) -> str:
    """What part of the reference was kept from the optimisation: `half of the reference held out`."""
    if budget.held_out == 0:
        return "nothing of the reference held out"
    if budget.held_out == 0.5:
        return "half of the reference held out"
    return f"{percent_text(100 * budget.held_out)} of the reference held out"


def percent_text(value: float) -> str:
    """`61 %`, `8 %`, `0.31 %`: whole percent from 1 on, two digits below."""
    return f"{number(value, 2) if value < 1 else f'{value:.0f}'}{_SPACE}%"


def effect_cells(effect: Effect, share: float | None) -> tuple[str, str, str, str]:
    """A distance at equal weights and at the attack's, its change, and the share that it confirms."""
    change = "from 0" if effect.percent is None else signed_percent(effect.percent)
    return number(effect.before), number(effect.after), change, "" if share is None else number(share, 2)


def size_text(removal: Removal) -> str:
    """`effective sample size 1,234`."""
    return f"effective sample size {amount(round(removal.effective_size))}"


def _seen(effect: Effect) -> str:
    label = shortened(effect.label, _LABEL)
    if effect.percent is None:
        return f"{label} is 0"
    if effect.percent > 0:
        return f"{label} rises by {percent_text(effect.percent)}"
    return f"{label} sees {percent_text(-effect.percent)}"
