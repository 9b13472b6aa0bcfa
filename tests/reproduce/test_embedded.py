"""The script that makes what comes with fidprobe, on made-up pictures and with barely trained networks."""

import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import fidprobe.embedded
from fidprobe.embedded import EMBEDDED, embedded_file
from fidprobe.extractors.trained import read_card
from fidprobe.features.extraction import ReadOptions
from fidprobe.features.value import Features
from fidprobe.generators.saved import load_generator
from fidprobe.inputs import open_input
from fidprobe.statistics import GaussianStatistics
from fidprobe.training.classifier import ClassifierTask
from fidprobe.training.data import read_pictures
from fidprobe.training.encoder import EncoderTask
from fidprobe.training.gan import GanTask
from fidprobe.training.generator_run import train_generator
from fidprobe.training.kinds import new_task
from fidprobe.training.network_run import train_network

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in `data/train` and `data/test`, and three runs learnt from them for a few steps."""
    folder = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name, level in (("dark", 60), ("light", 190)):
            (folder / "data" / part / name).mkdir(parents=True)
            for i in range(12):
                pixels = np.clip(level + rng.normal(0, 40, (32, 32, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / "data" / part / name / f"{i}.png")
    data = read_pictures(folder / "data" / "train")
    task = new_task("am-gan", classes=2, chosen={"width": 0.05})
    assert isinstance(task, GanTask)
    train_generator(task, data, folder / "am-gan", steps=4, batch_size=8, seed=0, visit_every=2, save_every=4)
    encoder = EncoderTask(stem=4, widths=(6,), blocks=(1,))
    classifier = ClassifierTask(classes=2, stem=4, widths=(6,), blocks=(1,))
    for name, one in (("encoder", encoder), ("classifier", classifier)):
        train_network(one, data, folder / name, steps=2, batch_size=8, seed=0, save_every=2)
    return folder


def test_every_file_is_made_hashed_and_told(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One call makes all files; their cards tell scores that the pictures give, and no place of this machine."""
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.setenv("FIDPROBE_CACHE", str(tmp_path / "cache"))
    script = importlib.import_module("reproduce.embedded")
    folder = tmp_path / "embedded"
    folder.mkdir()
    monkeypatch.setattr(fidprobe.embedded, "_FOLDER", folder)
    for name, value in {"FOLDER": folder, "SAMPLE": 10, "POOL": 12, "KEEP": 6, "OPTIONS": ReadOptions()}.items():
        monkeypatch.setattr(script, name, value)
    runs = [text for name in ("am-gan", "encoder", "classifier") for text in (f"--{name}", str(made / name))]
    with torch.random.fork_rng([]):
        script.main([str(made / "data"), *runs, "--early", "2"])
    out = capsys.readouterr().out
    assert all(name in out for name in EMBEDDED)
    for name, kind in EMBEDDED.items():
        assert str(made) not in embedded_file(name, kind).read_bytes().decode("latin-1")
    assert load_generator(folder / "am-gan.safetensors").card["step"] == 4
    early = load_generator(folder / "am-gan-early.safetensors").card
    assert early["step"] == 2
    assert early["scores"]["images"] == 12
    assert early["scores"]["reference"] == "24 test pictures"
    assert early["scores"]["am_score"] >= 0
    assert 0 <= read_card(folder / "cifar10-encoder.safetensors")["scores"]["linear_probe_accuracy"] <= 1
    assert read_card(folder / "cifar10-classifier.safetensors")["scores"]["pictures"] == 24
    for side, count in (("cifar10-encoder", 10), ("efficientnet-lite0/statistics", 24)):
        found = open_input(f"embedded:cifar10/{side}", ReadOptions())
        assert isinstance(found, Features | GaussianStatistics)
        assert found.provenance.source is not None
        assert found.provenance.source.count == count
        assert found.provenance.source.formats == {"PNG": count}
    choice = json.loads((folder / "am-gan-chosen.json").read_text("ascii"))
    assert len(set(choice["places"])) == 6
    shutil.rmtree(folder)
