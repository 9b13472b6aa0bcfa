"""What the lecture notes' figures of losses share: a loss of one sample and its slope, by the logit that gives D(x)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["CLOSED_FORM", "Array", "logit", "panels", "pointwise", "thinned", "two_logits"]

Array = npt.NDArray[np.float64]

CLOSED_FORM = "The notes print no numbers: in the paper's place stands what their equations give in closed form."


def logit(probability: npt.ArrayLike) -> Array:
    """The logit l whose sigmoid is D(x): any shape, of values inside 0..1."""
    p = np.asarray(probability, dtype=np.float64)
    return np.asarray(np.log(p) - np.log1p(-p))


def two_logits(margin: Tensor) -> Tensor:
    """[1, 2] logits of real and fake whose softmax is [sigmoid(l), 1 - sigmoid(l)]: [l, 0].

    Args:
        margin: l, a scalar.
    """
    return torch.stack([margin, torch.zeros_like(margin)])[None]


def pointwise(loss: Callable[[Tensor], Tensor], margins: Array) -> tuple[Array, Array]:
    """A loss at each logit, and its slope there by automatic differentiation.

    Args:
        loss: Scalar float64 logit -> scalar.
        margins: [n].

    Returns:
        Values and slopes, float64 [n] each.
    """
    at = torch.tensor(margins, dtype=torch.float64, requires_grad=True)
    values = torch.stack([loss(one) for one in at])
    (slopes,) = torch.autograd.grad(values.sum(), at)
    return values.detach().numpy(), slopes.numpy()


def thinned(curve: npt.ArrayLike, most: int = 81) -> list[float]:
    """Evenly chosen points of a curve, first and last among them, rounded to six digits: enough to draw it again."""
    values = np.asarray(curve, dtype=np.float64)
    places = np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int)
    return [float(f"{value:.6g}") for value in values[places]]


def panels(number: int, *, width: float = 6.4, height: float = 2.9, rows: int = 1) -> "tuple[Figure, list[Axes]]":
    """A figure of panels beside each other, in the project's style; to be called within `styled()`.

    Args:
        number: Of panels.
        width: Of the figure in inches.
        height: Likewise.
        rows: That the panels fill, `number` / `rows` in each.
    """
    from matplotlib.figure import Figure

    from fidprobe.analysis.output.model_points import style_scatter

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = list(figure.subplots(rows, number // rows, squeeze=False).ravel())
    for one in axes:
        style_scatter(one)
    return figure, axes
