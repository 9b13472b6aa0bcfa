"""`fidprobe attack`: choose among generated images so that FID falls, and show what it was worth."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from fidprobe.cli.attack_choice import AttackChoice
from fidprobe.cli.interrupts import Interrupts
from fidprobe.cli.options import (
    Reading,
    Reference,
    ReferenceNetworks,
    SecondFeatures,
    Seed,
    flag,
    folder,
    usable_device,
    whole,
)
from fidprobe.cli.output import INTERRUPTED, Output, checked_folder, command_line
from fidprobe.cli.processes import patient, ranks

if TYPE_CHECKING:
    from fidprobe.analysis.attack.candidate_sets import AttackSets
    from fidprobe.analysis.attack.measure import Attacked
    from fidprobe.attacks.attack import Attack
    from fidprobe.features.extraction import ReadOptions
    from fidprobe.runtime.progress import Progress

__all__ = ["attack"]

_RESUMED = (
    "; what was kept so far (features of all but the last thousand images or so, weights of up to half a minute ago) "
    "is used when the same command runs again"
)


@dataclass(frozen=True)
class AttackNetworks(ReferenceNetworks):
    """Two networks, and both sets' features by the second one."""

    second_candidates: SecondFeatures = None


@dataclass(frozen=True)
class AttackReading(Reading):
    """Reading the reference and the candidates; the seed is the draws' as well."""

    limit: Annotated[int | None, whole("N", least=2)] = None
    """Use a random subset of N images of the reference."""
    candidate_count: Annotated[int | None, whole("N", least=2, name="--candidates")] = None
    """Use so many candidates: a random subset of a set, the first ones of a generator."""
    seed: Seed = 0
    """Draws the subsets, the held-out part and, counted up, the images."""

    def candidate_options(self) -> "ReadOptions":
        """The library's form of how the candidates are read."""
        return replace(self.options(), limit=self.candidate_count)


def attack(
    reference: Reference,
    candidates: Annotated[str, Parameter(help="Generated images to choose from, likewise; the more the better.")],
    /,
    *,
    choice: AttackChoice = AttackChoice(),
    out: Annotated[Path, folder("Where weights, names and figures go.")] = Path("out"),
    images: Annotated[bool, flag("Also write the chosen images, as PNG files.")] = False,
    networks: AttackNetworks = AttackNetworks(),
    reading: AttackReading = AttackReading(),
    output: Output = Output(),
) -> None:
    """Choose CANDIDATES so that FID to REFERENCE falls, without one better image; the second opinion shows its worth.

    Writes FOLDER/attack.json, weights.csv, chosen.txt and figures. Several N make a sweep, with a folder each.

    Example: fidprobe attack real/ model/ --keep 50000 -o out/
    """
    from fidprobe.analysis.attack.candidate_sets import extract_attack_sets
    from fidprobe.runtime.files import expanded

    out = expanded(out)
    attacks = choice.attacks(seed=reading.seed, device=usable_device(networks.device), ranks=ranks())
    for name in attacks if ranks().first else ():
        checked_folder(out / name, "an attack's outcome", subfolders=["images"] if images else [])
    with output.bars(_RESUMED) as progress, Interrupts() as interrupted:
        sets = extract_attack_sets(
            reference,
            candidates,
            list(attacks.values()),
            **networks.arguments(),
            options=reading.options(),
            candidate_options=reading.candidate_options(),
            keep_images=images,
            interrupted=interrupted,
            progress=progress,
        )
        done = list(_attacked(sets, attacks, out, images=images, interrupted=interrupted, progress=progress))
    if ranks().first:
        _show(done, attacks, out, output)
        if interrupted.pressed:
            print(f"fidprobe: {_fate(done, len(attacks))}", file=sys.stderr)  # noqa: T201
            sys.exit(INTERRUPTED)


def _attacked(
    sets: "AttackSets",
    attacks: Mapping[str, "Attack"],
    out: Path,
    *,
    images: bool,
    interrupted: Interrupts,
    progress: "Progress",
) -> "Iterator[Attacked]":
    """Carry out the attacks, each into its folder, until interrupted; only the first process yields outcomes."""
    from fidprobe.analysis.attack.files import state_path, write_attack
    from fidprobe.analysis.attack.measure import attack_sets

    for i, (name, one) in enumerate(attacks.items()):
        if i and ranks().broadcast_json(interrupted.pressed):
            break
        if not ranks().first:
            with patient():
                one.assist(sets.candidates)
            continue
        state = state_path(out / name)
        attacked = attack_sets(sets, one, state=state, interrupted=interrupted, progress=progress)
        write_attack(attacked, out / name, images=images, command=command_line(), progress=progress)
        yield attacked
        if not interrupted.pressed:
            state.unlink(missing_ok=True)  # only now is there nothing left to lose


def _show(done: "list[Attacked]", attacks: Mapping[str, "Attack"], out: Path, output: Output) -> None:
    """Print one attack's outcome, or sum up a sweep and print that."""
    from fidprobe.analysis.attack.sweep import Sweep, Swept, write_sweep
    from fidprobe.analysis.attack.text import attack_lines, sweep_lines
    from fidprobe.attacks.resampling import Resampling

    advice = dict.fromkeys(one for attacked in done for one in attacked.advice)
    if len(attacks) == 1:
        output.show(done[0], lambda: attack_lines(done[0]), advice, outcome=out)
        return
    pairs = zip(attacks.values(), done, strict=False)  # an interrupted sweep is shorter
    sweep = Sweep([Swept(one.space, attacked) for one, attacked in pairs if isinstance(one, Resampling)])
    write_sweep(sweep, out, command=command_line())
    output.show(sweep, lambda: sweep_lines(sweep.attacks), advice, outcome=out)


def _fate(done: "list[Attacked]", asked: int) -> str:
    """What an interruption left."""
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
