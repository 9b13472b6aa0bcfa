"""What a network gives, before any extraction."""

import torch

from fidprobe.extractors.base import Extractor
from fidprobe.features.value import Features
from fidprobe.provenance import Provenance

__all__ = ["probe"]


def probe(network: Extractor) -> Features:
    """Features of one black image: they show in a moment, before any extraction, what a network gives."""
    features, logits = network(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    return Features(features, logits, class_names=network.class_names, provenance=Provenance(network.provenance))
