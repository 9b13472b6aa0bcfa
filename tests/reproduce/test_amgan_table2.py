"""MS-SSIM of several sets side by side: which classes collapsed, and the figure."""

import math

import numpy as np
import pytest

from fidprobe.analysis.output.figure_style import svg
from fidprobe.errors import InputError, MismatchError
from fidprobe.metrics.ms_ssim import ClassSimilarity, IntraClassResult
from reproduce.amgan_table2 import collapsed_classes, intra_class_figure


def result(size: tuple[int, int] = (176, 176), **means: tuple[float, float | None]) -> IntraClassResult:
    return of(means, size)


def of(means: dict[str, tuple[float, float | None]], size: tuple[int, int] = (176, 176)) -> IntraClassResult:
    classes = tuple(ClassSimilarity(name, mean, error, 50, 100, 0.0) for name, (mean, error) in means.items())
    largest = max(classes, key=lambda one: one.mean)
    mean = sum(one.mean for one in classes) / len(classes)
    return IntraClassResult(classes, mean, largest.mean, largest.name, size, True, 100, 0, (), 0.0)


def test_collapsed_classes_are_beyond_three_standard_errors_of_the_difference() -> None:
    """0.2 - 0.1 at errors of 0.03 and 0.04 is 2 standard errors, at 0.006 and 0.008 ten."""
    real = result(a=(0.1, 0.03), b=(0.1, 0.006), c=(0.1, 0.01), d=(0.1, None), e=(0.1, 0.0), g=(0.5, 0.01))
    made = result(a=(0.2, 0.04), b=(0.2, 0.008), c=(0.05, 0.01), d=(0.9, 0.01), e=(1.0, 0.0), f=(0.9, 0.01))
    found = collapsed_classes(real, made)
    assert [one.name for one in found] == ["e", "b"]
    assert math.isinf(found[0].errors)
    assert found[1].errors == pytest.approx(10)
    assert (found[1].generated, found[1].reference) == (0.2, 0.1)


def test_sizes_that_differ_do_not_compare() -> None:
    with pytest.raises(MismatchError, match=r"176x176 \(the reference\), 256x176 \(the generated images\)"):
        collapsed_classes(result(a=(0.1, 0.1)), result((176, 256), a=(0.1, 0.1)))
    with pytest.raises(MismatchError, match="at several sizes"):
        intra_class_figure({"x": result(a=(0.1, 0.1)), "y": result((200, 200), a=(0.1, 0.1))})


def test_the_figure_has_a_mark_for_each_set_and_class() -> None:
    """Sets that lack a class have no mark there."""
    sets = {"real": result(cat=(0.1, 0.01), dog=(0.2, None)), "a $model$": result(cat=(0.6, 0.02))}
    figure = intra_class_figure(sets)
    (axes,) = figure.axes
    marks = [
        np.asarray(line.get_xdata()).tolist() for line in axes.lines if line.get_marker() not in ("", "None", None)
    ]
    assert marks == [[0.1, 0.2], [0.6]]
    text = svg(figure, title="t")
    for expected in ("cat", "dog", "real", "a $model$", "176 × 176 pixels", "largest: 0.600 (cat, a $model$)"):
        assert expected in text


def test_of_many_classes_those_most_alike_are_shown() -> None:
    many = of({f"class {i:02d}": (i / 100, 0.01) for i in range(40)})
    (axes,) = intra_class_figure({"real": many}).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"class {i:02d}" for i in range(10, 40)]
    assert "30 of 40 classes" in axes.get_xlabel()


def test_too_few_or_many_sets_are_named() -> None:
    one = result(a=(0.1, 0.1))
    for sets in ({}, {str(i): one for i in range(13)}):
        with pytest.raises(InputError, match="shows 1 to 12 sets"):
            intra_class_figure(sets)
