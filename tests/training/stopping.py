"""A run that is asked to stop."""

from collections.abc import Callable

__all__ = ["stop_after"]


def stop_after(steps: int) -> Callable[[], bool]:
    """What `interrupted` is to be: true once, after so many steps."""
    left = [steps]

    def asked() -> bool:
        left[0] -= 1
        return left[0] == 0

    return asked
