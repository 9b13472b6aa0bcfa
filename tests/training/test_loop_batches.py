"""What the training loop gives a task: every image once an epoch, random numbers of a step's own, and who is told."""

import operator
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from tests.training.loop_runs import Recorder, numbered, run
from tests.training.stopping import stop_after


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
            result = run(part, Path(folder) / "run", interrupted=stop_after(stop), **asked)
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
