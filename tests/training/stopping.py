"""A run that is asked to stop, or killed."""

from collections.abc import Callable

__all__ = ["KilledError", "stop_after"]


class KilledError(Exception):
    """Stands for a death between two lines of the loop: nothing is saved on the way out."""


def stop_after(steps: int, *, killed: bool = False) -> Callable[[], bool]:
    """What `interrupted` is to be: true once, after so many steps, or raising `KilledError` then."""
    left = [steps]

    def asked() -> bool:
        left[0] -= 1
        if left[0] == 0 and killed:
            raise KilledError
        return left[0] == 0

    return asked
