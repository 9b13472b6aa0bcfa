"""`fidprobe influence`: which images and classes raise FID, and whether the second opinion agrees."""

from pathlib import Path
from typing import Annotated

from fidprobe.cli.options import Generated, PairNetworks, Reading, Reference, flag, folder, whole
from fidprobe.cli.output import Output, checked_folder, command_line

__all__ = ["influence"]


def influence(
    reference: Reference,
    generated: Generated,
    /,
    *,
    exact: Annotated[bool, flag("Also compute by how much FID changes without each image, exactly.")] = False,
    count: Annotated[int, whole("K", "Images and classes to show, of either kind.", least=1, most=50)] = 10,
    out: Annotated[Path, folder("Where tables and figures go.")] = Path("out"),
    networks: PairNetworks = PairNetworks(),
    reading: Reading = Reading(),
    output: Output = Output(),
) -> None:
    """Measure how much each image of GENERATED, and each class, raises or lowers FID to REFERENCE.

    Writes FOLDER/influence.json, influence.csv (every image), influence_classes.csv and figures.

    Example: fidprobe influence real/ model/ -o out/
    """
    from fidprobe.analysis.influence.files import write_influence
    from fidprobe.analysis.influence.measure import influence as run
    from fidprobe.analysis.influence.text import influence_lines

    out = checked_folder(out, "the images' influence")
    with output.bars() as progress:
        result = run(
            reference, generated, exact=exact, **networks.arguments(), options=reading.options(), progress=progress
        )
        write_influence(result, out, count=count, command=command_line(), progress=progress)
    output.show(
        result.listing(count),
        lambda: influence_lines(result, count),
        result.advice,
        sets={"reference": reference, "generated": generated},
        outcome=out,
    )
