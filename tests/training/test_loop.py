"""The training loop gives the same weights however often it was stopped or killed."""

import os
import random
import signal
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.training.loop_runs import SEED, STEPS, TASKS, run, same, small_gan, state
from tests.training.stopping import KilledError, stop_after

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
                run(TASKS[kind](), checkpoint, interrupted=stop_after(stop, killed=killed))
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
