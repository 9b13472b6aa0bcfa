"""Everything that can be trained, by name, and what each takes."""

import pytest

from fidprobe.cli.train import KIND_NAMES
from fidprobe.errors import InputError
from fidprobe.generators.variants import GANS
from fidprobe.training.classifier import ClassifierTask
from fidprobe.training.encoder import EncoderTask
from fidprobe.training.gan import GanTask
from fidprobe.training.kinds import KINDS, new_task
from fidprobe.training.vae import VaeTask


def test_every_gan_can_be_trained_and_help_names_all() -> None:
    assert set(GANS) < set(KINDS)
    assert KIND_NAMES.split(", ") == list(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_a_task_of_every_kind_tells_its_settings(name: str) -> None:
    chosen = {"width": 0.03} if "width" in KINDS[name].options else {}
    task = new_task(name, classes=3, seed=4, chosen=chosen)
    assert task.settings["task"] == name
    assert task.settings["first_weights"] == 4
    expected = {"vae": VaeTask, "classifier": ClassifierTask, "encoder": EncoderTask}
    assert isinstance(task, expected.get(name, GanTask))
    assert set(task.modules) >= ({"generator"} if KINDS[name].generates else {"network"})


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.labelled])
def test_what_learns_from_labels_refuses_data_without(name: str) -> None:
    with pytest.raises(InputError, match="learns from class labels"):
        new_task(name, classes=0)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if not kind.labelled])
def test_what_needs_no_labels_takes_data_without(name: str) -> None:
    new_task(name, classes=0, chosen={"width": 0.03} if "width" in KINDS[name].options else {})


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("classifier", "width"),
        ("encoder", "average"),
        ("vae", "predefined"),
        ("gan", "predefined"),
        ("labelgan", "smooth_generator"),
        ("am-gan", "smooth_generator"),
        ("am-gan", "auxiliary_weight"),
        ("gan-saturating", "smooth_generator"),
    ],
)
def test_an_option_without_meaning_is_refused_and_the_others_named(name: str, option: str) -> None:
    with pytest.raises(InputError, match=f"has no `{option}`; there are `"):
        new_task(name, classes=3, chosen={option: 0.1})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("width", 0.0),
        ("width", 17.0),
        ("learning_rate", 0.0),
        ("average", 1.0),
        ("smooth_real", 0.6),
        ("width", float("nan")),
    ],
)
def test_values_out_of_range_are_one_line(option: str, value: float) -> None:
    with pytest.raises(InputError, match=f"`{option}` is .*; it must be from"):
        new_task("am-gan", classes=3, chosen={option: value})


def test_options_reach_the_task() -> None:
    chosen = {
        "width": 0.03,
        "learning_rate": 1e-3,
        "average": 0.9,
        "predefined": True,
        "smooth_real": 0.1,
        "smooth_fake": 0.05,
        "smooth_generator": 0.02,
        "auxiliary_weight": 0.1,
    }
    task = new_task("ac-gan-star", classes=3, chosen=chosen, mixed_precision=True)
    told = {**chosen, "smoothing": [0.1, 0.05, 0.02], "mixed_precision": True}
    for name in ("smooth_real", "smooth_fake", "smooth_generator"):
        del told[name]
    assert {name: task.settings[name] for name in told} == told
