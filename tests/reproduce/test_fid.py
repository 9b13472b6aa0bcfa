"""The scripts of Kynkäänniemi et al. 2022 at their smallest scale: what they print belongs together."""

from collections.abc import Callable

import pytest

from tests.reproduce.conftest import Smoke

Cells = Callable[[str], dict[str, float]]

ALL = (
    "fid_table1",
    "fid_table2",
    "fid_table3",
    "fid_fig3",
    "fid_fig4",
    "fid_fig5",
    "fid_fig6",
    "fid_fig7",
    "fid_fig8a",
    "fid_fig8b",
    "fid_fig9",
    "fid_fig10",
)


@pytest.fixture
def cells(smoke: Smoke) -> Cells:
    """Runs a script; gives its cells by name."""

    def run(module: str) -> dict[str, float]:
        return {cell["name"]: cell["ours"] for cell in smoke(module)["cells"]}

    return run


def test_every_script_of_the_paper_is_tested_here() -> None:
    from reproduce.catalogue import ITEMS

    assert {item.module for item in ITEMS if item.paper == "fid"} == set(ALL)


def test_table_1_matches_the_histogram(cells: Cells) -> None:
    """Total variation falls; the change is that of the two distances."""
    found = cells("fid_table1")
    row = "AM-GAN, early"
    variation = f"{row}, total variation of Top-1 classes,"
    assert found[f"{variation} after"] < found[f"{variation} before"]
    for space in ("FD[cifar10-classifier]", "FD[cifar10-encoder]"):
        before, after = found[f"{row}, {space}"], found[f"{row}, {space} Top-1"]
        assert found[f"{row}, {space} Top-1, change"] == pytest.approx(100 * (after / before - 1))


def test_table_2_attacks_both_spaces_and_has_the_second_opinion(cells: Cells) -> None:
    """What was optimised against falls more than what was held out."""
    found = cells("fid_table2")
    row = "AM-GAN, early"
    for name in ("PL", "L"):
        assert found[f"{row}, change {name}, against the optimised half"] < -10
        held_out = found[f"{row}, FD[cifar10-classifier] {name}, change"]
        assert found[f"{row}, change {name}, against the optimised half"] < held_out
        assert f"{row}, FD[cifar10-encoder] {name}" in found
        assert 0 < found[f"{row}, effective sample size {name}, of the candidates"] < 100


def test_table_3_measures_the_kernel_distance_of_table_2s_draws(cells: Cells) -> None:
    second, third = cells("fid_table2"), cells("fid_table3")
    for name in ("AM-GAN, early, FD[cifar10-classifier]", "AM-GAN, early, FD[cifar10-classifier] PL"):
        assert third[name] == pytest.approx(second[name], rel=1e-9)
    assert (
        third["AM-GAN, early, KD[cifar10-classifier] x 1000 PL"] < third["AM-GAN, early, KD[cifar10-classifier] x 1000"]
    )


def test_figure_6_sweeps_in_both_spaces(cells: Cells) -> None:
    found = cells("fid_fig6")
    for space in ("FD[cifar10-classifier]", "FD[cifar10-encoder]"):
        assert found[f"AM-GAN, early, {space}"] > 0
        for attack in ("top-1", "top-3", "middle-3"):
            assert f"AM-GAN, early, {space}, change {attack}" in found


def test_figure_8a_falls_with_the_number_of_images(cells: Cells) -> None:
    found = cells("fid_fig8a")
    for space in ("FD[cifar10-classifier]", "FD[cifar10-encoder]"):
        row = f"AM-GAN, early, {space}"
        assert found[f"{row}, 20 + 20"] > found[f"{row}, 100 + 100"]
        excess = found[f"{row}, 20 + 20"] - found[f"{row}, 100 + 100"]
        assert found[f"{row}, 20 + 20 less 100 + 100"] == pytest.approx(excess)


def test_figure_9_correlates_both_spaces(cells: Cells) -> None:
    """Three sets, two of one snapshot."""
    found = cells("fid_fig9")
    assert found["FD[cifar10-classifier] and FD[cifar10-classifier logits], Pearson's r"] > 0.99
    assert found["FD[cifar10-classifier] and FD[cifar10-encoder], Pearson's r"] > 0.99


def test_figure_10_measures_noise_in_both_spaces(cells: Cells) -> None:
    found = cells("fid_fig10")
    for space in ("FD[cifar10-classifier]", "FD[cifar10-encoder]"):
        important, other = (found[f"{space}, noise 0.1, {half}"] for half in ("important", "unimportant"))
        assert found[f"{space}, noise 0.1, important less unimportant"] == pytest.approx(important - other)
        assert found[f"{space}, noise 0.1, all"] > found[f"{space}, without noise"]


def test_figures_3_and_4_draw_maps_and_classes(cells: Cells) -> None:
    assert 50 <= cells("fid_fig3")["AM-GAN, early, mass of maps in their brighter half"] <= 100
    found = cells("fid_fig4")
    assert 0 < found["Total variation of Top-1 classes"] <= 1
    assert found["Classes that occur, reference"] <= 10


def test_figure_5_compares_tails_and_outcomes(cells: Cells) -> None:
    found = cells("fid_fig5")
    row = "AM-GAN, early, FD[cifar10-classifier]"
    assert found[f"{row}, the tenth of largest weights"] < found[f"{row}, the tenth of smallest weights"]
    assert set(found) >= {f"{row}, {name}" for name in ("random", "Top-1", "PL")}


def test_figures_7_and_8b_tell_models_and_networks_apart(cells: Cells) -> None:
    found = cells("fid_fig7")
    assert found["AM-GAN, recall"] > found["AM-GAN, early, recall"]
    assert found["AM-GAN, FD[cifar10-encoder]"] < found["AM-GAN, early, FD[cifar10-encoder]"]
    found = cells("fid_fig8b")
    assert found["AM-GAN, early, the classifier [cifar10-classifier]"] != found["AM-GAN, early, untrained [random]"]
