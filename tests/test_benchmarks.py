"""What benchmarks time with and tell, and their page, which is that of their records."""

import json
import shutil
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from benchmarks import comparison
from benchmarks.__main__ import NAMES, ON_GPUS, PAGE, main, script
from benchmarks.compare_gradient import finite
from benchmarks.comparison import OURS, RESULTS, Aim, Timing, Work, interleaved, record_path
from benchmarks.growth import exponents
from benchmarks.results_page import results_page


def test_calls_run_in_turns_and_the_first_round_warms_up() -> None:
    """What is slow runs once, and that run counts."""
    called: list[str] = []

    def call(name: str) -> Any:
        return lambda: called.append(name)

    timings = interleaved({"a": call("a"), "b": call("b")}, rounds=2)
    assert [sorted(called[at : at + 2]) for at in (0, 2, 4)] == [["a", "b"]] * 3
    many = {name: call(name) for name in "abcdef"}
    called.clear()
    interleaved(many, rounds=3)
    assert len({tuple(called[at : at + 6]) for at in range(0, 24, 6)}) > 2  # in another order each time
    called.clear()
    assert [len(timings[name].seconds) for name in "ab"] == [2, 2]
    called.clear()
    slow = interleaved({"a": call("a"), "b": call("b")}, rounds=3, patience=0)
    assert sorted(called) == ["a", "b"]
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


def test_the_gradient_is_finite_where_autograds_is_not() -> None:
    """Features that never fire, and equal eigenvalues."""
    found = finite()
    assert all(case[OURS] for case in found.values())
    assert not found["three features of 32 that never fire"]["autograd, eigvals as torchmetrics"]
    assert not found["equal eigenvalues"]["autograd, eigh"]


def test_the_page_is_that_of_the_records() -> None:
    """`python -m benchmarks --page` makes it again."""
    assert Path(PAGE).read_text(encoding="utf-8") == results_page()


def test_records_of_gpus_have_names_and_places_of_their_own(tmp_path: Path) -> None:
    """Beside those of processors on the page, which says so where there is none."""
    assert {name for name in NAMES if "device" in signature(script(name).measure).parameters} == set(ON_GPUS)
    assert record_path("kernel", "cpu").name == "kernel.json"
    assert record_path("kernel", "cuda").name == "kernel-cuda.json"
    for path in (RESULTS / f"{name}.json" for name in NAMES if (RESULTS / f"{name}.json").is_file()):
        shutil.copy(path, tmp_path)
    assert "GPU; `python -m benchmarks --device cuda` was not run" in " ".join(results_page(tmp_path).split())
    record = json.loads((RESULTS / "kernel.json").read_text(encoding="utf-8"))
    record["environment"]["device"] = "some GPU"
    (tmp_path / "kernel-cuda.json").write_text(json.dumps(record), encoding="utf-8")
    page = results_page(tmp_path)
    assert "was not run" not in page
    both = page.partition("## KID")[2].partition("\n## ")[0]
    assert both.count(f"**{record['works'][0]['title']}**") == 2
    assert "`python -m benchmarks kernel --device cuda` on some GPU" in both


def test_what_cannot_be_measured_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown names, what has no GPU's way, and no GPU; records of one are told all the same."""

    def told(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["benchmarks", *arguments])
        with pytest.raises(SystemExit):
            main()
        return capsys.readouterr().err

    assert "no benchmark named nothing; there are frechet" in told("nothing")
    assert "only on processors: prd" in told("prd", "--device", "cuda")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "torch sees no CUDA device" in told("kernel", "--device", "cuda")
    monkeypatch.setattr(comparison, "RESULTS", tmp_path)
    monkeypatch.setattr("sys.argv", ["benchmarks", "kernel", "--device", "cuda", "--table"])
    main()
    assert capsys.readouterr().out == "kernel: not run yet\n"
