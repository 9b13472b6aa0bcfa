"""The commands as a user types them: what is printed where, and how mistakes end."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fidprobe.features.value import Features
from fidprobe.statistics import GaussianStatistics
from tests.cli.running import Run

FLAGS_OF_WEIGHTS = {"inception": "--weights", "clip": "--second-weights"}
OFFLINE = ("-e", "random", "-s", "random:1", "-q")


@pytest.fixture
def run(cli: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `fidprobe ARGUMENTS` in an empty folder with an empty cache."""
    monkeypatch.setenv("COLUMNS", "200")
    return cli


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """Folders `real`, `model` and `old` of 12 pictures each."""
    rng = np.random.default_rng(0)
    for name, noise in (("real", 0), ("model", 10), ("old", 60)):
        (tmp_path / name).mkdir()
        for i in range(12):
            base = np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((6, 6, 1)))
            picture = (base + rng.normal(0, 1, (24, 24, 3)) * noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(picture).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_audit_writes_both_reports_and_prints_the_change(run: Run, sets: Path) -> None:
    """Scores and the report's place on stdout, warnings on stderr."""
    ran = run("audit", "real", "model", "--baseline", "old", "-o", "out", *OFFLINE)
    assert ran.code == 0
    assert f"report: {Path('out') / 'report.html'}" in ran.out
    assert "FD[random]: " in ran.out
    assert "random:1 (second opinion)" in ran.out
    assert "warning: 'random' is an untrained network" in ran.err
    data = json.loads((sets / "out" / "report.json").read_text())
    assert data["changes"][0]["percent"] < 0
    assert data["command"].startswith("fidprobe audit real model")
    html = (sets / "out" / "report.html").read_text()
    from fidprobe.analysis.output.wording import number

    assert f">{number(data['main']['generated']['frechet_distance'])}<" in "".join(html.split())


def test_score_prints_text_or_json(run: Run, sets: Path) -> None:
    """The same numbers; JSON alone on stdout."""
    text = run("score", "real", "model", "--metrics", "fid,kid", *OFFLINE)
    as_json = run("score", "real", "model", "--metrics", "fid,kid", "--json", *OFFLINE)
    data = json.loads(as_json.out)
    assert (text.code, as_json.code) == (0, 0)
    assert f"{data['main']['generated']['frechet_distance']:.6g}" in text.out
    assert f"{data['second_opinion']['generated']['frechet_distance']:.6g}" in text.out
    assert data["sets"]["reference"]["source"]["formats"] == {"PNG": 12}


def test_score_follows_a_librarys_convention(run: Run, sets: Path) -> None:
    """StyleGAN's covariances divide by n; what it does not have is told; its choices brook no others."""
    plain = json.loads(run("score", "real", "model", "--json", "--resize", "tf1", *OFFLINE).out)
    ran = run("score", "real", "model", "-m", "fid,pr", "--convention", "stylegan", "--json", *OFFLINE)
    data = json.loads(ran.out)
    one, other = (found["main"]["generated"]["frechet_distance_covariance_term"] for found in (data, plain))
    assert one == pytest.approx(other * 11 / 12, rel=1e-6)
    assert data["main"]["extractor"]["resize"] == "tf1"
    assert "takes precision and recall in VGG16" in ran.err
    assert "the library itself, which takes Inception, prints no such numbers" in ran.err
    assert run("features", "real", "-o", "r.safetensors", "-e", "random", "-q").code == 0
    assert (
        "were resized by the rule 'native'"
        in run("score", "r.safetensors", "r.safetensors", "--convention", "adm", *OFFLINE).err
    )
    clashing = run("score", "real", "model", "--convention", "stylegan", "--resize", "clean", *OFFLINE)
    assert (clashing.code, clashing.out) == (2, "")
    assert "leave out --resize" in clashing.err
    assert "choose from ttur" in run("score", "real", "model", "--convention", "gan", *OFFLINE).err


def test_features_and_stats_stand_in_for_images(run: Run, sets: Path) -> None:
    """Written by one command, taken by the others, with equal numbers."""
    assert run("features", "real", "-o", "real.safetensors", "-e", "random", "-q").code == 0
    told = json.loads(run("stats", "real", "-o", "real.npz", "-e", "random", "-q", "--json").out)
    assert (told["count"], told["dimensions"]) == (12, 512)
    assert len(Features.load("real.safetensors")) == 12
    assert GaussianStatistics.load("real.npz").count == 12
    with np.load("real.npz") as peer:
        assert peer["mu"].shape == (512,)

    def distance(*arguments: str) -> float:
        ran = run("score", *arguments, "--json", *OFFLINE)
        assert ran.code == 0, ran.err
        value = json.loads(ran.out)["main"]["generated"]["frechet_distance"]
        assert isinstance(value, float)
        return value

    images = distance("real", "model")
    assert distance("real.safetensors", "model") == pytest.approx(images, rel=1e-9)
    assert distance("real.npz", "model") == pytest.approx(images, rel=1e-9)
    assert run("stats", "real.safetensors", "-o", "again.npz", "-q").code == 0
    assert distance("again.npz", "model") == pytest.approx(images, rel=1e-9)
    bare = run("score", "real.npz", "model", *OFFLINE)
    assert "second opinion: not computed" in bare.out
    assert "No second opinion" in bare.err


def test_stats_of_several_sources_are_those_of_their_union(run: Run, sets: Path) -> None:
    (sets / "model" / "bad.png").write_bytes(b"no picture")
    network = ("-e", "random", "-q")
    assert run("features", "real", "-o", "real.safetensors", *network).code == 0
    assert run("stats", "old", "-o", "old.npz", *network).code == 0
    ran = run("stats", "real.safetensors", "model", "old.npz", "-o", "all.npz", "--skip-bad", "--json", *network)
    assert ran.code == 0
    told = json.loads(ran.out)
    assert (told["count"], told["source"]["count"], told["source"]["sizes"]) == (36, 36, {"24x24": 36})
    assert told["source"]["description"] == "real + model + old"
    assert [name for name, _ in told["source"]["skipped"]] == ["bad.png"]
    assert "skipped bad.png" in ran.err
    whole = sets / "whole"
    whole.mkdir()
    for name in ("real", "model", "old"):
        (sets / name).rename(whole / name)
    assert run("stats", "whole", "-o", "whole.npz", "--skip-bad", *network).code == 0
    merged, plain = (GaussianStatistics.load(sets / name) for name in ("all.npz", "whole.npz"))
    torch.testing.assert_close(merged.mean, plain.mean, rtol=1e-6, atol=0)
    torch.testing.assert_close(merged.cov, plain.cov, rtol=1e-6, atol=1e-9)
    ran = run("stats", "real.safetensors", "whole", "-o", "x.npz", "-e", "random:1", "-q", "--skip-bad")
    assert ran.code == 2
    assert "extracted differently" in ran.err


def test_skipped_files_are_listed(run: Run, sets: Path) -> None:
    """On request; otherwise the first one stops the run by name."""
    (sets / "model" / "3.png").write_bytes(b"broken")
    stopped = run("score", "real", "model", *OFFLINE)
    assert stopped.code == 2
    assert "3.png" in stopped.err
    assert "--skip-bad" in stopped.err
    ran = run("score", "real", "model", "--skip-bad", "--json", *OFFLINE)
    data = json.loads(ran.out)
    assert data["sets"]["generated"]["count"] == 11
    assert data["sets"]["generated"]["source"]["skipped"][0][0] == "3.png"
    listed = run("features", "model", "-o", "m.safetensors", "--skip-bad", "-e", "random", "-q")
    assert "warning: skipped 3.png" in listed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("score", "nowhere", "model"), "nowhere: no such file or folder"),
        (("score", "real", "model", "-e", "inceptoin"), "unknown extractor 'inceptoin'; did you mean 'inception'?"),
        (("score", "real", "model", "-m", "fid,fud"), "unknown metric 'fud'; did you mean 'fid'? choose from fid, "),
        (("score", "real", "model", "-m", "is"), "'random' gives none"),
        (("score", "real", "model", "--limit", "99"), "99 images were asked for"),
        (("score", "real", "model", "--device", "warp"), "device 'warp' cannot be used"),
        (("score", "real", "model", "--weights", "none.pth"), "none.pth"),
        (
            ("features", "real", "-e", "inception", "--weights", "real/0.png", "-o", "f.safetensors"),
            "--unverified-weights",
        ),
        (("features", "real", "-o", "f.npz"), "saved as .safetensors"),
        (("features", "real", "-o", "real/0.png/f.safetensors"), "cannot write real/0.png/f.safetensors"),
        (("stats", "real", "-o", "real/0.png/s.npz"), "cannot write real/0.png/s.npz"),
        (("stats", "real", "-o", "f.safetensors"), "saved as .npz"),
        (("audit", "real", "model", "-o", "real/0.png"), "real/0.png"),
        (("audit", "empty", "model"), "no images"),
        (("audit", "one", "model"), "reference has 1 image"),
    ],
)
def test_mistakes_end_in_one_line(run: Run, sets: Path, arguments: tuple[str, ...], message: str) -> None:
    """On stderr, exit code 2, no traceback, nothing on stdout."""
    (sets / "empty").mkdir()
    (sets / "one").mkdir()
    (sets / "one" / "only.png").write_bytes((sets / "real" / "0.png").read_bytes())
    options = OFFLINE[4:] if arguments[0] != "score" and arguments[0] != "audit" else OFFLINE
    ran = run(arguments[0], *options, *arguments[1:])
    assert ran.code == 2
    assert message in ran.err
    assert ran.err.startswith("fidprobe: error: ")
    assert ran.err.count("\n") == 1
    assert ran.out == ""


def test_missing_official_weights_say_what_to_put_where(run: Run, sets: Path) -> None:
    """The default network, on a machine without a connection."""
    # An address that answers at once, whatever the machine's network.
    from fidprobe.extractors import weights

    entry = weights.WEIGHTS["inception"]
    local = type(entry)(entry.name, entry.file, "http://127.0.0.1:9/none.pth", entry.sha256, None, entry.purpose)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "WEIGHTS", {**weights.WEIGHTS, "inception": local})
        ran = run("score", "real", "model", "-q")
    assert ran.code == 2
    assert str(Path("cache") / "weights" / entry.file) in ran.err
    assert "--weights" in ran.err


@pytest.mark.parametrize("command", ["audit", "score", "compare", "classes", "conventions"])
def test_every_absent_file_is_named_at_once_with_a_command_that_needs_none(
    command: str, run: Run, sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each network's own flag stands in its message; the last line is the same command with embedded networks."""
    from fidprobe.extractors import weights

    absent = {
        name: replace(weights.WEIGHTS[name], url=f"http://127.0.0.1:9/{name}")  # answers at once
        for name in FLAGS_OF_WEIGHTS
    }
    monkeypatch.setattr(weights, "WEIGHTS", {**weights.WEIGHTS, **absent})
    sources = ["real", "model", *(["old"] if command == "compare" else [])]
    ran = run(command, *sources, "-q", "--extractor=inception", "--limit", "5")
    *errors, instead = ran.err.splitlines()
    assert ran.code == 2
    needed = {"inception": "--weights"} if command == "classes" else FLAGS_OF_WEIGHTS
    assert len(errors) == len(needed)
    for error, (name, flag) in zip(errors, needed.items(), strict=True):
        assert error.startswith(f"fidprobe: error: cannot download http://127.0.0.1:9/{name} (Connection refused);")
        assert error.endswith(f"put it at {weights.weights_path(name)}, or name a local copy with {flag}")
    networks = "--extractor efficientnet-lite0" + " --second-opinion cifar10-encoder" * (len(needed) - 1)
    assert instead == f"without downloads: fidprobe {command} {' '.join(sources)} -q --limit 5 {networks}"


def test_weights_are_listed_and_verified(run: Run) -> None:
    """The packaged network is ready; an absent one is said to be absent; damaged ones are found."""
    from fidprobe.extractors.weights import weights_path

    assert run("weights").out == run("weights", "list").out
    rows = {row["entry"]["name"]: row for row in json.loads(run("weights", "list", "--json").out)}
    assert rows["efficientnet-lite0"]["state"] == "ready"
    assert rows["inception"]["state"] == "absent"
    assert "efficientnet-lite0" in run("weights", "list").out
    assert "is the published one" in run("weights", "verify", "efficientnet-lite0").out
    path = weights_path("inception")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"damaged")
    ran = run("weights", "verify", "inception")
    assert ran.code == 2
    assert "6726825d" in ran.err
    assert run("weights", "fetch", "nothing").code == 2


def test_a_second_run_is_answered_from_the_cache(run: Run, sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And `--no-cache` neither reads nor writes it."""
    first = run("score", "real", "model", *OFFLINE)
    kept = list((sets / "cache").rglob("*.safetensors"))
    assert len(kept) == 4
    from fidprobe.extractors.random_network import RandomNetwork

    def fail(*_: object) -> torch.Tensor:
        raise AssertionError("extracted again")

    with monkeypatch.context() as patch:
        patch.setattr(RandomNetwork, "prepare", fail)
        assert run("score", "real", "model", *OFFLINE).out == first.out
    for file in kept:
        file.unlink()
    assert run("score", "real", "model", "--no-cache", *OFFLINE).out == first.out
    assert not list((sets / "cache").rglob("*.safetensors"))


def test_version_and_help(run: Run) -> None:
    """Every command has its own help page."""
    assert run("--version").out.startswith("fidprobe 0.")
    for name in ("audit", "score", "features", "stats", "demo", "weights"):
        ran = run(name, "--help")
        assert ran.code == 0
        assert "Usage: fidprobe" in ran.out


def test_a_keyboard_interrupt_says_how_to_go_on(run: Run, sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 130, no traceback."""
    from fidprobe.extractors.random_network import RandomNetwork

    def interrupt(*_: object) -> torch.Tensor:
        raise KeyboardInterrupt

    monkeypatch.setattr(RandomNetwork, "prepare", interrupt)
    ran = run("score", "real", "model", *OFFLINE)
    assert ran.code == 130
    assert ran.err.startswith("fidprobe: interrupted; features kept so far")
    assert "Traceback" not in ran.err


def test_what_a_source_leaves_out_is_a_warning_like_others(run: Run, sets: Path) -> None:
    """No line of code, no name of a class."""
    (sets / "model" / "notes").symlink_to("notes")
    ran = run("features", "model", "-e", "random", "-q", "-o", "f.safetensors")
    assert ran.code == 0
    assert "warning: links to themselves were left out: model/notes\n" in ran.err
    assert "opening.py" not in ran.err
