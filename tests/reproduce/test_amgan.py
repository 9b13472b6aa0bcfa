"""The scripts of Zhou et al. 2018 write what they say, from small inputs."""

import importlib
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fidprobe.analysis.output import FIGURE_SUFFIXES
from fidprobe.features import Features

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "reproduce" / "results"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, Sequence[str]], object]:
    """Runs a script's `main` as `python -m` does from the project's folder; gives its JSON."""
    monkeypatch.syspath_prepend(ROOT)

    def call(name: str, arguments: Sequence[str]) -> object:
        folders = ["--results", str(tmp_path / "results"), "--figures", str(tmp_path / "figures")]
        importlib.import_module(f"reproduce.{name}").main([*map(str, arguments), *folders])
        for suffix in FIGURE_SUFFIXES:
            assert (tmp_path / "figures" / f"{name}{suffix}").stat().st_size > 1000
        return json.loads((tmp_path / "results" / f"{name}.json").read_text())

    return call


def test_fig_5_is_computed_anew(run: Callable[..., dict[str, dict[str, object]]]) -> None:
    """Uniform: the logarithm."""
    found = run("amgan_fig5", ["--points", "12", "--repeats", "5"])
    assert found["uniform"]["mean"] == pytest.approx([math.log(kept) for kept in range(1, 13)], abs=1e-12)
    assert found["gaussian"]["repeats"] == 5


def test_the_committed_fig_5_is_what_the_script_gives(run: Callable[..., dict[str, dict[str, object]]]) -> None:
    """To what another processor's rounding may change."""
    committed = json.loads((RESULTS / "amgan_fig5.json").read_text())
    for density, values in run("amgan_fig5", []).items():
        for key, value in values.items():
            expected = committed[density][key]
            assert value == (pytest.approx(expected, abs=1e-9) if isinstance(expected, list) else expected)


def test_fig_4_compares_two_classifiers_of_the_same_images(
    run: Callable[..., list[dict[str, object]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = tuple(f"{kind}/{i}.png" for kind in ("cat", "dog") for i in range(4))
    doubtful = Features(torch.ones(8, 2), logits=torch.zeros(8, 5), names=names)
    doubtful.save(tmp_path / "first.safetensors")
    own = Features(torch.ones(8, 3), logits=90 * torch.eye(2).repeat_interleave(4, dim=0))
    own.save(tmp_path / "own.safetensors")
    first, second = run("amgan_fig4", [str(tmp_path / "first.safetensors"), "--own", str(tmp_path / "own.safetensors")])
    assert first["marginal_entropy"] == pytest.approx(math.log(5))
    assert second["marginal_entropy"] == pytest.approx(math.log(2))
    assert [row["name"] for row in second["classes"]] == ["cat", "dog"]  # type: ignore[attr-defined]
    assert second["whole"]["clear"] == 1  # type: ignore[index]
    assert "100.0 % below 0.05" in capsys.readouterr().out


def test_table_2_names_the_collapsed_class(
    run: Callable[..., dict[str, dict[str, object]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for side in ("real", "model"):
        for kind in ("cat", "dog"):
            folder = tmp_path / side / kind
            folder.mkdir(parents=True)
            for i in range(4):
                picture = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                if side == "model" and kind == "dog":
                    picture = np.full((32, 32, 3), 99, dtype=np.uint8)
                Image.fromarray(picture).save(folder / f"{i}.png")
    found = run("amgan_table2", [str(tmp_path / "real"), str(tmp_path / "model"), "--names", "real", "model"])
    assert found["model"]["more_alike_than_the_first"] == ["dog"]
    assert found["model"]["maximum_class"] == "dog"
    assert found["real"]["more_alike_than_the_first"] == []
    assert "more alike than real: dog" in capsys.readouterr().out


def test_table_2_can_repeat_real_pictures(run: Callable[..., dict[str, dict[str, object]]], tmp_path: Path) -> None:
    """One picture a class, ten times with a little noise, is one picture; the real ones are noise."""
    for kind in ("cat", "dog"):
        (tmp_path / "real" / kind).mkdir(parents=True)
        for i in range(2):
            smooth = np.random.default_rng(i).integers(0, 256, (4, 4, 3), dtype=np.uint8)
            Image.fromarray(smooth).resize((32, 32)).save(tmp_path / "real" / kind / f"{i}.png")
    found = run("amgan_table2", [str(tmp_path / "real"), "--repeated", "1", "--pairs", "2"])
    assert list(found) == ["real", "1 images repeated"]
    assert found["real"]["alike"] == 0
    assert found["1 images repeated"]["alike"] == 1
    assert [one["images"] for one in found["1 images repeated"]["classes"]] == [10, 10]  # type: ignore[attr-defined]


def test_documented_numbers_are_those_of_the_results() -> None:
    """docs/class-scores.md tells Fig. 4's numbers as they were measured."""
    text = " ".join((ROOT / "docs" / "class-scores.md").read_text(encoding="utf-8").split())
    (found,) = json.loads((RESULTS / "amgan_fig4.json").read_text())
    means = sorted((row["mean"], row["name"]) for row in found["classes"])
    most = found["most_probable"][0]
    for expected in (
        f"H(C̄) = {found['marginal_entropy']:.2f} of {math.log(found['predicted_classes']):.2f} nats",
        f"{100 * most['probability']:.1f} % of the probability on *{most['name']}*",
        f"from {means[0][0]:.2f} nats ({means[0][1]}s) to {means[-1][0]:.2f} ({means[-1][1]}s)",
        f"test images have a doubt of {found['whole']['mean']:.2f} nats",
    ):
        assert expected in text
    assert found["whole"]["clear"] == 0
    for name, one in json.loads((RESULTS / "amgan_table2.json").read_text()).items():
        collapsed = len(one["more_alike_than_the_first"])
        row = f"{one['maximum']:.3f} ({one['maximum_class']}) | {one['mean']:.3f} | {collapsed} | "
        assert f"| {name} | {row}{100 * one['alike']:.1f} % |" in text
