"""A generator's training run: what it leaves, how it goes on, what it scores on the way."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from fidprobe.errors import InputError, SourceError
from fidprobe.extractors import load_extractor
from fidprobe.extractors.small_resnet import SmallResNet
from fidprobe.extractors.trained import save_trained
from fidprobe.features.extraction import extract
from fidprobe.generators.networks import Generator
from fidprobe.generators.saved import load_generator
from fidprobe.images import open_images
from fidprobe.metrics.am_score import am_score
from fidprobe.metrics.frechet import frechet
from fidprobe.metrics.inception_score import inception_score
from fidprobe.training.data import Pictures
from fidprobe.training.evaluation import Evaluation, Evaluator
from fidprobe.training.gan import GanTask
from fidprobe.training.generator_run import GeneratorRun, train_generator
from fidprobe.training.kinds import new_task
from fidprobe.training.vae import VaeTask
from tests.training.stopping import stop_after


def pictures(n: int = 24) -> Pictures:
    images = torch.randint(256, (n, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return Pictures(images, torch.arange(n) % 3, ("a", "b", "c"), "noise", 0, ())


def run(folder: Path, kind: str = "am-gan", **options: Any) -> GeneratorRun:
    chosen = options.pop("chosen", {"width": 0.03})
    task = new_task(kind, classes=3, seed=1, chosen=chosen)
    assert isinstance(task, GanTask | VaeTask)
    asked = {"steps": 6, "batch_size": 8, "seed": 1, "visit_every": 3, "save_every": 2, **options}
    return train_generator(task, pictures(), folder, **asked)


def load_checkpoint(path: Path, task: GanTask) -> None:
    """Weights of a checkpoint into a task's networks, by their names in the file."""
    with safe_open(path, "pt") as file:
        for name, module in task.modules.items():
            keys = [key for key in file.keys() if key.startswith(f"module/{name}/")]  # noqa: SIM118 - not a dict
            module.load_state_dict({key.removeprefix(f"module/{name}/"): file.get_tensor(key) for key in keys})


def network(folder: Path, name: str, classes: int) -> str:
    """A small network with a classifier, as a file."""
    with torch.random.fork_rng([]):
        torch.manual_seed(len(name))
        made = SmallResNet(stem=4, widths=(6,), blocks=(1,), classes=classes)
    path = folder / f"{name}.safetensors"
    save_trained(path, made, class_names=[f"class {i}" for i in range(classes)] if classes else None, card={})
    return f"trained:{path}"


def test_a_run_leaves_generators_grids_losses_and_what_it_was(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.trained.steps == 6
    for step in (3, 6):
        assert load_generator(tmp_path / "generators" / f"step-{step:06d}.safetensors").card["step"] == step
        with Image.open(tmp_path / "samples" / f"step-{step:06d}.png") as grid:
            assert grid.size == (8 * 66 - 2, 8 * 66 - 2)
    saved = load_generator(done.generator)
    assert saved.class_names == ("a", "b", "c")
    assert (saved.card["kind"], saved.card["title"], saved.card["data"]) == ("am-gan", "AM-GAN", "noise")
    lines = (tmp_path / "losses.csv").read_text().splitlines()
    assert lines[0] == "step,discriminator loss,generator loss"
    assert [line.split(",")[0] for line in lines[1:]] == [str(step) for step in range(1, 7)]
    assert json.loads((tmp_path / "training.json").read_text())["settings"]["width"] == 0.03
    assert all((tmp_path / f"curves{suffix}").stat().st_size for suffix in (".svg", ".pdf", ".png"))


@pytest.mark.parametrize("kind", ["am-gan", "vae", "dcgan"])
def test_a_stopped_run_goes_on_to_the_same_files(tmp_path: Path, kind: str) -> None:
    whole = run(tmp_path / "whole", kind)
    stopped = run(tmp_path / "parts", kind, interrupted=stop_after(4))
    assert stopped.trained.steps == 4
    parts = run(tmp_path / "parts", kind)
    assert parts.generator.read_bytes() == whole.generator.read_bytes()
    for file in ("losses.csv", "training.json", "samples/step-000006.png", "generators/step-000003.safetensors"):
        assert (tmp_path / "parts" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_a_kill_in_the_middle_of_a_visit_does_the_visit_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fidprobe.training.generator_run as module

    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_samples", killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    assert not (tmp_path / "samples").exists()
    run(tmp_path)
    assert (tmp_path / "samples" / "step-000003.png").is_file()


def test_the_moving_average_is_the_result(tmp_path: Path) -> None:
    plain = run(tmp_path / "plain")
    averaged = run(tmp_path / "averaged", chosen={"width": 0.03, "average": 0.9})
    # The networks learn alike: only what is kept differs.
    assert torch.equal(plain.trained.losses, averaged.trained.losses)
    ours, theirs = (load_generator(one.generator).network.last.weight for one in (averaged, plain))
    assert not torch.equal(ours, theirs)
    task = new_task("am-gan", classes=3, seed=1, chosen={"width": 0.03, "average": 0.9})
    assert isinstance(task, GanTask)
    load_checkpoint(tmp_path / "averaged" / "checkpoint.safetensors", task)
    assert isinstance(task.averaged, Generator)
    assert torch.equal(ours, task.averaged.plain().last.weight)


@pytest.mark.parametrize("predefined", [False, True])
def test_every_grid_is_of_the_same_latents_and_classes(tmp_path: Path, predefined: bool) -> None:
    """Image i, in row i // 8 and column i % 8, hangs on the run's seed and i: first its latent, then its class."""
    run(tmp_path, "ac-gan", chosen={"width": 0.03, "predefined": predefined})
    drawn = [np.random.default_rng((1, i)) for i in range(64)]
    noise = torch.from_numpy(np.stack([rng.standard_normal(100, dtype=np.float32) for rng in drawn]))
    classes = torch.tensor([int(rng.integers(3)) for rng in drawn]) if predefined else None
    if classes is not None:
        assert set(classes.tolist()) == {0, 1, 2}
    for step in (3, 6):
        network = load_generator(tmp_path / "generators" / f"step-{step:06d}.safetensors").network
        assert network.classes == (3 if predefined else 0)
        with torch.no_grad():
            expected = ((network(noise, classes) + 1) * 127.5).round()
        with Image.open(tmp_path / "samples" / f"step-{step:06d}.png") as picture:
            grid = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)
        for place in range(64):
            top, left = 66 * (place // 8), 66 * (place % 8)
            for pixel in (0, 1):  # twice as large
                shown = grid[:, top + pixel : top + 64 : 2, left + pixel : left + 64 : 2].float()
                assert (shown - expected[place]).abs().max() <= 1


def test_scores_are_those_of_the_metrics_themselves(tmp_path: Path) -> None:
    reference = pictures(40).images.permute(0, 2, 3, 1).numpy()
    main, classifier = network(tmp_path, "main", 5), network(tmp_path, "classifier", 3)
    evaluator = Evaluator(reference, extractor=main, second_opinion="random", classifier=classifier)
    done = run(tmp_path / "run", evaluator=evaluator, evaluated_images=30)
    assert [one.step for one in done.evaluations] == [3, 6]
    last = done.evaluations[-1]
    samples = open_images(str(done.generator), limit=30, seed=1)
    real, made = (extract(side, load_extractor(main)) for side in (reference, samples))
    assert last.distances[real.space] == pytest.approx(frechet(real, made).value, rel=1e-9)
    real_second, made_second = (extract(side, load_extractor("random")) for side in (reference, samples))
    assert last.distances["random"] == pytest.approx(frechet(real_second, made_second).value, rel=1e-9)
    assert last.inception_score == pytest.approx(inception_score(made, splits=1).mean)
    assert last.marginal_entropy is not None
    assert last.conditional_entropy is not None
    assert np.log(last.inception_score or 0) == pytest.approx(last.marginal_entropy - last.conditional_entropy)
    own = [extract(side, load_extractor(classifier)) for side in (reference, samples)]
    assert last.am_score == pytest.approx(am_score(*own).value)
    told = json.loads((tmp_path / "run" / "training.json").read_text())
    assert [Evaluation.from_json(row) for row in told["evaluations"]] == list(done.evaluations)


def test_scores_taken_before_a_stop_are_kept(tmp_path: Path) -> None:
    calls: list[int] = []

    class Counted(Evaluator):
        def __init__(self) -> None:
            self.identity = {"reference": "r"}

        def __call__(self, source: Any, step: int) -> Evaluation:
            calls.append(step)
            return Evaluation(step, len(source), {"a": 1.0, "b": 2.0})

    run(tmp_path, evaluator=Counted(), interrupted=stop_after(5))
    done = run(tmp_path, evaluator=Counted())
    assert calls == [3, 6]
    assert [one.step for one in done.evaluations] == [3, 6]


def test_scores_of_another_kind_are_refused_and_missing_ones_taken(tmp_path: Path) -> None:
    reference = pictures(40).images
    random = Evaluator(reference, extractor="random:1", second_opinion="random")
    run(tmp_path, interrupted=stop_after(4))
    done = run(tmp_path, evaluator=random, evaluated_images=8)
    assert [one.step for one in done.evaluations] == [3, 6]
    assert run(tmp_path).evaluations == done.evaluations
    other = Evaluator(reference, extractor="random:2", second_opinion="random")
    for evaluator, images in (
        (other, 8),
        (random, 9),
        (Evaluator(reference[1:], extractor="random:1", second_opinion="random"), 8),
    ):
        with pytest.raises(InputError, match="scores of another reference, other networks"):
            run(tmp_path, evaluator=evaluator, evaluated_images=images)
    (tmp_path / "training.json").unlink()
    assert len(run(tmp_path, evaluator=other, evaluated_images=8).evaluations) == 2


def test_without_its_checkpoint_nothing_of_a_run_is_left(tmp_path: Path) -> None:
    random = Evaluator(pictures(40).images, extractor="random:1", second_opinion="random")
    run(tmp_path, evaluator=random, evaluated_images=8)
    (tmp_path / "checkpoint.safetensors").unlink()
    done = run(tmp_path, steps=4, visit_every=2)
    assert done.evaluations == ()
    assert sorted(file.name for file in (tmp_path / "generators").iterdir()) == [
        "step-000002.safetensors",
        "step-000004.safetensors",
    ]
    assert sorted(file.name for file in (tmp_path / "samples").iterdir()) == ["step-000002.png", "step-000004.png"]


def test_a_run_stopped_before_its_first_visit_leaves_a_generator(tmp_path: Path) -> None:
    done = run(tmp_path, interrupted=stop_after(1))
    assert load_generator(done.generator).card["step"] == 1
    assert not (tmp_path / "generators").exists()


def test_renamed_classes_are_another_run(tmp_path: Path) -> None:
    run(tmp_path, interrupted=stop_after(2))
    task = new_task("am-gan", classes=3, seed=1, chosen={"width": 0.03})
    assert isinstance(task, GanTask)
    renamed = replace(pictures(), class_names=("c", "b", "a"))
    with pytest.raises(InputError, match="class_names"):
        train_generator(task, renamed, tmp_path, steps=6, batch_size=8, seed=1, visit_every=3, save_every=2)


def test_a_space_is_no_second_opinion_on_itself(tmp_path: Path) -> None:
    main = network(tmp_path, "main", 5)
    with pytest.raises(InputError, match="cannot be a second opinion on itself"):
        Evaluator(pictures().images, extractor=main, second_opinion=main)
    with pytest.raises(InputError, match="has no classes"):
        Evaluator(pictures().images, extractor=main, second_opinion="random", classifier=network(tmp_path, "plain", 0))


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 1 step apart"):
        run(tmp_path, visit_every=0)
    run(tmp_path)
    with pytest.raises(InputError, match="steps 6.*12 was asked for"):
        run(tmp_path, steps=12)
    (tmp_path / "training.json").write_text("{")
    with pytest.raises(SourceError, match=r"training\.json: damaged"):
        run(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write the training run"):
        run(tmp_path / "file")
