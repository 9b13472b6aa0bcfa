"""Upper bounds of scalar products from a few coordinates, so that most pairs need no full product.

A matrix V of h orthonormal columns projects x to Vᵀx and leaves out a part of length t_x = √(|x|² - |Vᵀx|²). By Cauchy
and Schwarz xᵀy <= (Vᵀx)ᵀ(Vᵀy) + t_x t_y, which is a product of h + 1 coordinates instead of d. If this bound is too
small to matter, the d coordinates of the pair need not be multiplied. Spectra of features fall off fast, and neighbours
are much nearer than other points: with V along the largest principal components, one pair of a hundred or fewer is
left.

The bound holds for any V. A sample decides how many columns pay, and whether any do.
"""

import warnings
from dataclasses import replace

import torch
from torch import Tensor

from fidprobe.metrics.pair_products import ROWS, Points, Projected, rounding, slices
from fidprobe.runtime.temporary_files import empty_array

__all__ = ["PAIR_COST", "projected", "sampled_products"]

PAIR_COST = 16  # cost of a single pair's product, in products within a large matrix product (measured: 12 to 15)
_LEAST_IMAGES = 4096  # in each set; smaller sets have little to save
_LEAST_SHARE = 6  # least count as a multiple of d: finding V costs more than it saves at 5 d, less at 6 d (measured)
_MOST_COLUMNS = 512  # of V; finding more costs more than they save
_SAMPLE = 2048  # images of each set from which V is computed
_JUDGED = 1024  # of these, images whose pairs are counted to choose h
_SHARES = (1 / 16, 1 / 8, 3 / 16, 1 / 4)  # of d: the choices of h
_ITERATIONS = 2  # of subspace iteration
_WORTH = 0.8  # share of the cost of whole products up to which projections pay


def projected(x: Points, y: Points, nearest: int) -> tuple[Points, Points]:
    """Both sets with their projections, or unchanged if projections do not pay.

    Args:
        x: One set.
        y: The other, in the same frame.
        nearest: How many nearest neighbours of each point matter.
    """
    sides, frame, dim = (x, y), x.frame, x.values.shape[1]
    most = min(int(_SHARES[-1] * dim), _MOST_COLUMNS)
    if frame.centre.device.type != "cpu" or frame.dtypes[0] != torch.float32 or most == 0:
        return x, y
    if min(len(x), len(y)) < max(_LEAST_IMAGES, _LEAST_SHARE * dim) or not _samples_products():
        return x, y
    some = [side.recentred(_spread(len(side), _SAMPLE), torch.float32) for side in sides]
    basis = _principal(torch.cat(some), most)
    count = _columns(some, basis, [(nearest, len(side)) for side in sides])
    if count == 0:
        return x, y
    return _projected(x, basis[:, :count]), _projected(y, basis[:, :count])


def sampled_products(left: Tensor, right: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Products of some pairs of rows: [m, d], [n, d] and int64 [p] each, `row` ascending -> [p] in their precision."""
    counts = torch.bincount(row, minlength=len(left))
    starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sparse tensors are in beta
        pattern = torch.sparse_csr_tensor(
            starts, column, left.new_zeros(len(column)), (len(left), len(right)), check_invariants=False
        )
        found: Tensor = torch.sparse.sampled_addmm(pattern, left, right.T, beta=0).values()
    return found


def _spread(count: int, most: int) -> Tensor:
    """Places of at most `most` images, spread evenly over a set of `count`: int64 [s]."""
    return torch.linspace(0, count - 1, min(most, count), dtype=torch.float64).long()


def _samples_products() -> bool:
    """Whether this build of torch supports `sampled_products` on a CPU."""
    ones = torch.ones(2, 4, dtype=torch.float32, device="cpu")
    try:
        return sampled_products(ones, ones, torch.tensor([0, 1]), torch.tensor([1, 0])).tolist() == [4, 4]
    except RuntimeError:
        return False


def _principal(rows: Tensor, count: int) -> Tensor:
    """Approximations of the first principal directions of rows, in their order: float64 [d, count], orthonormal."""
    rng = torch.Generator().manual_seed(0)
    basis = torch.randn(rows.shape[1], count, generator=rng, dtype=rows.dtype, device=rows.device)
    for _ in range(_ITERATIONS):
        basis = torch.linalg.qr(rows.T @ (rows @ basis))[0]
    basis = torch.linalg.qr(basis.double())[0]
    inside = rows @ basis.float()
    _, turn = torch.linalg.eigh((inside.T @ inside).double())
    ordered: Tensor = torch.linalg.qr(basis @ turn.flip(1))[0]
    return ordered


def _columns(some: list[Tensor], basis: Tensor, neighbours: list[tuple[int, int]]) -> int:
    """The number of columns of a basis that costs least; 0 if whole products cost least.

    Args:
        some: A sample of each set, [s, d].
        basis: [d, h].
        neighbours: For each set, how many nearest neighbours matter, and among how many points.
    """
    dim = basis.shape[0]
    costs = dict.fromkeys((min(max(1, int(share * dim)), basis.shape[1]) for share in _SHARES), 0.0)
    for side, (nearest, total) in zip(some, neighbours, strict=True):
        rows = side[_spread(len(side), _JUDGED)]
        squares = rows.square().sum(1)
        distances = (squares[:, None] + squares - 2 * rows @ rows.T).fill_diagonal_(torch.inf)
        rank = min(max(1, round(nearest * len(rows) / total)), len(rows) - 1)
        reach = distances.kthvalue(rank, dim=1).values[:, None]
        inside = rows @ basis.float()
        for count in costs:
            part = inside[:, :count]
            lengths = (squares - part.square().sum(1)).clamp_min(0).sqrt()
            bounds = part @ part.T + lengths[:, None] * lengths
            near = (squares[:, None] + squares - 2 * bounds).fill_diagonal_(torch.inf) <= reach
            # The last term is the cost of projecting both sets in float64, spread over the pairs.
            costs[count] += (count / dim + PAIR_COST * float(near.double().mean()) + 4 * count / total) / 2
    best = min(costs, key=lambda count: costs[count])
    return best if costs[best] < _WORTH else 0


def _projected(points: Points, basis: Tensor) -> Points:
    dim, count = basis.shape
    squares = points.squares(torch.float64)
    values = torch.from_numpy(empty_array((len(points), count + 1), "float32", "projections of features"))
    for rows in slices(len(points), ROWS):
        inside = points.recentred(rows, torch.float64) @ basis
        left_out = squares[rows] - torch.linalg.vecdot(inside, inside)
        values[rows, :count] = inside
        values[rows, count] = left_out.clamp_min_(0).sqrt_()
    # Rounding can raise 2 xᵀy, and lower the bound's product and t_x, the square root of a difference.
    whole, of_bound = rounding(torch.float32, dim), rounding(torch.float32, count)
    root = (2 * dim * count**0.5 * torch.finfo(torch.float64).eps) ** 0.5
    slack = (whole[0] + of_bound[0] + 2 * root) * squares + whole[1] + of_bound[1]
    return replace(points, projected=Projected(values, slack.float()))
