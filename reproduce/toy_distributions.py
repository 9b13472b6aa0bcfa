"""The six pairs of distributions that the PRD paper draws in its Figure 2, on a finite space."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

__all__ = ["CASES", "Array", "toy_pairs"]

Array = npt.NDArray[np.float64]

CASES: Mapping[str, str] = {
    "a": "Q has one mode of P's two",
    "b": "Q has P's mode and another",
    "c": "Q = P",
    "d": "Q and P share nothing",
    "e": "(a) with noise",
    "f": "(b) with noise",
}
"""Letter -> what it shows."""

_REACH = 2.5  # standard deviations to either side of a mode, beyond which it is nothing


def toy_pairs(bins: int, noise: float) -> Mapping[str, tuple[Array, Array]]:
    """P and Q of every case.

    The paper draws curves and gives no formula. Here a mode is a bell cut off at 2.5 standard deviations, so that
    modes beside each other do not overlap; noise mixes the even distribution into both sides, which then share one
    support, as in the paper.

    Args:
        bins: Of the space, a multiple of 4: each of two modes has half of them.
        noise: The even distribution's share in (e) and (f), in 0..1.

    Returns:
        Letter -> (P, Q), float64 [bins] each, sums of 1.
    """
    half = bins // 2
    bell = np.exp(-0.5 * np.linspace(-_REACH, _REACH, half) ** 2)
    bell /= bell.sum()
    left, right = np.concatenate([bell, np.zeros(half)]), np.concatenate([np.zeros(half), bell])
    both, even = (left + right) / 2, np.full(bins, 1 / bins)

    def noisy(one: Array) -> Array:
        return np.asarray((1 - noise) * one + noise * even)

    return {
        "a": (both, left),
        "b": (left, both),
        "c": (both, both),
        "d": (left, right),
        "e": (noisy(both), noisy(left)),
        "f": (noisy(left), noisy(both)),
    }
