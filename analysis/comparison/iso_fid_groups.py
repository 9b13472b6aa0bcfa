"""Models of nearly equal FID (iso-FID groups), their order in second opinions, and the steps between groups.

An iso-FID group begins with the best model that is in none yet; models follow it in the order of their distances while
theirs is no more than a share `within` above the first's, or not distinguishable from it. The first one that is neither
begins the next group.

Many models make many comparisons, of which one in twenty would be significant by chance alone. All intervals here are
therefore wider than one comparison's, by Bonferroni's rule, so that those of a kind hold together with 95 %: of the
main space, one for each model after the first; of a second opinion, one for each pair within a group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import comb
from typing import Any

from fidprobe.analysis.verdict.rule import Verdict, judge
from fidprobe.analysis.verdict.uncertainty import Estimate, JointEstimates, Key, Ratio

__all__ = ["IsoGroup", "Pair", "Ranking", "Step", "group_steps", "iso_groups"]


@dataclass(frozen=True)
class Pair:
    """Two models of a group in a second opinion's space.

    Attributes:
        better: The model of the smaller distance.
        worse: The other one.
        change: From the better one's distance to the other's, bias-corrected, >= 0.
        relative: The same as a share of the better one's.
    """

    better: str
    worse: str
    change: Estimate
    relative: Ratio

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "better": self.better,
            "worse": self.worse,
            "change": self.change.to_json(),
            "relative_change": self.relative.to_json(),
            "significant": self.change.significant,
        }


@dataclass(frozen=True)
class Ranking:
    """A group in a second opinion's space.

    Attributes:
        models: By their distance, the best first; those that can be judged there.
        pairs: All pairs of them.
        missing: Model -> why it cannot be judged.
    """

    models: tuple[str, ...]
    pairs: tuple[Pair, ...]
    missing: Mapping[str, str]

    @property
    def from_best(self) -> tuple[Pair, ...]:
        """The pairs of the best model and each other one."""
        return tuple(one for one in self.pairs if one.better == self.models[0])

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "models": list(self.models),
            "pairs": [one.to_json() for one in self.pairs],
            "missing": dict(self.missing),
        }


@dataclass(frozen=True)
class IsoGroup:
    """Models whose main distances do not differ, or hardly.

    Attributes:
        models: By their distance in the main space.
        changes: Each but the first -> from the first's distance to its own.
        near: The models whose distance is within the share that counts as nearly equal; the others in the group are
            not distinguishable from the first, which is less.
        rankings: Second space -> the group's order there; empty for a group of one.
    """

    models: tuple[str, ...]
    changes: Mapping[str, Estimate]
    near: frozenset[str]
    rankings: Mapping[str, Ranking]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "models": list(self.models),
            "changes_from_first": {name: one.to_json() for name, one in self.changes.items()},
            "nearly_equal": [name for name in self.models[1:] if name in self.near],
            "rankings": {space: one.to_json() for space, one in self.rankings.items()},
        }


@dataclass(frozen=True)
class Step:
    """From the first model of a group down to the first of the next better one.

    Attributes:
        baseline: The former.
        model: The latter.
        verdict: Whether its gain is real.
    """

    baseline: str
    model: str
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"baseline": self.baseline, "model": self.model, **self.verdict.to_json()}


def iso_groups(
    joint: JointEstimates, models: Sequence[str], spaces: Sequence[str], *, within: float, missing: Mapping[Key, str]
) -> tuple[IsoGroup, ...]:
    """Gather models of nearly equal distance.

    Args:
        joint: The distances of all in `main` and in the second spaces.
        models: Those to gather, by their distance in `main`, the best first.
        spaces: The second opinions.
        within: Share of the first's distance that counts as nearly equal, >= 0.
        missing: (second space, model) -> why it cannot be judged there.
    """
    together = joint.simultaneous(len(models) - 1)
    found: list[list[str]] = []
    changes: dict[str, Estimate] = {}
    near: set[str] = set()
    for name in models:
        if found:
            first = found[-1][0]
            changes[name] = together.change("main", name, first)
            if changes[name].value <= within * joint.distance("main", first).value:
                near.add(name)
            if name in near or not changes[name].significant:
                found[-1].append(name)
                continue
        found.append([name])
    comparisons = {space: sum(comb(len(_judged(group, space, missing)), 2) for group in found) for space in spaces}
    return tuple(
        IsoGroup(
            models=tuple(group),
            changes={name: changes[name] for name in group[1:]},
            near=frozenset(near.intersection(group)),
            rankings={
                space: _ranking(joint.simultaneous(comparisons[space]), group, space, missing)
                for space in spaces
                if len(group) > 1
            },
        )
        for group in found
    )


def group_steps(
    joint: JointEstimates,
    groups: Sequence[IsoGroup],
    spaces: Sequence[str],
    *,
    labels: Mapping[str, str],
    missing: Mapping[Key, str],
    doubts: Mapping[str, str],
) -> tuple[Step, ...]:
    """Judge each step from one group's first model to the next better group's.

    Args:
        joint: The distances of all in `main` and in the second spaces.
        groups: The best first.
        spaces: The second opinions.
        labels: Space -> how its distance is written.
        missing: (second space, model) -> why it cannot be judged there, though its distance may be known.
        doubts: Second space -> why it counts for little, as for `judge`.

    Returns:
        The worst group's step first.
    """
    together = joint.simultaneous(sum(len(group.models) for group in groups) - 1)
    steps = []
    for better, worse in reversed(list(pairwise(groups))):
        model, baseline = better.models[0], worse.models[0]
        known = [space for space in spaces if all((space, name) in joint.keys for name in (model, baseline))]
        why = {space: missing[space, name] for space in known for name in (baseline, model) if (space, name) in missing}
        verdict = judge(
            together, "main", known, labels=labels, model=model, baseline=baseline, too_few_images=why, caveats=doubts
        )
        steps.append(Step(baseline, model, verdict))
    return tuple(steps)


def _judged(group: Sequence[str], space: str, missing: Mapping[Key, str]) -> list[str]:
    return [name for name in group if (space, name) not in missing]


def _ranking(joint: JointEstimates, group: Sequence[str], space: str, missing: Mapping[Key, str]) -> Ranking:
    judged = sorted(_judged(group, space, missing), key=lambda name: joint.distance(space, name).value)
    return Ranking(
        models=tuple(judged),
        pairs=tuple(
            Pair(better, worse, joint.change(space, worse, better), joint.relative_change(space, worse, better))
            for better, worse in combinations(judged, 2)
        ),
        missing={name: missing[space, name] for name in group if (space, name) in missing},
    )
