"""A classifier's and an encoder's training run: they learn, say how well, and go on where they stopped."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from fidprobe.errors import InputError
from fidprobe.extractors import load_extractor
from fidprobe.extractors.trained import read_card
from fidprobe.training.classifier import ClassifierTask
from fidprobe.training.data import Pictures
from fidprobe.training.encoder import EncoderTask
from fidprobe.training.loop import Batch
from fidprobe.training.network_run import NetworkRun, train_network
from fidprobe.training.vae import VaeTask
from tests.training.stopping import stop_after

NAMES = ("across", "down")


def stripes(n: int, seed: int, names: tuple[str, ...] | None = NAMES) -> Pictures:
    """Two classes: stripes across and stripes down, of random width, place and colours."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    period = torch.randint(4, 9, (n, 1, 1, 1), generator=generator)
    start = torch.randint(8, (n, 1, 1, 1), generator=generator)
    place = torch.where(labels[:, None, None, None] == 0, torch.arange(32)[:, None], torch.arange(32))
    wave = ((place + start) % period < period // 2).expand(n, 1, 32, 32)
    dark, light = torch.randint(256, (2, n, 3, 1, 1), generator=generator)
    images = torch.where(wave, dark, light).to(torch.uint8).contiguous()
    return Pictures(images, labels, names, f"stripes {seed}", 0, ())


def classifier(**options: Any) -> ClassifierTask:
    return ClassifierTask(classes=2, stem=8, widths=(8, 16), blocks=(1, 1), **{"learning_rate": 0.05, **options})


def run(task: ClassifierTask | EncoderTask, folder: Path, **options: Any) -> NetworkRun:
    asked = {"steps": 30, "batch_size": 32, "seed": 0, "save_every": 8, "test": stripes(200, 9), **options}
    return train_network(task, asked.pop("data", stripes(400, 1)), folder, **asked)


def test_a_classifier_learns_and_says_how_well(tmp_path: Path) -> None:
    done = run(classifier(), tmp_path)
    assert done.accuracy is not None
    assert done.accuracy > 0.9
    extractor = load_extractor(f"trained:{done.network}")
    logits = extractor(stripes(200, 9).images).logits
    assert logits is not None
    assert (logits.argmax(1) == stripes(200, 9).labels).float().mean() == pytest.approx(done.accuracy)
    assert extractor.class_names == NAMES
    card = read_card(done.network)
    assert (card["accuracy"], card["tested_on"], card["data"]) == (done.accuracy, "stripes 9", "stripes 1")
    assert json.loads((tmp_path / "training.json").read_text()) == card


def test_a_finished_run_started_again_keeps_what_was_measured(tmp_path: Path) -> None:
    first = run(classifier(), tmp_path, steps=3)
    before = first.network.read_bytes()
    again = run(classifier(), tmp_path, steps=3, test=None)
    assert again.accuracy == first.accuracy
    assert again.network.read_bytes() == before


def test_an_encoder_learns_what_a_linear_probe_finds(tmp_path: Path) -> None:
    task = EncoderTask(stem=8, widths=(8, 16), blocks=(1, 1), view=24)
    unlabelled = run(task, tmp_path / "run", steps=40, batch_size=64)
    assert unlabelled.accuracy is not None
    assert unlabelled.accuracy > 0.8
    losses = unlabelled.trained.losses[:, 0]
    assert losses[-5:].mean() < losses[:5].mean()
    assert load_extractor(f"trained:{unlabelled.network}").class_names is None
    assert read_card(unlabelled.network)["linear_probe_accuracy"] == unlabelled.accuracy


def test_the_encoder_never_sees_a_label(tmp_path: Path) -> None:
    data = stripes(64, 1)
    shuffled = Pictures(data.images, data.labels.flip(0), data.class_names, data.description, 0, ())
    tasks = [EncoderTask(stem=4, widths=(8,), blocks=(1,), view=16) for _ in range(2)]
    for task, one in zip(tasks, (data, shuffled), strict=True):
        run(task, tmp_path / str(id(task)), data=one, steps=2, test=None)
    for ours, theirs in zip(tasks[0].network.parameters(), tasks[1].network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("task", [classifier, lambda: EncoderTask(stem=4, widths=(8,), blocks=(1,), view=16)])
def test_a_stopped_run_goes_on_to_the_same_network(
    tmp_path: Path, task: Callable[[], ClassifierTask | EncoderTask]
) -> None:
    whole = run(task(), tmp_path / "whole", steps=8, test=None)
    stopped = run(task(), tmp_path / "parts", steps=8, interrupted=stop_after(3))
    assert stopped.accuracy is None
    parts = run(task(), tmp_path / "parts", steps=8, test=None)
    assert parts.network.read_bytes() == whole.network.read_bytes()
    assert torch.equal(parts.trained.losses, whole.trained.losses)


def test_test_pictures_of_other_classes_are_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has classes a, b and stripes 1 across, down"):
        run(classifier(), tmp_path, test=stripes(10, 2, names=("a", "b")))
    with pytest.raises(InputError, match="has classes across, down and stripes 1 none"):
        run(EncoderTask(), tmp_path, data=stripes(10, 1, names=None))
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_the_classifiers_loss_is_the_cross_entropy_of_its_logits() -> None:
    task = classifier(learning_rate=0.0, weight_decay=0.0)
    data = stripes(16, 3)
    plain = Pictures(torch.full_like(data.images, 90), data.labels, NAMES, "grey", 0, ())
    before = [weight.clone() for weight in task.network.parameters()]
    told = task.step(Batch(plain.images, plain.labels, torch.Generator().manual_seed(0), 0.5))
    assert all(torch.equal(a, b) for a, b in zip(before, task.network.parameters(), strict=True))
    task.network.train()
    assert task.network.classifier is not None
    with torch.no_grad():  # a grey picture is the same however it is shifted or mirrored
        logits = task.network.classifier(task.network((plain.images.float() / 255 - 0.5) / 0.25))
    assert told["cross-entropy"] == pytest.approx(float(F.cross_entropy(logits, plain.labels)), rel=1e-5)
    assert told["right"] == pytest.approx(float((logits.argmax(1) == plain.labels).float().mean()))


def test_mixed_precision_stays_close() -> None:
    data = stripes(32, 3)
    losses = []
    for mixed in (False, True):
        task = classifier(mixed_precision=mixed)
        batch = Batch(data.images, data.labels, torch.Generator().manual_seed(0), 0.5)
        losses.append(task.step(batch)["cross-entropy"])
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    assert losses[0] != losses[1]


def test_a_vae_raises_its_bound_on_pictures() -> None:
    data = stripes(64, 3)
    task = VaeTask(width=0.05, latent=8, learning_rate=3e-3)
    bounds = []
    for step in range(30):
        told = task.step(Batch(data.images, data.labels, torch.Generator().manual_seed(step), 0.0))
        bounds.append(sum(told.values()))
        assert told["divergence (nats)"] >= 0
    assert sum(bounds[-5:]) < sum(bounds[:5]) - 5 * 300
