"""Class names of ImageNet classifiers: torchvision's order, and that of the 2015 Inception."""

from functools import cache
from importlib import resources

__all__ = ["imagenet_class_names", "imagenet_wnids", "inception_class_names", "inception_wnids"]

_UNUSED_AFTER = 7  # outputs 1001..1007 of the 2015 network were never trained on a class


@cache
def imagenet_wnids() -> tuple[str, ...]:
    """The 1000 WordNet ids as torchvision, timm and Keras order them: sorted, `n01440764` (tench) first."""
    return tuple(sorted(_devkit_wnids()))


@cache
def imagenet_class_names() -> tuple[str, ...]:
    """The 1000 class names (short, unique) in the order of `imagenet_wnids`, as torchvision gives them."""
    from torchvision.models import Inception_V3_Weights

    return tuple(Inception_V3_Weights.IMAGENET1K_V1.meta["categories"])


@cache
def inception_wnids() -> tuple[str | None, ...]:
    """WordNet ids of the 1008 outputs of Inception-V3 2015-12-05; None for its eight unused outputs.

    Output i in 1..1000 is the class with `ILSVRC2012_ID` i of the ILSVRC-2012 development kit (1 is `n02119789`,
    kit fox), which is not torchvision's order. Output 0 and outputs 1001..1007 have no class.
    """
    return (None, *_devkit_wnids(), *(None,) * _UNUSED_AFTER)


@cache
def inception_class_names() -> tuple[str, ...]:
    """Names of the 1008 outputs of Inception-V3 2015-12-05; `unused 0`, `unused 1001`, ... where none."""
    names = dict(zip(imagenet_wnids(), imagenet_class_names(), strict=True))
    return tuple(f"unused {index}" if wnid is None else names[wnid] for index, wnid in enumerate(inception_wnids()))


def _devkit_wnids() -> tuple[str, ...]:
    text = resources.files("fidprobe.extractors").joinpath("imagenet_devkit_wnids.txt").read_text("ascii")
    return tuple(text.split())
