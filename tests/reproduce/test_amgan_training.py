"""The script of Zhou et al. 2018, Fig. 3, 6 and 7, on small training runs with small networks."""

import importlib
import json
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fidprobe.analysis.output import FIGURE_SUFFIXES
from fidprobe.errors import FidprobeError, InputError, SourceError, WeightsError
from fidprobe.extraction import extract
from fidprobe.extractors import load_extractor
from fidprobe.extractors.small_resnet import SmallResNet
from fidprobe.extractors.trained import save_trained
from fidprobe.files import sha256_file
from fidprobe.images import ImageSource, open_images
from fidprobe.metrics.am_score import am_score
from fidprobe.metrics.frechet import frechet
from fidprobe.metrics.inception_score import inception_score
from fidprobe.training.data import Pictures
from fidprobe.training.evaluation import Evaluation, Evaluator
from fidprobe.training.gan import GanTask
from fidprobe.training.generator_run import train_generator
from fidprobe.training.kinds import new_task

ROOT = Path(__file__).parents[2]
IMAGES = 6
Script = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs `am-gan` and `gan`, generators after steps 2 and 4 of each, a reference and networks."""
    folder = tmp_path_factory.mktemp("made")
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (16, 3, 32, 32), generator=generator, dtype=torch.uint8)
    data = Pictures(images, torch.arange(16) % 3, ("a", "b", "c"), str(folder / "data.zip"), 0, ())
    for kind in ("am-gan", "gan"):
        task = new_task(kind, classes=3, seed=1, chosen={"width": 0.05})
        assert isinstance(task, GanTask)
        train_generator(task, data, folder / kind, steps=4, batch_size=8, seed=1, visit_every=2, save_every=4)
    np.save(folder / "real.npy", images.permute(0, 2, 3, 1).numpy())
    for name, classes in (("main", 5), ("classifier", 3), ("second", 0)):
        with torch.random.fork_rng([]):
            torch.manual_seed(len(name))
            network = SmallResNet(stem=4, widths=(6,), blocks=(1,), classes=classes)
        names = [f"class {i}" for i in range(classes)] or None
        save_trained(folder / f"{name}.safetensors", network, class_names=names, card={})
    return folder


@pytest.fixture
def script(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Runs the script as `python -m` does from the project's folder; gives its JSON."""
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.setenv("FIDPROBE_CACHE", str(tmp_path / "cache"))

    def call(*runs: str | Path, images: int = IMAGES, **options: object) -> dict[str, Any]:
        given: dict[str, object] = {
            "extractor": f"trained:{made / 'main.safetensors'}",
            "second_opinion": f"trained:{made / 'second.safetensors'}",
            "classifier": f"trained:{made / 'classifier.safetensors'}",
            "images": images,
            "results": tmp_path / "results",
            "figures": tmp_path / "figures",
            **options,
        }
        reference = given.pop("reference", made / "real.npy")
        names = ["--names", *given.pop("names")] if "names" in given else []  # type: ignore[misc]
        flags = [text for name, value in given.items() for text in (f"--{name.replace('_', '-')}", str(value))]
        importlib.import_module("reproduce.amgan_fig6").main(
            [str(reference), *(str(made / run) for run in runs), *names, *flags]
        )
        found: dict[str, Any] = json.loads((tmp_path / "results" / "amgan_fig6.json").read_text())
        return found

    return call


@pytest.fixture
def measured(script: Script, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps of the generators that are truly measured; figures, which take most of the time, are not written."""
    monkeypatch.setattr(importlib.import_module("reproduce.amgan_fig6"), "write_figure", lambda *what: None)
    steps: list[int] = []
    real = Evaluator.__call__

    def counted(self: Evaluator, source: ImageSource, step: int) -> Evaluation:
        steps.append(step)
        return real(self, source, step)

    monkeypatch.setattr(Evaluator, "__call__", counted)
    return steps


def scores(run: dict[str, Any]) -> list[Evaluation]:
    return [Evaluation.from_json(row["scores"]) for row in run["evaluations"]]


def test_scores_are_those_of_the_metrics_themselves(
    script: Script, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of every generator of every run, in the results, the table and the figure; no place of this machine is told."""
    found = script("am-gan", "gan", seed=3)
    networks = [load_extractor(f"trained:{made / f'{name}.safetensors'}") for name in ("main", "second", "classifier")]
    assert list(found["runs"]) == ["am-gan", "gan"]
    for name, run in found["runs"].items():
        assert [one.step for one in scores(run)] == [2, 4]
        for row, one in zip(run["evaluations"], scores(run), strict=True):
            file = made / name / "generators" / f"step-{one.step:06d}.safetensors"
            assert row["generator"] == sha256_file(file)
            assert row["seconds"] > 0
            samples = open_images(str(file), limit=IMAGES, seed=3)
            real, fake = ([extract(side, network) for network in networks] for side in (made / "real.npy", samples))
            expected = {real[i].space: pytest.approx(frechet(real[i], fake[i]).value, rel=1e-9) for i in (0, 1)}
            assert one.distances == expected
            assert one.inception_score == pytest.approx(inception_score(fake[0], splits=1).mean)
            assert one.am_score == pytest.approx(am_score(real[2], fake[2]).value)
            assert one.images == IMAGES
        assert run["card"]["title"] == {"am-gan": "AM-GAN", "gan": "GAN"}[name]
        assert run["card"].keys().isdisjoint({"data", "step"})
    assert found["reference"] == {"name": "real.npy", "count": 16}
    assert (found["measure"]["images"], found["measure"]["seed"]) == (IMAGES, 3)
    text = (tmp_path / "results" / "amgan_fig6.json").read_text()
    assert str(made) not in text
    assert str(tmp_path) not in text
    for suffix in FIGURE_SUFFIXES:
        assert (tmp_path / "figures" / f"amgan_fig6{suffix}").stat().st_size > 1000
    *table, last = capsys.readouterr().out.splitlines()
    assert last.startswith("written to ")
    assert max(map(len, table)) <= 79
    lines = [line.split() for line in table]
    assert [line[:2] for line in lines if line[:1] == ["gan"]] == [["gan", "2"], ["gan", "4"], ["gan", "4"]]
    last_of_gan = scores(found["runs"]["gan"])[-1]
    numbers = [float(text) for text in lines[-1][2:]]
    expected_numbers = [*last_of_gan.distances.values()]
    for attribute in ("inception_score", "marginal_entropy", "conditional_entropy"):
        expected_numbers.append(getattr(last_of_gan, attribute))
    expected_numbers += [last_of_gan.am_score or 0, last_of_gan.am_divergence or 0, last_of_gan.am_entropy or 0]
    assert numbers == pytest.approx(expected_numbers, rel=1e-3, abs=6e-4)


def test_a_killed_script_goes_on_and_measures_nothing_twice(
    script: Script, measured: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was measured before the kill is kept as it is, seconds included; the end is the same."""
    whole = script("am-gan", "gan", results=tmp_path / "results")
    assert measured == [2, 4, 2, 4]
    results = tmp_path / "results" / "amgan_fig6.json"
    results.unlink()
    counted = Evaluator.__call__

    def killed(self: Evaluator, source: ImageSource, step: int) -> Evaluation:
        if len(measured) == 7:
            raise KeyboardInterrupt
        return counted(self, source, step)

    with monkeypatch.context() as patch:
        patch.setattr(Evaluator, "__call__", killed)
        with pytest.raises(KeyboardInterrupt):
            script("am-gan", "gan")
    before = json.loads(results.read_text())["runs"]
    assert [len(run["evaluations"]) for run in before.values()] == [2, 1]
    after = script("am-gan", "gan")
    assert measured == [2, 4, 2, 4, 2, 4, 2, 4]
    assert after["runs"]["am-gan"] == before["am-gan"]
    assert after["runs"]["gan"]["evaluations"][0] == before["gan"]["evaluations"][0]
    assert {name: scores(run) for name, run in after["runs"].items()} == {
        name: scores(run) for name, run in whole["runs"].items()
    }
    assert script("am-gan", "gan") == after
    assert len(measured) == 8


def test_only_what_was_measured_alike_is_kept(script: Script, made: Path, measured: list[int], tmp_path: Path) -> None:
    """Another number of images, seed, reference or network, or another generator, is measured anew."""
    shutil.copytree(made / "am-gan" / "generators", tmp_path / "am-gan" / "generators")
    script(tmp_path / "am-gan")
    script(tmp_path / "am-gan", every=4)
    assert measured == [2, 4]
    np.save(tmp_path / "other.npy", np.load(made / "real.npy")[1:])
    for changed in (
        {"images": IMAGES + 1},
        {"seed": 1},
        {"reference": tmp_path / "other.npy"},
        {"extractor": f"trained:{made / 'classifier.safetensors'}"},
        {"classifier": f"trained:{made / 'main.safetensors'}"},
    ):
        measured.clear()
        script(tmp_path / "am-gan", every=4, **changed)
        assert measured == [4]
    measured.clear()
    script(tmp_path / "am-gan")  # the results held what was asked for last
    assert measured == [2, 4]
    shutil.copy(made / "gan/generators/step-000004.safetensors", tmp_path / "am-gan/generators/step-000004.safetensors")
    script(tmp_path / "am-gan")
    assert measured == [2, 4, 4]


def test_a_main_space_without_classes_has_no_inception_score(
    script: Script, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both distances and the AM Score are there."""
    found = script(
        "gan",
        every=4,
        extractor=f"trained:{made / 'second.safetensors'}",
        second_opinion=f"trained:{made / 'main.safetensors'}",
        names=["a name that is long and then longer still"],
    )
    ((name, run),) = found["runs"].items()
    assert name == "a name that is long and then longer still"
    (one,) = scores(run)
    assert one.inception_score is None
    assert one.am_score is not None
    *_, row, _ = capsys.readouterr().out.splitlines()
    assert row[12:].split()[3:6] == ["-", "-", "-"]
    assert len(row) <= 79


def test_mistakes_are_one_line_and_come_before_the_work(
    script: Script, made: Path, tmp_path: Path, measured: list[int]
) -> None:
    def told(kind: type[FidprobeError], *runs: str | Path, **options: object) -> str:
        with pytest.raises(kind) as error:
            script(*runs, **options)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert told(InputError, tmp_path).endswith("give a folder that `fidprobe train` left")
    assert "no generators/step-N.safetensors" in told(InputError, "am-gan", tmp_path / "nowhere")
    assert "no generator after a multiple of 3 steps" in told(InputError, "gan", every=3)
    assert "2 runs are called am-gan, am-gan" in told(InputError, "am-gan", "am-gan")
    assert "2 runs are called one" in told(InputError, "am-gan", "gan", names=["one"])
    for options in ({"images": 1}, {"every": 0}, {"seed": -1}):
        assert "at least 2 images" in told(InputError, "gan", **options)
    assert "'inceptoin'" in told(InputError, "gan", extractor="inceptoin")
    assert "nowhere.safetensors" in told(WeightsError, "gan", classifier=f"trained:{tmp_path}/nowhere.safetensors")
    assert "has no classes" in told(InputError, "gan", classifier=f"trained:{made / 'second.safetensors'}")
    assert "nowhere" in told(SourceError, "gan", reference=tmp_path / "nowhere")
    (tmp_path / "damaged" / "generators").mkdir(parents=True)
    (tmp_path / "damaged" / "generators" / "step-000002.safetensors").write_bytes(b"no")
    assert "damaged" in told(SourceError, tmp_path / "damaged")
    (tmp_path / "results").mkdir(exist_ok=True)
    for text in ("{", "[]", '{"measure": 1, "runs": {"a": {"evaluations": [{}]}}}'):
        (tmp_path / "results" / "amgan_fig6.json").write_text(text)
        assert "remove it to take all scores anew" in told(SourceError, "gan")
    assert measured == []


def test_a_mistake_ends_the_command_with_one_line(
    script: Script, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `python -m` runs it."""
    options = ["--classifier", "cifar", "--results", str(tmp_path), "--figures", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["amgan_fig6", str(made / "real.npy"), str(tmp_path), *options])
    sys.modules.pop("reproduce.amgan_fig6", None)  # it would be run a second time, with a warning
    with pytest.raises(SystemExit) as end:
        runpy.run_module("reproduce.amgan_fig6", run_name="__main__")
    assert str(end.value).startswith("error: ")
    assert "\n" not in str(end.value)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("data/cifar.zip/test/cat", "cifar.zip/test/cat"),
        ("data/cifar.zip", "cifar.zip"),
        ("data/folder", "folder"),
        ("cifar10:test", "cifar10:test"),
        ("hf:uoft-cs/cifar10:test", "hf:uoft-cs/cifar10:test"),
    ],
)
def test_a_reference_is_named_without_the_folders_it_lies_in(
    given: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data" / "folder").mkdir(parents=True)
    (tmp_path / "data" / "cifar.zip").touch()
    monkeypatch.syspath_prepend(ROOT)
    script = importlib.import_module("reproduce.amgan_fig6")
    monkeypatch.chdir(tmp_path)
    assert script.plain_name(given) == name
    if given.startswith("data"):
        assert script.plain_name(str(tmp_path / given)) == name


def test_the_document_tells_the_results() -> None:
    """docs/training.md's table has no number of its own, and what it says of the runs is so."""
    text = (ROOT / "docs" / "training.md").read_text("utf-8")
    told = json.loads((ROOT / "reproduce" / "results" / "amgan_fig6.json").read_text("utf-8"))
    found: dict[tuple[str, int], Evaluation] = {}
    for name, run in told["runs"].items():
        for one in scores(run):
            distances = f"{one.distances['efficientnet-lite0']:.1f} | {one.distances['cifar10-encoder']:.2f}"
            terms = f"{one.am_score:.2f} | {one.am_divergence:.2f} | {one.am_entropy:.2f}"
            assert f"| {name} | {one.step:,} | {distances} | {one.inception_score:.3f} | {terms} |" in text
            found[name, one.step] = one
    assert f"{told['measure']['images']:,} samples of each" in text
    ours, plain = found["AM-GAN", 3000], found["GAN", 3000]
    assert all(ours.distances[space] < plain.distances[space] for space in ours.distances)
    assert (ours.inception_score or 0) > (plain.inception_score or 9)
    assert (ours.am_score or 9) < (plain.am_score or 0)
