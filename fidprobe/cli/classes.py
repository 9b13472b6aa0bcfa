"""`fidprobe classes`: which classes are seen more or less often than in the reference."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fidprobe.cli.options import Generated, MainNetwork, Reading, Reference, Seed, folder, whole
from fidprobe.cli.output import Output, checked_folder, command_line

__all__ = ["classes"]


@dataclass(frozen=True)
class ClassReading(Reading):
    """Reading images; the seed is the permutations' as well."""

    seed: Seed = 0
    """Draws the subset and the permutations."""


def classes(
    reference: Reference,
    generated: Generated,
    /,
    *,
    top: Annotated[int, whole("N", "Count the N most probable classes of each image.", least=1)] = 1,
    count: Annotated[int, whole("K", "Over- and under-represented classes to show, of each kind.", least=1)] = 10,
    out: Annotated[Path, folder("Where table and figures go.")] = Path("out"),
    network: MainNetwork = MainNetwork(),
    reading: ClassReading = ClassReading(),
    output: Output = Output(),
) -> None:
    """Compare the classes that a classifier sees in GENERATED and in REFERENCE, and say which differ beyond chance.

    Writes FOLDER/classes.json, classes.csv and figures.

    Example: fidprobe classes real/ model/ --top 5 -o out/
    """
    from fidprobe.analysis.classes.files import write_classes
    from fidprobe.analysis.classes.measure import compare_classes
    from fidprobe.analysis.classes.text import class_lines

    out = checked_folder(out, "class histograms")
    with output.bars() as progress:
        result = compare_classes(
            reference,
            generated,
            top=top,
            extractor=network.main(),
            options=reading.options(),
            seed=reading.seed,
            progress=progress,
        )
    write_classes(result, out, number=count, command=command_line())
    output.show(
        result,
        lambda: class_lines(result.comparison, count),
        sets={"reference": reference, "generated": generated},
        outcome=out,
    )
