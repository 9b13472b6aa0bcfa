"""A training run of a classifier or self-supervised encoder, and its accuracy on pictures that it has not seen."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from fidprobe.analysis.output.folders import output_folder
from fidprobe.analysis.output.writers import write_text
from fidprobe.attacks.solver import never_interrupted
from fidprobe.errors import InputError
from fidprobe.extractors.base import Embedding, Extractor
from fidprobe.extractors.trained import load_trained, read_card, save_trained
from fidprobe.runtime.progress import Progress, silent
from fidprobe.training.classifier import ClassifierTask
from fidprobe.training.curves import write_history
from fidprobe.training.data import Pictures
from fidprobe.training.encoder import EncoderTask
from fidprobe.training.loop import Trained, train
from fidprobe.training.probe import linear_probe

__all__ = ["NetworkRun", "accuracy_of", "train_network"]

_BATCH = 250  # pictures a time through the finished network


@dataclass(frozen=True, eq=False)
class NetworkRun:
    """The result of a run.

    Attributes:
        folder: The folder that `train_network` wrote.
        network: The file to name in `trained:<file>`.
        trained: Steps and losses.
        accuracy: On the test pictures of this call or an earlier one: of the classifier, or of a linear probe on the
            encoder's features; None without any, or where the run was stopped.
        seconds: Training time of this call.
    """

    folder: Path
    network: Path
    trained: Trained
    accuracy: float | None
    seconds: float


def train_network(
    task: ClassifierTask | EncoderTask,
    data: Pictures,
    folder: Path,
    *,
    steps: int,
    batch_size: int,
    seed: int,
    save_every: int,
    test: Pictures | None = None,
    interrupted: Callable[[], bool] = never_interrupted,
    progress: Progress = silent,
) -> NetworkRun:
    """Train a network into a folder, or go on with the run that the folder holds.

    Writes `network.safetensors`, `checkpoint.safetensors`, `losses.csv`, `training.json` and the losses' curves.

    Args:
        task: What learns.
        data: What it learns from.
        folder: The run's folder.
        steps: Steps of the whole run.
        batch_size: Pictures in a step.
        seed: Seed of order and randomness.
        save_every: Steps between checkpoints.
        test: Other pictures of the same classes, to measure the result on. The encoder's linear probe learns from
            `data` with labels, the encoder itself never does.
        interrupted: Returns whether to write a checkpoint and stop.
        progress: Called after each step, and during the test.

    Raises:
        InputError: the folder cannot be written, or holds another run; test pictures of other classes.
        SourceError: a damaged checkpoint.
    """
    output_folder(folder, "the training run")
    if test is not None and (not data.classes or test.class_names != data.class_names):
        raise InputError(
            f"{test.description} has classes {_few(test.class_names)} and {data.description} "
            f"{_few(data.class_names)}; a test needs the same classes on both sides"
        )
    begun = time.perf_counter()
    trained = train(
        task,
        data.images,
        data.labels,
        steps=steps,
        batch_size=batch_size,
        seed=seed,
        checkpoint=folder / "checkpoint.safetensors",
        save_every=save_every,
        identity={"class_names": data.class_names and list(data.class_names)},
        interrupted=interrupted,
        progress=progress,
    )
    seconds = time.perf_counter() - begun
    path = folder / "network.safetensors"
    classifies = isinstance(task, ClassifierTask)
    card = {
        "kind": task.settings["task"],
        "data": data.description,
        "pictures": len(data),
        "steps": steps,
        "step": trained.steps,
        "batch_size": batch_size,
        "seed": seed,
        "settings": dict(task.settings),
    }
    names = data.class_names if classifies else None
    what = "accuracy" if classifies else "linear_probe_accuracy"
    accuracy, tested_on = _measured(path, card, what) if test is None else (None, None)
    save_trained(path, task.network, class_names=names, card=card)
    if test is not None and trained.steps == steps:
        network = load_trained(path, resize="native").to(task.device)
        accuracy, tested_on = accuracy_of(network, data, test, progress=progress), test.description
    if accuracy is not None:
        card |= {what: accuracy, "tested_on": tested_on}
        save_trained(path, task.network, class_names=names, card=card)
    write_text(folder / "training.json", json.dumps(card, indent=2, allow_nan=False) + "\n")
    write_history(folder, trained)
    return NetworkRun(folder, path, trained, accuracy, seconds)


def _measured(path: Path, card: Mapping[str, Any], what: str) -> tuple[float | None, str | None]:
    """The accuracy of an earlier test of the same network: a finished run that is started again keeps it."""
    if not path.is_file():
        return None, None
    before = read_card(path)
    accuracy, tested_on = before.pop(what, None), before.pop("tested_on", None)
    sound = isinstance(accuracy, float) and 0 <= accuracy <= 1 and isinstance(tested_on, str)
    return (accuracy, tested_on) if sound and before == json.loads(json.dumps(card)) else (None, None)


def accuracy_of(network: Extractor, data: Pictures, test: Pictures, *, progress: Progress = silent) -> float:
    """The share of test pictures that the classifier, or a linear probe, classifies rightly, 0 to 1.

    Args:
        network: With or without a classifier.
        data: The linear probe learns from it; a classifier does not use it.
        test: Other pictures of the same classes.
        progress: Called with the number of pictures.
    """
    tested = _embedded(network, test.images, "testing", progress)
    if tested.logits is not None:
        return float((tested.logits.argmax(1) == test.labels).float().mean())
    learnt = _embedded(network, data.images, "reading for the linear probe", progress)
    return linear_probe(learnt.features, data.labels, tested.features, test.labels)


def _embedded(network: Extractor, images: Tensor, stage: str, progress: Progress) -> Embedding:
    parts: list[Embedding] = []
    for first in range(0, len(images), _BATCH):
        part = network(images[first : first + _BATCH])
        parts.append(Embedding(part.features.cpu(), None if part.logits is None else part.logits.cpu()))
        progress(stage, min(first + _BATCH, len(images)), len(images))
    return Embedding.joined(parts)


def _few(names: tuple[str, ...] | None) -> str:
    return "none" if names is None else ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
