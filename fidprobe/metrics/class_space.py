"""A classifier's logits and class probabilities as feature spaces of their own.

What FID looks at is nearly what the classifier says: one affine map away, distances in logits follow those in
pre-logits, and those in probabilities nearly so (role-of-imagenet-classes-in-fid.md, Fig. 1 and 9).
"""

from dataclasses import replace

import torch

from fidprobe.errors import InputError
from fidprobe.features.value import Features
from fidprobe.provenance import Provenance

__all__ = ["CLASS_SPACES", "class_space", "named"]

CLASS_SPACES = ("logits", "probabilities")

_ROWS = 8192


def class_space(features: Features, which: str) -> Features:
    """Features whose rows are an image's logits, or its class probabilities (their softmax).

    The classifier's bias stays in: probabilities are then what it says, and a distance between logits does not
    depend on it. Rows of probabilities sum to 1, so that their covariance is singular.

    Args:
        features: Features with logits.
        which: One of `CLASS_SPACES`.

    Returns:
        float32 [n, c] with the same names; where the network is known, its name ends in ` logits` or
        ` probabilities`, so that they meet their own kind only.

    Raises:
        InputError: no logits, NaN or infinite ones, or an unknown space.
    """
    if which not in CLASS_SPACES:
        raise InputError(f"unknown class space {which!r}; choose from {', '.join(CLASS_SPACES)}")
    if features.logits is None:
        raise InputError(
            f"distances in {which} need a classifier, and the features [{features.space}] have no logits; use a "
            "network with classes (inception, inception-torchvision, efficientnet-lite0, timm:<model>)"
        )
    rows = features.logits
    if which == "probabilities":
        if not bool(torch.isfinite(rows).all()):
            raise InputError("logits contain NaN or infinite values")
        # A double softmax: float32 sums of many small shares drift.
        where = "cpu" if rows.device.type == "mps" else rows.device
        rows = torch.cat([part.to(where, torch.float64).softmax(dim=1).float() for part in rows.split(_ROWS)])
    return Features(rows, names=features.names, provenance=named(features.provenance, which))


def named(provenance: Provenance, suffix: str) -> Provenance:
    """The provenance of what was derived from an extractor's logits: another space, under another name."""
    extractor = provenance.extractor
    if extractor is None:
        return provenance
    return replace(provenance, extractor=replace(extractor, name=f"{extractor.name} {suffix}"))
