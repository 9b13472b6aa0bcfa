"""The lecture notes' figures: each script at its smallest scale, and its mathematics in another way."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reproduce.catalogue import ITEMS, experiment
from reproduce.lecture_fig7 import PRESETS as FIG7
from reproduce.lecture_fig7 import step_ratio
from reproduce.lecture_fig8 import norm
from reproduce.lecture_fig10 import best_discriminator
from reproduce.lecture_fig20 import GAMES, VALUES, played
from reproduce.lecture_fig21 import REPEATED, noisy, one_a_class
from reproduce.lecture_losses import logit, thinned
from tests.reproduce.conftest import Smoke

EXACT = ("lecture_fig7", "lecture_fig8", "lecture_fig10", "lecture_fig17", "lecture_fig20")
MEASURED = ("lecture_fig18", "lecture_fig21")


def test_every_script_of_the_notes_is_tested_here() -> None:
    assert {item.module for item in ITEMS if item.paper == "lecture" and item.module} == {*EXACT, *MEASURED}


@pytest.mark.parametrize("module", EXACT)
def test_every_closed_form_is_met(smoke: Smoke, module: str) -> None:
    judged = [cell for cell in smoke(module)["cells"] if cell["tolerance"] is not None]
    assert len(judged) >= 6
    for cell in judged:
        assert abs(cell["ours"] - cell["published"]) <= cell["tolerance"], cell["name"]


def test_figure_7_softmax_goes_twice_as_far_in_a_step() -> None:
    """Both rows move by the same slope times the input, in opposite directions."""
    assert step_ratio(FIG7["smoke"]) == pytest.approx(2, abs=1e-4)


@pytest.mark.parametrize("name", ["MAE", "MSE", "CE"])
def test_figure_8_norms_are_slopes_of_the_losses(name: str) -> None:
    """Central differences of 1 - s, (1 - s)² and -ln s in the logit."""
    losses = {"MAE": lambda s: 1 - s, "MSE": lambda s: (1 - s) ** 2, "CE": lambda s: -np.log(s)}
    step = 1e-5
    for error in (0.1, 0.5, 0.9):
        at = logit(1 - error)
        low, high = (losses[name](1 / (1 + np.exp(-(at + d)))) for d in (-step, step))
        assert norm(name, error) == pytest.approx(abs(high - low) / (2 * step), rel=1e-8)


def test_figure_10_best_discriminator_where_sides_differ_a_thousandfold() -> None:
    """p_r / (p_r + p_g), far from 1/2."""
    real, made = np.array([0.999, 0.001]), np.array([0.001, 0.999])
    found, value = best_discriminator(real, made)
    assert found == pytest.approx([0.999, 0.001], abs=1e-10)
    assert value == pytest.approx(2 * (0.999 * math.log(0.999) + 0.001 * math.log(0.001)), abs=1e-10)


@pytest.mark.parametrize("game", list(GAMES))
def test_figure_20_slopes_are_those_of_the_games(game: str) -> None:
    x, y = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (0.7, 1.3))
    slopes = torch.autograd.grad(VALUES[game](x, y), (x, y))  # type: ignore[arg-type, call-overload]
    assert GAMES[game](0.7, 1.3) == pytest.approx([float(one) for one in slopes], abs=1e-14)


def test_figure_20_players_step_at_once_or_in_turn() -> None:
    """x y from (1, 1) by 1/2: x = 1 - 1/2; y = 1 + 1/2 at once, 1 + 1/4 after x has moved."""
    assert [one[1] for one in played("xy", start=1, rate=0.5, steps=1, in_turn=False)] == [0.5, 1.5]
    assert [one[1] for one in played("xy", start=1, rate=0.5, steps=1, in_turn=True)] == [0.5, 1.25]


def test_figure_18_trains_both_and_scores_them_in_both_spaces(smoke: Smoke) -> None:
    """Other activations, other losses; ratios are those of the distances."""
    record = smoke("lecture_fig18")
    found = by_name(record)
    assert record["details"]["LeakyReLU"]["losses"] != record["details"]["ReLU"]["losses"]
    for space in ("FD[cifar10-classifier]", "FD[cifar10-encoder]"):
        leaky, plain = (found[f"{name}, {space}"] for name in ("LeakyReLU", "ReLU"))
        assert found[f"{space}, ReLU over LeakyReLU"] == pytest.approx(plain / leaky, rel=1e-12)
    last = record["details"]["ReLU"]["losses"]["G"][-2:]
    assert found["ReLU, mean loss of G, last quarter"] == pytest.approx(np.mean(last), rel=1e-5)


def test_figure_18_at_full_scale_asks_for_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before anything is read."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="finds no CUDA here; take --scale small"):
        experiment("lecture_fig18").main(["--scale", "paper", "--out", str(tmp_path), "--quiet"])


def test_figure_21_score_likes_what_both_distances_do_not(smoke: Smoke) -> None:
    """Noise lowers the score and raises the distances; one picture a class raises all three."""
    found = by_name(smoke("lecture_fig21"))
    assert found["Spearman's rho of the noise and Inception Score"] == pytest.approx(-1)
    assert found[f"{REPEATED}, Inception Score"] > found["noise 0, Inception Score"]
    for space in ("FD[cifar10-classifier]", "FD[cifar10-encoder]"):
        assert found[f"Spearman's rho of the noise and {space}"] == pytest.approx(1)
        assert found[f"{REPEATED}, {space}"] > 3 * found[f"noise 0, {space}"]


def test_figure_21_keeps_the_surest_picture_of_each_class() -> None:
    """Three pictures of class 0, the second the surest; two of class 1, the last."""
    logits = torch.tensor([[2.0, 0.0], [5.0, 0.0], [3.0, 0.0], [0.0, 1.0], [0.0, 4.0]])
    assert one_a_class(logits).tolist() == [1, 1, 1, 4, 4]


def test_figure_21_noise_is_one_draw_scaled() -> None:
    grey = torch.full((1, 3, 32, 32), 128, dtype=torch.uint8)
    assert torch.equal(noisy(grey, 0, 0), grey)
    once, twice = (noisy(grey, level, 0).double() - 128 for level in (10, 20))
    assert float((twice - 2 * once).abs().max()) <= 1.5  # rounding
    assert float(once.std()) == pytest.approx(10, rel=0.05)


def test_thinned_curves_keep_their_ends() -> None:
    kept = thinned(np.arange(1000.0), 11)
    assert len(kept) == 11
    assert kept[0] == 0
    assert kept[-1] == 999
    assert thinned([1 / 3]) == [0.333333]


def by_name(record: dict[str, Any]) -> dict[str, float]:
    return {cell["name"]: cell["ours"] for cell in record["cells"]}
