"""Find out before the work what is known of sets and networks to fail after it."""

from collections.abc import Mapping, Sequence

from fidprobe.analysis.scores.metric_registry import METRICS
from fidprobe.analysis.sets.two_spaces import probe
from fidprobe.errors import InputError
from fidprobe.extractors.base import Extractor
from fidprobe.images import ImageSource
from fidprobe.inputs import Input
from fidprobe.statistics import GaussianStatistics

__all__ = ["check_network", "check_sides", "check_unknown"]


def check_sides(sides: Mapping[str, Input], metrics: Sequence[str]) -> None:
    """Find out before the work what is known to fail after it.

    Raises:
        InputError: statistics or features where a metric needs more.
    """
    for name in metrics:
        metric = METRICS[name]
        for side_name, side in sides.items():
            if metric.alone and side_name == "reference":
                continue  # it has no use for the reference
            if isinstance(side, GaussianStatistics):
                if metric.needs != "statistics":
                    raise InputError(metric.refusal())
                continue
            if len(side) < metric.least:
                raise InputError(f"{name} needs at least {metric.least:,} images, and {side_name} has {len(side):,}")
            if metric.needs == "pictures" and not isinstance(side, ImageSource):
                raise InputError(f"{name} is of the pictures themselves, and {side_name} came as features; give images")


def check_unknown(sides: Mapping[str, Input], rest: Sequence[str], own: Sequence[str]) -> None:
    """Refuse to take one array for the features of several spaces.

    Raises:
        InputError: nothing is known of these sets' space, and metrics are of more than one.
    """
    known = any(isinstance(side, ImageSource) or side.space != "unknown" for side in sides.values())
    if not known and len({METRICS[name].space for name in own}) + bool(rest) > 1 and own:
        raise InputError(
            f"{own[0]} is defined in the space of {METRICS[own[0]].space}, and of which space these sets are is not "
            "known; if they are of that one, ask for it alone"
        )


def check_network(network: Extractor | None, metrics: Sequence[str]) -> None:
    """Find out before the work that a network has no classes.

    Raises:
        InputError: a metric needs them.
    """
    for name in metrics:
        if METRICS[name].needs == "logits" and network is not None and probe(network).logits is None:
            raise InputError(
                f"{name} needs a classifier's logits, and {network.provenance.name!r} gives none; use an extractor "
                "with logits (inception, inception-torchvision, efficientnet-lite0, timm:<model>)"
            )
