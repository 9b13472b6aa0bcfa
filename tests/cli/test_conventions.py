"""`fidprobe conventions` as a user types it."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fidprobe.analysis.output.wording import number
from fidprobe.features.value import Features
from fidprobe.provenance import ExtractorProvenance, Provenance
from fidprobe.statistics import GaussianStatistics
from tests.cli.running import Run, result_lines
from tests.helpers import relu_features


@pytest.fixture
def run(cli: Run) -> Run:
    """Run `fidprobe conventions ARGUMENTS` in a folder with features of two sets in two spaces."""
    for i, (name, rows) in enumerate((("real", 60), ("made", 50))):
        values = relu_features(rows, 6, i, shift=0.1 * i)
        provenance = Provenance(ExtractorProvenance("inception", "0" * 64, "tf1", verified=True))
        mixing = torch.randn(6, 9, generator=torch.Generator().manual_seed(7))
        Features(values, values @ mixing, provenance=provenance).save(f"{name}.safetensors")
        second = Provenance(ExtractorProvenance("clip", "1" * 64, "native"))
        Features(values[:, :3].tanh(), provenance=second).save(f"{name}-clip.safetensors")
    return lambda *arguments: cli("conventions", *arguments, "-q")


SETS = ("real.safetensors", "made.safetensors")
SECONDS = ("--second-reference", "real-clip.safetensors", "--second-generated", "made-clip.safetensors")


def test_numbers_spread_second_opinion_and_differences_are_printed(run: Run) -> None:
    """As in the JSON, within 80 columns; the second opinion once, below."""
    code, out, err = run(*SETS, *SECONDS)
    assert code == 0, err
    lines = result_lines(out)
    assert max(map(len, lines)) <= 80
    assert lines[0] == "FID of 50 images against 60, by each library's conventions"
    assert lines[1].split() == ["FID", "KID", "×", "1000", "IS", "precision", "recall"]
    data = json.loads(run(*SETS, *SECONDS, "--json").out)
    assert [line.split()[0] for line in lines[2:6]] == ["ttur", "torch-fidelity", "stylegan", "adm"]
    for line, row in zip(lines[2:6], data["conventions"], strict=True):
        assert line.split()[:2] == [row["convention"], f"{row['frechet_inception_distance']:.6g}"]
    assert lines[2].split()[2:] == ["–"] * 4
    assert re.search(r"n/a +\d\.\d+\s±\s\d\.\d+ +n/a: VGG16 +n/a: VGG16$", lines[3])
    adm = data["conventions"][3]
    assert lines[5].split()[-2:] == [f"{adm['precision']:.4f}", f"{adm['recall']:.4f}"]
    told = f"second opinion FD[clip]: {data['second_opinion']['frechet_distance']:.6g} (of the other columns: none)"
    assert lines[6] == told
    spread = data["spread"]
    low, high = (f"{number(spread[end])} ({spread[name]})" for end, name in (("low", "lowest"), ("high", "highest")))
    told = re.sub(r"\s+", " ", " ".join(lines[7:9]))
    assert told.strip() == f"Conventions alone move FID from {low} to {high}: a factor of {spread['ratio']:.4g}."
    assert "stylegan        bilinear, TensorFlow 1's grid  (x − 128) / 128  / n" in lines
    assert "KID (torch-fidelity): refused of fewer than 1,000 images" in lines
    assert "resized by 'tf1' already, so that pytorch-fid, clean-fid, torchmetrics cannot be followed" in err


def test_images_are_measured_by_all_conventions(cli: Run) -> None:
    """Offline, through any network, which a warning tells."""
    rng = np.random.default_rng(0)
    for name, side in (("real", 80), ("made", 40)):
        Path(name).mkdir()
        for i in range(6):
            Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(f"{name}/{i}.png")
    code, out, err = cli("conventions", "real", "made", "-e", "random", "-s", "random:1", "-q")
    assert code == 0, err
    lines = result_lines(out)
    assert max(map(len, lines)) <= 80
    assert len([line for line in lines if line.endswith(("/ n", "/ (n − 1)"))]) == 7
    assert any(line.startswith("second opinion FD[random:1]: ") for line in lines)
    assert "the network's" in out
    assert "IS (torchmetrics, torch-fidelity, stylegan, adm): the features came without a" in out
    assert "These are the libraries' conventions through random" in err
    code, out, _ = cli("conventions", "real", "made", "-e", "random", "-s", "random:1", "-q", "--convention", "adm")
    assert code == 0
    assert "pytorch-fid" not in out
    assert "Conventions alone" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*SETS, "--convention", "tensorflow"), "unknown convention 'tensorflow'; choose from ttur, pytorch-fid"),
        ((*SETS, "--convention", "clean-fid"), "resized by 'tf1', and clean-fid resizes otherwise; give images"),
        (("bare.npz", "bare.npz"), "do not say how their pictures were resized"),
        (("nowhere", "made.safetensors"), "nowhere"),
        ((*SETS, "--second-reference", "real-clip.safetensors"), "--second-generated"),
    ],
)
def test_mistakes_are_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    stats = GaussianStatistics.of(relu_features(30, 6, 0))
    stats.save("bare.npz")
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert message in err


def test_missing_official_weights_say_what_to_put_where(cli: Run) -> None:
    """Before any image is read."""
    from fidprobe.extractors import weights

    for name in ("real", "made"):
        Path(name).mkdir()
        for i in range(2):
            Image.new("RGB", (8, 8)).save(f"{name}/{i}.png")
    entry = weights.WEIGHTS["inception"]
    local = replace(entry, url="http://127.0.0.1:9/none")  # answers at once, whatever the machine's network
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "WEIGHTS", {**weights.WEIGHTS, "inception": local})
        code, _, err = cli("conventions", "real", "made", "-s", "random", "-q")
    assert code == 2
    assert [line.partition(":")[0] for line in err.splitlines()] == ["fidprobe", "without downloads"]
    assert entry.file in err
    assert "--weights" in err
