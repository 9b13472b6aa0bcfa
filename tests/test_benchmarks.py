"""The benchmarks run, all ways that they time give one number, and their page is that of their records."""

import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from benchmarks import compare_extraction, compare_resampling, compare_startup, profiles
from benchmarks.__main__ import NAMES, PAGE
from benchmarks.compare_gradient import finite
from benchmarks.comparison import OURS, Aim, Timing, Work, interleaved
from benchmarks.growth import exponents
from benchmarks.results_page import results_page


def measured(name: str) -> dict[str, Any]:
    """A benchmark at the sizes of a test."""
    found: dict[str, Any] = import_module(f"benchmarks.{NAMES[name]}").measure(True)
    return found


def test_calls_run_in_turns_and_the_first_round_warms_up() -> None:
    """What is slow runs once, and that run counts."""
    called: list[str] = []

    def call(name: str) -> Any:
        return lambda: called.append(name)

    timings = interleaved({"a": call("a"), "b": call("b")}, rounds=2)
    assert called == ["a", "b", "a", "b", "a", "b"]
    assert [len(timings[name].seconds) for name in "ab"] == [2, 2]
    called.clear()
    slow = interleaved({"a": call("a"), "b": call("b")}, rounds=3, patience=0)
    assert called == ["a", "b"]
    assert len(slow["a"].seconds) == 1


def test_ratios_and_aims() -> None:
    """Of medians; an aim has one end or the other."""
    rows = {OURS: Timing((2.0, 1.0, 9.0), (0.0,)), "x": Timing((6.0,), (0.0,)), "y": Timing((3.0,), (0.0,))}
    work = Work("", rows)
    assert (work.ratio("x"), work.fastest()) == (3.0, 1.5)
    assert Aim("", 3.0, least=3).met
    assert not Aim("", 2.9, least=3).met
    assert Aim("", 2.0, most=2).met
    assert not Aim("", 2.1, most=2).met


def test_exponents_of_a_power_law() -> None:
    """Found again."""
    rows = [{"images": n, "dim": d, "seconds": 1e-9 * n**2 * d**1.5} for n in (10, 20, 40) for d in (4, 8)]
    assert exponents(rows, "seconds") == pytest.approx({"images": 2.0, "dim": 1.5})


@pytest.mark.filterwarnings("ignore")  # the peers'
@pytest.mark.parametrize(
    ("name", "rel"), [("frechet", 1e-6), ("gradient", 1e-6), ("kernel", 1e-3), ("neighbours", 1e-6), ("prd", 0.05)]
)
def test_all_ways_give_one_number(name: str, rel: float) -> None:
    """At the sizes of a test; but for subsets, which each library draws in its own way."""
    for work in measured(name)["works"]:
        if "subsets" in work["title"]:
            continue
        for row in work["rows"].values():
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


def test_what_starts_is_what_it_is_called() -> None:
    """Commands and packages of all: one that is missing, or fails, would start fastest."""
    helps, imports = measured("startup")["works"]
    assert list(helps["rows"]) == [OURS, "torch-fidelity", "pytorch-fid"]
    assert len(imports["rows"]) == 7
    with pytest.raises(subprocess.CalledProcessError):
        compare_startup.imported("no_such_package")()


@pytest.mark.filterwarnings("ignore")  # the peer's
def test_memory_is_that_of_processes_that_came_to_their_end() -> None:
    """Both hold at least what an interpreter with torch holds."""
    (work,) = measured("memory")["works"]
    for name in (OURS, "torch-fidelity"):
        assert 0.1 < work["facts"]["anonymous GiB"][name] < work["rows"][name]["value"]


def test_algorithm_1_comes_to_the_certified_level_later() -> None:
    """Or not at all in the passes it is given, and is then still above it."""
    (work,) = measured("resampling")["works"]
    certified, slow, released = work["facts"]["passes"].values()
    assert 0 < certified < slow == released
    assert (work["facts"]["where it was, over the optimum"] <= compare_resampling.LEVEL) == work["facts"][
        "Algorithm 1 arrived"
    ]


def test_profiles_name_what_takes_time() -> None:
    """Shares of own time, the largest first."""
    for one in profiles.measure(True)["profiles"].values():
        shares = list(one["shares"].values())
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) <= 1


def test_the_gradient_is_finite_where_autograds_is_not() -> None:
    """Features that never fire, and equal eigenvalues."""
    found = finite()
    assert all(case[OURS] for case in found.values())
    assert not found["three features of 32 that never fire"]["autograd, eigvals as torchmetrics"]
    assert not found["equal eigenvalues"]["autograd, eigh"]


def test_the_page_is_that_of_the_records() -> None:
    """`python -m benchmarks --page` makes it again."""
    assert Path(PAGE).read_text(encoding="utf-8") == results_page()
