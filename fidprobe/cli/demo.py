"""`fidprobe demo`: two audits offline."""

from pathlib import Path
from typing import Annotated

from fidprobe.cli.bars import Bars
from fidprobe.cli.options import NoCache, Reading, folder
from fidprobe.cli.output import RESUMED, Quiet, checked_folder, command_line, print_advice, print_lines

__all__ = ["demo"]


def demo(
    *,
    out: Annotated[Path, folder("Where the report goes.")] = Path("demo-out"),
    no_cache: NoCache = False,
    quiet: Quiet = False,
) -> None:
    """Two audits offline, in a few minutes: a real gain and a bought one. No downloads, no GPU.

    The models come with fidprobe: AM-GAN on CIFAR-10 against an earlier checkpoint of itself, and chosen images of it
    against its images as they come. The ImageNet network is efficientnet-lite0, the second opinion an encoder that
    learnt from CIFAR-10 without labels (docs/models.md).
    """
    from fidprobe.analysis.audit.measure import AUDIT_METRICS
    from fidprobe.analysis.audit.text import audit_lines
    from fidprobe.analysis.report.demo import demo_cases, write_demo
    from fidprobe.analysis.scores.metric_registry import advise_on_packages

    out = checked_folder(out, "the demo")
    print_advice(advise_on_packages(AUDIT_METRICS))
    with Bars(quiet=quiet, interrupted=RESUMED) as progress:
        cases = demo_cases(options=Reading(no_cache=no_cache).options(), progress=progress)
    page = write_demo(cases, out, command=command_line())
    for case in cases:
        print_lines(case.title, *audit_lines(case.audit), "")
    print_lines(f"both verdicts: {page}")
    print_advice(dict.fromkeys(advice for case in cases for advice in case.audit.advice))
