"""The contrastive loss against a double loop, and learning that makes two views of a picture meet."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fidprobe.training.encoder import EncoderTask, decoupled_contrastive_loss
from fidprobe.training.loop import Batch, train
from fidprobe.training.scales import warm_cosine


def written_out(first: np.ndarray, second: np.ndarray, temperature: float) -> float:
    """Yeh et al. 2022, Eq. 6: for each view, minus its pair's similarity, plus the log of the sum over the views of
    other pictures."""
    views = [(i, v / np.linalg.norm(v)) for half in (first, second) for i, v in enumerate(half)]
    losses = []
    for place, (picture, view) in enumerate(views):
        other = views[(place + len(first)) % len(views)][1]
        negatives = [math.exp(view @ v / temperature) for i, v in views if i != picture]
        losses.append(-(view @ other) / temperature + math.log(sum(negatives)))
    return float(np.mean(losses))


@settings(max_examples=25, deadline=None)
@given(n=st.integers(2, 6), seed=st.integers(0, 2**32 - 1), temperature=st.floats(0.05, 2))
def test_the_loss_is_the_papers(n: int, seed: int, temperature: float) -> None:
    """Against two loops in numpy, whatever the lengths of the vectors."""
    first, second = np.random.default_rng(seed).normal(scale=3.0, size=(2, n, 5))
    ours = decoupled_contrastive_loss(torch.tensor(first), torch.tensor(second), temperature)
    assert ours.item() == pytest.approx(written_out(first, second, temperature), rel=1e-10)


@pytest.mark.parametrize("n", [2, 5, 64])
def test_views_that_say_nothing_cost_the_log_of_the_others_number(n: int) -> None:
    """All alike: -1/t + log(2 (n - 1) exp(1/t)) = log(2 (n - 1)), at any temperature."""
    views = torch.ones(n, 3, dtype=torch.float64)
    for temperature in (0.1, 1.0):
        loss = decoupled_contrastive_loss(views, views, temperature).item()
        assert loss == pytest.approx(math.log(2 * (n - 1)), rel=1e-12)


def test_the_loss_of_views_that_meet_and_differ_from_others() -> None:
    """Two pictures at opposite ends: -1/t + log(2 exp(-1/t)) = log 2 - 2/t."""
    views = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    assert decoupled_contrastive_loss(views, 3 * views, 0.5).item() == pytest.approx(math.log(2) - 4, rel=1e-12)
    swapped = decoupled_contrastive_loss(views, views.flip(0), 0.5).item()  # each pair at opposite ends
    assert swapped == pytest.approx(2 + math.log(math.exp(-2) + math.exp(2)), rel=1e-12)


def test_the_learning_rate_rises_in_a_line_and_falls_in_a_cosine() -> None:
    """1 after a twentieth of the run, a half in the middle of the rest, 0 at the end; never 0 at the first step."""
    assert warm_cosine(0) == pytest.approx(0.02)
    assert warm_cosine(0.025) == pytest.approx(0.5)
    assert warm_cosine(0.05) == pytest.approx(1)
    assert warm_cosine(0.525) == pytest.approx(0.5)
    assert warm_cosine(1) == pytest.approx(0, abs=1e-12)


def small(**options: float) -> EncoderTask:
    return EncoderTask(stem=8, widths=(8, 16), blocks=(1, 1), view=16, **options)  # type: ignore[arg-type]


def stripes(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures of eight kinds, of different brightness and coarseness."""
    kinds = torch.arange(n) % 8
    columns = torch.arange(32)
    waves = torch.sin(columns / (1 + kinds[:, None] % 4)) * (1 + kinds[:, None] // 4) * 60 + 128
    return waves[:, None, None].expand(n, 3, 32, 32).to(torch.uint8), kinds


def test_learning_makes_views_of_a_picture_meet(tmp_path: Path) -> None:
    """From about the log of the others' number (nothing known) to well below."""
    images, labels = stripes(64)
    task = small(learning_rate=1e-2)
    trained = train(task, images, labels, steps=40, batch_size=32, seed=0, checkpoint=tmp_path / "run", save_every=1000)
    assert trained.names == ("contrastive loss",)
    early, late = trained.losses[:5].mean(), trained.losses[-5:].mean()
    assert late < early - 0.5
    assert late < math.log(62) - 0.5


def test_labels_do_not_matter(tmp_path: Path) -> None:
    """The same weights, whatever the pictures are said to be."""
    images, labels = stripes(16)
    weights = []
    for name, said in (("one", labels), ("other", labels.flip(0))):
        task = small()
        train(task, images, said, steps=3, batch_size=8, seed=0, checkpoint=tmp_path / name, save_every=1000)
        weights.append(torch.cat([p.flatten() for p in task.network.parameters()]))
    assert torch.equal(weights[0], weights[1])


def test_the_first_weights_hang_on_the_seed_alone() -> None:
    """And the global random state is left alone."""
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, same, other = small(seed=5), small(seed=5), small(seed=6)
    assert torch.equal(torch.get_rng_state(), before)

    def first(task: EncoderTask) -> torch.Tensor:
        return next(task.network.parameters())

    assert torch.equal(first(one), first(same))
    assert not torch.equal(first(one), first(other))


def test_every_step_takes_the_schedules_rate() -> None:
    """Of the rate that was asked for."""
    images, labels = stripes(8)
    task = small(learning_rate=4e-3)
    for done in (0.025, 0.05, 0.525):
        task.step(Batch(images, labels, torch.Generator().manual_seed(0), done))
        assert task.optimizer.param_groups[0]["lr"] == pytest.approx(4e-3 * warm_cosine(done))


def test_mixed_precision_learns_the_same_to_its_digits() -> None:
    """bfloat16 inside the network; features and the loss stay float32."""
    images, labels = stripes(16)
    whole, mixed = small(), small(mixed_precision=True)
    losses = [
        task.step(Batch(images, labels, torch.Generator().manual_seed(0), 0.05))["contrastive loss"]
        for task in (whole, mixed)
    ]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert all(p.dtype == torch.float32 for p in mixed.network.parameters())
