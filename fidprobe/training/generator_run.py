"""A training run of a generator: what it leaves in its folder, and how it goes on after a stop."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fidprobe.analysis.output.folders import output_folder
from fidprobe.analysis.output.writers import write_text
from fidprobe.attacks.solver import never
from fidprobe.errors import InputError, SourceError
from fidprobe.generators.networks import Generator
from fidprobe.generators.saved import save_generator
from fidprobe.generators.variants import GANS
from fidprobe.images import ImageSource, open_images
from fidprobe.runtime.progress import Progress, silent
from fidprobe.training.curves import write_history
from fidprobe.training.data import Pictures
from fidprobe.training.evaluation import Evaluation, Evaluator
from fidprobe.training.gan import GanTask
from fidprobe.training.loop import Trained, train
from fidprobe.training.sample_files import write_samples
from fidprobe.training.vae import VaeTask

__all__ = ["GeneratorRun", "earlier_scores", "train_generator"]

_SHOWN = 64  # samples in a grid


@dataclass(frozen=True, eq=False)
class GeneratorRun:
    """How a run went.

    Attributes:
        folder: What `train_generator` wrote.
        generator: The file of the newest generator.
        trained: Steps and losses.
        evaluations: On the schedule, oldest first.
        seconds: This time, from the first step or from where the run went on.
    """

    folder: Path
    generator: Path
    trained: Trained
    evaluations: tuple[Evaluation, ...]
    seconds: float


def train_generator(
    task: GanTask | VaeTask,
    data: Pictures,
    folder: Path,
    *,
    steps: int,
    batch_size: int,
    seed: int,
    visit_every: int,
    save_every: int,
    evaluator: Evaluator | None = None,
    evaluated_images: int = 2000,
    interrupted: Callable[[], bool] = never,
    progress: Progress = silent,
) -> GeneratorRun:
    """Train a generator into a folder, or go on with the run that the folder holds.

    Writes `generators/step-NNNNNN.safetensors` and `samples/step-NNNNNN.png` at every visit, `checkpoint.safetensors`,
    and at the end or when stopped `generator.safetensors` (the newest), `losses.csv`, `training.json` and the curves as
    svg, pdf and png. Without a checkpoint in the folder, generators and grids of an earlier run are deleted.

    A grid shows images 0 to 63 that `open_images` gives of the kept generator under the run's seed, eight a row: the
    same latents at every visit, and of a conditional generator the classes that are drawn with them.

    Args:
        task: What learns, from `new_gan` or a `VaeTask`.
        data: What it learns from.
        folder: Where to.
        steps: Of the whole run.
        batch_size: Pictures a step.
        seed: Of order and randomness, and of the samples that are shown and scored; from 0.
        visit_every: Steps between visits: a generator is kept, a grid drawn, and scores are taken.
        save_every: Steps between checkpoints, at most: a kill loses no more.
        evaluator: Takes scores at every visit, and of generators that an earlier part kept; None for none.
        evaluated_images: Generated images that scores are taken of.
        interrupted: Whether to write a checkpoint and stop.
        progress: Told of steps.

    Raises:
        InputError: the folder cannot be written, or holds another run, or scores that were taken in another way.
        SourceError: a damaged checkpoint.
    """
    output_folder(folder, "the training run")
    if visit_every < 1 or save_every < 1:
        raise InputError("visits and checkpoints are at least 1 step apart")
    checkpoint = folder / "checkpoint.safetensors"
    measure = None if evaluator is None else {**evaluator.identity, "images": evaluated_images, "seed": seed}
    known, measure = earlier_scores(folder, checkpoint, measure)
    card = {
        "kind": task.settings["task"],
        "title": GANS[task.kind].title if isinstance(task, GanTask) else "VAE",
        "data": data.description,
        "pictures": len(data),
        "steps": steps,
        "batch_size": batch_size,
        "seed": seed,
        "settings": dict(task.settings),
    }
    begun = time.perf_counter()

    def keep(path: Path, step: int) -> None:
        assert isinstance(task.result, Generator)
        save_generator(path, task.result, class_names=data.class_names, card={**card, "step": step})

    def samples(step: int, count: int) -> ImageSource:
        return open_images(str(_kept(folder, step)), limit=count, seed=seed)

    def evaluate(step: int) -> None:
        if evaluator is not None and step not in known:
            known[step] = evaluator(samples(step, evaluated_images), step)

    def visit(step: int) -> None:
        keep(_kept(folder, step), step)
        write_samples(samples(step, _SHOWN), folder / "samples" / f"step-{step:06d}.png")
        known.pop(step, None)
        evaluate(step)
        _write_told(folder, card, step, known, measure)

    trained = train(
        task,
        data.images,
        data.labels,
        steps=steps,
        batch_size=batch_size,
        seed=seed,
        checkpoint=checkpoint,
        save_every=save_every,
        visit_every=visit_every,
        visit=visit,
        identity={"class_names": data.class_names and list(data.class_names)},
        interrupted=interrupted,
        progress=progress,
    )
    seconds = time.perf_counter() - begun
    keep(folder / "generator.safetensors", trained.steps)
    for step in range(1, trained.steps + 1):  # kept by a part of the run that took no scores
        if _kept(folder, step).is_file():
            evaluate(step)
    evaluations = _write_told(folder, card, trained.steps, known, measure)
    write_history(folder, trained, evaluations)
    return GeneratorRun(folder, folder / "generator.safetensors", trained, evaluations, seconds)


def _kept(folder: Path, step: int) -> Path:
    return folder / "generators" / f"step-{step:06d}.safetensors"


def earlier_scores(
    folder: Path, checkpoint: Path, measure: dict[str, Any] | None
) -> tuple[dict[int, Evaluation], dict[str, Any] | None]:
    """Scores that an earlier part of the run took, and how; without a checkpoint what is left of another run goes.

    Raises:
        InputError: they were taken in another way.
        SourceError: they cannot be read.
    """
    if not checkpoint.is_file():
        for pattern in ("generators/step-*.safetensors", "samples/step-*.png"):
            for file in folder.glob(pattern):
                file.unlink()
        return {}, measure
    file = folder / "training.json"
    if not file.is_file():
        return {}, measure
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        json.dumps(told, allow_nan=False)  # Python reads NaN and 1e999, and JSON has no such numbers
        rows = [Evaluation.from_json(row) for row in told.get("evaluations", [])]
        known = {int(row.step): row for row in rows}
        before = told.get("measure")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SourceError(f"{file}: damaged ({error}); remove it to go on without earlier scores") from error
    if known and measure is not None and before != measure:
        raise InputError(
            f"{file} has scores of another reference, other networks or as many images as were not asked for now; give "
            "the same ones, or remove the file to take all scores anew"
        )
    return known, measure or before


def _write_told(
    folder: Path,
    card: Mapping[str, Any],
    step: int,
    known: Mapping[int, Evaluation],
    measure: Mapping[str, Any] | None,
) -> tuple[Evaluation, ...]:
    """Write what is known of the run so far; gives the scores up to this step."""
    evaluations = tuple(known[one] for one in sorted(known) if one <= step)
    told = {**card, "step": step, "measure": measure, "evaluations": [one.to_json() for one in evaluations]}
    write_text(folder / "training.json", json.dumps(told, indent=2, allow_nan=False) + "\n")
    return evaluations
