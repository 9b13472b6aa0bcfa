"""Runs of the training loop as its tests take them: small tasks, one that records, and all that a task has learnt."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fidprobe.training.encoder import EncoderTask
from fidprobe.training.gan import GanTask, new_gan
from fidprobe.training.loop import Batch, Task, Trained, train

__all__ = [
    "BATCH",
    "SAVE_EVERY",
    "SEED",
    "STEPS",
    "TASKS",
    "Recorder",
    "numbered",
    "pictures",
    "run",
    "same",
    "small_encoder",
    "small_gan",
    "state",
]

STEPS, BATCH, SAVE_EVERY, SEED = 9, 6, 4, 7


def pictures(n: int = 20, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (n, 3, 32, 32), generator=generator, dtype=torch.uint8)
    return images, torch.arange(n) % 3


def small_gan(kind: str = "am-gan", **options: Any) -> GanTask:
    return new_gan(kind, classes=3, width=0.03, **{"average": 0.9, **options})


def small_encoder() -> EncoderTask:
    return EncoderTask(stem=4, widths=(4, 8), blocks=(1, 1), view=16)


TASKS: dict[str, Callable[[], Task]] = {
    "am-gan": small_gan,
    "predefined": lambda: small_gan("ac-gan", predefined=True),
    "dcgan": lambda: small_gan("dcgan", average=0.0),
    "encoder": small_encoder,
}


def state(task: Task) -> dict[str, Tensor]:
    """Every number that a task has learnt: weights, buffers, averaged weights, the optimizers' moments and counts."""
    numbers: dict[str, Tensor] = {}
    for name, module in task.modules.items():
        numbers |= {f"{name}.{key}": value.clone() for key, value in module.state_dict().items()}
    for name, optimizer in task.optimizers.items():
        for place, held in optimizer.state_dict()["state"].items():
            numbers |= {f"{name}.{place}.{key}": value.clone() for key, value in held.items()}
    return numbers


def same(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def run(task: Task, checkpoint: Path, **options: Any) -> Trained:
    asked = {"steps": STEPS, "batch_size": BATCH, "seed": SEED, "save_every": SAVE_EVERY, **options}
    images, labels = asked.pop("data", pictures())
    return train(task, images, labels, checkpoint=checkpoint, **asked)


class Recorder:
    """Learns nothing and remembers what it was given."""

    def __init__(self, losses: Callable[[int], float] = float) -> None:
        self.modules: Mapping[str, nn.Module] = {}
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {}
        self.settings: Mapping[str, Any] = {"task": "recorder"}
        self.losses = losses
        self.seen: list[tuple[list[int], list[int], int, float, float]] = []

    def step(self, batch: Batch) -> dict[str, float]:
        own = int(torch.randint(2**62, (1,), generator=batch.generator))
        drawn = float(torch.rand(1, dtype=torch.float64))
        self.seen.append((batch.images[:, 0, 0, 0].tolist(), batch.labels.tolist(), own, drawn, batch.done))
        return {"b": self.losses(len(self.seen)), "a": 0.0}


def numbered(n: int) -> tuple[Tensor, Tensor]:
    """Pictures that show their own number, whose label is 1000 more."""
    return torch.arange(n, dtype=torch.uint8)[:, None, None, None].expand(n, 3, 2, 2).contiguous(), torch.arange(
        n
    ) + 1000
