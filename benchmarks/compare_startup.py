"""How long it takes until a command says its options and a package is imported: fidprobe beside its peers."""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.comparison import OURS, PATIENCE, Aim, Work, interleaved, keep

PEERS = ("torch-fidelity", "pytorch-fid", "torchmetrics", "clean-fid")
SCRIPTS = Path(sys.executable).parent


def started(*command: str) -> Callable[[], None]:
    """Run a command to its end."""

    def call() -> None:
        subprocess.run([SCRIPTS / command[0], *command[1:]], check=True, capture_output=True)

    return call


def imported(package: str) -> Callable[[], None]:
    """Import a package in a fresh interpreter."""
    return started("python", "-W", "ignore", "-c", f"import {package}")


def measure(small: bool) -> dict[str, Any]:
    """Time all and keep the record."""
    rounds, patience = (1, 0.0) if small else (5, PATIENCE)
    helps = {
        OURS: started("fidprobe", "--help"),
        "torch-fidelity": started("fidelity", "--help"),
        "pytorch-fid": started("pytorch-fid", "--help"),
    }
    imports = {
        OURS: imported("fidprobe"),
        "fidprobe, with its metrics": imported("fidprobe.analysis.scores.measure"),
        "torch-fidelity": imported("torch_fidelity"),
        "pytorch-fid": imported("pytorch_fid.fid_score"),
        "torchmetrics": imported("torchmetrics.image.fid"),
        "clean-fid": imported("cleanfid.fid"),
        "Python alone": imported("sys"),
    }
    works = []
    for title, calls, most in (("--help", helps, 0.5), ("import", imports, 1.0)):
        rows = interleaved(calls, rounds=rounds, patience=patience)
        aims = [Aim("seconds", rows[OURS].median, most=most)]
        floor = rows["Python alone"].median if "Python alone" in rows else None
        works.append(Work(title, rows, aims, floor, "Python itself"))
    return keep("startup", works, inputs={}, versions={name: version(name) for name in PEERS}, small=small)
