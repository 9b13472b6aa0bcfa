"""A GAN's step against the recursions written out, and the networks each kind trains."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fidprobe.generators.networks import Discriminator, Generator
from fidprobe.generators.variants import GANS, Smoothing
from fidprobe.training.gan import GanTask, new_gan
from fidprobe.training.loop import Batch, train
from fidprobe.training.scales import stairs


class Linear(nn.Linear):
    """A generator or discriminator of four weights, which remembers what it was given."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        with torch.no_grad():
            self.weight.copy_(torch.linspace(-0.5, 1.0, inputs * outputs).view(outputs, inputs))
            self.bias.copy_(torch.linspace(0.1, 0.3, outputs))
        self.seen: list[tuple[Tensor, Tensor | None, bool]] = []

    def forward(self, input: Tensor, classes: Tensor | None = None) -> Tensor:  # noqa: A002 - torch's name
        self.seen.append((input.detach().clone(), classes, self.weight.requires_grad))
        return super().forward(input)


def task(kind: str = "gan", classes: int = 3, **options: Any) -> GanTask:
    return GanTask(kind, Linear(2, 2), Linear(2, GANS[kind].outputs(classes)), latent=2, classes=classes, **options)


def batch(done: float = 0.0, seed: int = 0, n: int = 6) -> Batch:
    drawing = torch.Generator().manual_seed(seed)
    return Batch(torch.randn(n, 2, generator=drawing), torch.arange(n) % 3, drawing, done)


def test_the_learning_rate_comes_down_in_twenty_stairs_to_a_tenth() -> None:
    """Exponential decay with stairs: 10^(-k/20) from k/20 of the run to the next."""
    assert stairs(0) == 1
    assert stairs(1) == pytest.approx(0.1)
    seen = []
    for steps in (20, 60, 1000):  # a stair begins exactly at its step, whatever the rounding of step / steps
        values = [stairs(step / steps) for step in range(steps)]
        assert values == sorted(values, reverse=True)
        seen.append(sorted(set(values), reverse=True))
        assert [values.index(value) for value in seen[-1]] == [k * steps // 20 for k in range(20)]
    for values in seen:
        assert values == pytest.approx([10 ** (-k / 20) for k in range(20)])


def test_both_networks_learn_by_adam_with_the_papers_betas() -> None:
    """Appendix F: 0.5 and 0.999, from 0.0004."""
    for kind in ("am-gan", "dcgan"):
        optimizers = new_gan(kind, classes=3, width=0.02).optimizers
        assert set(optimizers) == {"generator", "discriminator"}
        for optimizer in optimizers.values():
            assert isinstance(optimizer, torch.optim.Adam)
            (group,) = optimizer.param_groups
            assert group["betas"] == (0.5, 0.999)
            assert group["lr"] == 4e-4
            assert (group["weight_decay"], group["amsgrad"]) == (0, False)


def test_a_step_takes_the_stairs_rate() -> None:
    """Of the first one: Adam's first step is the rate times the gradient's sign, for both networks."""
    trained = task(learning_rate=0.01)
    before = {name: module.state_dict()["bias"].clone() for name, module in trained.modules.items()}
    trained.step(batch(done=0.52))
    for name, module in trained.modules.items():
        moved = (module.state_dict()["bias"] - before[name]).abs()
        assert torch.allclose(moved, torch.full_like(moved, 0.01 * 10**-0.5), rtol=1e-3)


def test_the_discriminator_learns_from_as_many_real_as_generated_samples_then_the_generator() -> None:
    """Algorithm 1 of the lecture: its weights are frozen in the generator's turn, and the samples are new."""
    trained = task()
    generator, discriminator = trained.generator, trained.discriminator
    assert isinstance(generator, Linear)
    assert isinstance(discriminator, Linear)
    given = batch()
    before = discriminator.weight.detach().clone()
    trained.step(given)
    assert torch.equal(discriminator.seen[0][0], given.images)
    assert [len(samples) for samples, _, _ in discriminator.seen] == [6, 6, 6]
    assert [learning for _, _, learning in discriminator.seen] == [True, True, False]
    assert len(generator.seen) == 2
    assert not torch.equal(generator.seen[0][0], generator.seen[1][0])
    assert all(p.requires_grad for p in discriminator.parameters())
    assert not torch.equal(discriminator.weight, before)
    first, second = (noise for noise, _, _ in generator.seen)  # the step's own generator draws them, in order
    drawing = batch().generator
    assert torch.equal(first, torch.randn(6, 2, generator=drawing))
    assert torch.equal(second, torch.randn(6, 2, generator=drawing))


def test_a_step_is_adam_on_both_losses() -> None:
    """A step written out: torch's Adam on -log D_r of real, -log (1 - D_r) of generated; then -log D_r of new ones."""
    trained = task(learning_rate=0.01)
    generator, discriminator = Linear(2, 2), Linear(2, 2)
    adams = [torch.optim.Adam(m.parameters(), lr=0.01, betas=(0.5, 0.999)) for m in (generator, discriminator)]
    for step in range(4):
        told = trained.step(batch(seed=step))
        ours = batch(seed=step)

        def of_real(samples: Tensor) -> Tensor:
            logits = discriminator(samples)
            return torch.sigmoid(logits[:, 0] - logits[:, 1])

        fake = generator(torch.randn(6, 2, generator=ours.generator)).detach()
        discriminator_loss = -of_real(ours.images).log().mean() - (1 - of_real(fake)).log().mean()
        adams[1].zero_grad()
        discriminator_loss.backward()
        adams[1].step()
        generator_loss = -of_real(generator(torch.randn(6, 2, generator=ours.generator))).log().mean()
        adams[0].zero_grad()
        generator_loss.backward()
        adams[0].step()
        assert told["discriminator loss"] == pytest.approx(discriminator_loss.item(), rel=1e-5)
        assert told["generator loss"] == pytest.approx(generator_loss.item(), rel=1e-5)
        assert torch.allclose(trained.generator.state_dict()["weight"], generator.weight, atol=1e-6)
        assert torch.allclose(trained.discriminator.state_dict()["weight"], discriminator.weight, atol=1e-6)


def test_the_average_follows_its_recursion() -> None:
    """a <- 0.8 a + 0.2 w after each step, from the first weights; statistics too, counts copied."""
    trained = new_gan("gan", classes=1, width=0.02, average=0.8, learning_rate=0.01)
    assert trained.result is trained.averaged
    names = [name for name, value in trained.generator.state_dict().items() if value.is_floating_point()]
    expected = {name: trained.generator.state_dict()[name].double() for name in names}
    drawing = torch.Generator().manual_seed(0)
    for _ in range(5):
        images = torch.randint(256, (4, 3, 32, 32), generator=drawing, dtype=torch.uint8)
        trained.step(Batch(images, torch.zeros(4, dtype=torch.int64), drawing, 0.0))
        now = trained.generator.state_dict()
        expected = {name: 0.8 * expected[name] + 0.2 * now[name].double() for name in names}
    assert trained.averaged is not None
    ours = trained.averaged.state_dict()
    for name in names:
        assert torch.allclose(ours[name].double(), expected[name], rtol=1e-5, atol=1e-7)
    assert ours["norms.0.num_batches_tracked"] == now["norms.0.num_batches_tracked"] == 10
    assert not any(p.requires_grad for p in trained.averaged.parameters())


def test_without_an_average_the_generator_is_the_result() -> None:
    """And no third network is kept in checkpoints."""
    trained = task()
    assert trained.result is trained.generator
    assert set(trained.modules) == {"generator", "discriminator"}


def test_8_bit_pictures_are_brought_to_the_generators_range() -> None:
    """0..255 to -1..1 in even steps; other samples pass as they are."""
    trained = task()
    discriminator = trained.discriminator
    assert isinstance(discriminator, Linear)
    eight_bit = torch.tensor([[0, 255], [51, 204]], dtype=torch.uint8)
    trained.step(Batch(eight_bit, torch.zeros(2, dtype=torch.int64), torch.Generator(), 0.0))
    assert torch.allclose(discriminator.seen[0][0], torch.tensor([[-1.0, 1.0], [-0.6, 0.6]]))


def test_predefined_classes_are_given_to_the_generator_and_the_losses() -> None:
    """Uniformly drawn, by the step's generator; the AM-GAN generator's loss is of them."""
    trained = task("am-gan", predefined=True)
    generator = trained.generator
    assert isinstance(generator, Linear)
    logits: list[Tensor] = []
    trained.discriminator.register_forward_hook(lambda _m, _i, out: logits.append(out.detach()))
    told = [trained.step(batch(seed=seed, n=300)) for seed in range(3)]
    classes = [classes for _, classes, _ in generator.seen if classes is not None]
    assert len(classes) == 6
    counts = torch.bincount(torch.cat(classes), minlength=3)
    assert len(counts) == 3
    assert (counts - 600).abs().max() < 5 * (1800 * 2 / 9) ** 0.5
    expected = -logits[-1].log_softmax(1)[torch.arange(300), classes[-1]].mean()
    assert told[-1]["generator loss"] == pytest.approx(expected.item(), rel=1e-6)


def test_settings_tell_all_that_a_run_hangs_on() -> None:
    """Each option is in them, as plain JSON, so that a checkpoint of another run is refused."""
    one = new_gan("gan", classes=3, width=0.02)
    for changed in (
        {"predefined": True},
        {"smoothing": Smoothing(real=0.1)},
        {"smoothing": Smoothing(fake=0.1)},
        {"smoothing": Smoothing(generator=0.1)},
        {"auxiliary_weight": 0.1},
        {"learning_rate": 1e-3},
        {"average": 0.9},
        {"mixed_precision": True},
        {"leaky": False},
        {"seed": 1},
    ):
        assert new_gan("gan", classes=3, width=0.02, **changed).settings != one.settings
    assert new_gan("gan", classes=4, width=0.02).settings != one.settings
    assert new_gan("am-gan", classes=3, width=0.02).settings != one.settings
    assert new_gan("gan", classes=3, width=0.02).settings == one.settings


@pytest.mark.parametrize("predefined", [False, True])
@pytest.mark.parametrize("kind", GANS)
def test_every_kind_trains_its_papers_networks(kind: str, predefined: bool) -> None:
    """Appendix F's, with the further layer and a conditional generator for predefined labels; or DCGAN's."""
    made = new_gan(kind, classes=3, width=0.02, predefined=predefined)
    generator, discriminator = made.generator, made.discriminator
    assert isinstance(generator, Generator)
    assert generator.classes == (3 if predefined else 0)
    convolutions = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    if kind == "dcgan":
        assert isinstance(discriminator, nn.Sequential)
        assert len(convolutions) == 3
        assert not any("parametrizations" in name for name in generator.state_dict())
    else:
        assert isinstance(discriminator, Discriminator)
        assert len(convolutions) == (5 if predefined else 4)
        assert any("parametrizations" in name for name in generator.state_dict())
    images = torch.randint(256, (4, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    told = made.step(Batch(images, torch.tensor([0, 1, 2, 0]), torch.Generator().manual_seed(1), 0.0))
    assert all(torch.isfinite(torch.tensor(list(told.values()))))
    assert discriminator.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, GANS[kind].outputs(3))


def test_dcgans_first_weights_have_a_standard_deviation_of_a_fiftieth() -> None:
    """Radford et al.: N(0, 0.02) everywhere, 1 on average where batch normalisation scales."""
    made = new_gan("dcgan", classes=1, width=0.25)
    for network in (made.generator, made.discriminator):
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                n = module.weight.numel()
                assert abs(module.weight.mean()) < 5 * 0.02 / n**0.5
                assert abs(module.weight.std() - 0.02) < 5 * 0.02 / (2 * n) ** 0.5
            elif isinstance(module, nn.BatchNorm2d):
                assert abs(module.weight.mean() - 1) < 5 * 0.02 / len(module.weight) ** 0.5


def test_first_weights_hang_on_the_seed_and_leave_the_global_state_alone() -> None:
    """The same seed, the same networks, whatever was drawn before."""
    torch.manual_seed(0)
    before = torch.get_rng_state()
    one = new_gan("am-gan", classes=3, width=0.02, seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    same, other = (new_gan("am-gan", classes=3, width=0.02, seed=seed) for seed in (4, 5))
    for name, module in one.modules.items():
        for key, value in module.state_dict().items():
            assert torch.equal(same.modules[name].state_dict()[key], value)
    assert not torch.equal(one.generator.state_dict()["last.bias"], other.generator.state_dict()["last.bias"])


@pytest.mark.parametrize("kind", ["am-gan", "dcgan"])
def test_mixed_precision_learns_the_same_to_its_digits(kind: str, tmp_path: Path) -> None:
    """bfloat16 inside the networks: losses agree to some per cent and are no bfloat16 numbers, weights stay float32."""
    images = torch.randint(256, (16, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    labels = torch.arange(16) % 3
    losses = []
    for mixed in (False, True):
        made = new_gan(kind, classes=3, width=0.05, mixed_precision=mixed)
        path = tmp_path / str(mixed)
        losses.append(train(made, images, labels, steps=3, batch_size=16, seed=0, checkpoint=path, save_every=9).losses)
        assert all(p.dtype == torch.float32 for module in made.modules.values() for p in module.parameters())
    assert not torch.equal(losses[0], losses[1])
    assert torch.allclose(losses[0], losses[1], rtol=0.05)
    assert not torch.equal(losses[1], losses[1].bfloat16().double())
