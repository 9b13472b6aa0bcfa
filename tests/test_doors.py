"""Wrong values at every public door: each is refused in one line that names the argument; none gives a traceback."""

import inspect
import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import torch
from torch import nn

import fidprobe
from fidprobe.analysis.attack.candidate_sets import AttackSets
from fidprobe.analysis.attack.measure import attack_sets
from fidprobe.analysis.budget.measure import null_space_budget
from fidprobe.analysis.scores.measure import measure_score_sets
from fidprobe.analysis.weight_grids.files import write_grids
from fidprobe.analysis.weight_grids.measure import weight_grids
from fidprobe.attacks.attack import Attack
from fidprobe.attacks.resampling import Resampling
from fidprobe.extractors.chosen import load_network
from fidprobe.features.value import Features, Matrix
from fidprobe.images import open_images
from fidprobe.metrics.kernel import kernel_distance_subsets
from fidprobe.metrics.prd import f_beta, prd_of_histograms

Call = Callable[..., Any]

FURTHER: dict[str, Call] = {
    one.__name__: one
    for one in (
        *(attack_sets, f_beta, kernel_distance_subsets, load_network, measure_score_sets),
        *(null_space_budget, prd_of_histograms, weight_grids, write_grids),
    )
}
"""Doors that documents name beside those of `fidprobe` itself."""

ELSEWHERE = {"FidprobeError", "GaussianStatistics"}
"""tests/test_statistics.py has the mistakes of statistics, whose values matter as much as their types."""

RESULTS = set(re.findall(r"\w+", (fidprobe.__doc__ or "").partition("for type hints:")[2].partition("Example:")[0]))
"""Classes that only fidprobe itself makes."""

DOORS: dict[str, Call] = {
    **{name: getattr(fidprobe, name) for name in fidprobe.__all__ if name not in ELSEWHERE | RESULTS},
    **FURTHER,
}


class Row:
    """An annotation of numbers in a row."""


POOL: dict[str, Any] = {
    "None": None,
    "True": True,
    "numpy True": np.True_,
    "-1": -1,
    "1": 1,
    "numpy 1": np.int64(1),
    "2.5": 2.5,
    "11.0": 11.0,
    "numpy 0.5": np.float32(0.5),
    "nan": float("nan"),
    "inf": float("inf"),
    "huge": 10**5000,
    "text": "nothing of the kind",
    "bytes": b"bytes",
    "path": Path("no/such/file"),
    "function": lambda *_: None,
    "class": dict,
    "object": object(),
    "empty": [],
    "objects": [object()],
    "texts": ["a", "b"],
    "numbers": [1.0, 2.0],
    "by number": {1: 2},
    "by name": {"a": "b"},
    "floats": np.zeros((5, 3)),
    "tensor": torch.zeros(5, 3),
    "row": np.zeros(3),
    "cube": np.zeros((2, 2, 2)),
    "no rows": torch.zeros(0, 3),
    "whole": np.zeros((5, 3), np.int64),
    "complex": torch.zeros(5, 3, dtype=torch.complex64),
    "sparse": torch.zeros(5, 3).to_sparse(),
    "meta": torch.zeros(5, 3, device="meta"),
    "strings": np.array([["a", "b"], ["c", "d"]]),
    "pointers": np.array([[object()], [None]]),
    "masked": np.ma.masked_less(np.zeros((5, 3)), 1),
    "module": nn.Linear(1, 1),
}
"""Of these an argument takes at most what `TAKEN` says of its annotation; -1 is whole, but nowhere in range."""

NUMBERS = {"1", "numpy 1"}
TAKEN: dict[Any, set[str]] = {
    type(None): {"None"},
    bool: {"True", "numpy True"},
    int: NUMBERS | {"huge"},
    float: NUMBERS | {"-1", "2.5", "11.0", "numpy 0.5"},
    str: {"text"},
    Path: {"text", "path"},
    PathLike: {"path"},
    Callable: {"function", "class", "module"},
    Mapping: {"by name"},
    Sequence: {"empty", "objects", "texts", "numbers", "row"},
    tuple: {"empty", "texts"},
    np.ndarray: {"floats", "tensor"},
    Row: {"row"},
    torch.Tensor: {"tensor", "no rows", "complex", "sparse", "meta"},
    nn.Module: {"module"},
}
SOURCES = ("None", "1", "2.5", "True", "nan", "object", "empty", "by name", "by number", "complex", "sparse", "meta")
"""What is nothing to open: of `Any`, the annotation of sources, which may be nearly everything."""


@cache
def features(seed: int = 0) -> Features:
    generator = torch.Generator().manual_seed(seed)
    return Features(torch.randn(40, 4, generator=generator), torch.randn(40, 4, generator=generator))


@cache
def pictures() -> torch.Tensor:
    return torch.randint(0, 256, (4, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def pair(*names: str) -> dict[str, Any]:
    return dict(zip(names or ("reference", "generated"), (features(), features(1)), strict=True))


GOOD: dict[str, Callable[[], dict[str, Any]]] = {
    "AttackSpace": lambda: {"name": "top-n", "n": 1},
    "Features": lambda: {"features": torch.zeros(5, 3)},
    "NetworkSpec": lambda: {"name": "random"},
    "attack": lambda: pair("reference", "candidates"),
    "attack_sets": lambda: {"sets": object.__new__(AttackSets), "attack": Resampling()},
    "class_space": lambda: {"features": features(), "which": "logits"},
    "compare": lambda: {"reference": features(), "models": [features(1), features(2)]},
    "correlate": lambda: {"reference": features(), "models": [features(1), features(2)]},
    "extract": lambda: {"source": pictures(), "extractor": "random"},
    "f_beta": lambda: {"precision": [0.5], "recall": [0.5]},
    "frechet_infinity": lambda: {**pair(), "least": 5},
    "heatmaps": lambda: {"reference": pictures(), "generated": pictures(), "extractor": "random"},
    "check_heatmaps": lambda: {"reference": pictures(), "generated": pictures(), "extractor": "random"},
    "inception_score": lambda: {"features": features()},
    "inception_score_infinity": lambda: {"features": features(), "least": 5},
    "load_network": lambda: {"chosen": "random"},
    "ms_ssim_within_classes": lambda: {"images": open_images(pictures())},
    "null_space_budget": lambda: {**pair(), "second_reference": {}, "second_generated": {}},
    "open_images": lambda: {"source": pictures()},
    "prd_curves": lambda: {"reference": features(), "models": [features(1)]},
    "prd_of_histograms": lambda: {"reference": [1.0], "generated": [1.0]},
    "ranks_of_torchrun": lambda: {"environment": {}},
    "weight_grids": lambda: {"attacks": ["nothing"], "candidates": pictures()},
}
"""Arguments with which a door opens, where these are not reference and generated features, or one value of a class."""


def arguments(door: Call) -> dict[str, inspect.Parameter]:
    """The parameters of a door, those of its base class for what it hands on included."""
    found = dict(inspect.signature(door).parameters)
    if inspect.isclass(door) and issubclass(door, Attack):
        found |= inspect.signature(Attack).parameters
    return {name: one for name, one in found.items() if one.kind != one.VAR_KEYWORD}


def hints(door: Call) -> dict[str, Any]:
    kind = door.__init__ if inspect.isclass(door) else door
    found = get_type_hints(kind, include_extras=True)
    if inspect.isclass(door) and issubclass(door, Attack):
        found |= get_type_hints(Attack.__init__, include_extras=True)
    if door is fidprobe.Features:  # its attributes are tensors, and arrays are taken
        found |= {"features": Matrix, "logits": Matrix | None, "logit_bias": Row | None}
    return found


def good(name: str) -> dict[str, Any]:
    door = DOORS[name]
    if name in GOOD:
        return GOOD[name]()
    found, types_ = {}, hints(door)
    for argument, parameter in arguments(door).items():
        if parameter.default is not parameter.empty:
            continue
        if argument in ("reference", "generated"):
            found[argument] = pair()[argument]
        elif types_[argument] == (str | PathLike[str]):
            found[argument] = "folder"
        else:  # a result, which is never looked into
            found[argument] = object.__new__(types_[argument])
    return found


def members(hint: Any) -> Iterator[Any]:
    if get_origin(hint) in (Union, types.UnionType):
        for part in get_args(hint):
            yield from members(part)
    elif get_origin(hint) is Annotated:
        yield from members(get_args(hint)[0])
    else:
        yield hint


def wrong(hint: Any, *, required: bool) -> list[str]:
    kinds = list(members(hint))
    if Any in kinds:
        return [name for name in SOURCES if required or name != "None"]
    taken: set[str] = set()
    for kind in kinds:
        origin = get_origin(kind) or kind
        taken |= TAKEN.get(origin, set())
        if origin is Sequence and get_args(kind)[0] is str:
            taken -= {"objects", "numbers", "row"}
        elif origin is Sequence and get_args(kind)[0] is float:
            taken -= {"objects", "texts"}
    return [name for name in POOL if name not in taken]


def refusal(door: Call, values: Mapping[str, Any]) -> str:
    """The one line that a door answers with."""
    with pytest.raises(fidprobe.FidprobeError) as caught:
        door(**values)
    text = str(caught.value)
    assert text
    assert "\n" not in text
    assert " object at 0x" not in text
    assert len(text) < 700
    return text


@pytest.mark.parametrize("name", DOORS)
def test_wrong_values_are_refused_in_one_line(name: str) -> None:
    """Every argument of every door, one wrong value at a time."""
    door, valid, types_ = DOORS[name], good(name), hints(DOORS[name])
    for argument, parameter in arguments(door).items():
        hint = types_[argument]
        for value in wrong(hint, required=parameter.default is parameter.empty):
            told = refusal(door, {**valid, argument: POOL[value]})
            if value != "-1" and Any not in members(hint):
                assert argument in told, (argument, value, told)


CHOICES = ("choose", "device", "draw", "layer", "metrics", "name", "names", "only", "resize", "space", "which")
"""Arguments that take one text of a few."""


@pytest.mark.parametrize(
    ("name", "argument"),
    [(name, argument) for name, door in DOORS.items() for argument in arguments(door) if argument in CHOICES],
)
def test_unknown_choices_are_refused_in_one_line(name: str, argument: str) -> None:
    """Devices, metrics, networks, layers and all other names; alone, or in a list."""
    values = {**good(name), argument: "nothing of the kind"}
    if name == "NetworkSpec":  # it opens nothing until it is needed
        return
    refusal(DOORS[name], {**values, argument: ["nothing"]} if argument in ("names", "only") else values)


@pytest.mark.parametrize("kind", ["sparse", "meta", "masked"])
@pytest.mark.parametrize("form", ["whole", "batches", "items", "function"])
def test_pictures_without_all_their_pixels_are_refused(kind: str, form: str) -> None:
    """Sparse, without values, or partly masked; however they come."""
    images: Any = {
        "sparse": lambda: pictures().to_sparse(),
        "meta": lambda: pictures().to("meta"),
        "masked": lambda: np.ma.masked_less(pictures().numpy(), 9),
    }[kind]()
    source = {"whole": images, "batches": [images], "items": list(images), "function": lambda: iter([images])}[form]
    told = refusal(
        fidprobe.extract,
        {"source": source, "extractor": "random", "options": fidprobe.ReadOptions(limit=4)},
    )
    assert "masked pixels would be seen" in told if kind == "masked" else "cannot be read as an array" in told


def test_the_table_of_doors_is_up_to_date() -> None:
    """Every name has what it is called with; a new function that needs more is told so here."""
    for name, door in DOORS.items():
        assert set(good(name)) <= set(arguments(door)), name
    assert set(GOOD) <= set(DOORS)
    assert all(inspect.isclass(getattr(fidprobe, name)) for name in RESULTS)
