"""`fidprobe compare`: of several models, which have the same FID, and how do these differ in the second opinion?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fidprobe.cli.options import PanelNetworks, Reading, Reference, SecondModels, folder, option
from fidprobe.cli.output import Output, checked_folder, command_line

__all__ = ["compare"]


@dataclass(frozen=True)
class ComparedNetworks(PanelNetworks):
    """The networks of a comparison, and the features of all its sets by the first second opinion."""

    second_model: SecondModels = None


def compare(
    reference: Reference,
    /,
    *models: Annotated[
        str, Parameter(name="MODEL", required=True, help="Generated images of at least two models, likewise.")
    ],
    out: Annotated[Path, folder("Where table and figure go.")] = Path("out"),
    within: Annotated[float, option("SHARE", "Share of the best FID of a group that counts as nearly equal.")] = 0.05,
    networks: ComparedNetworks = ComparedNetworks(),
    reading: Reading = Reading(),
    output: Output = Output(),
) -> None:
    """Compare MODELs of nearly equal FID by the second opinion and by recall.

    Writes FOLDER/compare.json, compare.csv, compare.md and the figure compare as svg, pdf and png.

    Example: fidprobe compare real/ model-a/ model-b/ model-c/ -o out/
    """
    from fidprobe.analysis.comparison.files import write_comparison
    from fidprobe.analysis.comparison.measure import compare as run
    from fidprobe.analysis.comparison.text import comparison_lines

    out = checked_folder(out, "a comparison")
    with output.bars() as progress:
        result = run(
            reference, models, **networks.arguments(), within=within, options=reading.options(), progress=progress
        )
    write_comparison(result, out, command=command_line())
    output.show(
        result, lambda: comparison_lines(result), sets={"reference": reference, "models": models}, table_and_figure=out
    )
