"""The candidates' rows, and all that an attack computes from every row: in blocks, in one process or several.

With several processes each holds its share of the rows. The first process leads: it says what to compute, sends the
inputs, and receives sums of size d × d and up to three numbers for each candidate. The others `serve` until the leader
is done. A pass over N candidates thus moves O(d² + N) numbers and costs 2 N d² operations.
"""

from collections.abc import Iterator
from enum import IntEnum

import torch
from torch import Tensor

from fidprobe.errors import InputError
from fidprobe.features.value import first_nonfinite_row
from fidprobe.metrics.inputs import float64_device
from fidprobe.runtime.ranks import ALONE, Ranks
from fidprobe.statistics import gram

__all__ = ["CandidateRows"]

_ROWS = 8192  # candidates in a block: 128 MB of float64 at d = 2048


class _Task(IntEnum):
    CENTRE = 1
    DISTANCES = 2
    MOMENTS = 3
    DERIVATIVES = 4
    END = 5


class CandidateRows:
    """Rows and what is computed from each.

    Args:
        rows: Floating-point or bool [n >= 1, d]: this process's share of the candidates (all of them if it is the only
            process); may be memory-mapped and larger than memory.
        count: N, the number of all candidates; None if this process has them all.
        device: Where to compute. Rows move there whole if they take less than half of a GPU's free memory.
        ranks: The processes. All but the first call `serve`; only the first calls the other methods.

    Attributes:
        count: N.
        dim: d.
        row_dtype: The precision in which the shift is subtracted: the rows' own, but at least float32.
        shift: [d] in that precision, subtracted from every row; zero until `centre`.

    Raises:
        InputError: another kind of tensor, or fewer than two candidates.
    """

    def __init__(
        self,
        rows: Tensor,
        count: int | None = None,
        *,
        device: torch.device | str = "cpu",
        ranks: Ranks = ALONE,
    ) -> None:
        self.count = len(rows) if count is None else count
        if rows.ndim != 2 or self.count < 2 or not (rows.is_floating_point() or rows.dtype == torch.bool):
            raise InputError(f"candidates must be floats or bool [N >= 2, d], got {rows.dtype} {list(rows.shape)}")
        self.device = float64_device(device)
        self.dim = rows.shape[1]
        self.row_dtype = torch.promote_types(rows.dtype, torch.float32)
        self.shift = torch.zeros(self.dim, dtype=self.row_dtype, device=self.device)
        self._bool = rows.dtype == torch.bool
        self._rows = _resident(rows, self.device)
        self._ranks = ranks
        self._share = ranks.share(self.count)
        self._ended = False

    def centre(self) -> None:
        """Shift the rows by their mean, so that moments lose no digits.

        Raises:
            InputError: NaN or infinite values (names the row), or values that leave the range of their precision once
                centred.
        """
        self._lead(_Task.CENTRE)
        self._centre()

    def _centre(self) -> None:
        total = torch.zeros(self.dim, dtype=torch.float64, device=self.device)
        bad: int | None = None
        largest = 0.0
        for start, block in self._blocks(torch.float64):
            if bad is None and (row := first_nonfinite_row(block)) is not None:
                bad = self._share.start + start + row
            largest = max(largest, float(block.abs().max()))
            total += block.sum(dim=0)
        reports = self._ranks.all_gather_json((bad, largest))
        for row, _ in reports:
            if row is not None:
                raise InputError(f"candidate {row} holds NaN or infinite values; extract that image again")
        mean = self._ranks.sum(total) / self.count
        largest = max(size for _, size in reports)
        if largest + float(mean.abs().max()) > torch.finfo(self.row_dtype).max:
            raise InputError(
                f"candidates reach {largest:.3g} and would leave the range of {self.row_dtype} once centred; "
                "rescale them"
            )
        self.shift = mean.to(self.row_dtype)
        if self._bool:  # a shift of few bits is exact; otherwise all ones would be rounded alike
            self.shift = self.shift.to(torch.bfloat16).to(self.row_dtype)

    def distances(self, point: Tensor) -> Tensor:
        """Squared distance of every (shifted) row to a point.

        Args:
            point: float64 [d].

        Returns:
            float64 [N].
        """
        self._lead(_Task.DISTANCES)
        return self._whole(self._distances(self._ranks.broadcast(point)))

    def _distances(self, point: Tensor) -> Tensor:
        distances = torch.empty(1, len(self._rows), dtype=torch.float64, device=self.device)
        for start, block in self._blocks(torch.float64):
            distances[0, start : start + len(block)] = (block - point).square().sum(dim=1)
        return distances

    def moments(self, probabilities: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, int]:
        """Weighted first and second moments of the (shifted) rows.

        Args:
            probabilities: float64 [N].
            dtype: Precision of the products.

        Returns:
            Σ p f [d] and Σ p f fᵀ [d, d] in float64, and the number of rows that were multiplied.
        """
        self._lead(_Task.MOMENTS, dtype)
        return self._moments(self._ranks.broadcast(probabilities)[self._share.start : self._share.stop], dtype)

    def _moments(self, p: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, int]:
        # Both moments are one tensor, so that the processes need only one sum.
        sums = torch.zeros(self.dim + 1, self.dim, dtype=torch.float64, device=self.device)
        multiplied = 0
        for start, block in self._blocks(dtype):
            part = p[start : start + len(block)]
            used = part > 0
            sparse = 2 * int(used.sum()) < len(part)  # copying rows costs less than multiplying mostly zeros
            rows, part = (block[used], part[used]) if sparse else (block, part)
            sums[0] += (part.to(dtype) @ rows).to(torch.float64)
            sums[1:] += gram(rows * part.sqrt().to(dtype)[:, None]).to(torch.float64)
            multiplied += len(rows)
        self._ranks.sum(sums)
        return sums[0], sums[1:], sum(self._ranks.all_gather_json(multiplied))

    def derivatives(
        self, B: Tensor, mean: Tensor, inverse: Tensor, cauchy: Tensor | None, dtype: torch.dtype
    ) -> Tensor:
        """Sums over the coordinates of u_i = Bᵀ(f_i - mean), for every (shifted) row f_i.

        Args:
            B: float64 [d, r].
            mean: float64 [d].
            inverse: float64 [r].
            cauchy: float64 [r, k]; None to leave out the third sum.
            dtype: Precision of the products.

        Returns:
            float64 [2 or 3, N]: |u_i|², Σ_a inverse_a u_ia², and |cauchyᵀ (u_i ∘ u_i)|².
        """
        columns = 0 if cauchy is None else cauchy.shape[1]
        self._lead(_Task.DERIVATIVES, dtype, B.shape[1], columns)
        if self._ranks.size > 1:
            given = [mean, inverse, B.reshape(-1), *([] if cauchy is None else [cauchy.reshape(-1)])]
            self._ranks.broadcast(torch.cat(given))
        return self._whole(self._derivatives(B, mean, inverse, cauchy, dtype))

    def _derivatives(
        self, B: Tensor, mean: Tensor, inverse: Tensor, cauchy: Tensor | None, dtype: torch.dtype
    ) -> Tensor:
        shape = (2 if cauchy is None else 3, len(self._rows))
        sums = torch.empty(shape, dtype=torch.float64, device=self.device)
        rounded = inverse.to(dtype)
        factor = None if cauchy is None else cauchy.to(dtype)
        for start, u in self.transported(B, mean, dtype):
            part = slice(start, start + len(u))
            square = u.square()
            sums[0, part] = square.sum(dim=1, dtype=torch.float64)
            sums[1, part] = (square @ rounded).to(torch.float64)
            if factor is not None:
                sums[2, part] = (square @ factor).square().sum(dim=1, dtype=torch.float64)
        return sums

    def transported(self, B: Tensor, mean: Tensor, dtype: torch.dtype) -> Iterator[tuple[int, Tensor]]:
        """Blocks of this process's u_i = Bᵀ(f_i - mean) [m, r] in a dtype, each with the number of its first row."""
        matrix, offset = B.to(dtype), (mean @ B).to(dtype)
        for start, block in self._blocks(dtype):
            yield start, block @ matrix - offset

    def at(self, places: Tensor) -> Tensor:
        """This process's (shifted) rows at positions int64 [m]: [m, d] in `row_dtype`."""
        return self._rows[places.to(self._rows.device)].to(self.device).to(self.row_dtype) - self.shift

    def serve(self) -> None:
        """Compute what the first process asks for until it is done.

        Raises:
            InputError: NaN or infinite values; names the row.
            ProcessError: the first process has ended.
        """
        while True:
            task, double, r, k = self._ranks.broadcast(torch.zeros(4, dtype=torch.int64)).tolist()
            dtype = torch.float64 if double else torch.float32
            match task:
                case _Task.CENTRE:
                    self._centre()
                case _Task.DISTANCES:
                    self._whole(self._distances(self._received(self.dim)))
                case _Task.MOMENTS:
                    self._moments(self._received(self.count)[self._share.start : self._share.stop], dtype)
                case _Task.DERIVATIVES:
                    d = self.dim
                    mean, inverse, B, cauchy = self._received(d + r + d * r + r * k).split([d, r, d * r, r * k])
                    factor = cauchy.view(r, k) if k else None
                    self._whole(self._derivatives(B.view(d, r), mean, inverse, factor, dtype))
                case _:
                    return

    def end_serving(self) -> None:
        """Tell the other processes that there is no more work."""
        if not self._ended:
            self._lead(_Task.END)
        self._ended = True

    def _lead(self, task: _Task, dtype: torch.dtype = torch.float64, *sizes: int) -> None:
        r, k = sizes or (0, 0)
        self._ranks.broadcast(torch.tensor([task, dtype == torch.float64, r, k]))

    def _received(self, size: int) -> Tensor:
        return self._ranks.broadcast(torch.zeros(size, dtype=torch.float64, device=self.device))

    def _whole(self, mine: Tensor) -> Tensor:
        """All processes' columns in the first process; meaningless in the others."""
        joined = self._ranks.gather_columns(mine, self.count)
        return mine if joined is None else joined

    def _blocks(self, dtype: torch.dtype) -> Iterator[tuple[int, Tensor]]:
        for start in range(0, len(self._rows), _ROWS):
            # The shift is subtracted in one precision, so that every dtype sees the same numbers.
            block = self._rows[start : start + _ROWS].to(self.device).to(self.row_dtype) - self.shift
            yield start, block.to(dtype)


def _resident(rows: Tensor, device: torch.device) -> Tensor:
    """The rows on the GPU if it has room for them, else where they are."""
    if device.type != "cuda" or rows.device == device:
        return rows
    free, _ = torch.cuda.mem_get_info(device)
    return rows.to(device) if rows.nbytes < free / 2 else rows
