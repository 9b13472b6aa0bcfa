"""Sets whose null-space budgets are known."""

from dataclasses import replace

import numpy as np
import torch

from fidprobe.features.value import Features
from fidprobe.provenance import ExtractorProvenance, Provenance

MAIN = Provenance(ExtractorProvenance("inception", "0" * 64, "tf1"))
EVEN, SKEWED = (0.25, 0.25, 0.25, 0.25), (0.55, 0.25, 0.1, 0.1)  # shares of four classes
CLIP = Provenance(ExtractorProvenance("clip", "1" * 64, "clean"))


def coins(zeros: int, ones: int) -> Features:
    """Images that are one of two points, -1 (class 0) and +1 (class 1), in a fixed mixed order."""
    classes = torch.cat([torch.zeros(zeros), torch.ones(ones)]).long()
    classes = classes[torch.randperm(len(classes), generator=torch.Generator().manual_seed(5))]
    return Features((2.0 * classes - 1)[:, None], torch.eye(2)[classes], provenance=MAIN)


def classified(n: int, seed: int, *, shares: tuple[float, ...], spread: float = 0.7, shift: float = 0.0) -> Features:
    """Images of four classes in eight dimensions, with logits for 24 classes that are affine in the features."""
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(99)
    centres, weights, bias = fixed.normal(size=(4, 8)), fixed.normal(size=(8, 24)), fixed.normal(size=24)
    classes = rng.choice(4, size=n, p=shares)
    values = torch.from_numpy(centres[classes] + spread * rng.normal(size=(n, 8)) + shift).float()
    logits = (values.double() @ torch.from_numpy(weights) + torch.from_numpy(bias)).float()
    return Features(values, logits, provenance=MAIN)


def elsewhere(features: Features, seed: int, *, shift: float = 0.0) -> Features:
    """The same images in a space that has nothing to do with the main one."""
    values = torch.randn(len(features), 6, generator=torch.Generator().manual_seed(seed)) + shift
    return Features(values, provenance=CLIP)


def in_clip(features: Features) -> Features:
    """The same numbers, said to be another space's."""
    return replace(features, logits=None, provenance=CLIP)
