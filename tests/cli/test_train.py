"""`fidprobe train` as a user runs it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.running import Run


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two classes of noise, ten pictures each."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir()
        for number in range(10):
            picture = rng.integers(256, size=(32, 32, 3), dtype=np.uint8)
            Image.fromarray(picture).save(folder / name / f"{number}.png")
    return str(folder)


SHORT = ("--steps", "2", "--batch-size", "4", "--width", "0.03", "-q")


def test_a_gan_is_trained_and_its_file_is_an_image_source(cli: Run, pictures: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    told = cli("train", "am-gan", pictures, "-o", str(out), *SHORT, "--average", "0.9", "--smooth-real", "0.1")
    assert told.code == 0, told.err
    assert told.err == ""
    lines = told.out.splitlines()
    assert lines[0].startswith("AM-GAN: 2 steps, ")
    assert lines[-1] == f"generator: {out / 'generator.safetensors'}"
    scored = cli(
        "score", pictures, str(out / "generator.safetensors"), "-e", "random:1", "-s", "random", "--limit", "8", "-q"
    )
    assert scored.code == 0, scored.err


def test_the_same_command_goes_on_and_another_setting_is_refused(cli: Run, pictures: str, tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    assert cli("train", "gan", pictures, "-o", out, *SHORT).code == 0
    again = cli("train", "gan", pictures, "-o", out, *SHORT, "--json")
    assert again.code == 0
    assert json.loads(again.out)["step"] == 2
    other = cli("train", "gan", pictures, "-o", out, *SHORT, "--seed", "1")
    assert other.code == 2
    assert "0 and 1 was asked for" in other.err or "0, and 1 was asked for" in other.err
    assert len(other.err.strip().splitlines()) == 1


def test_scores_are_printed_with_both_spaces(cli: Run, pictures: str, tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    told = cli(
        *("train", "dcgan", pictures, "-o", out, *SHORT, "--evaluate", pictures, "--evaluate-images", "12"),
        *("-e", "random:1", "-s", "random:2"),
    )
    assert told.code == 0, told.err
    assert "FD[random:1]: " in told.out
    assert "FD[random:2]: " in told.out
    assert "(scores of 12 images after 2 steps)" in told.out


def test_a_classifier_and_an_encoder_are_networks_by_name(cli: Run, pictures: str, tmp_path: Path) -> None:
    for kind, what in (("classifier", "accuracy: "), ("encoder", "linear probe: ")):
        out = tmp_path / kind
        options = ("--steps", "1", "--batch-size", "4", "--test", pictures, "-q")
        told = cli("train", kind, pictures, "-o", str(out), *options)
        assert told.code == 0, told.err
        assert what in told.out
        name = told.out.splitlines()[-1].removeprefix("network: ")
        features = cli("features", pictures, "-e", name, "-o", str(tmp_path / f"{kind}.safetensors"), "-q")
        assert features.code == 0, features.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("am-gna",), "did you mean 'am-gan'?"),
        (("nothing",), "choose from gan, gan-saturating"),
        (("gan", "--predefined"), "GAN has no --predefined"),
        (("gan", "--test", "."), "--test is for a classifier or encoder; GAN is scored with --evaluate"),
        (("classifier", "--evaluate", "."), "--evaluate is for generators; a classifier is tested with --test"),
        (("am-gan", "--width", "99"), "--width is 99"),
        (("am-gan", "--classifier", "x"), "--classifier is for scores, which are taken against --evaluate"),
        (("am-gan", "-e", "random"), "--extractor is for scores"),
        (("encoder", "--visit-every", "5"), "--visit-every is for generators"),
        (("am-gan", "--batch-size", "50"), "a batch of 50 images cannot be drawn from 20"),
        (("am-gan", "--device", "nothing"), "device 'nothing' cannot be used"),
    ],
)
def test_mistakes_are_one_line(cli: Run, pictures: str, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    told = cli("train", words[0], pictures, "-o", str(tmp_path / "run"), *words[1:], "-q")
    assert told.code == 2
    assert message in told.err
    assert len(told.err.strip().splitlines()) == 1
    assert told.out == ""


def test_pictures_without_classes_are_refused_where_classes_are_learnt(cli: Run, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for number in range(4):
        Image.fromarray(np.full((40, 40, 3), number, np.uint8)).save(flat / f"{number}.png")
    refused = cli("train", "am-gan", str(flat), "-o", str(tmp_path / "run"), *SHORT)
    assert refused.code == 2
    assert "put each class in a folder of its own" in refused.err
    taken = cli("train", "gan", str(flat), "-o", str(tmp_path / "run"), *SHORT)
    assert taken.code == 0
    assert f"4 pictures of {flat} were resized to 32 x 32 pixels" in taken.err
