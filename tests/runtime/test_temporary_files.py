"""Rows in a given order, in memory and in a file."""

import numpy as np
import numpy.typing as npt
import pytest

from fidprobe.runtime import temporary_files


@pytest.mark.parametrize("in_memory", [2**20, 8])
@pytest.mark.parametrize("repeats", [False, True])
def test_rows_come_in_the_order_asked_for_and_are_read_from_one_end_to_the_other(
    in_memory: int, repeats: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several regions, whose rows come in any order."""
    monkeypatch.setattr(temporary_files, "MAX_IN_MEMORY", in_memory)
    monkeypatch.setattr(temporary_files, "_BLOCK", 4 * 3 * 7)  # seven rows
    rng = np.random.default_rng(0)
    source = rng.normal(size=(50, 3)).astype(np.float32)
    order = rng.integers(0, 50, 60) if repeats else rng.permutation(50)
    asked: list[npt.NDArray[np.int64]] = []

    def rows_at(places: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        asked.append(places)
        return source[places]

    found = temporary_files.gather_rows(order, 3, rows_at, "rows")
    assert isinstance(found, np.memmap) == (in_memory == 8)
    assert np.array_equal(found, source[order])
    assert np.array_equal(np.concatenate(asked), np.sort(order))
    assert max(map(len, asked)) == 7
