"""A training run of a generator: the files in its folder, and how it goes on after a stop."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fidprobe.analysis.output.folders import output_folder
from fidprobe.analysis.output.writers import write_text
from fidprobe.attacks.solver import never_interrupted
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
    """The result of a run.

    Attributes:
        folder: The folder that `train_generator` wrote.
        generator: The file of the newest generator.
        trained: Steps and losses.
        evaluations: Scores at the visits, oldest first.
        seconds: Training time of this call.
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
    interrupted: Callable[[], bool] = never_interrupted,
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
        folder: The run's folder.
        steps: Steps of the whole run.
        batch_size: Pictures in a step.
        seed: Seed, from 0, of order and randomness, and of the samples that are shown and scored.
        visit_every: Steps between visits. A visit keeps a generator, draws a grid and takes scores.
        save_every: Steps between checkpoints, at most; a killed run loses no more.
        evaluator: Scores generators at every visit, and those that an earlier part of the run kept; None for none.
        evaluated_images: Generated images that are scored.
        interrupted: Returns whether to write a checkpoint and stop.
        progress: Called after each step.

    Raises:
        InputError: the folder cannot be written, or holds another run, or scores with other networks or images.
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
        _write_record(folder, card, step, known, measure)

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
    for step in range(1, trained.steps + 1):  # generators of an earlier part of the run that took no scores
        if _kept(folder, step).is_file():
            evaluate(step)
    evaluations = _write_record(folder, card, trained.steps, known, measure)
    write_history(folder, trained, evaluations)
    return GeneratorRun(folder, folder / "generator.safetensors", trained, evaluations, seconds)


def _kept(folder: Path, step: int) -> Path:
    return folder / "generators" / f"step-{step:06d}.safetensors"


def earlier_scores(
    folder: Path, checkpoint: Path, measure: dict[str, Any] | None
) -> tuple[dict[int, Evaluation], dict[str, Any] | None]:
    """Scores of an earlier part of the run, and how they were taken. Without a checkpoint, delete files of other runs.

    Raises:
        InputError: the scores were taken with other networks or images.
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
        record = json.loads(file.read_text(encoding="utf-8"))
        json.dumps(record, allow_nan=False)  # Python reads NaN and 1e999, and JSON has no such numbers
        rows = [Evaluation.from_json(row) for row in record.get("evaluations", [])]
        known = {int(row.step): row for row in rows}
        before = record.get("measure")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SourceError(f"{file}: damaged ({error}); remove it to go on without earlier scores") from error
    if known and measure is not None and before != measure:
        raise InputError(
            f"{file} has scores of another reference, other networks or as many images as were not asked for now; give "
            "the same ones, or remove the file to take all scores anew"
        )
    return known, measure or before


def _write_record(
    folder: Path,
    card: Mapping[str, Any],
    step: int,
    known: Mapping[int, Evaluation],
    measure: Mapping[str, Any] | None,
) -> tuple[Evaluation, ...]:
    """Write `training.json` for the run so far; returns the scores up to this step."""
    evaluations = tuple(known[visited] for visited in sorted(known) if visited <= step)
    rows = [evaluation.to_json() for evaluation in evaluations]
    record = {**card, "step": step, "measure": measure, "evaluations": rows}
    write_text(folder / "training.json", json.dumps(record, indent=2, allow_nan=False) + "\n")
    return evaluations
