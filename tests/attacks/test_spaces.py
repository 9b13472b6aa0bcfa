"""The spaces that attacks match: class indicators against a reference that ranks one row at a time."""

import pytest
import torch
from torch import Tensor

from fidprobe.attacks import spaces
from fidprobe.attacks.spaces import AttackSpace
from fidprobe.errors import InputError
from fidprobe.features.value import Features


def logits(rows: int, classes: int, *, seed: int = 0) -> Tensor:
    return torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed))


def indicators(space: AttackSpace, values: Tensor) -> Tensor:
    return space.rows(Features(torch.zeros(len(values), 1), values))


def ranked(values: Tensor, ranks: range) -> Tensor:
    """Indicators of the classes at these ranks, by Python's stable sort."""
    out = torch.zeros(values.shape, dtype=torch.bool)
    for i, row in enumerate(values.tolist()):
        order = sorted(range(len(row)), key=lambda c: -row[c])
        for rank in ranks:
            out[i, order[rank]] = True
    return out


@pytest.mark.parametrize(("classes", "n"), [(10, 1), (10, 2), (10, 5), (11, 3), (11, 5), (2, 1), (3, 1), (1008, 54)])
def test_top_n_marks_the_n_most_probable_classes(classes: int, n: int) -> None:
    values = logits(40, classes)
    marked = indicators(AttackSpace("top-n", n), values)
    assert torch.equal(marked, ranked(values, range(n)))
    assert marked.dtype == torch.bool


@pytest.mark.parametrize(
    ("classes", "n", "first"),
    [(10, 1, 5), (10, 2, 4), (10, 3, 4), (10, 5, 3), (11, 1, 5), (11, 4, 3), (2, 1, 1), (1008, 54, 477)],
)
def test_middle_n_marks_the_ranks_around_the_middle(classes: int, n: int, first: int) -> None:
    """Ranks, counted from 0, from half of the classes less half of N."""
    values = logits(40, classes)
    assert torch.equal(indicators(AttackSpace("middle-n", n), values), ranked(values, range(first, first + n)))


@pytest.mark.parametrize("name", ["top-n", "middle-n"])
@pytest.mark.parametrize("levels", [1, 2, 5])
def test_equal_logits_go_to_the_class_that_comes_first(name: str, levels: int) -> None:
    """Also those at a border of the marked ranks, and zeros of both signs."""
    values = torch.randint(levels, (200, 13), generator=torch.Generator().manual_seed(levels)).float()
    values[:, ::2] *= -1
    for n in range(1, 7):
        first = 0 if name == "top-n" else 6 - n // 2
        assert torch.equal(indicators(AttackSpace(name, n), values), ranked(values, range(first, first + n)))


def test_rows_are_marked_alike_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    values = logits(50, 9)
    whole = indicators(AttackSpace("middle-n", 3), values)
    monkeypatch.setattr(spaces, "_ROWS", 7)
    assert torch.equal(indicators(AttackSpace("middle-n", 3), values), whole)


def test_marks_do_not_depend_on_scale_nor_on_what_all_classes_share() -> None:
    """As softmax probabilities rank like logits."""
    values = logits(30, 20)
    expected = indicators(AttackSpace("top-n", 4), values)
    assert torch.equal(indicators(AttackSpace("top-n", 4), values * 0.25), expected)
    assert torch.equal(indicators(AttackSpace("top-n", 4), values.softmax(dim=1)), expected)


def test_pre_logits_and_logits_are_the_features_own_tensors() -> None:
    """Nothing is copied: they may be larger than memory."""
    features = Features(torch.rand(5, 3), logits(5, 4))
    assert AttackSpace("pre-logits").rows(features) is features.features
    assert AttackSpace("logits").rows(features) is features.logits


def test_the_name_of_a_space_tells_n() -> None:
    assert [str(AttackSpace("top-n", 5)), str(AttackSpace("middle-n", 12)), str(AttackSpace("pre-logits"))] == [
        "top-5",
        "middle-12",
        "pre-logits",
    ]


@pytest.mark.parametrize(
    ("name", "n", "message"),
    [
        ("softmax", None, "unknown attack space 'softmax'; choose from pre-logits, logits, top-n, middle-n"),
        ("top-n", None, "top-n needs n"),
        ("logits", 3, "logits takes no n"),
        ("top-n", 0, "marks at least 1 class, not 0"),
        ("middle-n", -2, "marks at least 1 class, not -2"),
    ],
)
def test_spaces_that_do_not_exist_are_refused(name: str, n: int | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        AttackSpace(name, n)


def test_more_than_half_of_the_classes_are_refused() -> None:
    """Half of them is the limit, also of an odd number."""
    for classes in (8, 9):
        assert indicators(AttackSpace("top-n", 4), logits(3, classes)).sum() == 12
        with pytest.raises(InputError, match=f"top-5 of {classes} classes: N must be at most 4"):
            indicators(AttackSpace("top-n", 5), logits(3, classes))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_logits_that_are_not_finite_are_named_by_row(bad: float, monkeypatch: pytest.MonkeyPatch) -> None:
    values = logits(10, 6)
    values[7, 2] = bad
    monkeypatch.setattr(spaces, "_ROWS", 4)
    with pytest.raises(InputError, match="logits row 7 holds NaN or infinite values"):
        indicators(AttackSpace("top-n", 2), values)


@pytest.mark.parametrize("space", [AttackSpace("logits"), AttackSpace("top-n", 1), AttackSpace("middle-n", 1)])
def test_features_without_logits_are_refused(space: AttackSpace) -> None:
    with pytest.raises(InputError, match=f"attack on {space} needs a classifier's logits"):
        space.rows(Features(torch.rand(4, 3)))
