"""Errors that a user can mend: one class for each kind of remedy.

Every message is one line that names the thing, the offending value and what to do. The command line prints
it, with flags in place of the arguments that it names, and exits with 2. A traceback therefore always means a defect
of fidprobe itself.
"""

__all__ = [
    "AbsentWeightsError",
    "FidprobeError",
    "InputError",
    "MismatchError",
    "PackageError",
    "ProcessError",
    "SourceError",
    "SourceWarning",
    "WeightsError",
]


class FidprobeError(Exception):
    """Base of all errors that a user can mend."""


class SourceError(FidprobeError):
    """An image source or a file in it cannot be read."""


class SourceWarning(UserWarning):
    """Something that may be meant as part of a source was left out of it."""


class WeightsError(FidprobeError):
    """Network weights are missing, damaged, or not the official ones."""


class AbsentWeightsError(WeightsError):
    """Network weights are not on this machine and cannot be downloaded; one argument for each file."""

    def __str__(self) -> str:
        return "; and ".join(self.args)


class MismatchError(FidprobeError):
    """Two values that cannot be compared: they differ in extractor, weights, resize rule or dimension."""


class InputError(FidprobeError, ValueError):
    """A value that a function does not accept: a wrong shape, NaN, too few rows, an unknown name."""


class PackageError(FidprobeError):
    """A package that some work needs is not installed, or cannot be imported."""


class ProcessError(FidprobeError):
    """Another process of the same run has ended; its own message gives the reason."""
