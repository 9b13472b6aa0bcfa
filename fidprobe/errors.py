"""What can go wrong through no fault of fidprobe's: one class for each kind of remedy.

Every message is one line that names the thing, the offending value and what to do. The command line prints
it as it is and exits with 2; a traceback therefore always means a defect of fidprobe itself.
"""

__all__ = ["FidprobeError", "InputError", "MismatchError", "ProcessError", "SourceError", "WeightsError"]


class FidprobeError(Exception):
    """Base of all errors that a user can mend."""


class SourceError(FidprobeError):
    """An image source or a file in it cannot be read."""


class WeightsError(FidprobeError):
    """Network weights are missing, damaged, or not the official ones."""


class MismatchError(FidprobeError):
    """Two values that must not meet: different extractors, weights, resize rules or dimensions."""


class InputError(FidprobeError, ValueError):
    """A value outside what a function accepts: wrong shape, NaN, too few rows, an unknown name."""


class ProcessError(FidprobeError):
    """Another process of the same run has ended; what it said of itself is the reason."""
