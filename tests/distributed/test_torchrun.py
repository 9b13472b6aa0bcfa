"""With torchrun itself: a process that dies is told, and torchrun starts all anew where they were."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fidprobe.features.value import Features

COUNT = 6000


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="workers are found in /proc")
def test_a_killed_process_is_replaced(tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "1"]
    command = ["-m", "--", "fidprobe", "features", "embedded:am-gan", "--limit", str(COUNT), "-e", "random", "-q"]
    environment = {**os.environ, "FIDPROBE_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    run = subprocess.Popen(
        [*launcher, *command, "-o", "all.safetensors"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    patience = time.monotonic() + 120
    while not list(tmp_path.rglob("part-*.safetensors")) and run.poll() is None and time.monotonic() < patience:
        time.sleep(0.05)
    second = _worker(run.pid, rank=1)
    os.kill(second, signal.SIGKILL)
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    assert f"{COUNT:,} images" in out
    assert err.count("fidprobe: stopped, by hand or because another process has ended") <= 1
    assert len(Features.load(tmp_path / "all.safetensors")) == COUNT


def _worker(agent: int, rank: int) -> int:
    """The process of a rank that an agent has started."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == agent and f"RANK={rank}".encode() in variables:
            return int(folder.name)
    raise AssertionError("no such worker")
