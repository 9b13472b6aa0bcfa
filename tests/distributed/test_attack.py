"""Attacks and scores whose work is divided: the same as one process finds."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from fidprobe.features.value import Features
from tests.distributed.processes import alone, together
from tests.helpers import wrapped


@pytest.fixture
def features(tmp_path: Path) -> Path:
    """A reference, and candidates three times as many."""
    generator = torch.Generator().manual_seed(7)
    mixing = torch.randn(6, 5, generator=generator)
    for name, rows, shift in (("real", 120, 0.0), ("made", 361, 0.4)):
        values = torch.randn(rows, 6, generator=generator) + shift
        wrapped(values, logits=values @ mixing).save(tmp_path / f"{name}.safetensors")
    return tmp_path


def attack(folder: Path, size: int, out: str, *options: str) -> dict[str, Any]:
    command = ("attack", "real.safetensors", "made.safetensors", "--keep", "60", "-o", out, "-q", *options)
    ended = together(size, folder, *command)
    assert [one.code for one in ended] == [0] * size, ended
    assert all((one.out, one.err) == ("", "") for one in ended[1:])
    found: dict[str, Any] = json.loads((folder / out / "attack.json").read_text())
    return found


@pytest.mark.parametrize("size", [2, 4])
def test_the_optimum_is_that_of_one_process(features: Path, size: int) -> None:
    one, many = attack(features, 1, "one"), attack(features, size, "many")
    assert many["stopped"] == one["stopped"] == "certified"
    for mine, theirs in ((one, many), (many, one)):
        assert mine["lower_bound"] <= theirs["objective"]
    assert many["objective"] == pytest.approx(one["objective"], rel=2e-3)  # both are certified to 0.001
    assert many["objective_at_equal_weights"] == pytest.approx(one["objective_at_equal_weights"], rel=1e-9)


@pytest.mark.parametrize("options", [("--space", "top-n", "--n", "2", "--draw", "swap"), ("--space", "logits")])
def test_other_spaces_and_draws(features: Path, options: tuple[str, ...]) -> None:
    one, many = attack(features, 1, "one", *options), attack(features, 2, "many", *options)
    assert many["objective"] == pytest.approx(one["objective"], rel=2e-3, abs=1e-9)
    assert [score["random"] for score in many["scores"]] == [score["random"] for score in one["scores"]]


def test_gradient_descent_takes_the_same_steps(features: Path) -> None:
    options = ("--solver", "gradient-descent", "--steps", "30", "--learning-rate", "1")
    one, many = attack(features, 1, "one", *options), attack(features, 2, "many", *options)
    for mine, theirs in zip(one["steps"], many["steps"], strict=True):
        assert mine["objective"] == pytest.approx(theirs["objective"], rel=1e-6)


def test_a_sweep_and_top_1(features: Path) -> None:
    command = ("attack", "real.safetensors", "made.safetensors", "--keep", "60", "-q", "-o")
    ended = together(2, features, *command, "sweep", "--space", "top-n", "--n", "1,2", figures=True)
    assert [one.code for one in ended] == [0, 0], ended
    assert (features / "sweep" / "sweep.svg").is_file()
    assert (features / "sweep" / "top-n-1" / "attack.json").is_file()
    assert (features / "sweep" / "top-n-2" / "attack.json").is_file()
    assert [one.code for one in together(2, features, *command, "top", "--space", "top-1")] == [0, 0]


def pressed_in_the_middle(rank: int) -> None:
    """Ctrl-C reaches all processes after some steps."""
    from fidprobe.attacks.objective import WeightedFrechet

    Path(f"{rank}.pid").write_text(str(os.getpid()))
    slopes, asked = WeightedFrechet.slopes, []

    def counting(self: Any, *arguments: Any, **options: Any) -> Any:
        asked.append(arguments)
        if len(asked) == 20:
            for process in range(2):
                os.kill(int(Path(f"{process}.pid").read_text()), signal.SIGINT)
        return slopes(self, *arguments, **options)

    WeightedFrechet.slopes = counting  # type: ignore[method-assign]


def test_ctrl_c_writes_the_best_so_far(features: Path) -> None:
    command = ("attack", "real.safetensors", "made.safetensors", "--keep", "60", "-o", "out", "-q")
    options = ("--solver", "gradient-descent", "--steps", "100000")
    ended = together(2, features, *command, *options, prepare=pressed_in_the_middle)
    assert [one.code for one in ended] == [130, 0], ended
    assert json.loads((features / "out" / "attack.json").read_text())["stopped"] == "interrupted"
    assert ended[1].err == ""


def test_nan_is_told_once(features: Path) -> None:
    spoiled = Features.load(features / "made.safetensors").features.clone()
    spoiled[300, 4] = float("nan")
    wrapped(spoiled).save(features / "made.safetensors")
    ended = together(2, features, "attack", "real.safetensors", "made.safetensors", "-o", "x", "-q")
    assert [one.code for one in ended] == [2, 2]
    [told] = [one.err for one in ended if one.err]
    assert "300 holds NaN" in told


def test_fewer_candidates_than_processes(features: Path) -> None:
    wrapped(torch.ones(3, 6)).save(features / "made.safetensors")
    ended = together(4, features, "attack", "real.safetensors", "made.safetensors", "-o", "x", "-q", "--keep", "2")
    assert [one.code for one in ended] == [2] * 4
    [told] = [one.err for one in ended if one.err]
    assert "3 candidates cannot be divided among 4 processes" in told


def test_scores_are_those_of_one_process(tmp_path: Path) -> None:
    sets = ("embedded:am-gan", "embedded:am-gan-early", "--limit", "8", "-e", "random", "-s", "random:1")
    command = ("score", *sets, "--metrics", "fid,kid,ms-ssim", "--json", "-q")
    one = json.loads(alone(tmp_path, *command, environment={"FIDPROBE_CACHE": str(tmp_path / "another")}).out)
    ended = together(2, tmp_path, *command)
    assert [process.code for process in ended] == [0, 0], ended
    many = json.loads(ended[0].out)
    assert ended[1].out == ""
    assert one["sets"] == many["sets"]
    for space in ("main", "second_opinion"):
        numbers = {key: value for key, value in one[space]["generated"].items() if isinstance(value, float)}
        assert {"frechet_distance", "kernel_distance_mean"} & set(numbers)
        assert {key: many[space]["generated"][key] for key in numbers} == pytest.approx(numbers, rel=1e-4)
    assert one["further_spaces"] == many["further_spaces"]
