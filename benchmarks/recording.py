"""Where a measurement was made, and its file."""

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fidprobe.runtime.progress import Progress

__all__ = ["environment", "markdown_templates", "printed_tenths", "write"]


def environment(device: torch.device | str = "cpu") -> dict[str, Any]:
    """Hardware and versions, as plain data."""
    cuda = torch.device(device).type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if cuda else _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "fidprobe": version("fidprobe"),
    }


def _processor() -> str:
    """The processor's name where the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def write(path: Path, result: dict[str, Any]) -> None:
    """Save a result as JSON and say where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {path}")


def markdown_templates(folder: Path) -> Environment:
    """Templates of pages whose numbers come from records; a name that they do not have is an error."""
    return Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown of our own records
    )


def printed_tenths() -> Progress:
    """Progress that prints a line for every tenth of a stage."""
    printed: set[str] = set()

    def progress(stage: str, done: int, total: int | None) -> None:
        if (key := f"{stage}{10 * done // (total or 1)}") not in printed:
            printed.add(key)
            print(f"{stage} {done}/{total}", flush=True)

    return progress
