"""Small resampling problems, and their optima by means that share nothing with the code under test."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.optimize
import torch
from torch import Tensor

from fidprobe.statistics import GaussianStatistics

__all__ = ["AWKWARD", "Problem", "capped_optimum", "distance", "mixture", "optimum", "shifted"]


@dataclass(frozen=True, eq=False)
class Problem:
    """Reference and candidate features, [n, d] each."""

    reference: Tensor
    candidates: Tensor

    @property
    def statistics(self) -> GaussianStatistics:
        """Of the reference, as a user makes them."""
        return GaussianStatistics.of(self.reference.to(torch.float64))


def mixture(reference: int, candidates: int, dim: int, *, seed: int = 0, modes: int = 8) -> Problem:
    """Two mixtures with the same modes in other proportions, through a ReLU: like a classifier's features."""
    rng = np.random.default_rng(seed)
    spectrum = 1 / np.sqrt(1 + np.arange(dim))
    centres = rng.normal(size=(modes, dim)) * spectrum
    basis = np.linalg.qr(rng.normal(size=(dim, dim)))[0]

    def draw(n: int, shares: np.ndarray, width: float) -> Tensor:
        which = rng.choice(modes, size=n, p=shares)
        plain = (centres[which] + width * rng.normal(size=(n, dim)) * spectrum) @ basis
        return torch.from_numpy(np.maximum(plain * np.sqrt(dim) + 0.5, 0))

    real, fake = rng.dirichlet(np.full(modes, 3.0), size=2)
    return Problem(draw(reference, real, 0.7), draw(candidates, fake, 0.8))


def shifted(reference: int, candidates: int, dim: int, *, seed: int = 0) -> Problem:
    """Two Gaussians whose means and covariances differ."""
    rng = np.random.default_rng(seed)
    mix = np.eye(dim) + 0.3 * rng.normal(size=(dim, dim))
    real, fake = rng.normal(size=(reference, dim)), 0.4 + 1.2 * rng.normal(size=(candidates, dim)) @ mix
    return Problem(torch.from_numpy(real), torch.from_numpy(fake))


def _replaced(problem: Problem, columns: slice, value: float) -> Problem:
    candidates = problem.candidates.clone()
    candidates[:, columns] = value
    return Problem(problem.reference, candidates)


def _outlier() -> Problem:
    problem = shifted(200, 50, 4, seed=5)
    problem.candidates[7] *= 50
    return problem


def _binarised() -> Problem:
    problem = shifted(300, 60, 6, seed=6)
    return Problem((problem.reference > 0.5).double(), problem.candidates > 0.5)


AWKWARD: dict[str, Callable[[], Problem]] = {
    "plain": lambda: shifted(200, 50, 6),
    "mixture": lambda: mixture(300, 60, 5),
    "fewer reference images than dimensions": lambda: shifted(4, 50, 6, seed=1),
    "two reference images": lambda: shifted(2, 30, 3, seed=2),
    "fewer candidates than dimensions": lambda: shifted(200, 5, 8, seed=3),
    "two candidates": lambda: shifted(200, 2, 3, seed=4),
    "duplicated candidates": lambda: Problem(
        shifted(200, 20, 4).reference, shifted(200, 20, 4).candidates.repeat_interleave(3, dim=0)
    ),
    "a dead candidate column": lambda: _replaced(shifted(200, 50, 6), slice(1, 2), 0.0),
    "constant candidates": lambda: _replaced(shifted(200, 20, 4), slice(None), 0.7),
    "a duplicated column": lambda: Problem(
        shifted(200, 50, 6).reference[:, [0, 1, 2, 3, 3]], shifted(200, 50, 6).candidates[:, [0, 1, 2, 3, 3]]
    ),
    "an outlier": _outlier,
    "large scale": lambda: Problem(1000 * shifted(200, 50, 6).reference, 1000 * shifted(200, 50, 6).candidates),
    "large offset": lambda: Problem(1000 + shifted(200, 50, 6).reference, 1000 + shifted(200, 50, 6).candidates),
    "binarised": _binarised,
    "reference inside the candidates": lambda: Problem(
        shifted(12, 50, 4).candidates[10:40], shifted(12, 50, 4).candidates
    ),
}


def distance(statistics: GaussianStatistics, candidates: Tensor, probabilities: np.ndarray) -> float:
    """F in plain NumPy: the symmetric root of the reference's covariance, and the singular values of a product."""
    return _value(statistics, candidates, torch.from_numpy(np.asarray(probabilities))).item()


def optimum(problem: Problem) -> float:
    """The smallest F by SciPy's sequential quadratic programming, with autograd's gradients: an upper bound."""
    n = len(problem.candidates)
    statistics = problem.statistics
    scale = max(float(statistics.cov.trace()), 1e-9)

    def value(p: np.ndarray) -> tuple[float, np.ndarray]:
        variable = torch.from_numpy(p.clip(1e-12)).requires_grad_()
        result = _value(statistics, problem.candidates, variable) / scale
        result.backward()
        assert variable.grad is not None
        return result.item(), variable.grad.numpy()

    p = np.full(n, 1 / n)
    for _ in range(3):  # a start afresh forgets a bad Hessian
        found = scipy.optimize.minimize(
            value,
            p,
            jac=True,
            method="SLSQP",
            bounds=[(1e-12, 1)] * n,
            constraints={"type": "eq", "fun": lambda q: q.sum() - 1, "jac": np.ones_like},
            options={"maxiter": 500, "ftol": 1e-14},
        )
        p = found.x.clip(0)
        p /= p.sum()
    return distance(statistics, problem.candidates, p)


def _value(statistics: GaussianStatistics, candidates: Tensor, weights: Tensor) -> Tensor:
    rows = candidates.to(torch.float64)
    p = weights / weights.sum()
    mean = p @ rows
    # Σ(p) = G Gᵀ: the nuclear norm of Lᵀ G is tr (Σ_r Σ)^½, and no small root is lost by squaring.
    spread = ((rows - mean) * p.sqrt()[:, None]).T
    w, U = torch.linalg.eigh(statistics.cov)
    keep = w > 1e-12 * w[-1]
    singular = torch.linalg.svdvals((U[:, keep] * w[keep].sqrt()).T @ spread)
    trace = statistics.cov.trace() + spread.square().sum()
    value: Tensor = (mean - statistics.mean).square().sum() + trace - 2 * singular.sum()
    return value


def capped_optimum(problems: Sequence[Problem], targets: Sequence[float], cap: float) -> tuple[float, np.ndarray]:
    """The least largest (F - t) / (F(uniform) - t) under a cap, and its weights, by SciPy: an upper bound.

    Sequential quadratic programming of the epigraph: minimise z subject to f_s(p) <= z for every problem.
    """
    n = len(problems[0].candidates)
    most = min(cap / n, 1.0)
    judges = [_relative(problem, target) for problem, target in zip(problems, targets, strict=True)]

    def largest(p: np.ndarray) -> float:
        return max(judge(p)[0] for judge in judges)

    p = np.full(n, 1 / n)
    for accuracy in (1e-6, 1e-12):  # a start afresh forgets a bad Hessian
        found = scipy.optimize.minimize(
            lambda x: (x[-1], np.eye(n + 1)[-1]),
            np.append(p, largest(p)),
            jac=True,
            method="SLSQP",
            bounds=[(min(1e-12, most / 2), most)] * n + [(None, None)],
            constraints=[
                {"type": "eq", "fun": lambda x: x[:-1].sum() - 1, "jac": lambda x: np.append(np.ones(n), 0.0)},
                *(
                    {
                        "type": "ineq",
                        "fun": lambda x, judge=judge: x[-1] - judge(x[:-1])[0],
                        "jac": lambda x, judge=judge: np.append(-judge(x[:-1])[1], 1.0),
                    }
                    for judge in judges
                ),
            ],
            options={"maxiter": 300, "ftol": accuracy},
        )
        q = found.x[:-1].clip(0, most)
        q /= q.sum()
        p = min((p, q), key=largest)
    return largest(p), p


def _relative(problem: Problem, target: float) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """(F - t) / (F(uniform) - t) with its gradient, by autograd."""
    statistics = problem.statistics
    n = len(problem.candidates)
    scale = distance(statistics, problem.candidates, np.full(n, 1 / n)) - target

    def value(p: np.ndarray) -> tuple[float, np.ndarray]:
        variable = torch.from_numpy(p.clip(1e-12)).requires_grad_()
        result = (_value(statistics, problem.candidates, variable) - target) / scale
        result.backward()
        assert variable.grad is not None
        return result.item(), variable.grad.numpy()

    return value
