"""What saves the whole suite time: threads, the choice of quick tests, figures drawn once."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # set before torch is imported, here and in the processes that tests start
    # Each worker takes one core: more threads than cores make matrix algebra many times slower.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

SLOW = Path(__file__).with_name("slow.txt")
"""Tests that take longer than 0.15 seconds, a name a line, without parameters; `make slow-tests` writes it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--quick`."""
    parser.addoption("--quick", action="store_true", help=f"leave out the tests of tests/{SLOW.name}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out slow tests where only the quick ones are wanted."""
    if not config.getoption("quick"):
        return
    slow = set(SLOW.read_text(encoding="utf-8").split())
    left_out = [item for item in items if item.nodeid.partition("[")[0] in slow]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


@pytest.fixture(scope="module")
def figures_once() -> Iterator[None]:
    """Draw a result's figures of each name once in a module, then write empty files in their place.

    For modules whose subject is not the figures: three files of one figure take half a second and more.
    """
    from fidprobe.analysis.output.writers import FIGURE_SUFFIXES, write_figure

    drawn: set[str] = set()

    def write(figure: Any, path: Path, title: str) -> None:
        if path.name not in drawn:
            drawn.add(path.name)
            write_figure(figure, path, title)
            return
        for suffix in FIGURE_SUFFIXES:
            path.with_name(path.name + suffix).touch()

    with mock.patch("fidprobe.analysis.output.result_files.write_figure", write):
        yield
