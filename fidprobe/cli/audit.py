"""`fidprobe audit`: is the gain over a baseline real?"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fidprobe.cli.options import (
    Generated,
    MetricList,
    PanelNetworks,
    Reading,
    Reference,
    SecondFeatures,
    SimilaritySide,
    flag,
    folder,
    option,
)
from fidprobe.cli.output import Output, checked_folder, command_line, print_advice
from fidprobe.runtime.interrupts import Interrupts

__all__ = ["audit"]


def _check_gates(_: Any, conditions: list[str] | None) -> None:
    from fidprobe.analysis.audit.gates import parse_gate

    for condition in conditions or ():
        parse_gate(condition)


@dataclass(frozen=True)
class AuditNetworks(PanelNetworks):
    """The networks of an audit, and the features of all its sets by the first second opinion."""

    second_generated: SecondFeatures = None
    second_baseline: SecondFeatures = None


def audit(
    reference: Reference,
    generated: Generated,
    /,
    *,
    baseline: Annotated[str | None, option("OTHER", "Another model's images: is the gain over it real?")] = None,
    out: Annotated[Path, folder("Where the report goes.")] = Path("out"),
    metrics: MetricList = "fid,kid,prd,is",
    no_budget: Annotated[
        bool, flag("Do not find out how much of FID choosing among the model's images removes.")
    ] = False,
    price: Annotated[
        bool, flag("Also find out what the gain over the baseline costs to fake by choosing among its images.")
    ] = False,
    fail_if: Annotated[
        list[str] | None,
        option(
            "CONDITION",
            "Exit with code 1 if this holds or cannot be known, e.g. confirmed_share<0.5; may be given again.",
            validator=_check_gates,
        ),
    ] = None,
    ms_ssim_side: SimilaritySide = None,
    networks: AuditNetworks = AuditNetworks(),
    reading: Reading = Reading(),
    output: Output = Output(),
) -> None:
    """Is GENERATED's gain over a baseline real? Writes FOLDER/report.html, report.md and report.json.

    Example: fidprobe audit real/ model/ --baseline old-model/ -o out/
    """
    from fidprobe.analysis.audit.gates import parse_gate
    from fidprobe.analysis.audit.measure import audit as run
    from fidprobe.analysis.audit.text import audit_lines
    from fidprobe.analysis.report.files import write_report
    from fidprobe.analysis.scores.metric_choices import MetricChoices
    from fidprobe.analysis.scores.metric_registry import advise_on_packages

    gates = [parse_gate(condition) for condition in fail_if or ()]
    out = checked_folder(out, "a report")
    print_advice(advise_on_packages(metrics))
    with output.bars() as progress, Interrupts() as interrupted:
        result = run(
            reference,
            generated,
            baseline=baseline,
            metrics=metrics,
            **networks.arguments(),
            budget=not no_budget,
            price=price,
            options=reading.options(),
            choices=MetricChoices(ms_ssim_side=ms_ssim_side),
            interrupted=interrupted,
            progress=progress,
        )
    checked = [gate.check(result) for gate in gates]
    page, *_ = write_report(result, out, command=command_line())
    sets = {"reference": reference, "generated": generated, "baseline": baseline}
    output.show(result, lambda: audit_lines(result), sets=sets, report=page)
    for gate in checked:
        print(f"{'FAILED' if gate.failed else 'passed'}: --fail-if {gate.outcome}", file=sys.stderr)  # noqa: T201
    if any(gate.failed for gate in checked):
        sys.exit(1)
