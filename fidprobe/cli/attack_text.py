"""An attack's outcome as text for people."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fidprobe.runtime.messages import escape_controls

if TYPE_CHECKING:
    from fidprobe.analysis.attack.measure import Attacked
    from fidprobe.analysis.attack.sweep import Swept
    from fidprobe.attacks.rescoring import DistanceBeforeAfter

__all__ = ["attack_lines", "sweep_lines"]

_STOPPED = {
    "certified": "certified",
    "stalled": "as far as rounding allows",
    "steps": "out of steps",
    "interrupted": "interrupted",
    "diverged": "diverged (lower the learning rate)",
}
_DRAWS = {
    "with-replacement": "with replacement",
    "systematic": "systematically",
    "swap": "by swap search",
    "swap-unique": "by swap search without repeats",
}
_PARTS = {"optimised": "optimised", "held_out": "held out"}


def attack_lines(attacked: "Attacked") -> list[str]:
    """How an attack went, then every distance before and after it, a space at a time."""
    return [*_course(attacked), *_distances(attacked)]


def _course(attacked: "Attacked") -> Iterable[str]:
    from fidprobe.analysis.output.wording import amount, number

    outcome, solution = attacked.outcome, attacked.outcome.solution
    if solution is not None:
        line = f"objective {number(solution.initial)} -> {number(solution.objective)}"
        if solution.lower_bound is not None and solution.relative_gap is not None:
            # Where the optimum is next to nothing, so is the gap, and its ratio says nothing.
            gap = f" (gap {_percent(solution.relative_gap)})" if solution.lower_bound > 0 else ""
            line += f"; no weights reach below {number(solution.lower_bound)}{gap}"
        yield line
        last = solution.steps[-1]
        yield (
            f"{_STOPPED[solution.stopped]} after {amount(last.step)} steps, {amount(round(last.passes))} passes, "
            f"{last.seconds:.3g} s; effective sample size {amount(round(solution.effective_sample_size))}"
        )
    details = outcome.details
    for looked in details.get("candidates_looked_at", ())[:1]:
        yield f"class histogram filled from {amount(looked)} candidates ({looked / outcome.keep:.2g} for each kept)"
    short = details.get("short_bins", ())
    if short:
        first = short[0]
        name = escape_controls(str(first["name"] or first["class"]))
        yield (
            f"{amount(len(short))} classes stayed short of {amount(details['missing'])} images, the first: {name}, "
            f"{first['found']} of {first['wanted']}"
        )
    draws = len(outcome.choices)
    how = _DRAWS.get(outcome.attack.get("draw", ""), "each at most once")
    times = "" if draws == 1 else f"{draws} times "
    yield f"drawn {times}{amount(outcome.keep)} of {amount(attacked.sets['candidates'].count)} candidates, {how}"


def _distances(attacked: "Attacked") -> list[str]:
    """The table: a space's name on a line of its own, below it a line for each part of the reference."""
    from fidprobe.analysis.attack.measure import score_label
    from fidprobe.analysis.output.wording import number, plus_minus, signed_percent

    def spread(mean: float, std: float | None) -> str:
        # Without the second space a usual line is no longer than 80 characters.
        return number(mean) if std is None else plus_minus(mean, std).replace("±\N{NO-BREAK SPACE}", "±")

    def one(value: float | None) -> str:
        return "" if value is None else number(value)

    rows: list[list[str]] = [["", "all", "random draw", "weighted", "drawn", "expected", "change"]]
    titles: dict[int, str] = {}
    label = ""
    for score in sorted(attacked.outcome.scores, key=_place):
        suffix = {"second_opinion": " (second opinion)", "attacked": " (attacked)"}.get(score.role, "")
        if label != (found := escape_controls(score_label(score)) + suffix):
            label = found
            titles[len(rows)] = label
        rows.append(
            [
                f" {_PARTS[score.reference]}",
                one(score.candidates),
                spread(score.random.mean, score.random.std),
                one(score.weighted),
                spread(score.drawn.mean, score.drawn.std),
                one(score.expected),
                "" if score.percent is None else signed_percent(score.percent),
            ]
        )
    if not any(score.role == "second_opinion" for score in attacked.outcome.scores):
        titles[len(rows)] = "second opinion: not computed"
    lines = _aligned(rows)
    for place in sorted(titles, reverse=True):
        lines.insert(place, titles[place])
    return lines


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else "100 %"


def _aligned(rows: list[list[str]]) -> list[str]:
    """A table's lines: names to the left, numbers to the right, columns without any number left out."""
    used = [i for i in range(len(rows[0])) if i == 0 or any(row[i] for row in rows[1:])]
    widths = {i: max(len(row[i]) for row in rows) for i in used}
    return ["  ".join(row[i].rjust(widths[i]) if i else row[i].ljust(widths[i]) for i in used).rstrip() for row in rows]


def sweep_lines(sweep: Iterable["Swept"]) -> list[str]:
    """One line an attack: how near the optimum it came, and what its drawn images measure in both spaces."""
    from fidprobe.analysis.attack.measure import score_label
    from fidprobe.analysis.output.wording import number, plus_minus, signed_percent

    def told(score: "DistanceBeforeAfter | None") -> list[str]:
        if score is None:
            return ["not computed", ""]
        mean, std = score.drawn.mean, score.drawn.std
        change = "" if score.percent is None else signed_percent(score.percent)
        return [number(mean) if std is None else plus_minus(mean, std), change]

    sweep = list(sweep)
    main, second = (sweep[0].score(role) for role in ("main", "second_opinion"))
    part = "held-out part" if main is not None and main.reference == "held_out" else "optimised part"
    rows = [["", "gap", "drawn", "change", "second opinion", "change"]]
    for one in sweep:
        solution = one.attacked.outcome.solution
        gap = "" if solution is None or solution.relative_gap is None else _percent(solution.relative_gap)
        rows.append([one.folder, gap, *told(one.score("main")), *told(one.score("second_opinion"))])
    lines = [f"distances to the {part} of the reference, before the attack:"]
    for score, role in ((main, ""), (second, " (second opinion)")):
        if score is not None:
            lines.append(f" {escape_controls(score_label(score))}{role} {number(score.random.mean)}")
    return [*lines, *_aligned(rows)]


def _place(score: "DistanceBeforeAfter") -> tuple[bool, int]:
    """The second opinion stands right below the main distance."""
    return score.metric != "frechet_distance", ("main", "second_opinion", "attacked").index(score.role)
