"""Models given as a list get names."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fidprobe
from fidprobe.analysis.sets.model_names import by_name
from fidprobe.errors import InputError

REAL, ONE, TWO = (np.random.default_rng(seed).normal(size=(30, 4)).astype(np.float32) for seed in range(3))
CURVES: dict[str, Any] = {"runs": 1, "clusters": 3}


def test_models_of_a_list_are_called_after_their_paths_or_counted() -> None:
    """Those of a mapping by its names."""
    assert by_name({"a": 1}) == {"a": 1}
    assert by_name(["runs/a.npz", Path("runs/b")]) == {"a": "runs/a.npz", "b": Path("runs/b")}
    assert by_name(["a/x", "b/x"]) == {"a/x": "a/x", "b/x": "b/x"}
    assert by_name([1, "b"]) == {"model 1": 1, "model 2": "b"}
    assert by_name([3, 4], ["a", "b"]) == {"a": 3, "b": 4}


def test_a_list_of_models_is_measured_like_a_mapping() -> None:
    """With their second features in the same order."""
    listed = fidprobe.compare(REAL, [ONE, TWO], second_reference=REAL + 1, second_models=[TWO, ONE])
    named = fidprobe.compare(
        REAL,
        {"model 1": ONE, "model 2": TWO},
        second_reference=REAL + 1,
        second_models={"model 1": TWO, "model 2": ONE},
    )
    assert listed.content() == named.content()
    assert list(fidprobe.correlate(REAL, [ONE, TWO]).models) == ["model 1", "model 2"]
    assert list(fidprobe.prd_curves(REAL, [ONE], **CURVES).models) == ["model 1"]


def test_other_numbers_of_models_are_named() -> None:
    """And one model that is none of a list."""
    with pytest.raises(InputError, match="there are 1 for 2 models; give `second_models`, in the models' order"):
        fidprobe.compare(REAL, [ONE, TWO], second_reference=REAL, second_models=[ONE])
    with pytest.raises(InputError, match="`models` must be a dict by names or a list, not a ndarray of float32"):
        fidprobe.compare(REAL, ONE)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="`models` must be a dict by names or a list, not 'a'"):
        fidprobe.prd_curves(REAL, "a", **CURVES)
