"""The networks against the tables of AM-GAN's appendix F and the lecture notes' guidelines."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fidprobe.generators.networks import LATENT, Discriminator, Generator, _Dropout, dcgan_discriminator


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def shapes(network: nn.Module, kinds: tuple[type[nn.Module], ...], inputs: Tensor) -> list[tuple[int, ...]]:
    """What the layers of some kinds give for one input, in order, without its batch."""
    seen: list[tuple[int, ...]] = []
    for module in network.modules():
        if isinstance(module, kinds):
            module.register_forward_hook(lambda _m, _i, out: seen.append(tuple(out.shape[1:])))
    with torch.no_grad():
        network.eval()(inputs)
    return seen


def noise(n: int, seed: int = 0, latent: int = LATENT) -> Tensor:
    return torch.randn(n, latent, generator=torch.Generator().manual_seed(seed))


def normalised(entering: int, leaving: int, kernel: int) -> int:
    """Weights of a weight-normalised layer without biases: directions and a length for each output."""
    return entering * leaving * kernel + leaving


def test_the_generator_is_appendix_fs() -> None:
    """Output sizes and weights of its table: 4.7 million with lengths and the four batch normalisations."""
    generator = Generator()
    layers = (nn.Linear, nn.ConvTranspose2d, nn.Conv2d)
    assert shapes(generator, layers, noise(1)) == [
        (4 * 4 * 768,),
        (384, 8, 8),
        (192, 16, 16),
        (96, 32, 32),
        (3, 32, 32),
    ]
    weights = (
        normalised(100, 16 * 768, 1)
        + normalised(768, 384, 9)
        + normalised(384, 192, 9)
        + normalised(192, 96, 9)
        + (normalised(96, 3, 9) + 3)
    )
    assert count(generator) == weights + 2 * (768 + 384 + 192 + 96)
    strides = [m.stride for m in generator.modules() if isinstance(m, nn.ConvTranspose2d | nn.Conv2d)]
    assert strides == [(2, 2), (2, 2), (2, 2), (1, 1)]


def test_a_conditional_generator_has_110_inputs() -> None:
    """Appendix F: 100 of noise and one for each of 10 classes."""
    generator = Generator(classes=10)
    assert generator.linear.in_features == 110
    assert count(generator) - count(Generator()) == 10 * 16 * 768


@pytest.mark.parametrize(("extended", "outputs"), [(False, 11), (True, 11), (False, 2), (True, 12)])
def test_the_discriminator_is_appendix_fs(extended: bool, outputs: int) -> None:
    """Output sizes and weights of its table; the starred layer only for predefined labels."""
    discriminator = Discriminator(outputs, extended=extended)
    expected: list[tuple[int, ...]] = [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]
    more = [(512, 4, 4)] if extended else []
    assert shapes(discriminator, (nn.Conv2d, nn.Linear), torch.zeros(1, 3, 32, 32)) == [*expected, *more, (outputs,)]
    weights = normalised(3, 64, 9) + normalised(64, 128, 9) + normalised(128, 256, 9) + normalised(256, 512, 9)
    weights += 2 * (64 + 128 + 256 + 512) + normalised(512, outputs, 1) + outputs
    if extended:
        weights += normalised(512, 512, 9) + 2 * 512
    assert count(discriminator) == weights
    assert [m.share for m in discriminator.modules() if isinstance(m, _Dropout)] == [0.3] * (6 if extended else 5)
    assert discriminator.noise == 0.1


def test_a_width_multiplies_the_channels() -> None:
    """At a quarter: 192, 96, 48, 24 and 16, 32, 64, 128; at almost nothing, one channel each."""
    maps = shapes(Generator(width=0.25), (nn.ConvTranspose2d,), noise(1))
    assert maps == [(96, 8, 8), (48, 16, 16), (24, 32, 32)]
    assert Generator(width=0.25).linear.out_features == 16 * 192
    maps = shapes(Discriminator(11, width=0.25), (nn.Conv2d,), torch.zeros(1, 3, 32, 32))
    assert maps == [(16, 32, 32), (32, 16, 16), (64, 8, 8), (128, 4, 4)]
    assert Generator(width=1e-6)(noise(2)).shape == (2, 3, 32, 32)
    assert Discriminator(2, width=1e-6)(torch.zeros(2, 3, 32, 32)).shape == (2, 2)


def test_every_weight_is_normalised() -> None:
    """Appendix F, "weight normalization for each weight": each output's weights have the length that is learnt."""
    for network in (Generator(width=0.1), Discriminator(11, width=0.25, extended=True)):
        seen = 0
        for module in network.modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                lengths = module.get_parameter("parametrizations.weight.original0")
                with torch.no_grad():
                    lengths.uniform_(0.5, 2.0)
                outputs = 1 if isinstance(module, nn.ConvTranspose2d) else 0
                norms = module.weight.transpose(0, outputs).flatten(1).norm(dim=1)
                assert torch.allclose(norms, lengths.flatten(), rtol=1e-5)
                seen += 1
        assert seen == (5 if isinstance(network, Generator) else 6)


def test_generated_samples_are_pictures_in_range() -> None:
    """float32 [n, 3, 32, 32] in -1..1, also inside bfloat16 arithmetic: 8-bit pictures need more levels."""
    generator = Generator(width=0.1).eval()
    with torch.no_grad():
        whole = generator(100 * noise(5))
        assert whole.shape == (5, 3, 32, 32)
        assert whole.abs().max() <= 1
        plain = generator(noise(64))
        with torch.autocast("cpu", torch.bfloat16):
            mixed = generator(noise(64))
            assert Discriminator(2, width=0.1)(mixed).dtype == torch.float32
    assert mixed.dtype == torch.float32
    assert (mixed != mixed.bfloat16().float()).float().mean() > 0.5
    assert torch.allclose(mixed, plain, atol=0.05)


def test_classes_join_the_noise_as_one_hot_vectors() -> None:
    """Where the weights of the classes are zero, classes do not matter; elsewhere they do."""
    torch.manual_seed(0)
    generator = Generator(width=0.1, classes=3, weights_normalised=False).eval()
    z = noise(1).expand(3, -1)
    with torch.no_grad():
        different = generator(z, torch.arange(3))
        assert not torch.allclose(different[0], different[1])
        # Rows of one batch take different ways through a processor's vectors.
        torch.testing.assert_close(generator(z, torch.tensor([2, 2, 0]))[0], different[2])
        generator.linear.weight[:, LATENT:] = 0
        same = generator(z, torch.arange(3))
    torch.testing.assert_close(same[0], same[1])
    torch.testing.assert_close(same[0], same[2])


# What only training has


@pytest.mark.parametrize("shape", [(40, 64, 8, 8), (500, 333), (7, 3, 5, 5)])
@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels_last"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.01])
def test_dropout_keeps_its_share_and_the_expectation(shape: tuple[int, ...], last: bool, share: float) -> None:
    """What is kept is multiplied by 1 / (1 - share); how many are kept is within 5 sigma of the binomial mean."""
    if last and len(shape) == 2:
        pytest.skip("matrices have one layout")
    values = torch.full(shape, 3.0)
    if last:
        values = values.contiguous(memory_format=torch.channels_last)
    torch.manual_seed(1)
    dropped = _Dropout(share)(values)
    assert dropped.shape == values.shape
    kept = dropped != 0
    assert torch.allclose(dropped[kept], torch.tensor(3.0 / (1 - share)))
    n = values.numel()
    assert abs(int(kept.sum()) - n * (1 - share)) < 5 * (n * share * (1 - share)) ** 0.5


def test_dropout_of_each_value_is_drawn_by_itself() -> None:
    """Neighbours in any dimension are not dropped together more often than chance has it."""
    torch.manual_seed(0)
    kept = (_Dropout(0.5)(torch.ones(50, 32, 16, 16)) != 0).float() * 2 - 1
    for dim in range(4):
        together = (kept.narrow(dim, 1, kept.shape[dim] - 1) * kept.narrow(dim, 0, kept.shape[dim] - 1)).mean()
        assert abs(together) < 5 / (kept.numel() * 0.9) ** 0.5
    for dims in ((0,), (1,), (2, 3)):
        assert kept.mean(dims).std() < 1.2 * (50 * 32 * 256 / kept.mean(dims).numel()) ** -0.5


def test_dropout_is_seeded_by_the_global_generator_and_drawn_anew() -> None:
    """The training loop seeds every step."""
    values = torch.ones(10, 30)
    drop = _Dropout(0.3)
    torch.manual_seed(5)
    first, second = drop(values), drop(values)
    torch.manual_seed(5)
    assert torch.equal(drop(values), first)
    assert not torch.equal(first, second)


def test_dropout_passes_gradients_to_what_it_kept() -> None:
    """The derivative is the mask times 1 / (1 - share)."""
    values = torch.ones(4, 50, requires_grad=True)
    dropped = _Dropout(0.4)(values)
    dropped.sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad, dropped.detach())


def test_dropout_does_nothing_in_evaluation_or_with_no_share() -> None:
    """The identity, and nothing is drawn."""
    values = torch.randn(3, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    before = torch.get_rng_state()
    assert _Dropout(0.3).eval()(values) is values
    assert _Dropout(0.0)(values) is values
    assert torch.equal(torch.get_rng_state(), before)


def test_the_discriminators_noise_is_gaussian_and_of_training_alone() -> None:
    """N(0, 0.1) on the pictures (appendix F): mean and standard deviation within 5 standard errors."""
    discriminator = Discriminator(2, width=0.1)
    seen: list[Tensor] = []
    discriminator.layers[0].register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0]))
    torch.manual_seed(0)
    pictures = torch.full((20, 3, 32, 32), 0.25)
    with torch.no_grad():
        discriminator(pictures)
        discriminator.eval()(pictures)
    noisy, clean = seen
    assert torch.equal(clean, pictures)
    n = pictures.numel()
    added = (noisy - pictures).double()
    assert abs(added.mean()) < 5 * 0.1 / n**0.5
    assert abs(added.std() - 0.1) < 5 * 0.1 / (2 * n) ** 0.5
    assert abs((added**4).mean() / added.var() ** 2 - 3) < 5 * (24 / n) ** 0.5  # a Gaussian's kurtosis


# What is left after training


def trained(**options: bool | int) -> Generator:
    """A small generator after a few steps towards some pictures: nothing of it is as it began."""
    with torch.random.fork_rng([]):
        torch.manual_seed(3)
        generator = Generator(width=0.05, **options)  # type: ignore[arg-type]
        wanted = torch.rand(16, 3, 32, 32) * 2 - 1
    optimizer = torch.optim.Adam(generator.parameters(), lr=0.02)
    for step in range(6):
        classes = torch.arange(16) % generator.classes if generator.classes else None
        loss = (generator(noise(16, step), classes) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return generator


@pytest.mark.parametrize(
    "options",
    [{}, {"classes": 4}, {"weights_normalised": False}, {"weights_normalised": False, "leaky": False}],
    ids=["am-gan", "conditional", "dcgan", "dcgan-relu"],
)
def test_a_plain_generator_gives_the_same_pictures(options: dict[str, bool | int]) -> None:
    """Normalisations folded into weights and biases change pictures by no more than rounding."""
    generator = trained(**options)
    drawn, training = torch.get_rng_state(), generator.training
    plain = generator.plain()
    assert torch.equal(torch.get_rng_state(), drawn)
    assert generator.training == training
    classes = torch.arange(32) % generator.classes if generator.classes else None
    with torch.no_grad():
        expected = generator.eval()(noise(32, 9), classes)
        untouched = Generator(width=0.05, **options).eval()(noise(32, 9), classes)  # type: ignore[arg-type]
        ours = plain(noise(32, 9), classes)
    assert (ours - expected).abs().max() < 1e-5
    assert (untouched - expected).abs().mean() > 0.01
    assert not plain.training
    assert not any(p.requires_grad for p in plain.parameters())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in plain.modules())
    assert not any(parametrize.is_parametrized(m) for m in plain.modules())


def test_a_plain_generators_weights_are_those_of_one_made_plain() -> None:
    """What is saved of it is read by `normalised=False`."""
    plain = trained().plain()
    again = Generator(width=0.05, normalised=False)
    again.load_state_dict(plain.state_dict())
    with torch.no_grad():
        assert torch.equal(again(noise(3)), plain(noise(3)))
    assert list(plain.state_dict()) == [
        f"{layer}.{key}"
        for layer in ("linear", "layers.0", "layers.1", "layers.2", "last")
        for key in ("weight", "bias")
    ]


# DCGAN


def test_dcgans_discriminator_follows_the_guidelines() -> None:
    """Lecture, section 6: no pooling, no normalisation, strided convolutions, linear layers only at the end, leaky."""
    discriminator = dcgan_discriminator(2)
    kinds = [type(m) for m in discriminator]
    assert kinds == [*[nn.Conv2d, nn.LeakyReLU] * 3, nn.Flatten, nn.Linear]
    assert [m.stride for m in discriminator if isinstance(m, nn.Conv2d)] == [(2, 2)] * 3
    assert [m.negative_slope for m in discriminator if isinstance(m, nn.LeakyReLU)] == [0.2] * 3
    convolutions = 16 * (3 * 64 + 64 * 128 + 128 * 256) + 64 + 128 + 256
    assert count(discriminator) == convolutions + 16 * 256 * 2 + 2
    assert shapes(discriminator, (nn.Conv2d, nn.Linear), torch.zeros(1, 3, 32, 32)) == [
        (64, 16, 16),
        (128, 8, 8),
        (256, 4, 4),
        (2,),
    ]


def test_dcgans_with_relus() -> None:
    """Fig. 17 and 18: negative values pass neither network."""
    negative = torch.tensor([-1.0, 2.0])
    rectified = [m(negative).tolist() for m in dcgan_discriminator(2, leaky=False) if isinstance(m, nn.LeakyReLU)]
    assert rectified == [[0.0, 2.0]] * 3
    torch.manual_seed(0)
    leaky = Generator(width=0.05, weights_normalised=False)
    plain = Generator(width=0.05, weights_normalised=False, leaky=False)
    plain.load_state_dict(leaky.state_dict())
    least: list[float] = []
    for network in (leaky, plain):
        network.last.register_forward_pre_hook(lambda _m, inputs: least.append(inputs[0].min().item()))
        with torch.no_grad():
            network(noise(8))
    assert least[0] < 0
    assert least[1] == 0


def test_dcgans_generator_is_normalised_by_batch_alone() -> None:
    """Batch normalisation after every layer but the last, and plain weights."""
    generator = Generator(width=0.05, weights_normalised=False)
    assert sum(isinstance(m, nn.BatchNorm2d) for m in generator.modules()) == 4
    assert not any(parametrize.is_parametrized(m) for m in generator.modules())


@settings(max_examples=10, deadline=None)
@given(n=st.integers(1, 5), width=st.floats(0.01, 0.1), latent=st.integers(1, 20))
def test_any_size_of_network_takes_any_batch(n: int, width: float, latent: int) -> None:
    """From noise of any dimension to logits."""
    with torch.no_grad():
        pictures = Generator(width=width, latent=latent).eval()(noise(n, latent=latent))
        assert pictures.shape == (n, 3, 32, 32)
        assert Discriminator(4, width=width).eval()(pictures).shape == (n, 4)
        assert dcgan_discriminator(2, width=width)(pictures).shape == (n, 2)
