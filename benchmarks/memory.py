"""How much memory sets larger than memory take: features of a million images, in files.

python -m benchmarks.memory --images 1000000 --dim 2048 --folder /disk/with/40/GB --limit 4

Anonymous memory is what a process cannot give back; resident memory also counts pages of mapped files, which the system
takes away when others need room. `--limit` takes them away: each job runs in a control group of so many GiB, files'
pages included, beyond which the kernel ends it (Linux, as root).
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from benchmarks.recording import environment, write
from benchmarks.small_network import save_small_network

_ROWS = 8192
_SECONDS = 0.1  # between two looks
_PICTURE = 8  # pixels a side
NETWORK = "torchscript:network.pt"
KID_IMAGES = 20_000  # all pairs of a million would take days, in blocks of the same size


def jobs(images: int) -> dict[str, tuple[str, ...]]:
    """What is measured: a name, and the arguments."""
    sets = ("real.npy", "made.npy")
    limit = str(min(KID_IMAGES, images))
    return {
        "features of tiny pictures": ("features", "pictures.npy", "-e", NETWORK, "-o", "features.safetensors"),
        "statistics": ("stats", "made.npy", "-o", "made.npz"),
        "FID": ("score", *sets, "--metrics", "fid"),
        f"KID, all pairs of {int(limit):,}": ("score", *sets, "--metrics", "kid", "--limit", limit),
        "PRD, one clustering": ("prd", *sets, "--runs", "1", "-o", "prd"),
        "attack, one step": ("attack", *sets, "--steps", "1", "--draws", "1", "-o", "attack"),
    }


def make_sets(folder: Path, images: int, dim: int) -> None:
    """Two matrices of features and one array of pictures, a block at a time."""
    rng = np.random.default_rng(0)
    scale = np.logspace(0, -2, dim, dtype=np.float32)
    for name, shift in (("real", 0.0), ("made", 0.1)):
        target = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, (images, dim))
        for start in range(0, images, _ROWS):
            rows = min(_ROWS, images - start)
            target[start : start + rows] = rng.standard_normal((rows, dim), np.float32) * scale + np.float32(shift)
        target.flush()
    pictures = np.lib.format.open_memmap(folder / "pictures.npy", "w+", np.uint8, (images, _PICTURE, _PICTURE, 3))
    for start in range(0, images, _ROWS):
        rows = min(_ROWS, images - start)
        pictures[start : start + rows] = rng.integers(0, 256, (rows, _PICTURE, _PICTURE, 3), np.uint8)
    pictures.flush()


def forget(folder: Path) -> None:
    """Take files' pages out of memory, where they would be charged to whoever wrote them."""
    os.sync()
    for path in folder.rglob("*.*"):
        with path.open("rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@contextmanager
def control_group(limit: float | None) -> Iterator[Path | None]:
    """A group whose processes get `limit` GiB together; None without a limit."""
    if limit is None:
        yield None
        return
    root = Path("/sys/fs/cgroup")
    first = (root / "memory").is_dir()  # version 1 of control groups, not 2
    group = root / ("memory" if first else "") / f"fidprobe-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        raise SystemExit(f"--limit: {error}; it needs Linux, control groups and root") from error
    try:
        try:
            (group / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(int(limit * 2**30)))
        except OSError as error:
            raise SystemExit(f"--limit {limit}: {error}") from error
        yield group
    finally:
        group.rmdir()


def family(pid: int) -> list[int]:
    """A process and all that it has started."""
    found = [pid]
    for one in found:
        with suppress(OSError):
            found += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
    return found


def held(pid: int) -> dict[str, int]:
    """Bytes of memory of a process and of all that it has started, by kind."""
    total = {"RssAnon": 0, "VmRSS": 0}
    for one in family(pid):
        with suppress(OSError):
            for line in Path(f"/proc/{one}/status").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in total:
                    total[name] += int(value.split()[0]) * 1024
    return total


def measured(
    folder: Path,
    arguments: tuple[str, ...],
    group: Path | None = None,
    *,
    program: tuple[str, ...] = ("-m", "fidprobe"),
    may_be_killed: bool = False,
) -> dict[str, float]:
    """Seconds, and peaks of anonymous and of resident memory in bytes, of a Python program and all that it starts.

    Shared pages count in every process that has them. A program that fails ends this one too, but for one that may be
    killed, as the system does for lack of memory: what it held until then counts, and `killed` is true.
    """
    environ = {**os.environ, "FIDPROBE_CACHE": str(folder / "cache"), "TMPDIR": str(folder)}
    inside = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group / "cgroup.procs")] if group else []
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as told:
        run = subprocess.Popen(
            [*inside, sys.executable, *program, *arguments],
            cwd=folder,
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=told,
        )
        peaks = {"RssAnon": 0, "VmRSS": 0}
        while run.poll() is None:
            peaks = {name: max(peaks[name], size) for name, size in held(run.pid).items()}
            time.sleep(_SECONDS)
        seconds = time.perf_counter() - begun
        killed = may_be_killed and run.returncode == -signal.SIGKILL
        if run.returncode and not killed:
            told.seek(0)
            raise SystemExit(f"{' '.join(arguments)}: {run.returncode} {told.read()}")
    found = {"seconds": seconds, "anonymous_bytes": peaks["RssAnon"], "resident_bytes": peaks["VmRSS"]}
    return found | {"killed": True} if killed else found


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--folder", type=Path, help="where the sets go; the temporary folder by default")
    parser.add_argument("--limit", type=float, metavar="GIB", help="memory a job may take, pages of files included")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="only jobs whose names have one of these words")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "memory.json")
    options = parser.parse_args()
    if options.images < 4 or options.dim < 1 or not (options.limit is None or options.limit > 0):
        parser.error("--images must be at least 4, --dim at least 1, --limit above 0")
    if options.folder is not None and not options.folder.is_dir():
        parser.error(f"--folder {options.folder}: no such folder")
    wanted = {
        name: arguments
        for name, arguments in jobs(options.images).items()
        if not options.only or any(word in name for word in options.only)
    }
    if not wanted:
        parser.error(
            f"--only {' '.join(options.only)}: no job has such a word; there are {', '.join(jobs(options.images))}"
        )
    result = json.loads(options.out.read_text()) if options.only and options.out.exists() else {}
    asked = {"images": options.images, "dim": options.dim, "limit_gib": options.limit}
    same = all(result.get(name) == value for name, value in asked.items())
    found = result["jobs"] if same else {}
    with tempfile.TemporaryDirectory(dir=options.folder) as name, control_group(options.limit) as group:
        make_sets(Path(name), options.images, options.dim)
        save_small_network(Path(name) / "network.pt", side=_PICTURE, dim=options.dim)
        for job, arguments in wanted.items():
            forget(Path(name))
            found[job] = measured(Path(name), (*arguments, "-q"), group)
            one = found[job]
            gigabytes = one["anonymous_bytes"] / 2**30, one["resident_bytes"] / 2**30
            print(f"{job}: {one['seconds']:.0f} s, {gigabytes[0]:.2f} GiB, resident {gigabytes[1]:.2f} GiB", flush=True)
            write(options.out, {**asked, "jobs": found, "environment": environment()})


if __name__ == "__main__":
    main()
