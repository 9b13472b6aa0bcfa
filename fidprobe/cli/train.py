"""`fidprobe train`: a generator to audit, a classifier for the AM Score, or a second opinion of one's own."""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from fidprobe.cli.options import (
    Limit,
    Reading,
    SkipBad,
    flag,
    folder,
    network_spec,
    option,
    whole,
)
from fidprobe.cli.output import INTERRUPTED, Output, checked_folder, print_skipped, print_warning
from fidprobe.runtime.interrupts import Interrupts
from fidprobe.runtime.messages import unknown_name

if TYPE_CHECKING:
    from fidprobe.runtime.progress import Progress
    from fidprobe.training.data import Pictures
    from fidprobe.training.evaluation import Evaluator
    from fidprobe.training.kinds import Kind

__all__ = ["KIND_NAMES", "train"]

KIND_NAMES = (
    "gan, gan-saturating, dcgan, gan-star, labelgan, ac-gan, ac-gan-star, ac-gan-star-plus, am-gan, vae, classifier, "
    "encoder"
)
"""As in `fidprobe.training.kinds`, whose import would make `--help` slow; a test holds them together."""


def _check_kind(_: Any, kind: str) -> None:
    if kind not in KIND_NAMES.split(", "):
        raise ValueError(unknown_name("kind of model", kind, KIND_NAMES.split(", ")))


@Parameter(name="*", group=Group("Learning", sort_key=3))
@dataclass(frozen=True)
class Learning:
    """Length, size and pace; None where the kind's own default holds."""

    steps: Annotated[int | None, whole("N", least=1)] = None
    """Of the whole run."""
    batch_size: Annotated[int | None, whole("N", least=2)] = None
    """Pictures a step."""
    width: Annotated[float | None, option("X")] = None
    """Times the paper's channels."""
    learning_rate: Annotated[float | None, option("X")] = None
    """The highest."""
    average: Annotated[float | None, option("X")] = None
    """Decay of a moving average of the generator's weights."""
    mixed_precision: Annotated[bool, flag()] = False
    """bfloat16 in the networks: faster where the hardware has it."""
    device: Annotated[str | None, option("DEVICE")] = None
    """cpu, cuda, mps (a GPU by default)."""
    seed: Annotated[int, whole("S", least=0, most=2**63 - 1)] = 0
    """Of weights, order and noise."""
    save_every: Annotated[int, whole("N", least=1)] = 200
    """Steps that a kill can lose."""

    def length(self, kind: "Kind", images: int) -> dict[str, int]:
        """The library's form of steps, batch size, seed and pace of saving.

        Args:
            kind: What is trained, whose own number of passes holds where no steps are given.
            images: Pictures to learn from.
        """
        size = self.batch_size or min(kind.batch_size, images)
        steps = self.steps or max(1, kind.epochs * images // size)
        return {"steps": steps, "batch_size": size, "seed": self.seed, "save_every": self.save_every}


@Parameter(name="*", group=Group("Labels of GANs", sort_key=4))
@dataclass(frozen=True)
class Labels:
    """Target classes and label smoothing; None where the kind's own default holds."""

    predefined: Annotated[bool, flag()] = False
    """Each sample is made for a class, instead of dynamic labels."""
    smooth_real: Annotated[float | None, option("X")] = None
    """Label smoothing of real pictures."""
    smooth_fake: Annotated[float | None, option("X")] = None
    """Of generated ones."""
    smooth_generator: Annotated[float | None, option("X")] = None
    """Of the generator's target."""
    auxiliary_weight: Annotated[float | None, option("X")] = None
    """Of the AC-GANs' class loss in the generator's."""


@Parameter(name="*", group=Group("Scores on the way", sort_key=5))
@dataclass(frozen=True)
class Scoring:
    """What is measured of the model, and how often."""

    test: Annotated[str | None, option("SOURCE")] = None
    """Other pictures, to test a classifier or encoder on."""
    visit_every: Annotated[int | None, whole("N", least=1)] = None
    """Steps between generators kept, with a grid and scores (a twentieth of the run)."""
    evaluate: Annotated[str | None, option("REFERENCE")] = None
    """Real pictures to score generators against at every visit."""
    evaluate_images: Annotated[int | None, whole("N", least=2)] = None
    """Generated pictures a visit (2000)."""
    extractor: Annotated[str | None, option("NAME", alias="-e")] = None
    """Main feature space (inception)."""
    second_opinion: Annotated[str | None, option("NAME", alias="-s")] = None
    """Space that has to confirm (clip)."""
    classifier: Annotated[str | None, option("NAME")] = None
    """Of the data set, for the AM Score, e.g. trained:run/network.safetensors."""

    def check(self, kind: "Kind") -> None:
        """Check that the options fit the kind of model.

        Raises:
            InputError: one does not.
        """
        from fidprobe.errors import InputError

        if self.test is not None and kind.generates:
            raise InputError(f"--test is for a classifier or encoder; {kind.title} is scored with --evaluate")
        if self.evaluate is not None and not kind.generates:
            raise InputError(f"--evaluate is for generators; a {kind.title} is tested with --test")
        if self.visit_every is not None and not kind.generates:
            raise InputError(f"--visit-every is for generators; of a {kind.title} only the last state is kept")
        for name in ("extractor", "second_opinion", "classifier", "evaluate_images"):
            if self.evaluate is None and getattr(self, name) is not None:
                raise InputError(
                    f"--{name.replace('_', '-')} is for scores, which are taken against --evaluate REFERENCE; give "
                    "that as well"
                )

    def evaluator(self, device: str, *, skip_bad: bool, progress: "Progress") -> "Evaluator | None":
        """What scores a generator at every visit; None where no scores are asked for.

        Args:
            device: Where the networks compute.
            skip_bad: Leave out images of the reference that cannot be read.
            progress: Shows the extraction of the reference.
        """
        from fidprobe.training.evaluation import Evaluator

        if self.evaluate is None:
            return None
        return Evaluator(
            self.evaluate,
            extractor=network_spec(self.extractor or "inception", device),
            second_opinion=network_spec(self.second_opinion or "clip", device),
            classifier=None if self.classifier is None else network_spec(self.classifier, device),
            options=Reading(skip_bad=skip_bad).options(),
            progress=progress,
        )


def train(
    kind: Annotated[str, Parameter(help=f"What to train: {KIND_NAMES}.", validator=_check_kind)],
    data: Annotated[
        str, Parameter(help="Pictures, in class folders where labels are needed: folder, zip, cifar10:train ...")
    ],
    /,
    *,
    out: Annotated[Path, folder("Where the run goes, and goes on after a stop.")],
    learning: Learning = Learning(),
    labels: Labels = Labels(),
    scoring: Scoring = Scoring(),
    limit: Limit = None,
    skip_bad: SkipBad = False,
    output: Output = Output(),
) -> None:
    """Train KIND on DATA into FOLDER; the same command again goes on where it was stopped.

    A generator (FOLDER/generator.safetensors) can be given wherever images are; a classifier or encoder
    (FOLDER/network.safetensors) as trained:FILE wherever a network is.

    Example: fidprobe train am-gan cifar10:train -o am-gan --width 0.25
    """
    from fidprobe.runtime.devices import usable_device
    from fidprobe.training.data import read_pictures
    from fidprobe.training.kinds import KINDS, new_task
    from fidprobe.training.runs import train_task
    from fidprobe.training.text import run_data, run_lines

    scoring.check(KINDS[kind])
    out = checked_folder(out, "the training run")
    device = usable_device(learning.device)
    with output.bars("; the same command goes on from the last checkpoint") as progress:
        pictures = read_pictures(data, limit=limit, seed=learning.seed, skip_bad=skip_bad, progress=progress)
        task = new_task(
            kind,
            classes=pictures.classes,
            seed=learning.seed,
            device=device,
            mixed_precision=learning.mixed_precision,
            chosen=_chosen(learning, labels),
        )
        test = None
        if scoring.test is not None:
            test = read_pictures(scoring.test, skip_bad=skip_bad, progress=progress)
        evaluator = scoring.evaluator(device, skip_bad=skip_bad, progress=progress)
        length = learning.length(KINDS[kind], len(pictures))
        with Interrupts("stopping after this step") as interrupted:
            run = train_task(
                task,
                pictures,
                out,
                **length,
                visit_every=scoring.visit_every,
                evaluator=evaluator,
                evaluated_images=scoring.evaluate_images,
                test=test,
                interrupted=interrupted,
                progress=progress,
            )
    for source in (pictures, test):
        if source is not None:
            _warn_of_pictures(source)
    output.show(run_data(run), lambda: run_lines(run, KINDS[kind].title, length["steps"]))
    if run.trained.steps < length["steps"]:
        sys.exit(INTERRUPTED)


def _chosen(learning: Learning, labels: Labels) -> dict[str, Any]:
    """The options of the kind that the user gave."""
    given = {name: getattr(learning, name) for name in ("width", "learning_rate", "average")}
    given |= {**asdict(labels), "predefined": labels.predefined or None}
    return {name: value for name, value in given.items() if value is not None}


def _warn_of_pictures(pictures: "Pictures") -> None:
    """Say which pictures were left out, and how many were resized."""
    print_skipped(pictures.skipped)
    if pictures.resized:
        print_warning(f"{pictures.resized:,} pictures of {pictures.description} were resized to 32 x 32 pixels")
