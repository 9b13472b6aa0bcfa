"""The script that kills commands: it finds nothing here, and would find what it looks for."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# A process of its own, which imports and does nothing else: threads of the tests would not outlive its forks.
CODE = """
import json, os, sys
from contextlib import contextmanager
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from benchmarks import kills
import fidprobe.cli.app, fidprobe.images.trained_generator
from fidprobe.training import sample_files
@contextmanager
def in_place(target):
    target.write_bytes(b"half")
    for i in range(20):
        target.with_name(f"operation {i}").open("wb").close()
    yield target
job = kills.Job("zip", "generate embedded:am-gan -n 40 -o {}", "s.zip", "generate embedded:am-gan-early -n 8 -o {}")
def tally(name):
    return vars(kills.measure((job,), 4, 0, Path(sys.argv[2]) / name, lambda _: None)["zip"])
as_it_is = tally("as it is")
sample_files.atomic_path = in_place
print(json.dumps([as_it_is, tally("in place")]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked on this system")
def test_four_kills_of_the_cheapest_command(tmp_path: Path) -> None:
    """Old or new, and the same at the end; a command that wrote into the old file would be caught."""
    (tmp_path / "work").mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", CODE, str(ROOT), str(tmp_path / "work")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    as_it_is, in_place = json.loads(ran.stdout.splitlines()[-1])
    for tally in (as_it_is, in_place):
        assert (tally["by_time"], tally["by_operation"]) == (2, 2)
        assert tally["finished"] >= 1
        assert tally["checked"] >= 4
    assert as_it_is["faults"] == []
    assert any("is neither the old nor the new file" in fault for fault in in_place["faults"])


def test_the_record_is_of_fifty_kills_without_a_fault() -> None:
    """Of every job, in both ways, each of which came to the undisturbed end at least once."""
    record = json.loads((ROOT / "benchmarks" / "results" / "kills.json").read_text(encoding="utf-8"))
    assert record["kills"] >= 50
    assert record["faults"] == 0
    assert set(record["jobs"]) == {"features", "attack", "audit", "train", "generate zip", "generate folder"}
    for job in record["jobs"].values():
        assert min(job["by_time"], job["by_operation"], job["finished"]) >= 1
