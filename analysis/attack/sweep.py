"""The sweep over N of Top-N and Middle-N attacks: one folder an attack, one JSON and one figure of all."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fidprobe.analysis.attack.figures import SweepPoint, sweep_figure
from fidprobe.analysis.attack.measure import Attacked, score_label
from fidprobe.analysis.output.result_files import replaced_result
from fidprobe.analysis.output.wording import json_text
from fidprobe.analysis.output.writers import write_figure, write_text
from fidprobe.attacks.rescoring import Score
from fidprobe.attacks.spaces import AttackSpace

__all__ = ["Swept", "sweep_json", "sweep_name", "write_sweep"]


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

    def score(self, role: str) -> Score | None:
        """A role's Fréchet distance to the held-out part of the reference, where there is one; None without it."""
        found = {
            score.reference: score
            for score in self.attacked.outcome.scores
            if (score.role, score.metric) == (role, "frechet_distance")
        }
        return found.get("held_out", found.get("optimised"))


def sweep_name(space: AttackSpace) -> str:
    """`top-n-5`."""
    return f"{space.name}-{space.n}"


def sweep_json(sweep: Sequence[Swept], *, command: str | None = None) -> str:
    """All attacks of a sweep in short, as JSON text.

    Raises:
        InputError: a number is not finite; names its place.
    """
    first = sweep[0].attacked.to_json()
    warnings = dict.fromkeys(one for swept in sweep for one in swept.attacked.advice)
    data = {
        "fidprobe": first["fidprobe"],
        "sets": first["sets"],
        "keep": first["keep"],
        "sweep": [_row(one) for one in sweep],
        "warnings": [vars(one) for one in warnings],
        "command": command,
    }
    return json_text(data, "the sweep")


def write_sweep(sweep: Sequence[Swept], folder: Path, *, command: str | None = None) -> Path:
    """Write `sweep.json`, and `sweep` as `.svg`, `.pdf` and `.png`: the paper's Fig. 6.

    The distances drawn are those of the drawn images to the held-out half of the reference, where there is one.

    Args:
        sweep: At least one.
        folder: Where.
        command: The command line that made it, to be told.

    Returns:
        The path of `sweep.json`.

    Raises:
        InputError: a file cannot be written, or a number is not finite.
    """
    text = sweep_json(sweep, command=command)
    with replaced_result(folder, "sweep.json", "the sweep", figures=("sweep",)) as fresh:
        main, second = (sweep[0].score(role) for role in ("main", "second_opinion"))
        if main is not None and main.random.mean > 0 and (second is None or second.random.mean > 0):
            points = []
            for one in sweep:
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
            write_figure(figure, fresh / "sweep", "Distances of the drawn images against N, in both spaces")
        write_text(fresh / "sweep.json", text)
    return folder / "sweep.json"


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
