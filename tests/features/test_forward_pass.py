"""Shares of a batch in threads: the same numbers in the same order, and torch's own threads left as they were."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fidprobe.errors import InputError
from fidprobe.extractors import Embedding, load_extractor
from fidprobe.extractors.base import Extractor
from fidprobe.extractors.network import NetworkExtractor, Preprocessing
from fidprobe.features import forward_pass
from fidprobe.features.extraction import extract
from fidprobe.features.forward_pass import embed_images
from fidprobe.images import DecodedImage, ReadImage
from fidprobe.provenance import ExtractorProvenance


@pytest.fixture
def three_threads() -> Iterator[None]:
    """Torch's threads, put back afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


class Watched(NetworkExtractor):
    """Tells who embedded what, and with how many threads."""

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__(
            nn.Conv2d(3, 5, 3),
            Preprocessing(size=8, mean=(0.5,) * 3, std=(0.5,) * 3, shorter=8),
            provenance=ExtractorProvenance(name="watched", weights="0" * 64, resize="native"),
            dim=5,
        )
        self.broken = broken
        self.shares: list[tuple[str, int, int]] = []

    def activations(self, prepared: Tensor) -> Tensor:
        return self.network(prepared)  # type: ignore[no-any-return]

    def embed(self, prepared: Tensor) -> Embedding:
        self.shares.append((threading.current_thread().name, len(prepared), torch.get_num_threads()))
        features = self.activations(prepared).mean((2, 3))
        if self.broken:
            features[-1] = torch.nan
        return Embedding(features, None)


def batch(count: int) -> list[ReadImage]:
    """Pictures of two sizes."""
    rng = np.random.default_rng(0)
    sizes = [(12, 9), (20, 30)]
    return [
        ReadImage(i, f"picture{i}", DecodedImage(rng.integers(0, 256, (*sizes[i % 2], 3), dtype=np.uint8), "png"), None)
        for i in range(count)
    ]


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("name", ["random", "efficientnet-lite0", "cifar10-classifier"])
def test_shares_give_the_numbers_of_one_pass_in_order(name: str) -> None:
    network = load_extractor(name)
    pictures = batch(25)
    shared = embed_images(network, pictures)
    single = [embed_images(network, [picture]) for picture in pictures]
    torch.testing.assert_close(shared.features, torch.cat([one.features for one in single]), rtol=1e-4, atol=1e-4)
    if shared.logits is None:
        assert all(one.logits is None for one in single)
    else:
        logits = torch.cat([one.logits for one in single if one.logits is not None])
        torch.testing.assert_close(shared.logits, logits, rtol=1e-4, atol=1e-4)
    assert torch.equal(shared.features, embed_images(network, pictures).features)


@pytest.mark.usefixtures("three_threads")
def test_each_thread_takes_a_share_and_torch_keeps_its_threads() -> None:
    network = Watched()
    embed_images(network, batch(25))
    names, counts, threads = zip(*network.shares, strict=True)
    assert sorted(counts) == [8, 8, 9]
    assert all(name.startswith("fidprobe-embedding") for name in names)
    assert set(threads) == {1}
    assert torch.get_num_threads() == 3
    network.shares.clear()
    embed_images(network, batch(23))  # not worth a third thread
    assert sorted(count for _, count, _ in network.shares) == [11, 12]


@pytest.mark.usefixtures("three_threads")
def test_few_images_and_networks_that_keep_state_stay_in_one_thread() -> None:
    here = threading.current_thread().name
    network = Watched()
    embed_images(network, batch(15))
    assert network.shares == [(here, 15, 3)]
    network.shares.clear()
    network.in_threads = False
    embed_images(network, batch(25))
    assert network.shares == [(here, 25, 3)]


@pytest.mark.usefixtures("three_threads")
def test_a_share_that_gives_nan_names_its_picture() -> None:
    with pytest.raises(InputError, match="watched gives NaN or infinite numbers for picture8;"):
        embed_images(Watched(broken=True), batch(25))


@pytest.mark.usefixtures("three_threads")
def test_a_share_that_fails_fails_all_and_torch_keeps_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Watched, prepared: Tensor) -> Embedding:
        raise InputError("this network is out of sorts")

    monkeypatch.setattr(Watched, "embed", fail)
    with pytest.raises(InputError, match="out of sorts"):
        embed_images(Watched(), batch(25))
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_two_callers_at_once_keep_their_threads() -> None:
    """One that comes while shares are under way does not take their setting for its own."""
    begun, after = threading.Event(), list[int]()

    class Slow(Watched):
        def embed(self, prepared: Tensor) -> Embedding:
            begun.set()
            time.sleep(0.2)
            return super().embed(prepared)

    second = Watched()

    def late() -> None:
        begun.wait()
        embed_images(second, batch(25))
        after.append(torch.get_num_threads())

    other = threading.Thread(target=late)
    other.start()
    embed_images(Slow(), batch(25))
    other.join()
    assert after == [3]
    assert sorted(count for _, count, _ in second.shares) == [8, 8, 9]
    assert torch.get_num_threads() == 3


def test_large_pictures_are_prepared_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory follows the pixels in flight, not the batch size; the features stay the same."""
    network = load_extractor("random")
    pictures = torch.randint(0, 256, (9, 3, 40, 50), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = extract(pictures, network).features
    seen: list[int] = []
    prepare = type(network).prepare

    def watched(self: Extractor, images: torch.Tensor) -> torch.Tensor:
        seen.append(len(images))
        return prepare(self, images)

    monkeypatch.setattr(type(network), "prepare", watched)
    monkeypatch.setattr(forward_pass, "PREPARED_PIXELS", 3 * 40 * 50)
    torch.testing.assert_close(extract(pictures, network).features, expected, rtol=1e-5, atol=1e-4)
    assert seen == [3, 3, 3]
    seen.clear()
    monkeypatch.setattr(forward_pass, "PENDING_BYTES", 2 * 3 * 40 * 50)
    torch.testing.assert_close(extract(pictures, network).features, expected, rtol=1e-5, atol=1e-4)
    assert seen == [2, 2, 2, 2, 1]


def test_a_network_that_gives_nan_is_named_with_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is kept."""
    network = load_extractor("random")
    embed = type(network).embed

    def broken(self: Extractor, prepared: torch.Tensor) -> object:
        embedding = embed(self, prepared)
        features = embedding.features.clone()
        features[3] = torch.nan
        return embedding._replace(features=features)

    monkeypatch.setattr(type(network), "embed", broken)
    with pytest.raises(InputError, match=r"random gives NaN or infinite numbers for 03"):
        extract(torch.zeros(12, 3, 8, 8, dtype=torch.uint8), network)
