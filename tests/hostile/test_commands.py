"""Commands on features that nobody wants: an answer, or one line that says why there is none."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fidprobe.features.value import Features
from fidprobe.provenance import ExtractorProvenance, Provenance, SourceProvenance
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


def test_what_a_file_says_of_itself_cannot_rewrite_the_terminal(cli: Run, tmp_path: Path) -> None:
    """Names of network, rule, source and pictures in a features file of somebody else."""
    evil = "\x1b[2J\u202e\n"
    for seed, name in enumerate(("reference", "generated")):
        values = torch.randn(12, 3, generator=torch.Generator().manual_seed(seed))
        origin = Provenance(
            ExtractorProvenance(f"net{evil}", "0" * 64, f"tf1{evil}"),
            SourceProvenance(f"set{evil}", 12, sizes={evil: 12}),
        )
        names = tuple(f"{i}{evil}" for i in range(12))
        Features(values, names=names, provenance=origin).save(tmp_path / f"{name}.safetensors")
    both = ("reference.safetensors", "generated.safetensors")
    for arguments in (
        ("features", both[0], "-o", "f.safetensors"),
        ("stats", *both, "-o", "s.npz"),
        ("score", *both),
        ("attack", *both, "--keep", "4", "-o", "attack"),
        ("influence", *both, "-o", "influence"),
    ):
        ran = cli(*arguments)
        assert ran.code == 0, ran.err
        assert not set("\x1b\u202e") & set(ran.out + ran.err), arguments


def test_features_whose_covariance_no_memory_holds_are_told(cli: Run, tmp_path: Path) -> None:
    """Raw pixels, say: 2^22 dimensions have a covariance of more bytes than a process can address."""
    Features(torch.zeros(2, 2**22)).save(tmp_path / "wide.safetensors")
    ran = cli("stats", "wide.safetensors", "-o", "s.npz")
    assert ran.code == 2
    assert ran.err.startswith("fidprobe: error: not enough memory (")
    assert ran.err.count("\n") == 1
