"""The training loop: the same weights however often it was stopped, every image once an epoch, errors that say why."""

import operator
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from fidprobe.errors import FidprobeError, InputError, SourceError
from fidprobe.training.encoder import EncoderTask
from fidprobe.training.gan import GanTask, new_gan
from fidprobe.training.loop import Batch, Task, Trained, train

STEPS, BATCH, SAVE_EVERY, SEED = 9, 6, 4, 7


class KilledError(Exception):
    """Stands for a death between two lines of the loop: nothing is saved on the way out."""


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


class Stop:
    """After so many steps, with a checkpoint or without."""

    def __init__(self, after: int, *, killed: bool = False) -> None:
        self.left, self.killed = after, killed

    def __call__(self) -> bool:
        self.left -= 1
        if self.left == 0 and self.killed:
            raise KilledError
        return self.left == 0


_UNINTERRUPTED: dict[str, tuple[dict[str, Tensor], Tensor]] = {}


def uninterrupted(kind: str) -> tuple[dict[str, Tensor], Tensor]:
    """What a run that nobody stopped comes to."""
    if kind not in _UNINTERRUPTED:
        with tempfile.TemporaryDirectory() as folder:
            task = TASKS[kind]()
            losses = run(task, Path(folder) / "run").losses
        _UNINTERRUPTED[kind] = state(task), losses
    return _UNINTERRUPTED[kind]


@pytest.mark.parametrize("kind", TASKS)
@settings(max_examples=4, deadline=None, derandomize=True)
@given(stops=st.lists(st.integers(1, STEPS), min_size=1, max_size=2), killed=st.booleans())
def test_a_run_that_was_stopped_gives_the_same_weights(kind: str, stops: list[int], killed: bool) -> None:
    """After any step, more than once; interrupted (with a checkpoint) or killed (back to an older one, or to none)."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "run"
        for stop in stops:
            try:
                run(TASKS[kind](), checkpoint, interrupted=Stop(stop, killed=killed))
            except KilledError:
                assert killed
        task = TASKS[kind]()
        result = run(task, checkpoint)
    expected, losses = uninterrupted(kind)
    assert same(state(task), expected)
    assert torch.equal(result.losses, losses)
    assert result.steps == STEPS


def test_a_run_counts_all_that_is_learnt() -> None:
    """So that equal states mean something: moments are not zero, averages are not the weights, losses are all there."""
    numbers, losses = uninterrupted("am-gan")
    assert losses.shape == (STEPS, 2)
    assert numbers["discriminator.0.exp_avg"].abs().max() > 0
    assert numbers["generator.0.step"] == STEPS
    assert not torch.equal(numbers["averaged.last.bias"], numbers["generator.last.bias"])
    first = small_gan().generator.state_dict()
    assert not any(torch.equal(numbers[f"generator.{name}"], value) for name, value in first.items())


def test_dropout_and_noise_took_part() -> None:
    """Without the loop's own randomness, two runs of these networks would differ."""
    discriminator = small_gan().discriminator
    images = torch.zeros(4, 3, 32, 32)
    assert not torch.equal(discriminator(images), discriminator(images))


@pytest.mark.parametrize("kind", ["am-gan", "encoder"])
def test_another_seed_gives_other_weights(kind: str, tmp_path: Path) -> None:
    """The seed of the run alone: first weights are the same."""
    task = TASKS[kind]()
    other = run(task, tmp_path / "run", seed=SEED + 1)
    expected, losses = uninterrupted(kind)
    ours = state(task)
    assert not any(torch.equal(ours[name], expected[name]) for name in ours if "exp_avg" in name)
    assert not torch.equal(losses, other.losses)


def test_global_random_states_are_left_alone_and_do_not_matter(tmp_path: Path) -> None:
    """torch's, numpy's and Python's, though dropout draws from torch's."""
    torch.manual_seed(123)
    before = torch.get_rng_state(), str(np.random.get_state(legacy=False)), random.getstate()  # noqa: NPY002
    task = small_gan()
    run(task, tmp_path / "run")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert str(np.random.get_state(legacy=False)) == before[1]  # noqa: NPY002
    assert random.getstate() == before[2]
    assert same(state(task), uninterrupted("am-gan")[0])


def test_a_finished_run_is_not_gone_on_with(tmp_path: Path) -> None:
    """Its history is read; no step is taken."""
    run(small_gan(), tmp_path / "run")
    before = (tmp_path / "run").stat().st_mtime_ns
    task = small_gan()
    again = run(task, tmp_path / "run")
    assert (tmp_path / "run").stat().st_mtime_ns == before
    assert again.steps == STEPS
    assert again.names == ("discriminator loss", "generator loss")
    assert torch.equal(again.losses, uninterrupted("am-gan")[1])
    assert same(state(task), uninterrupted("am-gan")[0])


# What a task is given


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


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 30), data=st.data())
def test_every_image_is_seen_once_an_epoch(n: int, data: st.DataObject) -> None:
    """An epoch is as many whole batches as there are; orders and random numbers differ from step to step."""
    batch, steps = data.draw(st.integers(2, n)), data.draw(st.integers(1, 20))
    seed = data.draw(st.integers(0, 2**31))
    recorder = Recorder()
    with tempfile.TemporaryDirectory() as folder:
        asked = {"steps": steps, "batch_size": batch, "seed": seed, "data": numbered(n)}
        result = run(recorder, Path(folder) / "run", **asked)
    an_epoch = n // batch
    for first in range(0, steps, an_epoch):
        images = [image for step in recorder.seen[first : first + an_epoch] for image in step[0]]
        assert len(set(images)) == len(images)
        if first + an_epoch <= steps and n % batch == 0:
            assert sorted(images) == list(range(n))
    for images, labels, _, _, _ in recorder.seen:
        assert len(images) == batch
        assert labels == [image + 1000 for image in images]
    assert [step[4] for step in recorder.seen] == [step / steps for step in range(steps)]
    assert len({step[2] for step in recorder.seen}) == steps
    assert len({step[3] for step in recorder.seen}) == steps
    assert result.names == ("b", "a")
    assert result.losses.tolist() == [[float(step + 1), 0.0] for step in range(steps)]


def test_epochs_have_orders_of_their_own(tmp_path: Path) -> None:
    """Twenty images have 10^18 orders."""
    recorder = Recorder()
    run(recorder, tmp_path / "run", steps=4, batch_size=20, data=numbered(20))
    assert len({tuple(step[0]) for step in recorder.seen}) == 4


@settings(max_examples=30, deadline=None)
@given(stops=st.lists(st.integers(1, 12), max_size=4), save_every=st.integers(1, 15))
def test_a_stopped_run_sees_what_it_would_have_seen(stops: list[int], save_every: int) -> None:
    """Batches, labels, random numbers and schedule of each step, wherever it stopped."""
    asked: dict[str, Any] = {"steps": 12, "batch_size": 3, "data": numbered(10), "save_every": save_every}
    with tempfile.TemporaryDirectory() as folder:
        whole = Recorder()
        run(whole, Path(folder) / "whole", **asked)
        seen: list[Any] = []
        for stop in [*stops, 99]:
            part = Recorder(partial(operator.add, len(seen)))
            result = run(part, Path(folder) / "run", interrupted=Stop(stop), **asked)
            seen += part.seen
    assert seen == whole.seen
    assert result.names == ("b", "a")
    assert result.losses[:, 0].tolist() == [float(step) for step in range(1, 13)]


def test_progress_and_visits_are_told_of_steps(tmp_path: Path) -> None:
    """A visit comes before its checkpoint is written, and after the last step always; progress at every step."""
    told: list[tuple[str, int, int | None]] = []
    visited: list[tuple[int, int | None]] = []
    checkpoint = tmp_path / "deeper" / "run"

    def saved() -> int | None:
        if not checkpoint.exists():
            return None
        with safe_open(checkpoint, "pt") as file:
            return int(file.metadata()["step"])

    run(
        Recorder(),
        checkpoint,
        steps=7,
        save_every=2,
        visit_every=3,
        visit=lambda done: visited.append((done, saved())),
        progress=lambda *what: told.append(what),
    )
    assert visited == [(3, 2), (6, 4), (7, 6)]
    assert saved() == 7
    assert told == [(f"training | b {step}.000, a 0.000", step, 7) for step in range(1, 8)]


# What goes wrong


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"steps": STEPS + 1}, "steps"),
        ({"batch_size": BATCH + 1}, "batch_size"),
        ({"seed": SEED + 1}, "seed"),
        ({"data": pictures(21)}, "on other pictures"),
        ({"data": pictures(seed=1)}, "on other pictures"),
        ({"data": (pictures()[0], pictures()[1].flip(0))}, "on other pictures"),
        ({"identity": {"class_names": ["a", "b", "c"]}}, "class_names"),
        ({"task": small_gan("labelgan")}, "task"),
        ({"task": small_gan(learning_rate=1e-3)}, "learning_rate"),
        ({"task": small_gan(average=0.5)}, "average"),
        ({"task": small_gan(predefined=True)}, "predefined"),
        ({"task": new_gan("am-gan", classes=3, width=0.05, average=0.9)}, "width"),
        ({"task": new_gan("am-gan", classes=3, width=0.03, average=0.9, seed=1)}, "first_weights"),
        ({"task": small_encoder()}, "task"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_changed_setting_is_refused_by_name(changed: dict[str, Any], name: str, tmp_path: Path) -> None:
    """One line that names the file, the setting, and what to do; nothing is loaded or overwritten."""
    checkpoint = tmp_path / "run"
    run(small_gan(), checkpoint, interrupted=lambda: True)
    content = checkpoint.read_bytes()
    asked = {"task": small_gan(), **changed}
    task = asked.pop("task")
    before = state(task)
    with pytest.raises(InputError) as error:
        run(task, checkpoint, **asked)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"{checkpoint} belongs to a run {name if ' ' in name else f'with {name}'}")
    assert str(error.value).endswith("or another folder")
    assert checkpoint.read_bytes() == content
    assert same(state(task), before)


def one_line(error: FidprobeError, *parts: str) -> bool:
    return "\n" not in str(error) and all(part in str(error) for part in parts)


@settings(max_examples=15, deadline=None)
@given(part=st.floats(0, 0.999))
def test_a_truncated_checkpoint_is_told(part: float) -> None:
    """Wherever it ends."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "run"
        run(Recorder(), checkpoint, steps=2)
        content = checkpoint.read_bytes()
        checkpoint.write_bytes(content[: int(part * len(content))])
        with pytest.raises(SourceError) as error:
            run(Recorder(), checkpoint, steps=2)
    assert one_line(error.value, f"{checkpoint}: a damaged checkpoint (", "remove it to begin again")


@pytest.mark.parametrize(
    "metadata",
    [None, {}, {"kind": "something else"}, {"format": "pt"}],
    ids=["none", "empty", "another kind", "another format"],
)
def test_a_foreign_file_is_told(metadata: dict[str, str] | None, tmp_path: Path) -> None:
    """A safetensors file of something else."""
    save_file({"weight": torch.zeros(3)}, tmp_path / "run", metadata=metadata)
    with pytest.raises(SourceError) as error:
        run(Recorder(), tmp_path / "run")
    assert one_line(error.value, "no checkpoint of a training run", str(tmp_path / "run"))


@pytest.mark.parametrize("settings_text", ["{", "[]", "null"])
def test_a_checkpoint_with_broken_settings_is_told(settings_text: str, tmp_path: Path) -> None:
    """Metadata that is no JSON, or not what it should be."""
    metadata = {"kind": "fidprobe training checkpoint 1", "step": "1", "settings": settings_text}
    save_file({"further/losses": torch.zeros(1, 1)}, tmp_path / "run", metadata=metadata)
    with pytest.raises(SourceError) as error:
        run(Recorder(), tmp_path / "run")
    assert one_line(error.value, "a damaged checkpoint")


def test_other_networks_under_the_same_settings_are_told(tmp_path: Path) -> None:
    """What torch says of missing and mismatched weights goes over many lines; the error does not."""

    def task(hidden: int) -> GanTask:
        torch.manual_seed(0)
        generator = nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, 2))
        return GanTask("gan", generator, nn.Linear(2, 2), latent=2, classes=1)

    data = torch.zeros(8, 2), torch.zeros(8, dtype=torch.int64)
    run(task(4), tmp_path / "run", data=data)
    with pytest.raises(SourceError) as error:
        run(task(5), tmp_path / "run", data=data)
    assert one_line(error.value, "not the networks of this run", "size mismatch for 0.weight")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_run(bad: float, tmp_path: Path) -> None:
    """With the step, the losses and a remedy; the checkpoint before it stays."""
    checkpoint = tmp_path / "run"
    with pytest.raises(InputError) as error:
        run(Recorder(lambda step: bad if step == 4 else 1.0), checkpoint, save_every=2)
    assert one_line(error.value, f"step 4: the losses are {{'b': {bad}, 'a': 0.0}}", "lower learning rate")
    assert run(Recorder(lambda step: 2.0), checkpoint, save_every=2).losses[:, 0].tolist() == [1.0] * 2 + [2.0] * 7


def test_a_diverging_gan_is_told(tmp_path: Path) -> None:
    """Through the networks: a learning rate far too high."""
    with pytest.raises(InputError, match=r"^step \d: the losses are .*; take a lower learning rate"):
        run(small_gan(learning_rate=1e30), tmp_path / "run")


@pytest.mark.parametrize("batch", [0, -1, 21])
def test_a_batch_that_cannot_be_drawn_is_told(batch: int, tmp_path: Path) -> None:
    """Before anything else happens."""
    with pytest.raises(InputError, match=f"^a batch of {batch} images cannot be drawn from 20; take 2 or more"):
        run(Recorder(), tmp_path / "run", batch_size=batch)
    assert not list(tmp_path.iterdir())


# A real death


def _child(checkpoint: Path) -> None:
    """Trains in a process of its own, and says what it has done."""

    def say(stage: str, done: int, total: int | None) -> None:
        sys.stdout.write(f"{done}\n")
        sys.stdout.flush()

    torch.set_num_threads(int(os.environ["CHILD_THREADS"]))
    run(small_gan(), checkpoint, steps=2000, save_every=5, progress=say)


def test_a_run_that_was_killed_gives_the_same_weights(tmp_path: Path) -> None:
    """SIGKILL in the middle of a step; the same weights at step 40 as without."""
    checkpoint = tmp_path / "killed"
    program = (
        f"from pathlib import Path; from tests.training.test_loop import _child; _child(Path({str(checkpoint)!r}))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "CHILD_THREADS": str(torch.get_num_threads())},
    )
    assert child.stdout is not None
    with child, child.stdout:
        for line in child.stdout:
            if int(line) >= 7:
                child.send_signal(signal.SIGKILL)
                break
    assert child.returncode == -signal.SIGKILL
    tasks, first_steps = [], []
    for path in (checkpoint, tmp_path / "whole"):
        tasks.append(small_gan())
        done: list[int] = []
        before = partial(_note, done)
        result = run(
            tasks[-1], path, steps=2000, save_every=5, progress=before, interrupted=partial(_reached, done, 39)
        )
        assert result.steps == 40
        first_steps.append(done[0])
    assert first_steps[0] in range(6, 37, 5)
    assert first_steps[1] == 1
    assert same(state(tasks[0]), state(tasks[1]))


def _note(done: list[int], stage: str, step: int, total: int | None) -> None:
    done.append(step)


def _reached(done: list[int], step: int) -> bool:
    return done[-1:] == [step]
