"""A self-supervised encoder: an image space learnt without labels and without ImageNet, as a second opinion.

SimCLR (Chen et al., ICML 2020) with the decoupled contrastive loss (Yeh et al., "Decoupled Contrastive Learning", ECCV
2022, Eq. 6), which needs neither large batches nor long training. Views are smaller than pictures: a crop keeps three
quarters of a picture's side on average, so that objects have the same size in views as in whole pictures.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fidprobe.extractors.small_resnet import MEAN, STD, SmallResNet
from fidprobe.training.augmentations import random_views
from fidprobe.training.loop import Batch
from fidprobe.training.scales import warm_cosine

__all__ = ["EncoderTask", "decoupled_contrastive_loss"]

_PROJECTED = 128  # dimensions in which views are compared
_HIDDEN = 512  # of the projection


def decoupled_contrastive_loss(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """-s(a, b) + log sum over the views c of other pictures of exp s(a, c), averaged over all views a.

    b is the other view of a's picture and s the cosine similarity divided by the temperature (Yeh et al. 2022, Eq. 6:
    the usual contrastive loss without the positive pair in its denominator).

    Args:
        first: float32 [n, d], one view of each picture, n >= 2.
        second: float32 [n, d], another view.
        temperature: Above 0.
    """
    n = len(first)
    views = F.normalize(torch.cat([first, second]), dim=1)
    similar = views @ views.T / temperature
    own = torch.eye(n, dtype=torch.bool, device=views.device).repeat(2, 2)
    positive = similar[:n, n:].diagonal().repeat(2)
    return (similar.masked_fill(own, -math.inf).logsumexp(1) - positive).mean()


class EncoderTask:
    """Contrastive learning of a `SmallResNet`.

    Args:
        stem, widths, blocks: Of the network.
        learning_rate: The highest rate; AdamW, a warm-up, then a cosine to zero.
        weight_decay: AdamW's.
        temperature: Of the loss.
        view: Side of the views in pixels.
        mixed_precision: bfloat16 in the network: twice as fast where the processor has instructions for it.
        seed: Seed of the first weights.
        device: Where to train.
    """

    def __init__(
        self,
        *,
        stem: int = 32,
        widths: tuple[int, ...] = (64, 192),
        blocks: tuple[int, ...] = (1, 1),
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-4,
        temperature: float = 0.2,
        view: int = 24,
        mixed_precision: bool = False,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.settings: Mapping[str, Any] = {
            "task": "encoder",
            "stem": stem,
            "widths": list(widths),
            "blocks": list(blocks),
            "learning_rate": learning_rate,
            "weight_decay": weight_decay,
            "temperature": temperature,
            "view": view,
            "mixed_precision": mixed_precision,
            "first_weights": seed,
        }
        self.device = torch.device(device)
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            network = SmallResNet(stem=stem, widths=widths, blocks=blocks)
            head = nn.Sequential(
                nn.Linear(network.dim, _HIDDEN, bias=False),
                nn.BatchNorm1d(_HIDDEN),
                nn.ReLU(),
                nn.Linear(_HIDDEN, _PROJECTED),
            )
        self.network = network.to(self.device).to(memory_format=torch.channels_last)
        self.head = head.to(self.device)
        self.modules: Mapping[str, nn.Module] = {"network": self.network, "head": self.head}
        weights = [*self.network.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.AdamW(weights, lr=learning_rate, weight_decay=weight_decay)
        self.optimizers = {"network": self.optimizer}
        self._rate, self._temperature, self._view, self._mixed = learning_rate, temperature, view, mixed_precision

    def step(self, batch: Batch) -> dict[str, float]:
        """Two views of every picture; each should find the other among all."""
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate * warm_cosine(batch.done)
        images = batch.images.float() / 255
        both = [random_views(images, batch.generator, side=self._view) for _ in range(2)]
        views = ((torch.cat(both) - MEAN) / STD).to(self.device, memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._mixed):
            features = self.network(views)
        first, second = self.head(features).chunk(2)
        loss = decoupled_contrastive_loss(first, second, self._temperature)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"contrastive loss": loss.item()}
