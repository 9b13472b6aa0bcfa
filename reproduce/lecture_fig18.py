"""Lecture notes, Figure 18: DCGAN with leaky ReLUs and with ReLUs, the same in all else; which game comes to rest?

    python -m reproduce.lecture_fig18 --scale small
    FIDPROBE_DATA=/data python -m reproduce.lecture_fig18 --scale paper

A run that was stopped goes on where it was: checkpoints lie in fidprobe's cache.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.errors import InputError
from fidprobe.generators.networks import Generator
from fidprobe.generators.saved import save_generator
from fidprobe.images import open_images
from fidprobe.runtime.files import cache_folder
from fidprobe.runtime.progress import stage
from fidprobe.training.data import Pictures, read_pictures
from fidprobe.training.evaluation import Evaluation, Evaluator
from fidprobe.training.gan import new_gan
from fidprobe.training.loop import train
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting
from reproduce.lecture_losses import Array, panels, thinned

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EXPERIMENT", "Training", "run"]

ACTIVATIONS: Mapping[str, bool] = {"LeakyReLU": True, "ReLU": False}
EQUILIBRIUM = {"D": math.log(4), "G": math.log(2)}
"""Losses where D(x) = 1/2 everywhere (Eq. 3 and 5.b)."""


@dataclass(frozen=True)
class Training:
    """Exact inputs, the same for both activations.

    Attributes:
        data: To learn from, a name for `DataFolder.find`.
        pictures: So many of them at random; None for all.
        reference: Real images that are held against, likewise.
        references: Of them; None for all.
        width: Multiplies DCGAN's channels.
        steps: Of each generator.
        batch: Pictures in a step.
        images: Samples that are scored.
        extractor: The main space.
        second_opinion: The space beside it.
        classifier: Of the data's classes, which shows modes that are missing; None where there is none.
        device: Where to train.
        seed: Of weights, order, noise and samples.
    """

    data: str
    pictures: int | None
    reference: str
    references: int | None
    width: float
    steps: int
    batch: int
    images: int
    extractor: str
    second_opinion: str
    classifier: str | None
    device: str
    seed: int


PRESETS = {
    "smoke": Training(
        "embedded:am-gan",
        32,
        "embedded:am-gan?seed=1",
        60,
        0.02,
        8,
        8,
        60,
        "cifar10-classifier",
        "cifar10-encoder",
        "cifar10-classifier",
        "cpu",
        0,
    ),
    "small": Training(
        "cifar10/train",
        20_000,
        "cifar10/test",
        None,
        0.25,
        1_200,
        32,
        1_000,
        "efficientnet-lite0",
        "cifar10-encoder",
        "cifar10-classifier",
        "cpu",
        0,
    ),
    "paper": Training(
        "fashionmnist/train",
        None,
        "fashionmnist/test",
        None,
        1.0,
        20_000,
        128,
        10_000,
        "inception",
        "clip",
        None,
        "cuda",
        0,
    ),
}


def run(preset: Training, setting: Setting) -> Outcome:
    """Train both, score both."""
    if preset.device == "cuda" and not torch.cuda.is_available():
        raise InputError("this scale trains on a GPU, and torch finds no CUDA here; take --scale small")
    pictures = read_pictures(
        setting.data.find(preset.data), limit=preset.pictures, seed=preset.seed, progress=setting.progress
    )
    evaluator = Evaluator(
        open_images(setting.data.find(preset.reference), limit=preset.references),
        extractor=preset.extractor,
        second_opinion=preset.second_opinion,
        classifier=preset.classifier,
        options=setting.options,
        progress=setting.progress,
    )
    cells: list[Cell] = []
    losses, scores = {}, {}
    for name in ACTIVATIONS:
        losses[name], file = _trained(name, preset, pictures, setting)
        samples = open_images(str(file), limit=preset.images, seed=preset.seed)
        scores[name] = evaluator(samples, preset.steps)
        cells += _cells(name, losses[name], scores[name])
    for space, of_leaky in scores["LeakyReLU"].distances.items():
        ratio = scores["ReLU"].distances[space] / of_leaky
        cells.append(Cell(f"{metric_label(space, 'FD')}, ReLU over LeakyReLU", ratio, digits=3))
    details = {
        name: {"losses": {"D": thinned(one[:, 0], 201), "G": thinned(one[:, 1], 201)}, "scores": scores[name].to_json()}
        for name, one in losses.items()
    }
    notes = [
        "The notes' figure has no numbers. They claim that LeakyReLU's game comes to a Nash equilibrium, where "
        "the loss of D is ln 4 and that of G ln 2, and that ReLU's does not and drops modes.",
    ]
    if setting.scale == "small":
        notes.append(
            f"CIFAR-10 in place of Fashion-MNIST, a quarter of DCGAN's width, one seed and {preset.steps} steps of "
            f"{preset.batch} pictures: the beginning of a training, which shows neither an equilibrium nor its absence."
        )
    drawing = Drawing(_figure(losses), "Losses of DCGAN with leaky ReLUs and with ReLUs")
    return Outcome(cells, details, [drawing], notes)


def _trained(name: str, preset: Training, pictures: Pictures, setting: Setting) -> tuple[Array, Path]:
    """Losses of D and G, float64 [steps, 2], and the generator's file."""
    task = new_gan(
        "dcgan",
        classes=max(1, pictures.classes),
        width=preset.width,
        leaky=ACTIVATIONS[name],
        seed=preset.seed,
        device=preset.device,
    )
    folder = cache_folder() / "reproduce" / "lecture_fig18" / setting.scale
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.safetensors"
    found = train(
        task,
        pictures.images,
        pictures.labels,
        steps=preset.steps,
        batch_size=preset.batch,
        seed=preset.seed,
        checkpoint=folder / f"{name}-checkpoint.safetensors",
        save_every=100,
        progress=stage(setting.progress, within=name),
    )
    assert isinstance(task.result, Generator)
    save_generator(file, task.result, class_names=None, card={"kind": "dcgan", "activation": name})
    places = [found.names.index(f"{player} loss") for player in ("discriminator", "generator")]
    return found.losses.numpy()[:, places], file


def _cells(name: str, losses: Array, scores: Evaluation) -> list[Cell]:
    last = losses[-max(1, len(losses) // 4) :]
    cells = [
        Cell(
            f"{name}, mean loss of {player}, last quarter",
            float(last[:, i].mean()),
            EQUILIBRIUM[player] if name == "LeakyReLU" else None,
            unit="nats",
            digits=3,
        )
        for i, player in enumerate(("D", "G"))
    ]
    cells += [
        Cell(f"{name}, std of the loss of {player}, last quarter", float(last[:, i].std()), unit="nats", digits=3)
        for i, player in enumerate(("D", "G"))
    ]
    cells += [
        Cell(f"{name}, {metric_label(space, 'FD')}", value, digits=2) for space, value in scores.distances.items()
    ]
    if scores.am_divergence is not None:
        cells.append(Cell(f"{name}, KL(real ‖ generated) of classes", scores.am_divergence, unit="nats", digits=3))
    return cells


def _figure(losses: Mapping[str, Array]) -> "Figure":
    from fidprobe.analysis.output.figure_style import COLOURS, INK, styled

    with styled():
        figure, axes = panels(2)
        top = max(float(np.quantile(one, 0.99)) for one in losses.values())
        for one, (name, values) in zip(axes, losses.items(), strict=True):
            steps = np.arange(1, len(values) + 1)
            width = max(1, len(values) // 100)
            for i, (player, colour, dashes) in enumerate(
                (("D", COLOURS["generated"], "-"), ("G", COLOURS["baseline"], "--"))
            ):
                one.plot(steps, values[:, i], color=colour, linewidth=0.4, alpha=0.3)
                mean = np.convolve(values[:, i], np.ones(width) / width, mode="valid")
                at = steps[width - 1 :] - (width - 1) / 2
                one.plot(at, mean, color=colour, linestyle=dashes, linewidth=1.4, label=f"loss of {player}")
                one.axhline(
                    EQUILIBRIUM[player],
                    color=colour,
                    linewidth=1,
                    linestyle=(0, (1, 2)),
                    label=f"{player} at equilibrium",
                )
            one.set_title(name, fontsize=9, color=INK, loc="left")
            one.set_xlabel("steps")
            one.set_ylabel("loss (nats)")
            one.set_ylim(0, 1.1 * top)
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False, labelcolor=INK, fontsize=8)
    return figure


EXPERIMENT = Experiment(
    "lecture_fig18",
    "lecture",
    "Figure 18",
    "training of DCGAN with leaky ReLUs and with ReLUs",
    PRESETS,
    run,
    needs={"small": "cifar10", "paper": "fashionmnist, official weights and a GPU"},
    costs={"small": "half an hour", "paper": "two hours"},
)

if __name__ == "__main__":
    EXPERIMENT.main()
