"""A comparison of classes in words, for the terminal."""

from collections.abc import Sequence

from fidprobe.analysis.classes.statistics import FALSE_DISCOVERY_RATE, ClassComparison, ClassShift
from fidprobe.analysis.output.wording import aligned, amount, number, plus_minus

__all__ = ["class_lines"]


def class_lines(comparison: ClassComparison, count: int) -> list[str]:
    """Totals, the distance beside its noise floor, then the classes.

    Args:
        comparison: What was measured.
        count: Over- and under-represented classes to show, of each kind.
    """
    sets = (comparison.reference, comparison.generated)
    probability = "Top-1 confidence" if comparison.top == 1 else f"Top-{comparison.top} probability"
    rows = [
        ["", "reference", "generated"],
        ["images", *(amount(one.images) for one in sets)],
        ["classes that occur", *(amount(one.classes) for one in sets)],
        ["effective classes", *(number(one.effective_classes) for one in sets)],
        ["entropy (nats)", *(number(one.entropy) for one in sets)],
        [f"mean {probability}", *(number(one.probability, 3) for one in sets)],
    ]
    distance = comparison.total_variation
    floor = plus_minus(distance.equal_mean, distance.equal_std).replace("\N{NO-BREAK SPACE}", " ")
    reached = distance.p_value * (1 + distance.permutations) > 1.5
    least = "" if reached else f", the least that {amount(distance.permutations)} permutations can give"
    by_verdict = {verdict: comparison.shifted(verdict) for verdict in ("over", "under")}
    differing, occurring = sum(map(len, by_verdict.values())), len(comparison.classes)
    rare = sum(one.too_rare for one in comparison.classes)
    room = max(24, *(len(row[0]) + 1 for row in rows))
    lines = [
        *(f"{name:<{room}}{first:>10}{second:>11}" for name, first, second in rows),
        "",
        f"total variation {number(distance.value)}; equal sets would show {floor}",
        f"p = {distance.p_value:.3g}{least}",
        f"{amount(differing)} of {amount(occurring)} classes differ "
        f"(false discovery rate {100 * FALSE_DISCOVERY_RATE:.0f} %)"
        + (f"; {amount(rare)} {'is' if rare == 1 else 'are'} too rare to tell" if rare else ""),
    ]
    for verdict, shifts in by_verdict.items():
        if shifts:
            lines += ["", *_table(f"{verdict}-represented", shifts[:count])]
            if len(shifts) > count:
                lines.append(f" and {amount(len(shifts) - count)} more")
    return lines


def _table(title: str, shifts: Sequence[ClassShift]) -> list[str]:
    """A line for each class."""
    rows = [[title, "reference", "generated", "points", "ratio", "95 % interval"]]
    for shift in shifts:
        interval = "only generated" if shift.ratio is None else "only reference"
        if shift.ratio_interval is not None:
            interval = " to ".join(number(end, 3) for end in shift.ratio_interval)
        points = f"{100 * shift.difference:+.2f}".replace("-", "−")
        ratio = number(shift.ratio, 3) if shift.ratio else ""
        rows.append([shift.name, *map(amount, shift.counts), points, ratio, interval])
    return aligned(rows, indent=" ")
