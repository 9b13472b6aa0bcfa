"""`fidprobe prd`: precision and recall of models as curves (Sajjadi et al. 2018)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fidprobe.cli.options import ModelNetworks, Reading, Reference, Seed, folder, option, whole
from fidprobe.cli.output import Output, checked_folder, command_line

__all__ = ["prd"]


@dataclass(frozen=True)
class ClusterReading(Reading):
    """Reading images; the seed is the clusterings' as well."""

    seed: Seed = 0
    """Draws subsets and begins clusterings."""


def prd(
    reference: Reference,
    /,
    *models: Annotated[
        str, Parameter(name="GENERATED", required=True, help="Generated images of one or more models, likewise.")
    ],
    out: Annotated[Path, folder("Where curves and figures go.")] = Path("out"),
    clusters: Annotated[int, whole("K", "Of k-means on both sets together.", least=2)] = 20,
    runs: Annotated[int, whole("N", "Clusterings whose curves are averaged.", least=1)] = 10,
    beta: Annotated[float, option("B", "F_B (recall, above 1) and F_1/B (precision) are printed.")] = 8.0,
    networks: ModelNetworks = ModelNetworks(),
    reading: ClusterReading = ClusterReading(),
    output: Output = Output(),
) -> None:
    """Separate dropped modes (recall) of each GENERATED from bad or invented ones (precision).

    The first argument is the reference, real images. Writes FOLDER/prd.json, prd.csv (the curves' points) and figures
    as svg, pdf and png. Any embedding can be measured: a float matrix in an npy file, a row for each text or image.

    Example: fidprobe prd real/ model-a/ model-b/ -o out/
    """
    from fidprobe.analysis.prd.files import write_prd
    from fidprobe.analysis.prd.measure import PRDCurves, prd_curves
    from fidprobe.analysis.prd.text import curve_lines

    out = checked_folder(out, PRDCurves.WHAT)
    with output.bars() as progress:
        result = prd_curves(
            reference,
            models,
            clusters=clusters,
            runs=runs,
            seed=reading.seed,
            beta=beta,
            **networks.arguments(),
            options=reading.options(),
            progress=progress,
        )
    write_prd(result, out, command=command_line())
    output.show(
        result,
        lambda: [*curve_lines(result), ""],
        sets={"reference": reference, "generated": models},
        curves_and_figures=out,
    )
