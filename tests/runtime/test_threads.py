"""Matrix algebra takes no more threads than there are idle cores, and gives the same numbers."""

import os
import threading
from pathlib import Path

import pytest
import torch

from fidprobe.runtime import threads


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up /proc of eight cores, of which this process may use all."""
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(threads, "_LOAD", tmp_path / "loadavg")
    monkeypatch.setattr(threads, "_OWN", tmp_path / "task")
    for thread, state in enumerate("RSR"):
        (tmp_path / "task" / str(thread)).mkdir(parents=True)
        (tmp_path / "task" / str(thread) / "stat").write_text(f"{thread} (a ) name) {state} 1 2 3")
    return tmp_path


@pytest.mark.parametrize(
    ("running", "idle"), [("2/200", 8), ("4/200", 6), ("9/200", 1), ("30/200", 1), ("0/200", 8), ("what", None)]
)
def test_idle_cores(system: Path, running: str, idle: int | None) -> None:
    """All but those on which others run; two of the running threads are this process's own."""
    (system / "loadavg").write_text(f"0.50 0.40 0.30 {running} 1234\n")
    assert threads.idle_cores() == idle


def test_a_process_that_is_bound_to_some_cores_does_not_know(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (system / "loadavg").write_text("0.50 0.40 0.30 2/200 1234\n")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    assert threads.idle_cores() is None


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the system does not tell who runs")
def test_threads_that_still_spin_are_not_taken_for_other_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of matrix products do when their result is there."""
    own = threads._own_running
    monkeypatch.setattr(threads, "_running", own)
    spinning = threading.Event()

    def spin() -> None:
        while not spinning.is_set():
            pass

    workers = [threading.Thread(target=spin) for _ in range(2)]
    for worker in workers:
        worker.start()
    try:
        assert own() >= 1
        cores = os.cpu_count() or 1
        if len(os.sched_getaffinity(0)) == cores:
            assert (threads.idle_cores() or 0) >= cores - 1  # who runs may change between two looks
    finally:
        spinning.set()
        for worker in workers:
            worker.join()


def test_nothing_is_known_where_the_system_does_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_LOAD", tmp_path / "missing")
    assert threads.idle_cores() is None
    before = torch.get_num_threads()
    with threads.idle_threads():
        assert torch.get_num_threads() == before


def test_threads_are_fewer_within_and_restored_after(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        for idle, expected in ((1, 1), (2, 2), (9, 2)):
            monkeypatch.setattr(threads, "idle_cores", lambda idle=idle: idle)
            with threads.idle_threads():
                assert torch.get_num_threads() == expected
            assert torch.get_num_threads() == 2
        monkeypatch.setattr(threads, "idle_cores", lambda: 1)
        with pytest.raises(ZeroDivisionError), threads.idle_threads():
            raise ZeroDivisionError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("d", [5, 300])
def test_eigenvalues_are_torchs(d: int) -> None:
    rows = torch.randn(d + 1, d, dtype=torch.float64, generator=torch.Generator().manual_seed(d))
    matrix = rows.T @ rows
    values, vectors = threads.symmetric_eigen(matrix)
    torch.testing.assert_close(values, torch.linalg.eigvalsh(matrix))
    torch.testing.assert_close(threads.symmetric_eigenvalues(matrix), values)
    torch.testing.assert_close(vectors @ values.diag() @ vectors.T, matrix)
