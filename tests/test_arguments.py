"""What is unambiguous is taken: numbers of NumPy, texts for paths, lists for tuples."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fidprobe.arguments import Count, LegacySeed, Seed, checked
from fidprobe.errors import InputError


@checked
def door(
    whole: int = 0,
    number: float = 0.0,
    truth: bool = False,
    text: str | None = None,
    file: Path | None = None,
    folder: str | PathLike[str] = ".",
    numbers: Sequence[float] = (),
    pair: tuple[int, str] | None = None,
    models: Mapping[str, Any] | Sequence[Any] = (),
    call: "Callable[[], bool]" = bool,
    seed: Seed = 0,
    legacy: LegacySeed = 0,
    count: Count | None = None,
    **further: Any,
) -> dict[str, Any]:
    """A function of every kind of argument."""
    return {**locals(), **further}


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("whole", np.int64(-3), -3),
        ("whole", np.uint8(3), 3),
        ("number", np.float32(0.5), 0.5),
        ("number", 3, 3),
        ("number", Fraction(1, 4), 0.25),
        ("truth", np.True_, True),
        ("truth", np.array(True), True),
        ("text", np.str_("a"), "a"),
        ("file", "a/b", Path("a/b")),
        ("folder", Path("a"), Path("a")),
        ("numbers", [1, np.float64(2.5)], (1, 2.5)),
        ("numbers", np.array([1, 2]), (1, 2)),
        ("pair", [1, "a"], (1, "a")),
        ("models", ["a"], ("a",)),
        ("models", {"a": 1}, {"a": 1}),
        ("seed", np.uint64(2**63 - 1), 2**63 - 1),
        ("legacy", 2**32 - 1, 2**32 - 1),
        ("further", "anything", "anything"),
    ],
)
def test_what_is_unambiguous_is_taken(name: str, given: Any, taken: Any) -> None:
    """As Python's own type."""
    found = door(**{name: given})[name]
    assert found == taken
    assert type(found) is type(taken)


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("whole", 11.0, "`whole` must be a whole number, not 11.0"),
        ("whole", np.float64(2.5), "`whole` must be a whole number, not 2.5"),
        ("whole", True, "`whole` must be a whole number, not True"),
        ("number", float("nan"), "`number` must be a finite number, not nan"),
        ("number", 10**400, "`number` must be a finite number, not a number of 1329 bits"),
        ("truth", 1, "`truth` must be True or False, not 1"),
        ("text", Path("a"), "`text` must be a text or None, not the path 'a'"),
        ("text", "a\n" * 100, None),
        ("folder", 5, "`folder` must be a text or a path, not 5"),
        ("numbers", "12", "`numbers` must be a list (each a finite number), not '12'"),
        ("numbers", (1, float("nan")), "`numbers` must be a list (each a finite number), not a tuple with nan"),
        ("pair", (1, 2), "`pair` must be a pair (a whole number, a text) or None, not a tuple with 2"),
        ("models", {1: 2}, "`models` must be a dict by names or a list, not a dict"),
        ("call", 5, "`call` must be a function, not 5"),
        ("seed", -1, "`seed` must be a whole number from 0 up, not -1"),
        ("legacy", 2**32, "`legacy` must be a whole number from 0 to 4294967295, not 4294967296"),
        ("count", 0, "`count` must be a whole number from 1 up or None, not 0"),
        ("call", "a\n" * 100, "`call` must be a function, not '" + "a\\n" * 19 + "a\\…"),
        ("whole", np.zeros((2, 3)), "`whole` must be a whole number, not a ndarray of float64 [2, 3]"),
    ],
)
def test_the_rest_is_named_with_what_is_taken(name: str, given: Any, told: str | None) -> None:
    """In one line, whatever the value is."""
    if told is None:
        assert door(**{name: given})[name] == given
        return
    with pytest.raises(InputError) as caught:
        door(**{name: given})
    assert str(caught.value) == told


def test_calls_that_do_not_fit_are_python_s_own_errors() -> None:
    """They name the function."""
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
        checked(lambda one: one)(1, 2)  # type: ignore[call-arg]


def test_a_required_argument_of_any_kind_is_not_none() -> None:
    """An optional one may be."""

    @checked
    def opened(source: Any, other: Any = 1) -> tuple[Any, Any]:
        return source, other

    assert opened(5, None) == (5, None)
    with pytest.raises(InputError, match="`source` is missing: it is None"):
        opened(None)
