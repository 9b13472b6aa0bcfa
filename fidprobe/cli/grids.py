"""`fidprobe grids`: show which images an attack preferred, and that they look no better."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fidprobe.cli.options import folder, option, whole
from fidprobe.cli.output import Output, checked_folder, command_line

__all__ = ["grids"]


def grids(
    *attacks: Annotated[str, Parameter(name="ATTACK", required=True, help="Output folders of fidprobe attack.")],
    images: Annotated[str, option("CANDIDATES", "The images that the attacks chose from, as given to them.")],
    out: Annotated[Path, folder("Where the figures go.")] = Path("grids"),
    count: Annotated[int, whole("N", "Images in a grid.", least=1, most=400)] = 36,
    share: Annotated[
        float, option("SHARE", "Part of the candidates that count as smallest, and as largest, weights.")
    ] = 0.1,
    seed: Annotated[int, whole("S", "Draws the images.", least=0)] = 0,
    output: Output = Output(),
) -> None:
    """Show random images of an attack's smallest and largest weights, and what attacks chose beside a random sample.

    Writes FOLDER/samples (with FID and the second opinion below each grid), weights-ATTACK and grids.json.

    Example: fidprobe grids out/ --images model/ -o grids/
    """
    from fidprobe.analysis.weight_grids.files import write_grids
    from fidprobe.analysis.weight_grids.measure import weight_grids
    from fidprobe.analysis.weight_grids.text import grid_lines

    out = checked_folder(out, "grids")
    with output.bars(interrupted="") as progress:
        result = weight_grids(attacks, images, count=count, share=share, seed=seed, progress=progress)
        write_grids(result, out, command=command_line())
    output.show(result, lambda: grid_lines(result), grids=out)
