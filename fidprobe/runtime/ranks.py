"""The processes (ranks) of one run on one or many machines, and the data they exchange.

`torchrun` starts the same command several times. All processes take the same steps of an extraction, each with its
share of the images. The first process does what follows, and it alone writes and prints. They exchange data by the
collectives of `torch.distributed`: gloo between CPUs, NCCL between GPUs. Nothing is pickled.
"""

import atexit
import hashlib
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fidprobe import errors
from fidprobe.arguments import checked
from fidprobe.errors import FidprobeError, InputError, ProcessError
from fidprobe.runtime.messages import one_line

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ALONE", "Ranks", "ranks_of_torchrun"]

_MEETING = timedelta(minutes=5)  # for all processes to come
_LOST = ("onnection", "Broken pipe", "closed", "reset by peer")  # in the backends' errors when a process has ended
_FAREWELL = 10.0  # seconds to wait for others that end, or have been killed
_PATIENCE = timedelta(days=7)  # others may be in the middle of long work; one that has ended is noticed at once


class Ranks:
    """The processes of a run. This class is a run of one process, which never waits.

    Attributes:
        rank: This process's number, from 0.
        size: How many there are.
    """

    rank = 0
    size = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.rank == 0

    def share(self, count: int, rank: int | None = None) -> range:
        """Return the contiguous part of `range(count)` that one process works on; lengths differ by at most one.

        Args:
            count: Length of the whole.
            rank: The process; this one by default.
        """
        rank = self.rank if rank is None else rank
        return range(count * rank // self.size, count * (rank + 1) // self.size)

    def all_gather_bytes(self, data: bytes) -> list[bytes]:
        """Return the bytes of every process, in the order of ranks, to all processes.

        Raises:
            ProcessError: another process has ended.
        """
        return [data]

    def all_gather_json(self, value: Any) -> list[Any]:
        """Return the plain data (JSON) of every process, in the order of ranks, to all processes."""
        return [json.loads(data) for data in self.all_gather_bytes(json.dumps(value).encode())]

    def broadcast_json(self, value: Any) -> Any:
        """Return the first process's plain data (JSON) to all processes; the others' values are ignored."""
        return self.all_gather_json(value if self.first else None)[0]

    def sum(self, tensor: "Tensor") -> "Tensor":
        """Sum the tensors of all processes, in place and in all of them; all have one shape and dtype.

        Raises:
            ProcessError: another process has ended.
        """
        return tensor

    def broadcast(self, tensor: "Tensor") -> "Tensor":
        """Copy the first process's tensor, in place, to all processes; all have one shape and dtype.

        Raises:
            ProcessError: another process has ended.
        """
        return tensor

    def gather_columns(self, tensor: "Tensor", count: int) -> "Tensor | None":
        """Join the processes' columns, each its `share(count)`, to [..., count] in the first; None in the others.

        Raises:
            ProcessError: another process has ended.
        """
        del count
        return tensor

    def check_equal(self, what: str, value: Any) -> None:
        """Raise if the processes do not all have the same value.

        Args:
            what: Name of the value, for the message.
            value: This process's value, as plain data (JSON).

        Raises:
            InputError: another process has another value; names both.
            ProcessError: another process has ended.
        """
        values = self.all_gather_json(value)
        for rank, other in enumerate(values):
            if other != values[0]:
                raise InputError(
                    f"{what}: process 0 has {_shown(values[0])} and process {rank} {_shown(other)}; all processes "
                    "need the same"
                )

    @contextmanager
    def failing_together(self) -> Iterator[Callable[[], bool]]:
        """Run a block in each process; if it fails in one process, all processes raise the same error.

        Yields:
            A function that returns whether the block has failed in another process by now. Long work asks it from
            time to time, and stops.

        Raises:
            FidprobeError: the error of the first rank in which the block failed.
        """
        failed: FidprobeError | None = None
        try:
            yield self._flag()
        except ProcessError:
            raise
        except FidprobeError as error:
            failed = error
            self._raise_flag()
        failures = self.all_gather_json(None if failed is None else [type(failed).__name__, str(failed)])
        if failed is not None and not any(failures[: self.rank]):
            raise failed
        for name, text in filter(None, failures):
            raise getattr(errors, name, InputError)(text)

    def should_print(self, error: FidprobeError) -> bool:
        """Whether this process should print the error; of several that hit the same one, only the first to ask does."""
        del error
        return True

    def _flag(self) -> Callable[[], bool]:
        return lambda: False

    def _raise_flag(self) -> None:
        pass


ALONE = Ranks()


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


class _TorchRanks(Ranks):
    """Processes that have met through the environment's `MASTER_ADDR` and `MASTER_PORT`."""

    def __init__(self, rank: int, size: int, environment: Mapping[str, str]) -> None:
        import torch
        import torch.distributed as dist

        self.rank, self.size = rank, size
        self._dist = dist
        local, beside = (int(environment.get(name, "0")) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
        gpus = torch.cuda.device_count()
        if gpus:
            torch.cuda.set_device(local % gpus)
        # NCCL wants a GPU for every process; others meet on CPUs.
        self._nccl = gpus >= max(beside, local + 1)
        # torchrun's own process keeps the store; without it the first rank does.
        self._keeps = rank == 0 and environment.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
        attempt = environment.get("TORCHELASTIC_RESTART_COUNT", "0")
        address = environment["MASTER_ADDR"], int(environment["MASTER_PORT"])
        try:
            store = dist.TCPStore(  # type: ignore[attr-defined]
                *address, size, is_master=self._keeps, timeout=_MEETING, wait_for_workers=False
            )
            self._store = dist.PrefixStore(f"fidprobe/{attempt}", store)  # type: ignore[attr-defined]
            self._meet()
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if self._nccl else "gloo",
                timeout=_PATIENCE,
                store=self._store,
                rank=rank,
                world_size=size,
            )
        except (RuntimeError, ValueError) as error:
            raise ProcessError(
                f"the {size} processes of this run did not meet ({one_line(error)}); start them again"
            ) from error
        self._flags = 0
        atexit.register(self._leave)

    def _meet(self) -> None:
        """Wait until all processes are there; the collectives that follow wait much longer, as for long work."""
        here = self._store.add("here", 1)
        patience = time.monotonic() + _MEETING.total_seconds()
        while here < self.size:
            if time.monotonic() > patience:
                raise ValueError(f"{here} came")
            time.sleep(0.05)
            here = self._store.add("here", 0)

    def all_gather_bytes(self, data: bytes) -> list[bytes]:
        import numpy as np
        import torch

        sizes = torch.zeros(self.size, dtype=torch.int64)
        sizes[self.rank] = len(data)
        self.sum(sizes)
        mine = torch.zeros(int(sizes.max()), dtype=torch.uint8)
        mine[: len(data)] = torch.from_numpy(np.frombuffer(data, dtype=np.uint8).copy())
        found = [torch.empty_like(mine) for _ in range(self.size)]
        with self._process_errors():
            self._dist.all_gather(found, mine)
        return [one[: int(size)].numpy().tobytes() for one, size in zip(found, sizes, strict=True)]

    def sum(self, tensor: "Tensor") -> "Tensor":
        return self._in_place(tensor, self._dist.all_reduce)

    def broadcast(self, tensor: "Tensor") -> "Tensor":
        return self._in_place(tensor, lambda moved: self._dist.broadcast(moved, src=0))

    def gather_columns(self, tensor: "Tensor", count: int) -> "Tensor | None":
        import torch

        longest = -(-count // self.size)
        device = tensor.device if self._nccl else torch.device("cpu")
        mine = torch.zeros(*tensor.shape[:-1], longest, dtype=tensor.dtype, device=device)
        mine[..., : tensor.shape[-1]] = tensor
        parts = [torch.empty_like(mine) for _ in range(self.size)] if self.first else None
        with self._process_errors():
            self._dist.gather(mine, parts, dst=0)
        if parts is None:
            return None
        shares = [part[..., : len(self.share(count, rank))] for rank, part in enumerate(parts)]
        return torch.cat(shares, dim=-1).to(tensor.device)

    def _in_place(self, tensor: "Tensor", collective: Callable[["Tensor"], Any]) -> "Tensor":
        moved = tensor if self._nccl else tensor.cpu()
        with self._process_errors():
            collective(moved)
        return tensor if moved is tensor else tensor.copy_(moved)

    def _flag(self) -> Callable[[], bool]:
        self._flags += 1
        name = f"failed/{self._flags}"
        return lambda: self._store.add(name, 0) > 0

    def _raise_flag(self) -> None:
        self._store.add(f"failed/{self._flags}", 1)

    def should_print(self, error: FidprobeError) -> bool:
        text = hashlib.sha256(str(error).encode()).hexdigest()
        try:
            if isinstance(error, ProcessError):  # the process that failed prints its error before it ends
                return self._store.add("told", 0) == 0 and self._store.add("lost", 1) == 1
            self._store.add("told", 1)
            return bool(self._store.add(text, 1) == 1)
        except RuntimeError:  # the store is gone as well
            return True

    def _leave(self) -> None:
        """End last where this process keeps the store: others may still ask it whether an error has been printed."""
        with suppress(RuntimeError):
            ended = self._store.add("ended", 1)
            patience = time.monotonic() + _FAREWELL
            while self._keeps and ended < self.size and time.monotonic() < patience:
                time.sleep(0.05)
                ended = self._store.add("ended", 0)
        self._dist.destroy_process_group()

    @contextmanager
    def _process_errors(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            lost = any(sign in str(error) for sign in _LOST)
            what = "has lost another one, which has ended or whose machine is gone" if lost else "got no answer"
            raise ProcessError(
                f"process {self.rank} of {self.size} ({socket.gethostname()}) {what} ({one_line(error):.120}); the "
                "same command goes on from what was kept"
            ) from error


@checked
def ranks_of_torchrun(environment: Mapping[str, str]) -> Ranks:
    """Join the processes that torchrun (or whoever sets the same variables) has started; call it once.

    Args:
        environment: With `WORLD_SIZE`, `RANK`, `LOCAL_RANK`, `MASTER_ADDR` and `MASTER_PORT`; without `WORLD_SIZE`, or
            where it is 1, there is only this process.

    Raises:
        InputError: variables that make no sense.
        ProcessError: the processes do not meet.
    """
    given = {name: environment.get(name, "0") for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE")}
    for name, text in given.items():
        if not text.isdecimal():
            raise InputError(f"the environment's {name} is {text[:20]!r}, no whole number; torchrun sets it")
    size, rank = int(given["WORLD_SIZE"]), int(given["RANK"])
    if size < 2:
        return ALONE
    if missing := [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in environment]:
        raise InputError(f"the environment has a WORLD_SIZE of {size} and no {missing[0]}; torchrun sets both")
    if rank >= size:
        raise InputError(f"the environment's RANK is {rank}, with WORLD_SIZE {size}; torchrun sets both")
    return _TorchRanks(rank, size, environment)
