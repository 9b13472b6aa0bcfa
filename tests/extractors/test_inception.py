"""The 2015-12-05 Inception equals its peers' with the same weights, and loads their files."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fidprobe.errors import InputError, WeightsError
from fidprobe.extractors.inception import Inception, load_inception
from fidprobe.extractors.weights import ResolvedWeights
from tests.extractors import inception_peers as peers
from tests.extractors.contract import check_contract, pictures, relative

SIDES = (32, 256, 299)
SMALL = 75  # the least that the network takes; its last activations are then 1 x 1


def noise(count: int, side: int) -> Tensor:
    """The hardest pictures for a resize: independent uint8 pixels."""
    return torch.randint(
        0, 256, (count, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(side)
    )


def resolved(path: Path) -> ResolvedWeights:
    return ResolvedWeights(path, "1" * 64, verified=False)


@pytest.fixture(scope="module")
def torch_fidelity(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return peers.torch_fidelity_network(tmp_path_factory.mktemp("weights") / "inception.pth")


@pytest.mark.parametrize("side", SIDES)
def test_features_activations_and_logits_equal_torch_fidelity(torch_fidelity: Any, side: int) -> None:
    images = noise(2, side)
    grids: list[Tensor] = []
    hook = torch_fidelity.Mixed_7c.register_forward_hook(lambda _module, _inputs, output: grids.append(output.clone()))
    with torch.inference_mode():
        features, biasless, logits = torch_fidelity(images)
        extractor = peers.ours("tf1")
        grid = extractor.activations(extractor.prepare(images))
        out = extractor(images)
    hook.remove()
    assert out.logits is not None
    assert extractor.logit_bias is not None
    assert relative(out.features, features) < 1e-5
    assert relative(grid, grids[0]) < 1e-5
    assert relative(out.logits, logits) < 1e-5
    assert relative(out.logits - extractor.logit_bias, biasless) < 1e-5
    # The comparison means something only if images differ and the bias matters.
    assert relative(features[:1], features[1:]) > 1e-2
    assert relative(logits, biasless) > 1e-2


def test_rule_torch_equals_pytorch_fid() -> None:
    network = peers.pytorch_fid_network()
    for side in SIDES:
        images = noise(1, side)
        with torch.inference_mode():
            theirs = network(images.float() / 255)[0].flatten(1)
        assert relative(peers.ours("torch")(images).features, theirs) < 1e-5


def test_input_is_scaled_as_in_the_graph() -> None:
    """(x - 128) / 128 for tf1 and clean, 2 x / 255 - 1 for torch."""
    levels = torch.tensor([0, 128, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 3, 299, 299)
    for rule, expected in (("tf1", [-1, 0, 127 / 128]), ("clean", [-1, 0, 127 / 128]), ("torch", [-1, 1 / 255, 1])):
        prepared = peers.ours(rule).prepare(levels)
        torch.testing.assert_close(prepared[:, 0, 5, 7], torch.tensor(expected), rtol=0, atol=1e-6)


def test_extractor_contract() -> None:
    check_contract(peers.ours("tf1"), pictures(2), mean_pooled=True)


def test_batch_size_does_not_change_the_numbers() -> None:
    """1, 7 and 64 together; the network takes parts of pictures as well, which keeps it quick."""
    extractor = peers.ours("tf1")
    prepared = extractor.prepare(noise(64, 32))[:, :, :SMALL, :SMALL]
    with torch.inference_mode():
        whole = extractor.embed(prepared)
        assert whole.logits is not None
        for size in (1, 7):
            parts = [extractor.embed(part) for part in torch.split(prepared, size)]
            assert relative(torch.cat([part.features for part in parts]), whole.features) < 1e-5
            assert relative(torch.cat([part.logits for part in parts if part.logits is not None]), whole.logits) < 1e-5


def test_gradient_through_network_and_resize_equals_a_finite_difference() -> None:
    """Along the gradient itself, in a float64 copy of the network: the slope there is the gradient's norm."""
    extractor = Inception(peers.fresh_network(), "0" * 64, trained=False)
    extractor.network.double()
    generator = torch.Generator().manual_seed(3)
    images = (torch.rand(1, 3, 24, 24, generator=generator) * 200 + 20).requires_grad_()
    weights = torch.randn(2048, generator=generator, dtype=torch.float64)

    def score(x: Tensor) -> Tensor:
        return extractor.activations(extractor.prepare(x).double()).mean((2, 3)) @ weights

    (gradient,) = torch.autograd.grad(score(images).sum(), images)
    assert gradient.isfinite().all()
    step = 0.05 * gradient / gradient.norm()
    with torch.no_grad():
        slope = (score(images + step) - score(images - step)) / 0.1
    # The kinks of ReLU and maximum pooling leave about a part in a thousand.
    assert float(slope) == pytest.approx(float(gradient.norm()), rel=1e-2)


def test_freezing_changes_activations_by_rounding_only() -> None:
    network = peers.fresh_network().eval()
    prepared = peers.ours("tf1").prepare(noise(2, 64))[:, :, :SMALL, :SMALL]
    with torch.inference_mode():
        before = network(prepared)
        after = network.freeze()(prepared)
    assert relative(after, before) < 1e-5
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_state_dict_with_the_peers_names_loads(tmp_path: Path) -> None:
    """With or without batch counters, which old files lack."""
    state = peers.random_state()
    torch.save({name: value for name, value in state.items() if "num_batches" not in name}, tmp_path / "old.pth")
    torch.save(state, tmp_path / "new.pth")
    prepared = peers.ours("tf1").prepare(noise(2, 64))[:, :, :SMALL, :SMALL]
    expected = peers.ours("tf1").embed(prepared).features
    for name in ("old.pth", "new.pth"):
        extractor = load_inception(resolved(tmp_path / name))
        assert torch.equal(extractor.embed(prepared).features, expected)
    assert extractor.provenance.weights == "1" * 64
    assert extractor.provenance.resize == "tf1"
    assert extractor.provenance.trained
    assert not extractor.provenance.verified


def test_the_torchscript_layout_gives_what_the_graph_gives(tmp_path: Path) -> None:
    """Against a graph written out by its own names; the names are those of NVIDIA's archive."""
    generator = torch.Generator().manual_seed(5)
    prepared = torch.rand(1, 3, 107, 107, generator=generator) * 2 - 1
    state: dict[str, Tensor] = {}
    expected = peers.run_graph(prepared, state, generator=generator)
    state["output.weight"] = torch.randn(1008, 2048, generator=generator)
    state["output.bias"] = torch.randn(1008, generator=generator)
    peers.save_torchscript(state, tmp_path / "inception-2015-12-05.pt")
    extractor = load_inception(resolved(tmp_path / "inception-2015-12-05.pt"))
    with torch.inference_mode():
        assert relative(extractor.activations(prepared), expected) < 1e-5
        logits = extractor.embed(prepared).logits
    assert logits is not None
    theirs = expected.mean((2, 3)) @ state["output.weight"].T + state["output.bias"]
    assert relative(logits, theirs) < 1e-5
    assert extractor.logit_bias is not None
    assert torch.equal(extractor.logit_bias, state["output.bias"])


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    state = dict(peers.random_state())
    del state["Mixed_7c.branch_pool.bn.bias"]
    torch.save(state, tmp_path / "short.pth")
    with pytest.raises(WeightsError, match=r"short\.pth.*Mixed_7c\.branch_pool\.bn\.bias is missing"):
        load_inception(resolved(tmp_path / "short.pth"))
    torch.save({**peers.random_state(), "fc.weight": torch.zeros(1000, 2048)}, tmp_path / "thousand.pth")
    with pytest.raises(WeightsError, match=r"thousand\.pth.*fc\.weight has shape \[1000, 2048\]"):
        load_inception(resolved(tmp_path / "thousand.pth"))


def test_a_wrong_hash_is_refused_unless_accepted(tmp_path: Path) -> None:
    from fidprobe.extractors import load_extractor

    torch.save(peers.random_state(), tmp_path / "mine.pth")
    with pytest.raises(WeightsError, match=r"mine\.pth: SHA-256 is .*`unverified_weights=True`"):
        load_extractor("inception", weights=tmp_path / "mine.pth")
    extractor = load_extractor("inception", weights=tmp_path / "mine.pth", unverified_weights=True)
    assert not extractor.provenance.verified


def test_an_unknown_resize_rule_is_refused() -> None:
    with pytest.raises(InputError, match="'lanczos'; choose one of tf1, torch, torch-antialias, clean"):
        Inception(peers.fresh_network(), "0" * 64, resize="lanczos")
