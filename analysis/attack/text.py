"""An attack in words, for the terminal."""

from collections.abc import Iterator, Sequence

from fidprobe.analysis.attack.measure import Attacked, score_label
from fidprobe.analysis.attack.sweep import Swept
from fidprobe.analysis.output.wording import aligned, amount, number, plus_minus, signed_percent
from fidprobe.attacks.rescoring import DistanceBeforeAfter
from fidprobe.runtime.messages import escape_controls

__all__ = ["attack_lines", "interruption_text", "sweep_lines"]

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
_ROLES = {"main": "", "second_opinion": " (second opinion)", "attacked": " (attacked)"}
"""In the order of the table: the second opinion stands right below the main distance."""


def attack_lines(attacked: Attacked) -> list[str]:
    """How an attack went, then every distance before and after it, a space at a time."""
    return [*_course(attacked), *_distances(attacked)]


def sweep_lines(sweep: Sequence[Swept]) -> list[str]:
    """A line for each attack: how near the optimum it came, and what its drawn images measure in both spaces."""
    main, second = (sweep[0].score(role) for role in ("main", "second_opinion"))
    part = "held-out part" if main is not None and main.reference == "held_out" else "optimised part"
    lines = [f"distances to the {part} of the reference, before the attack:"]
    for score in (main, second):
        if score is not None:
            lines.append(f" {_title(score)} {number(score.random.mean)}")
    rows = [["", "gap", "drawn", "change", "second opinion", "change"]]
    for one in sweep:
        solution = one.attacked.outcome.solution
        gap = "" if solution is None or solution.relative_gap is None else _percent(solution.relative_gap)
        rows.append([one.folder, gap, *_drawn(one.score("main")), *_drawn(one.score("second_opinion"))])
    return [*lines, *aligned(rows)]


def _course(attacked: Attacked) -> Iterator[str]:
    """What the solver reached, and how images were drawn."""
    outcome, solution = attacked.outcome, attacked.outcome.solution
    if solution is not None:
        what = "larger of both distances, 1 at equal weights:" if "also" in outcome.attack else "objective"
        line = f"{what} {number(solution.initial)} -> {number(solution.objective)}"
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
    for examined in details.get("candidates_looked_at", ())[:1]:
        yield f"class histogram filled from {amount(examined)} candidates ({examined / outcome.keep:.2g} for each kept)"
    if short := details.get("short_bins", ()):
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


def _distances(attacked: Attacked) -> list[str]:
    """The table: a space's name on a line of its own, below it a line for each part of the reference."""
    room = " " * (1 + max(map(len, _PARTS.values())))  # parts stay whole, even where a line is longer than the terminal
    rows = [[room, "all", "random draw", "weighted", "drawn", "expected", "change"]]
    titles: dict[int, str] = {}  # place of a line -> title above it
    for score in sorted(attacked.outcome.scores, key=_place):
        if [_title(score)] != list(titles.values())[-1:]:
            titles[len(rows)] = _title(score)
        rows.append(
            [
                f" {_PARTS[score.reference]}",
                "" if score.candidates is None else number(score.candidates),
                _mean(score.random.mean, score.random.std),
                "" if score.weighted is None else number(score.weighted),
                _mean(score.drawn.mean, score.drawn.std),
                "" if score.expected is None else number(score.expected),
                "" if score.percent is None else signed_percent(score.percent),
            ]
        )
    if not any(score.role == "second_opinion" for score in attacked.outcome.scores):
        titles[len(rows)] = "second opinion: not computed"
    lines = aligned(rows)
    for place in sorted(titles, reverse=True):
        lines.insert(place, titles[place])
    return lines


def _title(score: DistanceBeforeAfter) -> str:
    """`FD[clip] (second opinion)`."""
    return escape_controls(score_label(score)) + _ROLES[score.role]


def _place(score: DistanceBeforeAfter) -> tuple[bool, int]:
    """Fréchet distances come first, in the order of their roles."""
    return score.metric != "frechet_distance", list(_ROLES).index(score.role)


def _mean(mean: float, std: float | None) -> str:
    """`11.61 ±0.99`: without the second space a usual line is no longer than 80 characters."""
    return number(mean) if std is None else plus_minus(mean, std).replace("±\N{NO-BREAK SPACE}", "±")


def _drawn(score: DistanceBeforeAfter | None) -> list[str]:
    """The drawn images' distance and its change."""
    if score is None:
        return ["not computed", ""]
    mean, std = score.drawn.mean, score.drawn.std
    change = "" if score.percent is None else signed_percent(score.percent)
    return [number(mean) if std is None else plus_minus(mean, std), change]


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else "100 %"


def interruption_text(done: Sequence[Attacked], asked: int) -> str:
    """What an interruption left of so many attacks, and how they go on."""
    outcome = done[-1].outcome
    if len(done) < asked:
        what = f"{asked - len(done)} of {asked} attacks are still to do; the same command does them"
    elif outcome.solution is None:
        what = "drawing stopped early, and the same command begins it anew"
    elif outcome.solution.stopped == "interrupted" or outcome.attack["draw"].startswith("swap"):
        what = "the same command goes on from there"
    else:
        what = "it came too late to stop anything"
    gap = None if outcome.solution is None else outcome.solution.relative_gap
    left = "" if gap is None else f", with a gap of {100 * gap:.3g} %"
    return f"interrupted; what was written is the best so far{left}; {what}"
