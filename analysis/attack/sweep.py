"""The sweep over N of Top-N and Middle-N attacks: one folder an attack, one JSON and one figure of all."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from fidprobe.analysis.attack.figures import SweepPoint, sweep_figure
from fidprobe.analysis.attack.measure import Attacked, score_label
from fidprobe.analysis.output.result import Document
from fidprobe.analysis.output.result_files import result_folder
from fidprobe.attacks.rescoring import DistanceBeforeAfter
from fidprobe.attacks.spaces import AttackSpace

__all__ = ["Sweep", "Swept", "sweep_name", "write_sweep"]


@dataclass(frozen=True, eq=False)
class Swept:
    """One attack of a sweep.

    Attributes:
        space: What was attacked.
        attacked: The outcome.
    """

    space: AttackSpace
    attacked: Attacked

    @property
    def folder(self) -> str:
        """The name of the attack's own folder, `top-n-5`."""
        return sweep_name(self.space)

    def score(self, role: str) -> DistanceBeforeAfter | None:
        """A role's Fréchet distance to the held-out part of the reference, else to the optimised one; None without."""
        found = {
            score.reference: score
            for score in self.attacked.outcome.scores
            if (score.role, score.metric) == (role, "frechet_distance")
        }
        return found.get("held_out", found.get("optimised"))


def sweep_name(space: AttackSpace) -> str:
    """`top-n-5`."""
    return f"{space.name}-{space.n}"


@dataclass(frozen=True, eq=False)
class Sweep(Document):
    """All attacks of a sweep.

    Attributes:
        attacks: At least one.
    """

    WHAT: ClassVar[str] = "the sweep"

    attacks: Sequence[Swept]

    def to_json(self) -> dict[str, Any]:
        """All attacks in short as plain data."""
        first = self.attacks[0].attacked.to_json()
        warnings = dict.fromkeys(one for swept in self.attacks for one in swept.attacked.advice)
        return {
            "fidprobe": first["fidprobe"],
            "sets": first["sets"],
            "keep": first["keep"],
            "sweep": [_row(one) for one in self.attacks],
            "warnings": [vars(one) for one in warnings],
        }


def write_sweep(sweep: Sweep, folder: Path, *, command: str | None = None) -> Path:
    """Write `sweep.json`, and `sweep` as `.svg`, `.pdf` and `.png`: the paper's Fig. 6.

    The distances drawn are those of the drawn images to the held-out half of the reference, where there is one.

    Args:
        sweep: The attacks.
        folder: Where; made if missing.
        command: The command line that made it, which the JSON states.

    Returns:
        The path of `sweep.json`.

    Raises:
        InputError: a file cannot be written, or a number is not finite.
    """
    with result_folder(folder, "sweep", sweep, command=command, figures=("sweep",)) as files:
        main, second = (sweep.attacks[0].score(role) for role in ("main", "second_opinion"))
        if main is not None and main.random.mean > 0 and (second is None or second.random.mean > 0):
            points = []
            for one in sweep.attacks:
                after, confirmed = (one.score(role) for role in ("main", "second_opinion"))
                assert after is not None
                assert one.space.n is not None
                second_mean = None if confirmed is None else confirmed.drawn.mean
                points.append(SweepPoint(one.space.name, one.space.n, after.drawn.mean, second_mean))
            figure = sweep_figure(
                points,
                main=score_label(main),
                second=None if second is None else score_label(second),
                unattacked=(main.random.mean, None if second is None else second.random.mean),
            )
            files.figure("sweep", figure, "Distances of the drawn images against N, in both spaces")
    return files.path


def _row(one: Swept) -> dict[str, Any]:
    data = one.attacked.to_json()
    told = ("objective", "lower_bound", "relative_gap", "stopped", "passes", "seconds", "effective_sample_size")
    return {
        "space": one.space.name,
        "n": one.space.n,
        "folder": one.folder,
        **{key: data[key] for key in told},
        "scores": data["scores"],
    }
