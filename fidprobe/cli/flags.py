"""The arguments that the library's messages name, shown as the command line's flags."""

import re

__all__ = ["arguments_as_flags"]

_FLAGS = {
    "cache=None": "--no-cache",
    "candidates=N": "--candidates N",
    "clusters": "--clusters",
    "extractor": "--extractor",
    "layer": "--layer",
    "limit": "--limit",
    "limit=N": "--limit N",
    "ms_ssim_side": "--ms-ssim-side",
    "names": "--convention",
    "resize": "--resize",
    "second_baseline": "--second-baseline",
    "second_candidates": "--second-candidates",
    "second_generated": "--second-generated",
    "second_models": "--second-model once for each",
    "second_reference": "--second-reference",
    "skip_bad=True": "--skip-bad",
    "unverified_weights=True": "--unverified-weights",
    "weights": "--weights",
    "within": "--within",
    # Of the kinds of training.
    "auxiliary_weight": "--auxiliary-weight",
    "average": "--average",
    "learning_rate": "--learning-rate",
    "predefined": "--predefined",
    "smooth_fake": "--smooth-fake",
    "smooth_generator": "--smooth-generator",
    "smooth_real": "--smooth-real",
    "width": "--width",
}


def arguments_as_flags(text: str) -> str:
    """Put flags (--skip-bad) in place of the Python arguments that a message names between backticks (`skip_bad=True`).

    Args:
        text: An error's or a warning's text; all else that stands between backticks stays as it is.
    """
    return re.sub(r"`([^`]*)`", lambda quoted: _FLAGS.get(quoted[1], quoted[0]), text)
