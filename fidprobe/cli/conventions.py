"""`fidprobe conventions`: one pair of sets by every library's conventions, side by side."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from fidprobe.cli.options import Generated, PairNetworks, Reading, Reference, check_conventions, option
from fidprobe.cli.output import Output

__all__ = ["conventions"]


@dataclass(frozen=True)
class ConventionNetworks(PairNetworks):
    """Two networks; the conventions choose the resize rule."""

    resize: Annotated[None, Parameter(parse=False)] = None


def conventions(
    reference: Reference,
    generated: Generated,
    /,
    *,
    convention: Annotated[
        list[str] | None,
        option(
            "NAME",
            "ttur, pytorch-fid, clean-fid, torchmetrics, torch-fidelity, stylegan or adm; may be given again. "
            "All by default.",
            validator=check_conventions,
        ),
    ] = None,
    networks: ConventionNetworks = ConventionNetworks(),
    reading: Reading = Reading(),
    output: Output = Output(),
) -> None:
    """Print what each library would print for GENERATED against REFERENCE, and what differs between them.

    Images go through the network once for each resize rule.

    Example: fidprobe conventions real/ model/ --limit 10000
    """
    from fidprobe.analysis.conventions.measure import conventions as run
    from fidprobe.analysis.conventions.text import convention_lines

    with output.bars() as progress:
        result = run(
            reference, generated, names=convention, **networks.arguments(), options=reading.options(), progress=progress
        )
    output.show(
        result.to_json(),
        lambda: convention_lines(result),
        result.advice,
        sets={"reference": reference, "generated": generated},
    )
