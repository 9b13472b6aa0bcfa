"""`fidprobe correlate`: over several models, do distances in logits and in the second opinion follow the main one?"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fidprobe.cli.options import ModelNetworks, Reading, Reference, folder
from fidprobe.cli.output import Output, checked_folder, command_line

__all__ = ["correlate"]


def correlate(
    reference: Reference,
    /,
    *models: Annotated[
        str,
        Parameter(
            name="MODEL",
            required=True,
            help="Generated images of at least two models or checkpoints, likewise; three make a correlation.",
        ),
    ],
    out: Annotated[Path, folder("Where table and figure go.")] = Path("out"),
    networks: ModelNetworks = ModelNetworks(),
    reading: Reading = Reading(),
    output: Output = Output(),
) -> None:
    """Correlate distances of MODELs in pre-logits with those in logits and in the second opinion.

    Writes FOLDER/correlate.json, correlate.csv and the figure correlate as svg, pdf and png.

    Example: fidprobe correlate real/ run/step-*/ -o out/
    """
    from fidprobe.analysis.correlation.files import write_correlation
    from fidprobe.analysis.correlation.measure import correlate as run
    from fidprobe.analysis.correlation.text import correlation_lines

    out = checked_folder(out, "a correlation")
    with output.bars() as progress:
        result = run(reference, models, **networks.arguments(), options=reading.options(), progress=progress)
    write_correlation(result, out, command=command_line())
    output.show(
        result, lambda: correlation_lines(result), sets={"reference": reference, "models": models}, table_and_figure=out
    )
