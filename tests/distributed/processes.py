"""Several processes that run one command together, as torchrun starts them; modules are imported once for all."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import torch.distributed

from fidprobe.cli import main

__all__ = ["Ended", "alone", "together"]

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["torch.distributed", "fidprobe.cli.app", "fidprobe.analysis.attack.measure", "fidprobe.analysis.scores.measure"]
)
_PATIENCE = 120  # seconds, after which a test has failed

Prepare = Callable[[int], None]


class Ended(NamedTuple):
    """Exit code (negative: the signal that ended it), stdout and stderr of a process."""

    code: int
    out: str
    err: str


def unprepared(rank: int) -> None:
    """Nothing to do beforehand."""
    del rank


def together(
    size: int,
    folder: Path,
    *arguments: str,
    prepare: Prepare = unprepared,
    environment: Callable[[int], Mapping[str, str]] = lambda _: {},
    figures: bool = False,
) -> list[Ended]:
    """Run `fidprobe ARGUMENTS` in so many processes; a list of what became of each.

    Args:
        size: Processes.
        folder: Where they run.
        *arguments: Of the command.
        prepare: Called in each process with its rank before the command; a module's function.
        environment: Further variables of a process, by its rank.
        figures: Draw them, which takes a second; their own tests are those of a single process.
    """
    # As torchrun does, this process keeps what the others tell one another.
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # type: ignore[attr-defined]
    given = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "WORLD_SIZE": str(size)}
    given["TORCHELASTIC_USE_AGENT_STORE"] = "True"
    started = []
    for rank in range(size):
        own = {**given, "RANK": str(rank), "LOCAL_RANK": str(rank), **environment(rank)} if size > 1 else environment(0)
        one = _CONTEXT.Process(target=_run, args=(rank, folder, arguments, prepare, dict(own), figures))
        one.start()
        started.append(one)
    for one in started:
        one.join(_PATIENCE)
    stuck = [one for one in started if one.is_alive()]
    for one in stuck:
        one.kill()
        one.join()
    told = [[(folder / f"{rank}.{stream}").read_text() for stream in ("out", "err")] for rank in range(size)]
    assert not stuck, f"{len(stuck)} of {size} processes did not end: {told}"
    return [Ended(one.exitcode or 0, *texts) for one, texts in zip(started, told, strict=True)]


def alone(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Ended:
    """The same command in one process."""
    return together(1, folder, *arguments, environment=lambda _: environment or {})[0]


def _run(
    rank: int,
    folder: Path,
    arguments: tuple[str, ...],
    prepare: Prepare,
    environment: dict[str, str],
    figures: bool,
) -> None:
    for number, stream in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / f"{rank}.{stream}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.environ.update({"FIDPROBE_CACHE": str(folder / "cache"), "COLUMNS": "80", **environment})
    os.chdir(folder)
    prepare(rank)
    if not figures:
        mock.patch("fidprobe.analysis.output.result_files.write_figure").start()
    sys.argv = ["fidprobe", *arguments]
    main()
