"""How much memory sets larger than memory take: features of a million images, in files.

python -m benchmarks.memory --images 1000000 --dim 2048 --folder /disk/with/40/GB --limit 4

Anonymous memory is what a process cannot give back; resident memory also counts pages of mapped files, which the system
takes away when others need room. `--limit` takes them away: each job runs in a control group of so many GiB, files'
pages included, beyond which the kernel ends it (Linux, as root).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
        (group / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(int(limit * 2**30)))
    except OSError as error:
        raise SystemExit(f"--limit: {error}; it needs Linux, control groups and root") from error
    try:
        yield group
    finally:
        group.rmdir()


def measured(
    folder: Path,
    arguments: tuple[str, ...],
    group: Path | None = None,
    *,
    program: tuple[str, ...] = ("-m", "fidprobe"),
) -> dict[str, float]:
    """Seconds, and peaks of anonymous and of resident memory in bytes, of a Python program in a folder."""
    environ = {**os.environ, "FIDPROBE_CACHE": str(folder / "cache"), "TMPDIR": str(folder)}
    inside = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group / "cgroup.procs")] if group else []
    begun = time.perf_counter()
    run = subprocess.Popen(
        [*inside, sys.executable, *program, *arguments],
        cwd=folder,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    peaks = {"RssAnon": 0, "VmRSS": 0}
    while run.poll() is None:
        for line in Path(f"/proc/{run.pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in peaks:
                peaks[name] = max(peaks[name], int(value.split()[0]) * 1024)
        time.sleep(_SECONDS)
    if run.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {run.returncode} {run.stderr.read() if run.stderr else ''}")
    seconds = time.perf_counter() - begun
    return {"seconds": seconds, "anonymous_bytes": peaks["RssAnon"], "resident_bytes": peaks["VmRSS"]}


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
    result = json.loads(options.out.read_text()) if options.only and options.out.exists() else {}
    asked = {"images": options.images, "dim": options.dim, "limit_gib": options.limit}
    same = all(result.get(name) == value for name, value in asked.items())
    found = result["jobs"] if same else {}
    with tempfile.TemporaryDirectory(dir=options.folder) as name, control_group(options.limit) as group:
        make_sets(Path(name), options.images, options.dim)
        save_small_network(Path(name) / "network.pt", side=_PICTURE, dim=options.dim)
        for job, arguments in jobs(options.images).items():
            if options.only and not any(word in job for word in options.only):
                continue
            forget(Path(name))
            found[job] = measured(Path(name), (*arguments, "-q"), group)
            one = found[job]
            gigabytes = one["anonymous_bytes"] / 2**30, one["resident_bytes"] / 2**30
            print(f"{job}: {one['seconds']:.0f} s, {gigabytes[0]:.2f} GiB, resident {gigabytes[1]:.2f} GiB", flush=True)
            write(options.out, {**asked, "jobs": found, "environment": environment()})


if __name__ == "__main__":
    main()
