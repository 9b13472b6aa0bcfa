"""The arguments that the library's messages name, shown as the command line's flags."""

import re

__all__ = ["arguments_as_flags"]

_SAME = (
    *("also", "also_candidates", "also_reference"),
    *("clusters", "extractor", "keep", "layer", "limit", "ms_ssim_side", "resize", "weights", "within"),
    *(f"second_{name}" for name in ("baseline", "candidates", "generated", "reference", "weights")),
    # Of the kinds of training.
    *("auxiliary_weight", "average", "learning_rate", "predefined", "smooth_fake", "smooth_generator", "smooth_real"),
    "width",
)  # arguments whose flags have the same names, with hyphens
_FLAGS = {name: f"--{name.replace('_', '-')}" for name in _SAME} | {
    "cache=None": "--no-cache",
    "candidates=N": "--candidates N",
    "limit=N": "--limit N",
    "names": "--convention",
    "second_models": "--second-model once for each",
    "skip_bad=True": "--skip-bad",
    "unverified_weights=True": "--unverified-weights",
}


def arguments_as_flags(text: str) -> str:
    """Put flags (--skip-bad) in place of the Python arguments that a message names between backticks (`skip_bad=True`).

    Args:
        text: An error's or a warning's text; all else that stands between backticks stays as it is.
    """
    return re.sub(r"`([^`]*)`", lambda quoted: _FLAGS.get(quoted[1], quoted[0]), text)
