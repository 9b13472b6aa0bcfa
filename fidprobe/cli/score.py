"""`fidprobe score`: scores of one set against another."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, cast

from cyclopts import Parameter

from fidprobe.cli.options import (
    Generated,
    MetricList,
    PairNetworks,
    Reading,
    Reference,
    ResizeRule,
    SimilaritySide,
    check_conventions,
    flag,
    option,
    whole,
)
from fidprobe.cli.output import Output
from fidprobe.runtime.processes import ranks

if TYPE_CHECKING:
    from fidprobe.analysis.conventions.table import Convention
    from fidprobe.analysis.scores.metric_choices import MetricChoices

__all__ = ["score"]


@Parameter(name="*")
@dataclass(frozen=True)
class ScoreChoices:
    """What papers and libraries vary in their scores."""

    kid_subset_size: Annotated[int, whole("N", least=2)] = 1000
    """Images in each of the 100 KID subsets."""
    is_splits: Annotated[int, whole("N", least=1)] = 10
    """Parts of the Inception Score."""
    is_natural_order: Annotated[bool, flag(name="--is-natural-order")] = False
    """Split images as listed, as the original code, not shuffled."""
    is_biased: Annotated[bool, flag(name="--is-biased")] = False
    """Keep the classifier's bias in the logits, as StudioGAN."""
    ms_ssim_side: SimilaritySide = None
    convention: Annotated[
        str | None,
        option(
            "NAME",
            "Choose all of these and the resize rule as a library does: ttur, pytorch-fid, clean-fid, torchmetrics, "
            "torch-fidelity, stylegan or adm.",
            validator=check_conventions,
        ),
    ] = None

    def resolved(self, resize: str | None) -> "tuple[MetricChoices, Convention | None]":
        """The library's form of the choices, and the convention if there is one.

        Args:
            resize: The resize rule asked for, which a convention chooses as well.

        Raises:
            InputError: an unknown convention, or one beside what it chooses.
        """
        from fidprobe.analysis.conventions.table import conventions_named
        from fidprobe.analysis.scores.metric_choices import MetricChoices
        from fidprobe.errors import InputError

        choices = MetricChoices(self.kid_subset_size, self.is_splits, self.is_natural_order, self.is_biased)
        convention = None
        if self.convention is not None:
            (convention,) = conventions_named([self.convention])
            if resize is not None or choices != MetricChoices():
                raise InputError(
                    f"--convention {self.convention} chooses the resize rule, KID's subsets and the Inception Score's "
                    "parts; leave out --resize, --kid-subset-size, --is-splits, --is-natural-order and --is-biased"
                )
            choices = convention.choices()
        return replace(choices, ms_ssim_side=self.ms_ssim_side), convention


def score(
    reference: Reference,
    generated: Generated,
    /,
    *,
    metrics: MetricList = "fid",
    choices: ScoreChoices = ScoreChoices(),
    networks: PairNetworks = PairNetworks(),
    reading: Reading = Reading(),
    output: Output = Output(),
) -> None:
    """Print scores of GENERATED against REFERENCE, each distance with its second opinion.

    FID also takes statistics (an npz with mu and sigma) on either side.

    Example: fidprobe score cifar10:train samples.npz --metrics fid,kid,is --json
    """
    from fidprobe.analysis.conventions.table import advise_on_convention
    from fidprobe.analysis.scores.measure import measure_score_sets
    from fidprobe.analysis.scores.metric_registry import parse_metrics
    from fidprobe.analysis.scores.score_sets import open_score_sets
    from fidprobe.analysis.scores.text import render_scores

    metric_choices, convention = choices.resolved(networks.resize)
    if convention:
        networks = replace(networks, resize=cast(ResizeRule, convention.resize))
    options = reading.options()
    with output.bars() as progress:
        sets = open_score_sets(
            reference, generated, metrics, **networks.arguments(), options=options, progress=progress
        )
        if not ranks().first:
            return
        scored = measure_score_sets(sets, choices=metric_choices, progress=progress)
    advice = [*scored.advice]
    if convention:
        advice += advise_on_convention(convention, parse_metrics(metrics), scored.main.extractor)
    output.show(
        scored.to_json(), lambda: render_scores(scored), advice, sets={"reference": reference, "generated": generated}
    )
