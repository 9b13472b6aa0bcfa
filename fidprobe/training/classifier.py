"""A classifier of the data set itself, for the AM Score (Zhou et al., section 6.4: "accordingly pretrained")."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fidprobe.extractors.small_resnet import MEAN, STD, SmallResNet
from fidprobe.training.augmentations import crop_and_flip
from fidprobe.training.loop import Batch
from fidprobe.training.scales import warm_cosine

__all__ = ["ClassifierTask"]


class ClassifierTask:
    """Supervised learning of a `SmallResNet`, as He et al. (2016) trained theirs on CIFAR-10.

    Args:
        classes: K.
        stem: Channels of the network's stem.
        widths: Of its stages.
        blocks: Of its stages.
        learning_rate: The highest rate; SGD with Nesterov's momentum, a warm-up, then a cosine to zero.
        weight_decay: SGD's.
        mixed_precision: bfloat16 inside the network.
        seed: Seed of the first weights.
        device: Where to train.
    """

    def __init__(
        self,
        *,
        classes: int,
        stem: int = 32,
        widths: tuple[int, ...] = (64, 128, 128),
        blocks: tuple[int, ...] = (1, 1, 1),
        learning_rate: float = 0.2,
        weight_decay: float = 5e-4,
        mixed_precision: bool = False,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.settings = {
            "task": "classifier",
            "classes": classes,
            "stem": stem,
            "widths": list(widths),
            "blocks": list(blocks),
            "learning_rate": learning_rate,
            "weight_decay": weight_decay,
            "mixed_precision": mixed_precision,
            "first_weights": seed,
        }
        self.device = torch.device(device)
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            network = SmallResNet(stem=stem, widths=widths, blocks=blocks, classes=classes)
        self.network = network.to(self.device).to(memory_format=torch.channels_last)
        self.modules: dict[str, nn.Module] = {"network": self.network}
        self.optimizer = torch.optim.SGD(
            self.network.parameters(), lr=learning_rate, momentum=0.9, nesterov=True, weight_decay=weight_decay
        )
        self.optimizers = {"network": self.optimizer}
        self._rate, self._mixed = learning_rate, mixed_precision

    def step(self, batch: Batch) -> dict[str, float]:
        """Cross-entropy on shifted and mirrored pictures."""
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate * warm_cosine(batch.done)
        pictures = (crop_and_flip(batch.images.float() / 255, batch.generator) - MEAN) / STD
        labels = batch.labels.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._mixed):
            features: Tensor = self.network(pictures.to(self.device).contiguous(memory_format=torch.channels_last))
        assert self.network.classifier is not None
        logits = self.network.classifier(features)
        loss = F.cross_entropy(logits, labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        right = (logits.argmax(1) == labels).float().mean()
        return {"cross-entropy": loss.item(), "right": right.item()}
