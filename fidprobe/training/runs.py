"""One run of whatever is trained: a generator, a classifier or an encoder."""

from collections.abc import Callable
from pathlib import Path

from fidprobe.attacks.solver import never_interrupted
from fidprobe.runtime.progress import Progress, silent
from fidprobe.training.classifier import ClassifierTask
from fidprobe.training.data import Pictures
from fidprobe.training.encoder import EncoderTask
from fidprobe.training.evaluation import Evaluator
from fidprobe.training.gan import GanTask
from fidprobe.training.generator_run import GeneratorRun, train_generator
from fidprobe.training.network_run import NetworkRun, train_network
from fidprobe.training.vae import VaeTask

__all__ = ["train_task"]

_VISITS = 20  # of a run whose pace of visits is not given
_EVALUATED = 2000  # images scored at a visit, where no number is given


def train_task(
    task: GanTask | VaeTask | ClassifierTask | EncoderTask,
    pictures: Pictures,
    folder: Path,
    *,
    steps: int,
    batch_size: int,
    seed: int = 0,
    save_every: int = 200,
    visit_every: int | None = None,
    evaluator: Evaluator | None = None,
    evaluated_images: int | None = None,
    test: Pictures | None = None,
    interrupted: Callable[[], bool] = never_interrupted,
    progress: Progress = silent,
) -> GeneratorRun | NetworkRun:
    """Train a task in a folder, from where an earlier run of it stopped.

    Args:
        task: Of `fidprobe.training.kinds.new_task`.
        pictures: What to learn from.
        folder: Where the run is kept.
        steps: Of the whole run.
        batch_size: Pictures a step.
        seed: Draws order and noise.
        save_every: Steps between checkpoints.
        visit_every: Steps between generators kept; None for a twentieth of the run.
        evaluator: Scores generators at every visit; None for no scores.
        evaluated_images: Generated pictures to score at a visit; None for 2,000.
        test: Other pictures, to test a classifier or encoder on.
        interrupted: Asked after each step whether to stop.
        progress: Told of the steps.

    Raises:
        FidprobeError: a user's mistake, such as a folder that holds another run.
    """
    length = {"steps": steps, "batch_size": batch_size, "seed": seed, "save_every": save_every}
    if not isinstance(task, GanTask | VaeTask):
        return train_network(task, pictures, folder, **length, test=test, interrupted=interrupted, progress=progress)
    return train_generator(
        task,
        pictures,
        folder,
        **length,
        visit_every=visit_every or max(1, steps // _VISITS),
        evaluator=evaluator,
        evaluated_images=evaluated_images or _EVALUATED,
        interrupted=interrupted,
        progress=progress,
    )
