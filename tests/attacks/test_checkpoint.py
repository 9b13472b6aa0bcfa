import functools
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors
import torch

from fidprobe.attacks.certified_solver import CertifiedSolver
from fidprobe.attacks.checkpoint import Checkpoint, fingerprint
from fidprobe.attacks.gradient_descent import GradientDescent
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.attacks.solver import Solution, Solver, never_interrupted
from fidprobe.errors import InputError
from fidprobe.statistics import GaussianStatistics
from tests.attacks.problems import Problem, mixture

SOLVERS: dict[str, Solver] = {
    "certified": CertifiedSolver(tolerance=1e-4),
    "gradient descent": GradientDescent(learning_rate=1.0, steps=150),
    "gradient descent, minus one": GradientDescent(learning_rate=1.0, steps=40, minus_one=True),
}


def problem_of(dtype: torch.dtype) -> Problem:
    problem = mixture(400, 100, 12, seed=3)
    return Problem(problem.reference, problem.candidates.to(dtype))


def run(
    problem: Problem,
    solver: Solver,
    path: Path | None = None,
    interrupted: Callable[[], bool] = never_interrupted,
    interval: float = 3600,
) -> Solution:
    checkpoint = None
    if path is not None:
        checkpoint = Checkpoint(path, fingerprint(problem.statistics, problem.candidates, "cpu"), interval=interval)
    objective = WeightedFrechet(problem.statistics, problem.candidates)
    return solver.solve(objective, checkpoint=checkpoint, interrupted=interrupted)


def after(steps: int) -> Callable[[], bool]:
    asked = iter([False] * steps)
    return lambda: next(asked, True)


@functools.cache
def uninterrupted(name: str, dtype: torch.dtype) -> Solution:
    return run(problem_of(dtype), SOLVERS[name])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("steps", [0, 1, 2, 15])
def test_stopped_run_goes_on_to_the_very_same_result(name: str, dtype: torch.dtype, steps: int, tmp_path: Path) -> None:
    problem, solver, path = problem_of(dtype), SOLVERS[name], tmp_path / "state.safetensors"
    partial = run(problem, solver, path, after(steps))
    assert partial.stopped == "interrupted"
    assert partial.steps[-1].step == steps
    resumed, whole = run(problem, solver, path), uninterrupted(name, dtype)
    assert torch.equal(resumed.probabilities, whole.probabilities)
    assert resumed.objective == whole.objective
    assert resumed.lower_bound == whole.lower_bound
    assert resumed.initial == whole.initial
    assert resumed.stopped == whole.stopped
    assert [s.step for s in resumed.steps] == [s.step for s in whole.steps]
    assert [s.objective for s in resumed.steps] == [s.objective for s in whole.steps]
    assert [s.lower_bound for s in resumed.steps] == [s.lower_bound for s in whole.steps]
    assert resumed.steps[-1].passes == pytest.approx(whole.steps[-1].passes)


@pytest.mark.parametrize("name", ["certified", "gradient descent"])
def test_run_stopped_again_and_again_gives_the_same_result(name: str, tmp_path: Path) -> None:
    problem, solver, path = problem_of(torch.float32), SOLVERS[name], tmp_path / "state.safetensors"
    for _ in range(4):
        assert run(problem, solver, path, after(5)).stopped == "interrupted"
    assert torch.equal(run(problem, solver, path).probabilities, uninterrupted(name, torch.float32).probabilities)


KILLED = """
import sys, torch
from pathlib import Path
from tests.attacks.test_checkpoint import SOLVERS, problem_of, run
torch.set_num_threads(int(sys.argv[3]))

def told():
    print("step", flush=True)
    return False

run(problem_of(torch.float32), SOLVERS[sys.argv[1]], Path(sys.argv[2]), told, interval=0)
"""


@pytest.mark.parametrize("name", ["certified", "gradient descent"])
def test_killed_run_goes_on_to_the_very_same_result(name: str, tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, name, str(path), str(torch.get_num_threads())],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for _ in range(12):
            assert process.stdout.readline() == "step\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    problem, counted = problem_of(torch.float32), 0

    def count() -> bool:
        nonlocal counted
        counted += 1
        return False

    resumed, whole = run(problem, SOLVERS[name], path, count), uninterrupted(name, torch.float32)
    assert torch.equal(resumed.probabilities, whole.probabilities)
    assert resumed.objective == whole.objective
    assert 0 < counted <= whole.steps[-1].step - 9  # it did not begin anew


def test_state_of_another_problem_is_not_used(tmp_path: Path) -> None:
    path, solver = tmp_path / "state.safetensors", SOLVERS["certified"]
    other = mixture(400, 100, 12, seed=4)
    run(other, solver, path, after(9))
    solution = run(problem_of(torch.float64), solver, path)
    assert torch.equal(solution.probabilities, uninterrupted("certified", torch.float64).probabilities)


def test_state_of_other_settings_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    problem = problem_of(torch.float64)
    run(problem, CertifiedSolver(tolerance=1e-4, memory=3), path, after(9))
    run(problem, GradientDescent(learning_rate=2.0), path, after(9))
    solution = run(problem, SOLVERS["certified"], path)
    assert torch.equal(solution.probabilities, uninterrupted("certified", torch.float64).probabilities)


@pytest.mark.parametrize("content", [b"", b"no such format", b"\xff" * 1000])
def test_damaged_file_gives_one_line_that_says_what_to_do(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"state\.safetensors: damaged .*delete it to start anew$") as caught:
        Checkpoint(path, "problem").load({})
    assert "\n" not in str(caught.value)


def test_file_cut_short_gives_one_line_too(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    run(problem_of(torch.float64), SOLVERS["certified"], path, after(3))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="damaged"):
        run(problem_of(torch.float64), SOLVERS["certified"], path)


def test_flipped_bits_are_told_wherever_they_are(tmp_path: Path) -> None:
    """In the data, where the format takes any; in the header, unless it is then another problem's state."""
    path = tmp_path / "state.safetensors"
    checkpoint = Checkpoint(path, "problem")
    checkpoint.save({"a": 1}, {"x": torch.arange(6, dtype=torch.float64)}, {"value": 0.1, "steps": [1, 2]})
    content = path.read_bytes()
    told: list[str] = []
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        try:
            assert checkpoint.load({"a": 1}) is None, place
        except InputError as error:
            told.append(str(error))
    assert len(told) >= 48  # all bytes of the data, at least
    assert all("damaged" in one and "delete it" in one for one in told)


def test_state_comes_back_as_it_was(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "new" / "state.safetensors", "problem")
    assert checkpoint.load({"a": 1}) is None
    tensors = {"x": torch.arange(6, dtype=torch.float64).reshape(2, 3).T}
    checkpoint.save({"b": 2.5, "a": 1}, tensors, {"value": 0.1, "steps": [1, 2]})
    found = checkpoint.load({"a": 1, "b": 2.5})
    assert found is not None
    assert torch.equal(found[0]["x"], tensors["x"])
    assert found[1] == {"value": 0.1, "steps": [1, 2]}
    assert checkpoint.load({"a": 1}) is None
    assert Checkpoint(checkpoint.path, "another").load({"a": 1, "b": 2.5}) is None


def test_saves_are_due_after_their_time(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "state.safetensors", "problem", interval=0.2)
    assert not checkpoint.due()
    time.sleep(0.25)
    assert checkpoint.due()
    checkpoint.save({}, {"x": torch.zeros(1)}, {})
    assert not checkpoint.due()


def test_fingerprint_tells_every_part_of_a_problem_apart() -> None:
    candidates = torch.arange(12.0).reshape(6, 2)
    reference = GaussianStatistics.of(candidates.double())
    changed = candidates.clone()
    changed[5, 1] += 1e-5
    prints = [
        fingerprint(reference, candidates, "cpu"),
        fingerprint(reference, candidates, "cuda"),
        fingerprint(reference, candidates.double(), "cpu"),
        fingerprint(reference, candidates.reshape(4, 3), "cpu"),
        fingerprint(reference, changed, "cpu"),
        fingerprint(reference, candidates.flip(0), "cpu"),
        fingerprint(GaussianStatistics(reference.mean + 1e-9, reference.cov), candidates, "cpu"),
        fingerprint(GaussianStatistics(reference.mean, reference.cov, 7), candidates, "cpu"),
        fingerprint(GaussianStatistics(reference.mean, 2 * reference.cov), candidates, "cpu"),
    ]
    assert len(set(prints)) == len(prints)
    assert fingerprint(reference, candidates.clone(), torch.device("cpu")) == prints[0]


def test_a_full_disk_is_told_in_a_line_and_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As safetensors tells it, which is no OSError."""
    checkpoint = Checkpoint(tmp_path / "state.safetensors", "problem")
    checkpoint.save({}, {"x": torch.zeros(2)}, {})

    def full(*_: object) -> None:
        raise safetensors.SafetensorError("No space left on device")

    monkeypatch.setattr("fidprobe.attacks.checkpoint.save_file", full)
    with pytest.raises(InputError, match="cannot write .*: No space left on device"):
        checkpoint.save({}, {"x": torch.ones(2)}, {})
    found = checkpoint.load({})
    assert found is not None
    assert torch.equal(found[0]["x"], torch.zeros(2))
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]
