"""Training curves: a panel for the losses and one for each score that was taken."""

import numpy as np
import torch

from fidprobe.training.curves import curves_figure
from fidprobe.training.evaluation import Evaluation
from fidprobe.training.loop import Trained


def test_a_run_without_scores_shows_its_losses_alone() -> None:
    trained = Trained(3, ("discriminator loss", "generator loss"), torch.tensor([[3.0, 1.0], [2.0, 2.0], [1.0, 3.0]]))
    (axes,) = curves_figure(trained, ()).axes
    assert [np.asarray(line.get_ydata()).tolist() for line in axes.lines] == [[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]]
    assert [np.asarray(line.get_xdata()).tolist() for line in axes.lines] == [[1.0, 2.0, 3.0]] * 2


def test_long_runs_are_drawn_as_means_over_steps() -> None:
    losses = torch.arange(4000, dtype=torch.float64)[:, None]
    (axes,) = curves_figure(Trained(4000, ("loss",), losses), ()).axes
    steps, means = (np.asarray(values) for values in axes.lines[0].get_data())
    assert len(steps) == 400
    assert means[0] == 4.5  # of 0 to 9
    assert steps[0] == 5.5  # of steps 1 to 10


def test_each_space_has_a_panel_of_its_own_and_each_score_its_terms() -> None:
    trained = Trained(2, ("loss",), torch.ones(2, 1, dtype=torch.float64))
    rows = [
        Evaluation(step, 100, {"inception": 9.0 / step, "clip": 0.1}, 5.0, 2.0, 0.4, 0.5, 0.2, 0.3) for step in (1, 2)
    ]
    axes = curves_figure(trained, rows).axes
    titles = [one.get_title(loc="left") for one in axes]
    assert titles == ["losses", "FID", "FD[clip]", "Inception Score", "its terms (nats)", "AM Score (nats)"]
    assert np.asarray(axes[1].lines[0].get_ydata()).tolist() == [9.0, 4.5]
    legend = axes[5].get_legend()
    assert legend is not None
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["AM Score", "KL(train || generated)", "mean H(C(x))"]
