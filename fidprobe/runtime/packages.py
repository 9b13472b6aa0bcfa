"""Packages that only some work needs: what is missing or broken is named in one line, before that work."""

import traceback
from importlib import import_module

from fidprobe.errors import PackageError
from fidprobe.runtime.messages import one_line

__all__ = ["import_problem", "require"]

_BROUGHT_BY = {
    "PIL": "pillow",
    "datasets": "'fidprobe[datasets]'",
    "faiss": "faiss-cpu",
    "open_clip": "open-clip-torch",
    "yaml": "pyyaml",
}  # packages that pip has under another name


def require(package: str, purpose: str) -> None:
    """Import a package that some work needs, before that work.

    Args:
        package: Its name in Python: `faiss`.
        purpose: What needs it, for the message: `PRD`.

    Raises:
        PackageError: it is not installed, or cannot be imported.
    """
    try:
        import_module(package)
    except Exception as error:  # a package that is broken, or does not fit another one, can raise anything
        raise PackageError(f"{purpose} needs the package {package}, {_problem(package, error)}") from error


def import_problem(error: ImportError) -> str | None:
    """What is wrong with another package that could not be imported; None if the error is of fidprobe's own modules.

    Args:
        error: As it was raised, with its traceback.
    """
    package, _, _ = (error.name or _raised_in(error)).partition(".")
    return None if package in ("", "fidprobe") else f"fidprobe needs the package {package}, {_problem(package, error)}"


def _problem(package: str, error: Exception) -> str:
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing == package:
        return f"which is not installed: pip install {_pip_name(package)}"
    if missing and "." not in missing:
        return f"which needs {missing}, which is not installed: pip install {_pip_name(missing)}"
    reason = one_line(error, with_class=True)
    return f"which cannot be imported ({reason}): pip install --upgrade --force-reinstall {_pip_name(package)}"


def _pip_name(package: str) -> str:
    return _BROUGHT_BY.get(package, package.replace("_", "-"))


def _raised_in(error: Exception) -> str:
    """The module whose code raised an error; empty where that is not known."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return str(frames[-1].f_globals.get("__name__", "")) if frames else ""
