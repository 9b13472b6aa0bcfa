"""The one training loop: batches, randomness, checkpoints and progress, for whatever learns."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from fidprobe.attacks.solver import never
from fidprobe.errors import InputError, SourceError
from fidprobe.runtime.progress import Progress, silent
from fidprobe.training.checkpoint import load_checkpoint, save_checkpoint

__all__ = ["Batch", "Task", "Trained", "train"]


@dataclass(frozen=True)
class Batch:
    """What one step learns from.

    Attributes:
        images: uint8 [b, 3, h, w], on the CPU.
        labels: int64 [b].
        generator: The step's own random numbers, on the CPU: the same however often a run was stopped before.
        done: Part of the whole run that lies behind, 0 <= done < 1, for schedules.
    """

    images: Tensor
    labels: Tensor
    generator: torch.Generator
    done: float


class Task(Protocol):
    """Something that learns.

    Attributes:
        modules: Its networks, by name; all their weights and buffers are kept in checkpoints.
        optimizers: By name.
        settings: What identifies it, plain JSON; a run is only gone on with under the same.
    """

    @property
    def modules(self) -> Mapping[str, nn.Module]: ...  # noqa: D102 - above

    @property
    def optimizers(self) -> Mapping[str, Optimizer]: ...  # noqa: D102

    @property
    def settings(self) -> Mapping[str, Any]: ...  # noqa: D102

    def step(self, batch: Batch) -> Mapping[str, float]:
        """Learn from one batch; gives losses, always under the same names."""


@dataclass(frozen=True, eq=False)
class Trained:
    """How a run went.

    Attributes:
        steps: Steps done.
        names: Of the losses.
        losses: float64 [steps, losses].
    """

    steps: int
    names: tuple[str, ...]
    losses: Tensor


def train(
    task: Task,
    images: Tensor,
    labels: Tensor,
    *,
    steps: int,
    batch_size: int,
    seed: int,
    checkpoint: Path,
    save_every: int,
    visit_every: int | None = None,
    visit: Callable[[int], None] | None = None,
    identity: Mapping[str, Any] | None = None,
    interrupted: Callable[[], bool] = never,
    progress: Progress = silent,
) -> Trained:
    """Train, from the beginning or from where the checkpoint stands.

    No image is seen twice in an epoch, whose order hangs on the seed and its number; those left over from whole batches
    wait for another one. All random numbers of a step hang on the seed and the step. A run that was killed and begun
    again therefore gives the same weights, bit for bit on the CPU with the same number of threads.

    Args:
        task: What learns.
        images: uint8 [n, 3, h, w].
        labels: int64 [n].
        steps: Of the whole run.
        batch_size: Images a step, 2 to n.
        seed: Of order and randomness.
        checkpoint: The file to go on from, if it is there, and to write.
        save_every: Steps between checkpoints; visits and the last step always write one.
        visit_every: Steps between visits; None for one after the last step alone.
        visit: Called with the steps done, before the checkpoint is written: what a kill cuts short is done again.
        identity: What else must not change within a run, plain JSON.
        interrupted: Asked after each step whether to write a checkpoint and stop.
        progress: Told of each step, with the losses.

    Raises:
        InputError: fewer images than a batch takes, a checkpoint of another run, or a loss that is not a number.
        SourceError: a damaged checkpoint.
    """
    if not 2 <= batch_size <= len(images):
        raise InputError(f"a batch of {batch_size} images cannot be drawn from {len(images)}; take 2 or more")
    run: dict[str, Any] = {
        **task.settings,
        **(identity or {}),
        "steps": steps,
        "batch_size": batch_size,
        "seed": seed,
        "data": _digest(images, labels),
    }
    done, losses = 0, torch.zeros(0, 0, dtype=torch.float64)
    names: tuple[str, ...] = ()
    if checkpoint.is_file():
        done, further = load_checkpoint(checkpoint, modules=task.modules, optimizers=task.optimizers, settings=run)
        losses = further.pop("losses", losses)
        names = tuple(sorted(further, key=lambda one: int(further[one])))
        if losses.shape != (done, len(names)):
            raise SourceError(
                f"{checkpoint}: a damaged checkpoint (losses {list(losses.shape)} after {done} steps); remove it to "
                "begin again"
            )
    rows = losses.tolist()
    devices = {weight.device for module in task.modules.values() for weight in module.parameters()}
    an_epoch = len(images) // batch_size
    order, epoch = torch.zeros(0, dtype=torch.int64), -1
    for step in range(done, steps):
        if step // an_epoch != epoch:
            epoch = step // an_epoch
            order = torch.randperm(len(images), generator=_generator(seed, 0, epoch))
        place = step % an_epoch * batch_size
        chosen = order[place : place + batch_size]
        with _own_randomness(devices, seed, step):
            told = task.step(Batch(images[chosen], labels[chosen], _generator(seed, 1, step), step / steps))
        names = tuple(told)
        rows.append(list(told.values()))
        if not np.isfinite(rows[-1]).all():
            raise InputError(
                f"step {step + 1}: the losses are {dict(told)}; take a lower learning rate, or full precision"
            )
        stop = interrupted()
        last = step + 1 == steps
        visited = last or (visit_every is not None and (step + 1) % visit_every == 0)
        if visited and visit is not None:
            visit(step + 1)
        if visited or stop or (step + 1) % save_every == 0:
            further = {name: torch.tensor(place) for place, name in enumerate(names)}
            further["losses"] = torch.tensor(rows, dtype=torch.float64)
            save_checkpoint(
                checkpoint,
                modules=task.modules,
                optimizers=task.optimizers,
                further=further,
                settings=run,
                step=step + 1,
            )
        progress("training | " + ", ".join(f"{name} {value:.3f}" for name, value in told.items()), step + 1, steps)
        if stop:
            break
    return Trained(len(rows), names, torch.tensor(rows, dtype=torch.float64).reshape(len(rows), len(names)))


def _digest(*data: Tensor) -> str:
    total = hashlib.sha256()
    for tensor in data:
        total.update(tensor.contiguous().numpy().data)
    return total.hexdigest()


def _number(*of: int) -> int:
    return int(np.random.SeedSequence(of).generate_state(1, np.uint64)[0] >> 1)


def _generator(*of: int) -> torch.Generator:
    return torch.Generator().manual_seed(_number(*of))


@contextmanager
def _own_randomness(devices: Iterable[torch.device], seed: int, step: int) -> Iterator[None]:
    """Layers that draw (dropout) know the global generators only; the caller's states are put back."""
    with torch.random.fork_rng([device for device in devices if device.type == "cuda"]):
        torch.manual_seed(_number(seed, 2, step))
        yield
