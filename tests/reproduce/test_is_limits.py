"""The Inception Score's bounds: closed forms, and predictions small enough to count."""

import itertools
import math

import numpy as np
import pytest

from reproduce.is_limits import kl_form, of_perfect_draws, score_of
from tests.reproduce.conftest import Smoke


def test_every_limiting_case_is_met(smoke: Smoke) -> None:
    cells = {cell["name"]: cell for cell in smoke("is_limits")["cells"]}
    for name, cell in cells.items():
        if cell["tolerance"] is not None:
            assert abs(cell["ours"] - cell["published"]) <= cell["tolerance"], name
    assert cells["sure, evenly of all 10 classes: N"]["published"] == 10
    assert cells["all images predicted alike"]["published"] == 1
    assert 0 < cells["their least ln IS"]["ours"] < cells["their greatest ln IS; ln N is 2.3026"]["ours"] < math.log(10)


@pytest.mark.parametrize(("classes", "images"), [(2, 3), (3, 4)])
def test_expected_ln_is_of_random_classes_is_the_mean_over_all_draws(classes: int, images: int) -> None:
    """Every sequence of classes is as likely as another."""
    every = [
        math.log(score_of(np.eye(classes)[list(drawn)]).mean)
        for drawn in itertools.product(range(classes), repeat=images)
    ]
    assert of_perfect_draws(classes, images) == pytest.approx(np.mean(every), abs=1e-6)


def test_kl_form_of_two_images_by_hand() -> None:
    """p = (1, 0) and (1/2, 1/2), mean (3/4, 1/4): (ln 4/3 + ½ ln 2/3 + ½ ln 2) / 2."""
    predictions = np.array([[1.0, 0.0], [0.5, 0.5]])
    expected = (math.log(4 / 3) + 0.5 * math.log(2 / 3) + 0.5 * math.log(2)) / 2
    assert kl_form(predictions) == pytest.approx(expected, abs=1e-9)
    assert math.log(score_of(predictions).mean) == pytest.approx(expected, abs=1e-9)
