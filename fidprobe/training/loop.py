"""The training loop of all tasks: batches, randomness, checkpoints and progress."""

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

from fidprobe.attacks.solver import never_interrupted
from fidprobe.errors import InputError, SourceError
from fidprobe.runtime.progress import Progress, silent
from fidprobe.training.checkpoint import load_checkpoint, save_checkpoint

__all__ = ["Batch", "Task", "Trained", "train"]


@dataclass(frozen=True)
class Batch:
    """The input of one step.

    Attributes:
        images: uint8 [b, 3, h, w], on the CPU.
        labels: int64 [b].
        generator: The step's random numbers, on the CPU; they are the same however often the run was stopped.
        done: Share of the run that is done, 0 <= done < 1, for schedules.
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
        settings: What identifies it, plain JSON; a run goes on only with the same.
    """

    @property
    def modules(self) -> Mapping[str, nn.Module]: ...  # noqa: D102 - above

    @property
    def optimizers(self) -> Mapping[str, Optimizer]: ...  # noqa: D102

    @property
    def settings(self) -> Mapping[str, Any]: ...  # noqa: D102

    def step(self, batch: Batch) -> Mapping[str, float]:
        """Learn from one batch; returns losses, always under the same names."""


@dataclass(frozen=True, eq=False)
class Trained:
    """Steps and losses of a run.

    Attributes:
        steps: Steps done.
        names: Names of the losses.
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
    interrupted: Callable[[], bool] = never_interrupted,
    progress: Progress = silent,
) -> Trained:
    """Train from the beginning, or go on from the checkpoint.

    No image is seen twice in an epoch. The order depends on the seed and the epoch's number; images that do not fill a
    batch are left out of that epoch. All random numbers of a step depend on the seed and the step. A run that was
    killed and started again therefore gives the same weights, bit for bit on the CPU with the same number of threads.

    Args:
        task: What learns.
        images: uint8 [n, 3, h, w].
        labels: int64 [n].
        steps: Steps of the whole run.
        batch_size: Images in a step, 2 to n.
        seed: Seed of order and randomness.
        checkpoint: The file to write, and to go on from if it exists.
        save_every: Steps between checkpoints; visits and the last step always write one.
        visit_every: Steps between visits; None for one after the last step alone.
        visit: Called with the steps done, before the checkpoint is written; after a kill it is called again.
        identity: Further values that must not change within a run, plain JSON.
        interrupted: Called after each step; returns whether to write a checkpoint and stop.
        progress: Called after each step, with the losses.

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
        names = tuple(sorted(further, key=lambda name: int(further[name])))
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
            step_losses = task.step(Batch(images[chosen], labels[chosen], _generator(seed, 1, step), step / steps))
        names = tuple(step_losses)
        rows.append(list(step_losses.values()))
        if not np.isfinite(rows[-1]).all():
            raise InputError(
                f"step {step + 1}: the losses are {dict(step_losses)}; take a lower learning rate, or full precision"
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
        shown = ", ".join(f"{name} {value:.3f}" for name, value in step_losses.items())
        progress(f"training | {shown}", step + 1, steps)
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
    """Seed the global generators, which layers such as dropout use, and restore the caller's states afterwards."""
    with torch.random.fork_rng([device for device in devices if device.type == "cuda"]):
        torch.manual_seed(_number(seed, 2, step))
        yield
