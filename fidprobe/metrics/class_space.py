"""A classifier's logits and class probabilities as feature spaces of their own.

FID measures nearly what the classifier says. Logits are an affine map of pre-logits, so distances in logits follow
those in pre-logits, and distances in probabilities nearly do (role-of-imagenet-classes-in-fid.md, Fig. 1 and 9).
"""

from dataclasses import replace

import torch

from fidprobe.arguments import checked
from fidprobe.errors import InputError
from fidprobe.features.value import Features
from fidprobe.metrics.inputs import float64_device, largest_magnitude
from fidprobe.provenance import Provenance
from fidprobe.runtime.messages import unknown_name

__all__ = ["CLASS_SPACES", "class_space", "named"]

CLASS_SPACES = ("logits", "probabilities")

_ROWS = 8192


@checked
def class_space(features: Features, which: str) -> Features:
    """Features whose rows are an image's logits, or its class probabilities (their softmax).

    The classifier's bias stays in: probabilities are then what it says, and a distance between logits does not
    depend on it. Rows of probabilities sum to 1, so that their covariance is singular.

    Args:
        features: Features with logits.
        which: One of `CLASS_SPACES`.

    Returns:
        float32 [n, c] with the same names; the network's name, if known, gets the ending
        ` logits` or ` probabilities`, so that these features are compared only with their own kind.

    Raises:
        InputError: no logits, NaN or infinite logits, or an unknown space.
    """
    if which not in CLASS_SPACES:
        raise InputError(unknown_name("class space", which, CLASS_SPACES))
    if features.logits is None:
        raise InputError(
            f"distances in {which} need a classifier, and the features [{features.space}] have no logits; use a "
            "network with classes (inception, inception-torchvision, efficientnet-lite0, timm:<model>)"
        )
    rows = features.logits
    if which == "probabilities":
        largest_magnitude(rows, "logits")
        # The softmax is computed in float64: float32 sums of many small shares drift.
        device = float64_device(rows.device)
        rows = torch.cat([part.to(device, torch.float64).softmax(dim=1).float() for part in rows.split(_ROWS)])
    return Features(rows, names=features.names, provenance=named(features.provenance, which))


def named(provenance: Provenance, suffix: str) -> Provenance:
    """The provenance of rows derived from an extractor's logits: a different space under its own name."""
    extractor = provenance.extractor
    if extractor is None:
        return provenance
    return replace(provenance, extractor=replace(extractor, name=f"{extractor.name} {suffix}"))
