"""Commands on features that nobody wants: an answer, or one line that says why there is none."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fidprobe.features import Features
from tests.cli.running import Run

SETS: dict[str, Callable[[Tensor], Tensor]] = {
    "sound": lambda x: x,
    "ends": lambda x: torch.where(x > 0, 3.4e38, -3.4e38),
    "constant": lambda x: torch.full_like(x, 2.0),
    "one": lambda x: x[:1],
}
COMMANDS: dict[str, tuple[str, ...]] = {
    "audit": ("generated.safetensors", "--baseline", "baseline.safetensors", "--metrics", "fid,is", "--no-budget"),
    "compare": ("generated.safetensors", "baseline.safetensors"),
    "classes": ("generated.safetensors",),
    "influence": ("generated.safetensors",),
    "attack": ("generated.safetensors", "--keep", "4"),
}
PAIRS = (("sound", "ends"), ("sound", "constant"), ("sound", "one"), ("constant", "constant"), ("ends", "ends"))


def _write(path: Path, kind: str, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    values = SETS[kind](torch.randn(40, 4, generator=rng)) + (seed if kind == "constant" else 0)
    Features(values, SETS[kind](torch.randn(40, 5, generator=rng)), class_names=tuple("abcde")).save(path)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_commands_answer_or_say_why_not(pair: tuple[str, str], cli: Run, tmp_path: Path) -> None:
    """Warnings of numpy and torch are errors here, and what is no number is no JSON."""
    for seed, (name, kind) in enumerate((("reference", pair[0]), ("generated", pair[1]), ("baseline", pair[1]))):
        _write(tmp_path / f"{name}.safetensors", kind, seed)
    for command, arguments in COMMANDS.items():
        ran = cli(command, "reference.safetensors", *arguments, "--json", "-o", f"out-{command}")
        if ran.code == 2:
            assert ran.err.startswith("fidprobe: error: "), command
            assert ran.err.count("\n") == 1
        else:
            assert ran.code == 0
            json.loads(ran.out, parse_constant=_refuse)
