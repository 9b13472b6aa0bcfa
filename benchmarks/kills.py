"""Commands killed with SIGKILL again and again: what is left is old or new, never half, and the end is the same.

Half of the kills come after a random time of the undisturbed run's, the others before a random one of its operations
on files (opened, renamed, deleted, made), where a half-written result would have to come from. A process that has
imported everything forks a child for each run: importing takes longer than most of these runs.

OMP_NUM_THREADS=1 python -m benchmarks.kills --kills 60
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from io import BytesIO
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads do not outlive a fork
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import safetensors.numpy
from PIL import Image

import fidprobe
from benchmarks.recording import environment, write
from fidprobe.attacks.checkpoint import Checkpoint
from fidprobe.cli import main as fidprobe_main

STATE_SECONDS = 0.2  # between two states of an attack that are saved, instead of 30: kills come sooner here as well
TIMED = ("seconds", "total_seconds")  # of JSON files: no run takes as long as another
SPENT = re.compile(rb"(Duration|in|took)(</th><td>|\D{0,20}?)[\d.,]+(\xc2\xa0| )s\b")
OPERATIONS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir")


@dataclass(frozen=True)
class Job:
    """A command whose result is looked at after every kill.

    Attributes:
        name: For the table.
        arguments: Of the command; `{}` is the output.
        output: A file or folder.
        before: Arguments of an older result, which the run replaces; none for a new output.
        passing: Whether files on the way to the result (a checkpoint) are seen as well, and only have to be whole.
    """

    name: str
    arguments: str
    output: str
    before: str = ""
    passing: bool = False


_SPACE = "embedded:cifar10/cifar10-encoder"
_SECONDS = "--second-reference a2.npy --second-generated b2.npy --second-baseline c2.npy"
_SHORT = "--limit 200 --width 0.05 --batch-size 16"

JOBS = (
    Job(
        "features",
        "features pictures.zip -e cifar10-encoder -o {}",
        "f.safetensors",
        before="features pictures.zip -e cifar10-encoder --limit 300 --no-cache -o {}",
    ),
    Job(
        "attack",
        f"attack {_SPACE} few.zip -e cifar10-encoder --keep 60 --draws 2 --steps 25 --images -o {{}}",
        "attack",
        before=f"attack {_SPACE} few.zip -e cifar10-encoder --keep 50 --draws 1 --steps 3 --seed 1 -o {{}}",
    ),
    Job(
        "audit",
        f"audit a.npy b.npy --baseline c.npy {_SECONDS} -o {{}}",
        "audit",
        before="audit a.npy c.npy --no-budget -o {}",
    ),
    Job(
        "train",
        f"train gan few.zip {_SHORT} --steps 24 --visit-every 8 --save-every 2 -o {{}}",
        "run",
        passing=True,
    ),
    Job(
        "generate zip",
        "generate embedded:am-gan -n 600 -o {}",
        "made.zip",
        before="generate embedded:am-gan-early -n 20 -o {}",
    ),
    Job("generate folder", "generate embedded:am-gan -n 300 -o {}", "made"),
)


@dataclass
class Tally:
    """What happened to one job.

    Attributes:
        seconds: Of the undisturbed run.
        operations: On files, in it.
        by_time: Kills after a random time.
        by_operation: Kills before a random operation.
        finished: Runs that came to their end, each with the undisturbed run's result.
        checked: Files looked at after kills.
        faults: What was wrong.
    """

    seconds: float = 0.0
    operations: int = 0
    by_time: int = 0
    by_operation: int = 0
    finished: int = 0
    checked: int = 0
    faults: list[str] = field(default_factory=list)


def run(arguments: str, folder: Path, *, seconds: float | None = None, operation: int | None = None) -> tuple[int, int]:
    """Run a command in a fork, killed after so many seconds or before so many file operations.

    Returns:
        Exit code (negative: the signal) and the file operations in `folder` (of a run that was not killed).
    """
    read, written = os.pipe()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.setpgid(0, 0)
            os.close(read)
            os.chdir(folder)
            os.environ["FIDPROBE_CACHE"] = str(folder / "cache")
            count = _watch(folder, operation)
            with (folder.parent / "log.txt").open("w") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            sys.argv = ["fidprobe", *arguments.split(), "-q"]
            try:
                fidprobe_main()
                code = 0
            except SystemExit as end:
                code = int(end.code or 0)
            sys.stdout.flush()
            os.write(written, str(count[0]).encode())
        except BaseException:
            traceback.print_exc()
        os._exit(code)
    os.close(written)
    with suppress(OSError):  # the child may have done it, and ended; on a busy machine it may not have begun
        os.setpgid(child, child)
    if seconds is not None:
        time.sleep(seconds)
        os.killpg(child, signal.SIGKILL)
    told = b"".join(iter(lambda: os.read(read, 100), b""))
    os.close(read)
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status), int(told or 0)


def _watch(folder: Path, operation: int | None) -> list[int]:
    """Count what a process does to files in a folder, and die before one of these operations."""
    count, inside = [0], str(folder)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in OPERATIONS or not isinstance(arguments[0], str | Path):
            return
        if event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            return
        if not str(Path(arguments[0]).absolute()).startswith(inside):
            return
        count[0] += 1
        if count[0] == operation:
            os.killpg(0, signal.SIGKILL)

    sys.addaudithook(hook)
    return count


def files(output: Path) -> dict[str, bytes]:
    """Visible files of an output by name; hidden ones are not taken for a result."""
    found = [output] if output.is_file() else output.rglob("*") if output.is_dir() else []
    names = {path.relative_to(output.parent): path for path in found if path.is_file()}
    return {str(name): path.read_bytes() for name, path in names.items() if not any(p[0] == "." for p in name.parts)}


def untimed(name: str, data: bytes) -> object:
    """A file's content without how long anything took."""
    if name.endswith(".json"):
        return _without_times(json.loads(data))
    return SPENT.sub(b"", data) if name.endswith((".html", ".md")) else data


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(one) for key, one in value.items() if key not in TIMED}
    return [_without_times(one) for one in value] if isinstance(value, list) else value


def whole(name: str, data: bytes) -> bool:
    """Whether a file that was seen on the way can be read to its end."""
    try:
        if name.endswith(".safetensors"):
            safetensors.numpy.load(data)
        elif name.endswith(".json"):
            json.loads(data)
        elif name.endswith(".png"):
            Image.open(BytesIO(data)).load()
        elif name.endswith((".zip", ".npz")):
            return zipfile.ZipFile(BytesIO(data)).testzip() is None
        elif name.endswith(".pdf"):
            return data.rstrip().endswith(b"%%EOF")
        elif name.endswith(".svg"):
            return data.endswith(b"</svg>\n")
        elif name.endswith(".csv"):
            return data.endswith(b"\n")
        else:
            return False  # no job leaves others on the way
    except Exception:  # whatever a reader says of half a file
        return False
    return True


def prepare(work: Path, jobs: tuple[Job, ...]) -> None:
    """The inputs that jobs name: features of three sets in two spaces, and pictures."""
    work.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, shift in (("a", 0.0), ("b", 0.3), ("c", 0.6)):
        np.save(work / f"{name}.npy", rng.normal(shift, 1, (400, 12)).astype(np.float32))
        np.save(work / f"{name}2.npy", rng.normal(shift, 1, (400, 8)).astype(np.float32))
    for name, count in (("pictures.zip", 2200), ("few.zip", 400)):
        if any(name in job.arguments for job in jobs):
            code, _ = run(f"generate embedded:am-gan -n {count} -o {name}", work)
            assert code == 0, (work.parent / "log.txt").read_text()


class Trial:
    """One job, undisturbed and then killed."""

    def __init__(self, job: Job, work: Path, inputs: Path) -> None:
        self.job, self.tally = job, Tally()
        self._inputs = inputs
        self._before, self._now = work / "before", work / "now"
        shutil.copytree(inputs, self._before)
        if job.before:
            code, _ = run(job.before.format(job.output), self._before)
            assert code == 0, (work / "log.txt").read_text()
        self.old = self._files(self._before)
        self._begin()
        begun = time.perf_counter()
        code, self.tally.operations = run(self._command, self._now)
        assert code == 0, (work / "log.txt").read_text()
        self.tally.seconds = time.perf_counter() - begun
        self.new = self._files(self._now)
        self._begin()

    @property
    def _command(self) -> str:
        return self.job.arguments.format(self.job.output)

    def _begin(self) -> None:
        shutil.rmtree(self._now, ignore_errors=True)
        shutil.copytree(self._before, self._now)

    def _files(self, folder: Path) -> dict[str, object]:
        return {name: untimed(name, data) for name, data in files(folder / self.job.output).items()}

    def kill(self, chance: random.Random) -> None:
        """One run that is killed, or comes to its end before."""
        if self.tally.by_time <= self.tally.by_operation:
            at: dict[str, Any] = {"seconds": chance.uniform(0, self.tally.seconds)}
        else:
            at = {"operation": chance.randint(1, self.tally.operations)}
        code, _ = run(self._command, self._now, **at)
        if code == 0:
            self._end()
        elif code == -signal.SIGKILL:
            self.tally.by_time += "seconds" in at
            self.tally.by_operation += "operation" in at
            self._check(f"killed at {at}")
        else:
            self._fault(f"killed at {at}: exit code {code}: {(self._now.parent / 'log.txt').read_text().strip()}")
            self._begin()

    def finish(self) -> None:
        """The last run, undisturbed."""
        code, _ = run(self._command, self._now)
        if code != 0:
            self._fault(f"the last run: {code}: {(self._now.parent / 'log.txt').read_text().strip()}")
        else:
            self._end()

    def _check(self, when: str) -> None:
        for name, data in files(self._now / self.job.output).items():
            self.tally.checked += 1
            if self.job.passing or name not in {*self.old, *self.new}:  # a checkpoint, an attack's state
                right = whole(name, data)
            else:
                right = untimed(name, data) in (self.old.get(name), self.new.get(name))
            if not right:
                self._fault(f"{when}: {name} ({len(data)} bytes) is neither the old nor the new file")

    def _end(self) -> None:
        found = self._files(self._now)
        self.tally.finished += 1
        for name in sorted(found.keys() | self.new.keys()):
            if found.get(name) != self.new.get(name):
                there = "differs" if name in found and name in self.new else "is there in one of them only"
                self._fault(f"the end is not that of the undisturbed run: {name} {there}")
        self._begin()

    def _fault(self, text: str) -> None:
        self.tally.faults.append(text)
        print(f"{self.job.name}: {text}", flush=True)


def measure(
    jobs: tuple[Job, ...], kills: int, seed: int, work: Path, told: Callable[[Trial], None]
) -> dict[str, Tally]:
    """Kill each job as often as the others, `kills` times in all."""
    defaults = Checkpoint.__init__.__kwdefaults__
    assert defaults is not None
    assert "interval" in defaults
    defaults["interval"] = STATE_SECONDS
    prepare(work / "inputs", jobs)
    out = {}
    for place, job in enumerate(jobs):
        chance = random.Random(f"{seed} {job.name}")
        folder = work / str(place)
        folder.mkdir()
        trial = Trial(job, folder, work / "inputs")
        wanted = (kills + place) // len(jobs)
        while trial.tally.by_time + trial.tally.by_operation < wanted:
            trial.kill(chance)
        trial.finish()
        out[job.name] = trial.tally
        told(trial)
    return out


def _print(trial: Trial) -> None:
    t = trial.tally
    print(
        f"{trial.job.name:16} {t.seconds:8.1f} {t.operations:8} {t.by_time:8} {t.by_operation:8} {t.finished:8} "
        f"{t.checked:8} {len(t.faults):8}",
        flush=True,
    )


def main() -> None:
    """Measure, print and record; exit code 1 where a fault was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60, help="over all jobs")
    parser.add_argument("--seed", type=int, default=0, help="draws the moments")
    parser.add_argument("--jobs", nargs="+", default=[job.name for job in JOBS], metavar="NAME")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "kills.json")
    args = parser.parse_args()
    load_everything()
    heads = ("job", "seconds", "file ops", "by time", "by op", "finished", "checked", "faults")
    print(f"{heads[0]:16} " + " ".join(f"{head:>8}" for head in heads[1:]))
    chosen = tuple(job for job in JOBS if job.name in args.jobs)
    with tempfile.TemporaryDirectory() as folder:
        tallies = measure(chosen, args.kills, args.seed, Path(folder) / "work", _print)
    kills = sum(tally.by_time + tally.by_operation for tally in tallies.values())
    faults = sum(len(tally.faults) for tally in tallies.values())
    print(f"{kills} kills, {faults} faults")
    commands = {job.name: {"command": f"fidprobe {job.arguments.format(job.output)}"} for job in chosen}
    write(
        args.out,
        {
            "environment": environment(),
            "seed": args.seed,
            "seconds_between_states_of_an_attack": STATE_SECONDS,
            "kills": kills,
            "faults": faults,
            "jobs": {name: {**commands[name], **vars(tally)} for name, tally in tallies.items()},
        },
    )
    sys.exit(faults > 0)


def load_everything() -> None:
    """All modules that a command would import, so that its fork begins to work at once."""
    for module in walk_packages(fidprobe.__path__, "fidprobe."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    for kind in ("svg", "pdf", "agg"):
        import_module(f"matplotlib.backends.backend_{kind}")


if __name__ == "__main__":
    main()
