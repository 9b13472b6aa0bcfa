"""The figure of class entropies shows the numbers it is given, whatever the names and how many."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.patches import Rectangle

from fidprobe.analysis.output.figure_style import svg
from fidprobe.errors import InputError
from fidprobe.features.value import Features
from reproduce.amgan_fig4 import class_entropies_figure
from reproduce.class_entropies import ClassEntropies, class_entropies


def measured(classes: int, predicted: int = 12, seed: int = 0) -> ClassEntropies:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(8 * classes, predicted, generator=generator)
    labels = [f"class {i % classes:03d}" for i in range(len(logits))]
    return class_entropies(Features(torch.ones(len(logits), 2), logits=logits), labels=labels)


def labels_of(axes: object) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]  # type: ignore[attr-defined]


def test_panels_show_probabilities_and_quantiles() -> None:
    """Panel a falls from the most probable class; each box of b lies from quartile to quartile."""
    found = measured(3)
    figure = class_entropies_figure([found])
    top, doubt = figure.axes
    step = next(np.asarray(line.get_ydata()) for line in top.lines if np.size(line.get_ydata()) == 12)
    assert step.tolist() == pytest.approx(sorted((100 * p for p in found.mean_probabilities), reverse=True))
    rows = [*found.classes, found.whole]
    for patch, row in zip(doubt.patches, rows, strict=True):
        assert isinstance(patch, Rectangle)
        assert (patch.get_x(), patch.get_x() + patch.get_width()) == pytest.approx((row.quantiles[1], row.quantiles[3]))
    assert labels_of(doubt) == ["class 000", "class 001", "class 002", "all images"]


def test_a_second_classifier_has_a_panel_of_its_own_with_the_share_of_clear_images() -> None:
    first, own = measured(2), measured(2, predicted=2, seed=1)
    own = replace(own, space="own $x$ classifier", whole=replace(own.whole, clear=0.996))
    figure = class_entropies_figure([first, own])
    assert len(figure.axes) == 3
    text = svg(figure, title="t")
    assert "99.6 % below 0.05 nats" in text
    assert "c) own $x$ classifier" in text
    assert labels_of(figure.axes[2]) == ["", "", ""]


def test_of_many_classes_those_of_least_and_most_doubt_are_shown() -> None:
    found = measured(50)
    figure = class_entropies_figure([found])
    shown = labels_of(figure.axes[1])
    by_mean = [row.name for row in sorted(found.classes, key=lambda row: row.mean)]
    assert shown == [*by_mean[:15], *by_mean[-15:], "all images"]
    assert "30 of 50 classes" in svg(figure, title="t")


def test_what_cannot_be_drawn_is_named() -> None:
    with pytest.raises(InputError, match="no class entropies to draw"):
        class_entropies_figure([])
    with pytest.raises(InputError, match="saw images of other classes"):
        class_entropies_figure([measured(2), measured(3)])
