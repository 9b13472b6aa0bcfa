"""Threads of tests that run side by side, and the choice of the quick ones."""

import os
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # set before torch is imported, here and in the processes that tests start
    # Each worker takes one core: more threads than cores make matrix algebra many times slower.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

SLOW = Path(__file__).with_name("slow.txt")
"""Tests that take longer than a third of a second, a name a line, without parameters; `make slow-tests` writes it."""


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
