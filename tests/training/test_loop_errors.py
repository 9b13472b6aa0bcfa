"""What goes wrong in a training run is told in one line, and nothing is overwritten."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from fidprobe.errors import FidprobeError, InputError, SourceError
from fidprobe.training.gan import GanTask, new_gan
from tests.training.loop_runs import BATCH, SEED, STEPS, Recorder, pictures, run, same, small_encoder, small_gan, state


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"steps": STEPS + 1}, "steps"),
        ({"batch_size": BATCH + 1}, "batch_size"),
        ({"seed": SEED + 1}, "seed"),
        ({"data": pictures(21)}, "on other pictures"),
        ({"data": pictures(seed=1)}, "on other pictures"),
        ({"data": (pictures()[0], pictures()[1].flip(0))}, "on other pictures"),
        ({"identity": {"class_names": ["a", "b", "c"]}}, "class_names"),
        ({"task": small_gan("labelgan")}, "task"),
        ({"task": small_gan(learning_rate=1e-3)}, "learning_rate"),
        ({"task": small_gan(average=0.5)}, "average"),
        ({"task": small_gan(predefined=True)}, "predefined"),
        ({"task": new_gan("am-gan", classes=3, width=0.05, average=0.9)}, "width"),
        ({"task": new_gan("am-gan", classes=3, width=0.03, average=0.9, seed=1)}, "first_weights"),
        ({"task": small_encoder()}, "task"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_changed_setting_is_refused_by_name(changed: dict[str, Any], name: str, tmp_path: Path) -> None:
    """One line that names the file, the setting, and what to do; nothing is loaded or overwritten."""
    checkpoint = tmp_path / "run"
    run(small_gan(), checkpoint, interrupted=lambda: True)
    content = checkpoint.read_bytes()
    asked = {"task": small_gan(), **changed}
    task = asked.pop("task")
    before = state(task)
    with pytest.raises(InputError) as error:
        run(task, checkpoint, **asked)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"{checkpoint} belongs to a run {name if ' ' in name else f'with {name}'}")
    assert str(error.value).endswith("or another folder")
    assert checkpoint.read_bytes() == content
    assert same(state(task), before)


def one_line(error: FidprobeError, *parts: str) -> bool:
    return "\n" not in str(error) and all(part in str(error) for part in parts)


@settings(max_examples=15, deadline=None)
@given(part=st.floats(0, 0.999))
def test_a_truncated_checkpoint_is_told(part: float) -> None:
    """Wherever it ends."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "run"
        run(Recorder(), checkpoint, steps=2)
        content = checkpoint.read_bytes()
        checkpoint.write_bytes(content[: int(part * len(content))])
        with pytest.raises(SourceError) as error:
            run(Recorder(), checkpoint, steps=2)
    assert one_line(error.value, f"{checkpoint}: a damaged checkpoint (", "remove it to begin again")


@pytest.mark.parametrize(
    "metadata",
    [None, {}, {"kind": "something else"}, {"format": "pt"}],
    ids=["none", "empty", "another kind", "another format"],
)
def test_a_foreign_file_is_told(metadata: dict[str, str] | None, tmp_path: Path) -> None:
    """A safetensors file of something else."""
    save_file({"weight": torch.zeros(3)}, tmp_path / "run", metadata=metadata)
    with pytest.raises(SourceError) as error:
        run(Recorder(), tmp_path / "run")
    assert one_line(error.value, "no checkpoint of a training run", str(tmp_path / "run"))


@pytest.mark.parametrize("settings_text", ["{", "[]", "null"])
def test_a_checkpoint_with_broken_settings_is_told(settings_text: str, tmp_path: Path) -> None:
    """Metadata that is no JSON, or not what it should be."""
    metadata = {"kind": "fidprobe training checkpoint 1", "step": "1", "settings": settings_text}
    save_file({"further/losses": torch.zeros(1, 1)}, tmp_path / "run", metadata=metadata)
    with pytest.raises(SourceError) as error:
        run(Recorder(), tmp_path / "run")
    assert one_line(error.value, "a damaged checkpoint")


def test_other_networks_under_the_same_settings_are_told(tmp_path: Path) -> None:
    """What torch says of missing and mismatched weights goes over many lines; the error does not."""

    def task(hidden: int) -> GanTask:
        torch.manual_seed(0)
        generator = nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, 2))
        return GanTask("gan", generator, nn.Linear(2, 2), latent=2, classes=1)

    data = torch.zeros(8, 2), torch.zeros(8, dtype=torch.int64)
    run(task(4), tmp_path / "run", data=data)
    with pytest.raises(SourceError) as error:
        run(task(5), tmp_path / "run", data=data)
    assert one_line(error.value, "not the networks of this run", "size mismatch for 0.weight")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_run(bad: float, tmp_path: Path) -> None:
    """With the step, the losses and a remedy; the checkpoint before it stays."""
    checkpoint = tmp_path / "run"
    with pytest.raises(InputError) as error:
        run(Recorder(lambda step: bad if step == 4 else 1.0), checkpoint, save_every=2)
    assert one_line(error.value, f"step 4: the losses are {{'b': {bad}, 'a': 0.0}}", "lower learning rate")
    assert run(Recorder(lambda step: 2.0), checkpoint, save_every=2).losses[:, 0].tolist() == [1.0] * 2 + [2.0] * 7


def test_a_diverging_gan_is_told(tmp_path: Path) -> None:
    """Through the networks: a learning rate far too high."""
    with pytest.raises(InputError, match=r"^step \d: the losses are .*; take a lower learning rate"):
        run(small_gan(learning_rate=1e30), tmp_path / "run")


@pytest.mark.parametrize("batch", [0, -1, 21])
def test_a_batch_that_cannot_be_drawn_is_told(batch: int, tmp_path: Path) -> None:
    """Before anything else happens."""
    with pytest.raises(InputError, match=f"^a batch of {batch} images cannot be drawn from 20; take 2 or more"):
        run(Recorder(), tmp_path / "run", batch_size=batch)
    assert not list(tmp_path.iterdir())
