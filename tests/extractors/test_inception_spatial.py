"""sFID's features are the peers' activations at that layer, laid out as ADM lays them out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fidprobe.errors import InputError, MismatchError, WeightsError
from fidprobe.extractors import load_extractor
from fidprobe.extractors.inception_spatial import InceptionSpatial, load_inception_spatial
from fidprobe.extractors.weights import ResolvedWeights
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import frechet_distance
from fidprobe.provenance import Provenance
from tests.extractors import inception_peers as peers
from tests.extractors.contract import check_contract, pictures, relative


@pytest.fixture(scope="module")
def extractor() -> InceptionSpatial:
    """Ours with the random weights."""
    return InceptionSpatial(peers.fresh_network(), "0" * 64, trained=False)


@pytest.fixture(scope="module")
def torch_fidelity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, list[Tensor]]]:
    """torch-fidelity's network, and where the output of its `Mixed_6d.branch1x1` is left."""
    network = peers.torch_fidelity_network(tmp_path_factory.mktemp("weights") / "inception.pth")
    caught: list[Tensor] = []
    hook = network.Mixed_6d.branch1x1.register_forward_hook(lambda _module, _inputs, output: caught.append(output))
    yield network, caught
    hook.remove()


@pytest.mark.parametrize("side", [32, 299, 400])
def test_features_equal_torch_fidelitys_activations(
    extractor: InceptionSpatial, torch_fidelity: tuple[Any, list[Tensor]], side: int
) -> None:
    """As ADM's evaluator reads them: NHWC, `[..., :7]`, flattened."""
    network, caught = torch_fidelity
    caught.clear()
    images = pictures(2, side, side)
    with torch.inference_mode():
        network(images)
    [grid] = caught
    assert grid.shape == (2, 192, 17, 17)
    theirs = grid.numpy().transpose(0, 2, 3, 1)[..., :7].reshape(2, -1)
    ours = extractor(images)
    assert ours.features.shape == (2, 2023)
    assert ours.logits is None
    assert relative(ours.features, torch.from_numpy(theirs.copy())) < 1e-5
    assert 0.1 < float((ours.features > 0).float().mean()) < 0.9, "the ReLU must matter"


def test_rule_torch_equals_pytorch_fids_activations() -> None:
    """With its own resize and scaling."""
    network, caught = peers.pytorch_fid_network(), []
    # Its third block runs from Mixed_5b to Mixed_6e; the seventh is Mixed_6d.
    [branch] = [module for name, module in network.named_modules() if name == "blocks.2.6.branch1x1"]
    branch.register_forward_hook(lambda _module, _inputs, output: caught.append(output))
    images = pictures(1, 64, 64)
    with torch.inference_mode():
        network(images.float() / 255)
    ours = InceptionSpatial(peers.fresh_network(), "0" * 64, resize="torch", trained=False)
    assert relative(ours(images).features, caught[0][:, :7].permute(0, 2, 3, 1).flatten(1)) < 1e-5


def test_the_layer_is_the_graphs_mixed_6_conv(tmp_path: Path) -> None:
    """In weights under the graph's own names, only `mixed_6.conv` and what precedes it has a say."""
    generator = torch.Generator().manual_seed(5)
    state: dict[str, Tensor] = {}
    peers.run_graph(torch.rand(1, 3, 107, 107, generator=generator), state, generator=generator)
    state["output.weight"], state["output.bias"] = torch.zeros(1008, 2048), torch.zeros(1008)
    prepared = torch.rand(1, 3, 107, 107, generator=generator) * 2 - 1

    def features() -> Tensor:
        peers.save_torchscript(state, tmp_path / "graph.pt")
        return (
            load_inception_spatial(ResolvedWeights(tmp_path / "graph.pt", "1" * 64, verified=False))
            .embed(prepared)
            .features
        )

    before = features()
    for name in ("mixed_6.tower.conv", "mixed_6.tower_2.conv", "mixed_7.conv"):
        state[f"layers.{name}.beta"] = state[f"layers.{name}.beta"] + 1
    assert torch.equal(features(), before)
    state["layers.mixed_6.conv.beta"] = state["layers.mixed_6.conv.beta"] + 1
    after = features()
    # Where the ReLU let something through before, there is now 1 / sqrt(variance) of nothing else: the shift is 1.
    assert torch.allclose((after - before)[before > 0], torch.tensor(1.0), atol=1e-4)
    state["layers.mixed_5.conv.beta"] = state["layers.mixed_5.conv.beta"] + 1
    assert not torch.allclose(features(), after)


def test_channels_lie_last(extractor: InceptionSpatial, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted pattern: channel + 10 column + 1000 row, in the order in which NHWC memory has it."""
    row, column, channel = torch.meshgrid(torch.arange(17), torch.arange(17), torch.arange(7), indexing="ij")
    pattern = (channel + 10 * column + 1000 * row).float()
    monkeypatch.setattr(extractor, "activations", lambda prepared: pattern.permute(2, 0, 1)[None])
    features = extractor.embed(torch.zeros(1)).features[0]
    assert features[:9].tolist() == [0, 1, 2, 3, 4, 5, 6, 10, 11]
    assert features[7 * 17] == 1000
    assert torch.equal(features, pattern.flatten())


def test_extractor_contract(extractor: InceptionSpatial) -> None:
    """Features are the activations themselves, so heatmaps look at these."""
    check_contract(extractor, pictures(2), mean_pooled=False)
    assert isinstance(extractor.network.get_submodule(str(extractor.layer)), nn.Module)
    prepared = extractor.prepare(pictures(2))
    assert extractor.activations(prepared).shape == (2, 7, 17, 17)
    last = extractor.network.get_submodule("mixed_6_conv")
    caught: list[Tensor] = []
    hook = last.register_forward_hook(lambda _module, _inputs, output: caught.append(output))
    features = extractor.embed(prepared).features
    hook.remove()
    assert torch.equal(caught[0].permute(0, 2, 3, 1).flatten(1), features)


def test_nothing_beyond_the_layer_is_kept(extractor: InceptionSpatial) -> None:
    """Neither later blocks nor the branches beside this one: a quarter of the parameters."""
    names = [name for name, _ in extractor.network.named_children()]
    assert names[-2:] == ["Mixed_6c", "mixed_6_conv"]
    ours, whole = (sum(p.numel() for p in net.parameters()) for net in (extractor.network, peers.fresh_network()))
    assert ours < whole / 4


def test_the_registry_takes_inceptions_file(tmp_path: Path) -> None:
    """Its weights entry, its resize; but a space of its own, which never meets the pooled one."""
    torch.save(peers.random_state(), tmp_path / "mine.pth")
    with pytest.raises(WeightsError, match=r"mine\.pth: SHA-256 is .* the official inception weights"):
        load_extractor("inception-spatial", weights=tmp_path / "mine.pth")
    spatial = load_extractor("inception-spatial", weights=tmp_path / "mine.pth", unverified_weights=True)
    assert (spatial.provenance.name, spatial.provenance.resize, spatial.dim) == ("inception-spatial", "tf1", 2023)
    pooled = load_extractor("inception", weights=tmp_path / "mine.pth", unverified_weights=True)
    assert pooled.provenance.weights == spatial.provenance.weights
    values = torch.rand(4, 5)
    with pytest.raises(MismatchError, match="name is 'inception' on one side and 'inception-spatial'"):
        frechet_distance(
            Features(values, provenance=Provenance(pooled.provenance)),
            Features(values, provenance=Provenance(spatial.provenance)),
        )


def test_an_unknown_resize_rule_is_refused() -> None:
    """With the choices."""
    with pytest.raises(InputError, match="'lanczos'; choose one of tf1, torch"):
        InceptionSpatial(peers.fresh_network(), "0" * 64, resize="lanczos")
