"""Matrix algebra takes no more threads than there are idle cores, and gives the same numbers."""

from pathlib import Path

import pytest
import torch

from fidprobe import threads


def load(folder: Path, running: str) -> Path:
    file = folder / "loadavg"
    file.write_text(f"0.50 0.40 0.30 {running} 1234\n")
    return file


@pytest.mark.parametrize(
    ("running", "idle"), [("1/200", 8), ("3/200", 6), ("8/200", 1), ("30/200", 1), ("0/200", 8), ("what", None)]
)
def test_idle_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, running: str, idle: int | None) -> None:
    """All of eight but those on which others run; this thread is one of the running."""
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr(threads, "_LOAD", load(tmp_path, running))
    assert threads.idle_cores() == idle


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
