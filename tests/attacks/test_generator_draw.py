"""Drawing until every class is full, against embedding everything and looking at one image at a time."""

import warnings
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from fidprobe.attacks.generator_draw import KeptImages, draw_until_full
from fidprobe.attacks.top1 import Top1Matching
from fidprobe.errors import InputError, MismatchError, SourceError
from fidprobe.extractors import load_extractor
from fidprobe.extractors.base import Embedding, Extractor
from fidprobe.features.extraction import extract
from fidprobe.features.value import Features
from fidprobe.images import ImageSource, ReadImage, open_images
from fidprobe.provenance import ExtractorProvenance

SHARES = np.array([8, 4, 3, 2, 2, 1]) / 20


class Colours(Extractor):
    """Mean colours, and which of six colours is nearest: a classifier whose answers are known."""

    provenance = ExtractorProvenance("colours", "0" * 64, "native")
    dim = 3
    class_names = ("red", "green", "blue", "cyan", "magenta", "yellow")
    palette = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) * 255.0

    def __init__(self) -> None:
        self.embedded = 0

    def to(self, device: torch.device | str) -> "Colours":
        self.device = torch.device(device)
        return self

    def prepare(self, images: Tensor) -> Tensor:
        return images.to(torch.float32).mean((2, 3), keepdim=True)

    def activations(self, prepared: Tensor) -> Tensor:
        return prepared

    def embed(self, prepared: Tensor) -> Embedding:
        self.embedded += len(prepared)
        features = prepared.mean((2, 3))
        return Embedding(features, -(features[:, None] - self.palette).norm(dim=2))


def painter(seed: int) -> Iterator[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Batches of nine noisy pictures, each of one of the six colours, for ever."""
    rng = np.random.default_rng(seed)
    palette = Colours.palette.numpy()
    while True:
        colours = palette[rng.choice(6, 9, p=SHARES)][:, :, None, None]
        yield (0.6 * colours + rng.uniform(0, 100, (9, 3, 6, 5))).clip(0, 255).astype(np.uint8)


def painted(limit: int, seed: int = 0) -> ImageSource:
    return open_images(painter, limit=limit, seed=seed)


QUOTAS = torch.tensor([3, 0, 6, 2, 1, 9])


def one_at_a_time(everything: Features, quotas: Tensor) -> tuple[list[int], int, list[int]]:
    """Who is kept, how many were drawn, and how full the bins became."""
    room, kept, drawn = quotas.tolist(), [], 0
    assert everything.logits is not None
    for index, c in enumerate(everything.logits.argmax(dim=1).tolist()):
        if not any(room):
            break
        drawn += 1
        if index < int(quotas.sum()) or room[c]:
            kept.append(index)
        room[c] -= room[c] > 0
    return kept, drawn, (quotas - torch.tensor(room)).tolist()


def check(drawn: KeptImages, everything: Features, quotas: Tensor) -> None:
    kept, candidates, found = one_at_a_time(everything, quotas)
    assert drawn.places.tolist() == kept
    assert drawn.candidates == candidates
    assert drawn.found.tolist() == found
    assert drawn.wanted.tolist() == quotas.tolist()
    expected = everything.select(kept)
    assert drawn.features.names == expected.names
    assert drawn.features.class_names == expected.class_names
    torch.testing.assert_close(drawn.features.features, expected.features, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(drawn.features.logits, expected.logits, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_what_is_kept_is_what_embedding_everything_and_choosing_gives(batch_size: int) -> None:
    """In batches of any size; the last bin fills before the 400th image."""
    drawn = draw_until_full(painted(400), Colours(), QUOTAS, batch_size=batch_size)
    everything = extract(painted(400), Colours())
    check(drawn, everything, QUOTAS)
    assert drawn.found.tolist() == QUOTAS.tolist()
    assert 21 < len(drawn.features) < drawn.candidates < 400


def test_matching_in_order_chooses_exactly_what_filled_the_bins() -> None:
    """The same images, told of with the same numbers, as from a pool that holds everything that was drawn."""
    reference = extract(painted(60, seed=1), Colours())
    attack = Top1Matching(in_order=True, seed=2)
    drawn = draw_until_full(painted(2000), Colours(), attack.quotas(reference))
    everything = extract(painted(2000), Colours())
    outcome = Top1Matching(in_order=True, seed=2, places=drawn.places)(reference, drawn.features, fair=False)
    whole = attack(reference, everything)
    assert drawn.places[outcome.choices[0]].tolist() == whole.choices[0].tolist()
    assert outcome.details == whole.details
    assert outcome.details["candidates_looked_at"] == [drawn.candidates]
    assert outcome.keep == 30
    for ours, theirs in zip(outcome.scores, whole.scores, strict=True):
        assert ours.candidates is None  # the pool is no fair sample
        assert ours.drawn.values == pytest.approx(theirs.drawn.values)
        assert ours.random.values == pytest.approx(theirs.random.values)


def test_the_second_network_sees_the_kept_images_and_no_others() -> None:
    """Its features are of the same pictures, in the same order."""
    second = load_extractor("random")
    drawn = draw_until_full(painted(400), Colours(), QUOTAS, second=second, batch_size=16)
    everything = extract(painted(400), second)
    assert drawn.second is not None
    expected = everything.select(drawn.places)
    assert drawn.second.names == expected.names == drawn.features.names
    torch.testing.assert_close(drawn.second.features, expected.features, rtol=1e-5, atol=1e-3)
    counted = Colours()
    draw_until_full(painted(400), Colours(), QUOTAS, second=counted, batch_size=16)
    assert counted.embedded == len(drawn.features)


def test_kept_pictures_are_handed_out_once_in_order_with_their_rows() -> None:
    """Since the generator may never show them again."""
    saved: dict[int, ReadImage] = {}

    def keep(row: int, read: ReadImage) -> None:
        assert row == len(saved)
        saved[row] = read

    drawn = draw_until_full(painted(400), Colours(), QUOTAS, keep_image=keep)
    assert tuple(read.name for read in saved.values()) == drawn.features.names
    pixels = torch.from_numpy(np.stack([read.image.pixels for read in saved.values()])).permute(0, 3, 1, 2)
    torch.testing.assert_close(Colours()(pixels).features, drawn.features.features)


def test_a_source_that_is_used_up_leaves_bins_short() -> None:
    """Whatever else it had is kept."""
    quotas = torch.tensor([2, 0, 3, 30, 0, 1])
    drawn = draw_until_full(painted(100), Colours(), quotas, batch_size=8)
    check(drawn, extract(painted(100), Colours()), quotas)
    assert drawn.candidates == 100
    assert (drawn.found < drawn.wanted).tolist() == [False, False, False, True, False, False]


def test_a_generator_that_ends_before_its_limit_is_an_error() -> None:
    """It may have failed; its own message says how far it came."""

    def short() -> Iterator[Tensor]:
        yield torch.zeros(5, 3, 6, 5, dtype=torch.uint8)

    with pytest.raises(SourceError, match="ended after 5 images, 50 were asked for"):
        draw_until_full(open_images(short, limit=50), Colours(), QUOTAS)


def test_drawing_ends_with_the_batch_that_fills_the_last_bin() -> None:
    """A limit of a million images is no reason to make them."""
    made = 0

    def counted() -> Iterator[Any]:
        nonlocal made
        for batch in painter(0):
            made += len(batch)
            yield batch

    drawn = draw_until_full(open_images(counted, limit=1_000_000), Colours(), QUOTAS, batch_size=4)
    assert drawn.candidates <= made < 400


def test_nothing_is_kept_of_the_images_left_over() -> None:
    """Neither features nor logits of a batch outlive it: memory follows what is kept."""
    alive: list[weakref.ref[Any]] = []
    most = 0

    class Watched(Colours):
        def embed(self, prepared: Tensor) -> Embedding:
            embedding = super().embed(prepared)
            alive.extend((weakref.ref(embedding.features), weakref.ref(embedding.logits)))
            return embedding

    def watch(stage: str, done: int, total: int | None) -> None:
        nonlocal most
        most = max(most, sum(one() is not None for one in alive))

    quotas = torch.tensor([1, 1, 1, 1, 1, 40])
    drawn = draw_until_full(painted(3000), Watched(), quotas, batch_size=5, progress=watch)
    assert len(alive) > 100
    assert most == 0
    assert len(drawn.features) <= 2 * 45


def test_progress_counts_what_was_found_and_tells_how_many_bins_are_open() -> None:
    told: list[tuple[str, int, int | None]] = []
    drawn = draw_until_full(
        painted(400), Colours(), QUOTAS, batch_size=10, progress=lambda *report: told.append(report)
    )
    assert told[0] == ("drawing until all classes are full | 5 of 5 bins open, 0 candidates", 0, 21)
    assert told[-1] == (
        f"drawing until all classes are full | 0 of 5 bins open, {drawn.candidates} candidates",
        21,
        21,
    )
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_an_interrupted_drawing_keeps_what_it_has() -> None:
    answers = iter([False, False, True])
    drawn = draw_until_full(painted(400), Colours(), QUOTAS, batch_size=10, interrupted=lambda: next(answers))
    assert drawn.candidates == 30
    check(replace(drawn, candidates=30), extract(painted(400), Colours()).select(range(30)), QUOTAS)


def test_what_was_kept_knows_where_it_comes_from() -> None:
    """Like features of a whole source, but for a content that was read only once."""
    drawn = draw_until_full(painted(400, seed=3), Colours(), QUOTAS, second=load_extractor("random"))
    source = drawn.features.provenance.source
    assert source is not None
    assert (source.description, source.count, source.limit, source.seed) == ("painter", len(drawn.places), 400, 3)
    assert source.content is None
    assert source.sizes == {"5x6": len(drawn.places)}
    assert source.formats == {"array": len(drawn.places)}
    assert source.decoder is not None
    assert drawn.features.space == "colours"
    assert drawn.second is not None
    assert drawn.second.space == "random"
    assert drawn.second.provenance.source == source


def test_unreadable_files_stop_the_drawing_or_are_left_out(tmp_path: Path) -> None:
    """Places count readable images only; both spaces list what was left out."""
    for i, colour in enumerate(["red", "red", "lime", "red", "blue", "lime"]):
        Image.new("RGB", (6 + i % 2, 5), colour).save(tmp_path / f"{i}.png")
    (tmp_path / "1.png").write_bytes(b"nothing")
    quotas = torch.tensor([1, 2, 0, 0, 0, 0])
    with pytest.raises(SourceError, match=r"1\.png.*`skip_bad=True`"):
        draw_until_full(open_images(tmp_path), Colours(), quotas)
    second = load_extractor("random")
    drawn = draw_until_full(open_images(tmp_path), Colours(), quotas, second=second, skip_bad=True)
    assert drawn.features.names == ("0.png", "2.png", "3.png", "5.png")
    assert drawn.places.tolist() == [0, 1, 2, 4]
    for features in (drawn.features, drawn.second):
        assert features is not None
        assert features.provenance.source is not None
        assert [name for name, _ in features.provenance.source.skipped] == ["1.png"]
    for file in tmp_path.iterdir():
        file.write_bytes(b"nothing")
    with pytest.raises(SourceError, match="none of its 6 images could be read"):
        draw_until_full(open_images(tmp_path), Colours(), quotas, skip_bad=True)


class Blobs(nn.Module):
    """A generator: each latent paints two halves of a picture."""

    def forward(self, latents: Tensor) -> Tensor:
        halves = torch.sigmoid(latents.reshape(-1, 3, 1, 2))
        return halves.repeat_interleave(6, dim=2).repeat_interleave(3, dim=3)


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("generator") / "blobs.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # TorchScript is deprecated
        scripted: Any = torch.jit.script(Blobs())
        scripted.save(str(path))
    return f"{path}?z=6&batch=8"


def test_a_torchscript_generator_through_a_real_classifier_and_a_second_opinion(generator: str) -> None:
    """EfficientNet's Top-1 classes of one seed's pictures, found again among another seed's."""
    network, second = load_extractor("efficientnet-lite0"), load_extractor("random")
    real = open_images(generator, limit=8, seed=1)
    reference, second_reference = extract(real, network), extract(real, second)
    quotas = Top1Matching(in_order=True, held_out=0).quotas(reference)
    drawn = draw_until_full(open_images(generator, limit=24), network, quotas, second=second, batch_size=8)
    outcome = Top1Matching(in_order=True, held_out=0, places=drawn.places)(
        reference,
        drawn.features,
        second_reference=second_reference,
        second_candidates=drawn.second,
        fair=False,
    )
    assert outcome.keep == int(drawn.found.sum()) == 8 - outcome.details["missing"]
    assert {score.role for score in outcome.scores} == {"main", "second_opinion"}
    assert outcome.details["top1_total_variation"]["drawn"] < outcome.details["top1_total_variation"]["random"]


def test_a_network_without_a_classifier_is_refused() -> None:
    with pytest.raises(InputError, match="needs a classifier, and random has none; use a network with classes"):
        draw_until_full(painted(50), load_extractor("random"), QUOTAS)


def test_quotas_of_another_classifier_are_refused() -> None:
    with pytest.raises(MismatchError, match="quotas for 4 classes, and colours has 6"):
        draw_until_full(painted(50), Colours(), torch.tensor([1, 2, 3, 4]))


@pytest.mark.parametrize(
    "quotas", [torch.tensor([[1, 2]]), torch.tensor([1.0, 2.0]), torch.tensor([3, -1]), torch.tensor([0, 1])]
)
def test_quotas_that_are_no_counts_are_refused(quotas: Tensor) -> None:
    with pytest.raises(InputError, match="quotas must be whole numbers of images, one a class and 2 in all"):
        draw_until_full(painted(50), Colours(), quotas)


def test_batches_hold_at_least_one_image() -> None:
    with pytest.raises(InputError, match="batch size must be at least 1, got 0"):
        draw_until_full(painted(50), Colours(), QUOTAS, batch_size=0)
