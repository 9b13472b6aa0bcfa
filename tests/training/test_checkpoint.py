"""A checkpoint gives back every number and every memory layout, or says in one line why it does not."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import nn

from fidprobe.errors import InputError, SourceError
from fidprobe.training.checkpoint import load_checkpoint, save_checkpoint

SETTINGS: dict[str, Any] = {"task": "test", "width": 0.25, "widths": [1, 2], "none": None}


def learnt(seed: int, steps: int = 3) -> tuple[nn.Module, torch.optim.Adam]:
    """A network with buffers whose maps are channels last, and its optimizer, after some steps."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 2))
        network.to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        for _ in range(steps):
            optimizer.zero_grad()
            network(torch.randn(5, 3, 6, 6)).square().mean().backward()
            optimizer.step()
    return network, optimizer


def save(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, **further: torch.Tensor) -> None:
    save_checkpoint(
        path, modules={"one": network}, optimizers={"one": optimizer}, further=further, settings=SETTINGS, step=3
    )


def load(
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, settings: dict[str, Any] | None = None
) -> tuple[int, dict[str, torch.Tensor]]:
    return load_checkpoint(path, modules={"one": network}, optimizers={"one": optimizer}, settings=settings or SETTINGS)


def test_everything_comes_back_where_it_was(tmp_path: Path) -> None:
    """Weights, statistics, moments, counts, other tensors; layouts too, since sums in another order differ."""
    network, optimizer = learnt(0)
    losses = torch.rand(3, 2, dtype=torch.float64)
    save(tmp_path / "run", network, optimizer, losses=losses, place=torch.tensor(7))
    other, others = learnt(1, steps=0)
    step, further = load(tmp_path / "run", other, others)
    assert step == 3
    assert further["losses"].dtype == torch.float64
    assert torch.equal(further["losses"], losses)
    assert further["place"] == 7
    for key, value in network.state_dict().items():
        assert torch.equal(other.state_dict()[key], value)
        assert other.state_dict()[key].stride() == value.stride()
    for mine, theirs in zip(network.parameters(), other.parameters(), strict=True):
        assert others.state[theirs].keys() == optimizer.state[mine].keys() == {"step", "exp_avg", "exp_avg_sq"}
        for key, held in optimizer.state[mine].items():
            ours = others.state[theirs][key]
            assert torch.equal(ours, held)
            assert (ours.dtype, ours.stride()) == (held.dtype, held.stride())
    assert any(not held["exp_avg"].is_contiguous() for held in others.state.values())  # the layout was at stake


def test_what_was_loaded_is_saved_to_the_same_bytes(tmp_path: Path) -> None:
    """A run that was killed leaves the file of an undisturbed one; a dozen weights are more than ten in order."""
    network = torch.nn.Sequential(*(torch.nn.Linear(2, 2) for _ in range(6)))
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    save(tmp_path / "run", network, optimizer)
    content = (tmp_path / "run").read_bytes()
    again = torch.nn.Sequential(*(torch.nn.Linear(2, 2) for _ in range(6)))
    others = torch.optim.Adam(again.parameters())
    load(tmp_path / "run", again, others)
    save(tmp_path / "run", again, others)
    assert (tmp_path / "run").read_bytes() == content


def test_an_optimizers_own_settings_are_not_kept(tmp_path: Path) -> None:
    """They are the run's business: the learning rate is the one asked for."""
    network, optimizer = learnt(0)
    save(tmp_path / "run", network, optimizer)
    other, _ = learnt(0, steps=0)
    others = torch.optim.Adam(other.parameters(), lr=0.5, betas=(0.1, 0.2))
    load(tmp_path / "run", other, others)
    assert others.param_groups[0]["lr"] == 0.5
    assert others.param_groups[0]["betas"] == (0.1, 0.2)


def test_an_optimizer_that_has_not_learnt_comes_back_so(tmp_path: Path) -> None:
    """Before the first step Adam holds nothing."""
    network, optimizer = learnt(0, steps=0)
    save(tmp_path / "run", network, optimizer)
    other, others = learnt(1, steps=0)
    load(tmp_path / "run", other, others)
    assert not others.state


def test_settings_are_plain_json_in_the_file(tmp_path: Path) -> None:
    """Anyone can read what a checkpoint is of."""
    save(tmp_path / "run", *learnt(0))
    with safe_open(tmp_path / "run", "pt") as file:
        assert json.loads(file.metadata()["settings"]) == SETTINGS


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"width": 0.5}, "width 0.25, and 0.5 was asked for"),
        ({"widths": [1, 3]}, "widths [1, 2], and [1, 3] was asked for"),
        ({"new": 1}, "new None, and 1 was asked for"),
        ({"none": False}, "none None, and False was asked for"),
    ],
)
def test_other_settings_are_refused(changed: dict[str, Any], told: str, tmp_path: Path) -> None:
    """With both values; nothing is loaded."""
    save(tmp_path / "run", *learnt(0))
    network, optimizer = learnt(1)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(InputError) as error:
        load(tmp_path / "run", network, optimizer, {**SETTINGS, **changed})
    assert str(error.value).startswith(f"{tmp_path / 'run'} belongs to a run with {told}; give the same settings")
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_setting_that_is_missing_is_refused(tmp_path: Path) -> None:
    """What the checkpoint knows and the run does not."""
    save(tmp_path / "run", *learnt(0))
    settings = {key: value for key, value in SETTINGS.items() if key != "width"}
    with pytest.raises(InputError, match=r"belongs to a run with width 0\.25, and None was asked for"):
        load(tmp_path / "run", *learnt(1), settings)


def test_flipped_bits_in_the_header_are_told(tmp_path: Path) -> None:
    """Each of the first bytes, made another: an error of ours in one line, or (in a text) other settings."""
    path = tmp_path / "run"
    save(path, *learnt(0))
    content = path.read_bytes()
    for place in range(0, 400, 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        with pytest.raises((SourceError, InputError)) as error:
            load(path, *learnt(1, steps=0))
        assert "\n" not in str(error.value)
        assert str(path) in str(error.value)


def test_a_flipped_bit_anywhere_in_the_data_is_told(tmp_path: Path) -> None:
    """The format would take it for another weight, and the run would go on to other ones."""
    path = tmp_path / "run"
    save(path, *learnt(0))
    content = path.read_bytes()
    for place in range(len(content) - 400, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(SourceError, match="a damaged checkpoint .*remove it to begin again"):
            load(path, *learnt(1, steps=0))


def test_a_failed_write_leaves_the_older_checkpoint(tmp_path: Path) -> None:
    """A setting that is no JSON stops the writing half way."""
    network, optimizer = learnt(0)
    save(tmp_path / "run", network, optimizer)
    content = (tmp_path / "run").read_bytes()
    with pytest.raises(TypeError):
        save_checkpoint(
            tmp_path / "run", modules={"one": network}, optimizers={}, further={}, settings={"bad": object()}, step=4
        )
    assert (tmp_path / "run").read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["run"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Where a file stands in the way of a folder."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"^cannot write .*file/run: "):
        save(tmp_path / "file" / "run", *learnt(0))
