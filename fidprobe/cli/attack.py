"""`fidprobe attack`: choose among generated images so that FID falls, and show what it was worth."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from fidprobe.cli.attack_choice import AttackChoice
from fidprobe.cli.options import (
    Reading,
    Reference,
    ReferenceNetworks,
    SecondFeatures,
    Seed,
    flag,
    folder,
    network_spec,
    option,
    whole,
)
from fidprobe.cli.output import INTERRUPTED, Output, checked_folder, command_line
from fidprobe.runtime.interrupts import Interrupts
from fidprobe.runtime.processes import ranks

if TYPE_CHECKING:
    from fidprobe.analysis.attack.measure import Attacked
    from fidprobe.attacks.attack import Attack
    from fidprobe.features.extraction import ReadOptions

__all__ = ["attack"]

_RESUMED = (
    "; what was kept so far (features of all but the last thousand images or so, weights of up to half a minute ago) "
    "is used when the same command runs again"
)


@dataclass(frozen=True)
class AttackNetworks(ReferenceNetworks):
    """Two networks, and both sets' features by the second one."""

    second_candidates: SecondFeatures = None
    also: Annotated[str | None, option("NAME")] = None
    """A further space that is attacked too: the larger of both distances falls, each relative to its start."""
    also_weights: Annotated[Path | None, option("FILE")] = None
    """Local weights of the further space."""
    also_reference: SecondFeatures = None
    also_candidates: SecondFeatures = None

    def arguments(self) -> dict[str, Any]:
        """As of two networks, with the further one and features by it."""
        also = None
        if self.also is not None:
            also = network_spec(self.also, self.device, self.also_weights, self.unverified_weights)
        given = {"also_reference": self.also_reference, "also_candidates": self.also_candidates}
        return {**super().arguments(), "also": also, **given}


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
    from fidprobe.analysis.attack.files import attack_in_turn
    from fidprobe.analysis.attack.text import interruption_text
    from fidprobe.runtime.devices import usable_device
    from fidprobe.runtime.files import expanded

    out = expanded(out)
    device = usable_device(networks.device)
    attacks = choice.attacks(also=networks.also is not None, seed=reading.seed, device=device, ranks=ranks())
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
        attacked = attack_in_turn(
            sets,
            attacks,
            out,
            ranks=ranks(),
            images=images,
            command=command_line(),
            interrupted=interrupted,
            progress=progress,
        )
        done = list(attacked)
    if ranks().first:
        _show(done, attacks, {"reference": reference, "candidates": candidates}, out, output)
        if interrupted.pressed:
            print(f"fidprobe: {interruption_text(done, len(attacks))}", file=sys.stderr)  # noqa: T201
            sys.exit(INTERRUPTED)


def _show(
    done: "list[Attacked]", attacks: Mapping[str, "Attack"], sets: Mapping[str, str], out: Path, output: Output
) -> None:
    """Print one attack's outcome, or sum up a sweep and print that."""
    from fidprobe.analysis.attack.sweep import Sweep, Swept, write_sweep
    from fidprobe.analysis.attack.text import attack_lines, sweep_lines
    from fidprobe.attacks.resampling import Resampling

    advice = dict.fromkeys(one for attacked in done for one in attacked.advice)
    if len(attacks) == 1:
        output.show(done[0], lambda: attack_lines(done[0]), advice, sets, outcome=out)
        return
    pairs = zip(attacks.values(), done, strict=False)  # an interrupted sweep is shorter
    sweep = Sweep([Swept(one.space, attacked) for one, attacked in pairs if isinstance(one, Resampling)])
    write_sweep(sweep, out, command=command_line())
    output.show(sweep, lambda: sweep_lines(sweep.attacks), advice, sets, outcome=out)
