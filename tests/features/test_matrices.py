"""Matrices as people hold them: every form gives what Features of the same float32 numbers give."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import fidprobe
from fidprobe.errors import FidprobeError, InputError
from fidprobe.features.extraction import ReadOptions
from fidprobe.features.value import Features
from fidprobe.inputs import open_input

Rows = npt.NDArray[Any]

# Quarters from -4 to 4 are exact in every floating-point type.
REAL, MADE = (np.random.default_rng(seed).integers(-16, 17, (30, 4)).astype(np.float32) / 4 for seed in (0, 1))


def read_only(rows: Rows) -> Rows:
    copy = rows.copy()
    copy.flags.writeable = False
    return copy


def mapped(rows: Rows, folder: Path) -> Any:
    np.save(folder / "rows.npy", rows)
    return np.load(folder / "rows.npy", mmap_mode="r")


def frame(rows: Rows) -> Any:
    return pytest.importorskip("pandas").DataFrame(rows)


FORMS: dict[str, Callable[..., Any]] = {
    **{kind: lambda rows, kind=kind: rows.astype(kind) for kind in ("f2", "f4", "f8", "g", ">f2", ">f4", ">f8")},
    "Fortran order": np.asfortranarray,
    "backwards": lambda rows: rows[::-1].copy()[::-1],
    "every other column": lambda rows: rows.repeat(2, axis=1)[:, ::2],
    "read-only": read_only,
    "memory-mapped": mapped,
    "data frame": frame,
    **{
        str(kind): lambda rows, kind=kind: torch.from_numpy(rows).to(kind)
        for kind in (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    },
    "with gradient": lambda rows: torch.from_numpy(rows).double().requires_grad_(),
    "transposed": lambda rows: torch.from_numpy(rows).T.contiguous().T,
    "parameter": lambda rows: torch.nn.Parameter(torch.from_numpy(rows)),
    "features": Features,
}

METRICS: dict[str, Callable[[Any, Any], object]] = {
    "frechet": fidprobe.frechet,
    "frechet_distance": lambda real, made: fidprobe.frechet_distance(real, made).item(),
    "frechet_infinity": lambda real, made: fidprobe.frechet_infinity(real, made, least=9),
    "frechet_sampling": lambda real, made: fidprobe.frechet_sampling(real, made).corrected,
    "kernel_distance": fidprobe.kernel_distance,
    "cmmd": fidprobe.cmmd,
    "precision_recall": fidprobe.precision_recall,
    "density_coverage": fidprobe.density_coverage,
    "prd": lambda real, made: fidprobe.prd(reference=real, generated=made, runs=1).f_8,
    "influence": lambda real, made: fidprobe.influence(real, made).order.tolist(),
    "score": lambda real, made: fidprobe.score(real, made).main.scores["generated"].frechet,
}


def formed(form: str, rows: Rows, folder: Path) -> Any:
    return FORMS[form](rows, folder) if form == "memory-mapped" else FORMS[form](rows)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_matrix_gives_the_same_features(form: str, tmp_path: Path) -> None:
    """In the constructor, and where a source is opened."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given = formed(form, REAL, tmp_path)
        opened = open_input(given, ReadOptions())
        made = given if form == "features" else Features(given, logits=given, logit_bias=np.zeros(4))
    assert isinstance(opened, Features)
    for one in (opened, made):
        assert one.features.dtype == torch.float32
        assert np.array_equal(one.features.detach().numpy(), REAL)
    assert made.logits is None or np.array_equal(made.logits.detach().numpy(), REAL)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("form", ["f2", ">f8", "read-only", "torch.bfloat16", "with gradient"])
def test_metrics_of_a_matrix_are_those_of_features(metric: str, form: str, tmp_path: Path) -> None:
    """To the bit, for any pair of forms."""
    measure = METRICS[metric]
    expected = measure(Features(torch.from_numpy(REAL)), Features(torch.from_numpy(MADE)))
    assert measure(formed(form, REAL, tmp_path), MADE) == expected
    assert measure(Features(torch.from_numpy(REAL)), formed(form, MADE, tmp_path)) == expected


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32, torch.float64])
def test_gradients_flow_to_a_tensor_beside_any_other_form(kind: torch.dtype) -> None:
    """The same as beside a tensor in float64."""
    slopes = []
    for real in (torch.from_numpy(REAL).double(), REAL, Features(REAL)):
        made = torch.from_numpy(MADE).to(kind).requires_grad_()
        fidprobe.frechet_distance(real, made).backward()
        assert made.grad is not None
        slopes.append(made.grad)
    assert torch.equal(slopes[0], slopes[1])
    assert torch.allclose(slopes[0], slopes[2], rtol=1e-6, atol=0)
    assert bool((slopes[0] != 0).any())


def test_float32_numbers_are_not_copied() -> None:
    """A file of features that memory does not hold stays where it is."""
    array, tensor = REAL.copy(), torch.from_numpy(REAL.copy())
    assert Features(array).features.data_ptr() == array.ctypes.data
    assert Features(tensor).features.data_ptr() == tensor.data_ptr()


def test_numbers_that_float32_cannot_tell_apart_are_refused() -> None:
    """As in a file of them; frechet_distance, which computes in their own precision, takes them."""
    apart = 1e9 + np.random.default_rng(0).normal(size=(20, 3))
    for given in (apart, torch.from_numpy(apart)):
        with pytest.raises(InputError, match="`reference`: values that differ by at most .*subtract the same mean"):
            fidprobe.frechet(given, given)
        with pytest.raises(InputError, match="features: values up to .*rescale them"):
            Features(given * 1e39)
        assert float(fidprobe.frechet_distance(given, given)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("features.npy", "not 'features.npy'; `fidprobe.score` reads files, `fidprobe.Features.load` one of features"),
        (Path("a/b"), "not the path 'a/b'; `fidprobe.score` reads files"),
        (torch.eye(3).to_sparse(), "must be a dense tensor, not a sparse tensor"),
        (torch.empty(3, 3, device="meta"), "not a tensor on the meta device, without values"),
        (np.ma.masked_less(REAL, 0), "must not be masked, since masked values would be counted"),
        (REAL + 1j, r"must be real floating-point numbers, not complex64 \[30, 4\]"),
        (REAL.astype(int), r"must be real floating-point numbers, not int64 \[30, 4\]"),
        (REAL[0], r"must be a non-empty matrix \[n, d\], got \[4\]"),
        (REAL[:0], r"must be a non-empty matrix \[n, d\], got \[0, 4\]"),
        ([[1.0, 2.0]], r"must be Features, GaussianStatistics, or a matrix \[n, d\] of floats .*, not a list"),
    ],
    ids=str,
)
def test_what_is_no_matrix_is_named(given: Any, told: str) -> None:
    """By argument, kind and shape."""
    with pytest.raises(InputError, match=f"^`generated` .*{told}"):
        fidprobe.frechet(REAL, given)


def test_rows_are_chosen_by_whole_numbers_that_exist() -> None:
    """A mask would choose the first two rows over and over."""
    features = Features(REAL)
    assert np.array_equal(features.select(np.array([3, -1])).features, REAL[[3, -1]])
    wrong: Any
    for wrong, told in (
        ([30], "there are 30 rows, and `indices` go from 30 to 30"),
        (torch.ones(30, dtype=torch.bool), "`indices` must be whole numbers in a row, not a Tensor of torch.bool"),
        ([0.5], "`indices` must be"),
        ([[1], [2, 3]], "`indices` must be whole numbers in a row, not a list"),
        (
            torch.ones(2, dtype=torch.bfloat16),
            "`indices` must be whole numbers in a row, not a Tensor of torch.bfloat16",
        ),
        ("ab", "`indices` must be"),
    ):
        with pytest.raises(FidprobeError, match=told):
            features.select(wrong)


def test_names_may_be_any_list_of_texts() -> None:
    """They become a tuple, which nobody changes afterwards."""
    names: Any
    for names in (["a", "b"], np.array(["a", "b"]), ("a", "b")):
        assert Features(REAL[:2], names=names).names == ("a", "b")
    for wrong, told in (("ab", "must be a list of texts, not 'ab'"), ([1, 2], "must be texts, and one is 1")):
        with pytest.raises(InputError, match=f"`names` {told}"):
            Features(REAL[:2], names=wrong)  # type: ignore[arg-type]
