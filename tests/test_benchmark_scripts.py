"""Every benchmark runs, and all ways that it times give one number."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks import compare_extraction, compare_resampling, compare_startup, profiles
from benchmarks.__main__ import script
from benchmarks.comparison import OURS
from benchmarks.memory import measured as memory_of


def measured(name: str) -> dict[str, Any]:
    """A benchmark at the sizes of a test."""
    found: dict[str, Any] = script(name).measure(True)
    return found


@pytest.mark.filterwarnings("ignore")  # the peers'
@pytest.mark.parametrize(
    ("name", "rel"), [("frechet", 1e-6), ("gradient", 1e-6), ("kernel", 1e-3), ("neighbours", 1e-6), ("prd", 0.05)]
)
def test_all_ways_give_one_number(name: str, rel: float) -> None:
    """At the sizes of a test; of subsets those that are drawn as torch-fidelity draws them."""
    for work in measured(name)["works"]:
        drawn = "subsets" in work["title"]
        rows = {name: row for name, row in work["rows"].items() if not drawn or name in (OURS, "torch-fidelity")}
        for row in rows.values():
            assert row["value"] == pytest.approx(work["rows"][OURS]["value"], rel=rel)


@pytest.mark.filterwarnings("ignore")  # the peers'
def test_extraction_gives_the_peers_features() -> None:
    """By every library, from a folder and from memory, each under its own resize rule."""
    found = measured("extraction")
    assert {name for work in found["works"] for name in work["rows"]} == {OURS, *compare_extraction.PEERS}
    for work in found["works"]:
        assert all(aim["met"] for aim in work["aims"] if aim["most"] is not None), work["title"]


def test_maps_are_those_of_the_papers_way() -> None:
    """To what float32 gradients hold."""
    (work,) = measured("heatmaps")["works"]
    assert work["facts"]["largest difference of a map over its largest value"] < 1e-4


def test_what_starts_must_not_fail() -> None:
    """Commands and packages of all run; one that is missing would be fastest."""
    works = measured("startup")["works"]
    assert {"torch-fidelity", "pytorch-fid"} < set(works[0]["rows"])
    assert set(compare_startup.PEERS) < set(works[1]["rows"])
    with pytest.raises(subprocess.CalledProcessError):
        compare_startup.imported("no_such_package")()


@pytest.mark.filterwarnings("ignore")  # the peer's
def test_memory_is_that_of_processes_that_came_to_their_end() -> None:
    """Both hold at least what an interpreter with torch holds."""
    (work,) = measured("memory")["works"]
    for name in (OURS, "torch-fidelity"):
        assert 0.1 < work["facts"]["anonymous GiB"][name] < work["rows"][name]["value"]


def test_a_program_that_is_killed_counts_only_where_it_may_be(tmp_path: Path) -> None:
    """What it held until then; one that fails never does."""
    killed = ("-c", "import os, signal; held = bytes(10**8); os.kill(os.getpid(), signal.SIGKILL)")
    assert memory_of(tmp_path, killed, program=(), may_be_killed=True)["killed"] is True
    assert "killed" not in memory_of(tmp_path, ("-c", ""), program=(), may_be_killed=True)
    with pytest.raises(SystemExit, match="-9"):
        memory_of(tmp_path, killed, program=())
    with pytest.raises(SystemExit, match="ValueError: 49"):
        memory_of(tmp_path, ("-c", "raise ValueError(7 * 7)"), program=(), may_be_killed=True)


def test_algorithm_1_comes_to_the_certified_level_later() -> None:
    """In the passes that a test gives it, not at all."""
    (work,) = measured("resampling")["works"]
    rows = work["rows"]
    assert 0 < rows[OURS]["value"] < min(row["value"] for name, row in rows.items() if name != OURS)
    assert not work["facts"]["Algorithm 1 arrived"]
    assert work["facts"]["where it was, over the optimum"] > compare_resampling.LEVEL


def test_profiles_name_what_takes_time() -> None:
    """Shares of own time, the largest first."""
    for one in profiles.measure(True)["profiles"].values():
        shares = list(one["shares"].values())
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) <= 1
