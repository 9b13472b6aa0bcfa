"""Everything that can be trained, by name, with the papers' settings as defaults."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fidprobe.errors import InputError
from fidprobe.generators.variants import GANS, Smoothing
from fidprobe.training.classifier import ClassifierTask
from fidprobe.training.encoder import EncoderTask
from fidprobe.training.gan import GanTask, new_gan
from fidprobe.training.vae import VaeTask

__all__ = ["KINDS", "Kind", "new_task"]


@dataclass(frozen=True)
class Kind:
    """One thing that can be trained.

    Attributes:
        title: As papers write it.
        epochs: Passes over the pictures.
        batch_size: Pictures in a step.
        labelled: Whether it needs class labels.
        generates: Whether the result is a generator; otherwise it is a network.
        options: Names of the options that it has, as in `new_task`.
    """

    title: str
    epochs: int
    batch_size: int
    labelled: bool
    generates: bool
    options: frozenset[str]


_GAN_OPTIONS = frozenset({"width", "learning_rate", "average", "smooth_real", "smooth_fake"})
_LABELLED = frozenset({"gan-star", "labelgan", "ac-gan", "ac-gan-star", "ac-gan-star-plus", "am-gan"})


def _gan_options(name: str) -> frozenset[str]:
    extra = {
        "predefined": GANS[name].targeted,
        "auxiliary_weight": name.startswith("ac-gan"),
        "smooth_generator": GANS[name].smooths_generator,
    }
    return _GAN_OPTIONS | {option for option, there in extra.items() if there}


KINDS: dict[str, Kind] = {
    # The batch is the AM-GAN paper's (appendix F), the length of the order of its training curves' (Fig. 7).
    **{name: Kind(gan.title, 100, 100, name in _LABELLED, True, _gan_options(name)) for name, gan in GANS.items()},
    "vae": Kind("VAE", 50, 100, False, True, frozenset({"width", "learning_rate"})),
    "classifier": Kind("classifier", 30, 128, True, False, frozenset({"learning_rate"})),
    "encoder": Kind("self-supervised encoder", 40, 256, False, False, frozenset({"learning_rate"})),
}
"""Name -> what `fidprobe train` makes."""


def new_task(
    name: str,
    *,
    classes: int,
    seed: int = 0,
    device: str = "cpu",
    mixed_precision: bool = False,
    chosen: Mapping[str, Any] | None = None,
) -> GanTask | VaeTask | ClassifierTask | EncoderTask:
    """A task with fresh weights.

    Args:
        name: A name of `KINDS`.
        classes: K, of the data; 0 where it has none.
        seed: Of the first weights.
        device: Where to train.
        mixed_precision: bfloat16 inside the networks.
        chosen: Further options by name, those of the kind: `width`, `learning_rate`, `average`, `predefined`,
            `smooth_real`, `smooth_fake`, `smooth_generator`, `auxiliary_weight`.

    Raises:
        InputError: no classes where they are needed, or an option that the kind does not have, or out of its range.
    """
    kind, given = KINDS[name], dict(chosen or {})
    if kind.labelled and classes < 2:
        raise InputError(
            f"{kind.title} learns from class labels, and the pictures have none; put each class in a folder of its own"
        )
    for option in given:
        if option not in kind.options:
            there = ", ".join(f"`{one}`" for one in sorted(kind.options))
            raise InputError(f"{kind.title} has no `{option}`; there are {there}")
    _check(given)
    shared: dict[str, Any] = {"seed": seed, "device": device, "mixed_precision": mixed_precision}
    if name == "vae":
        return VaeTask(**shared, **given)
    if name == "classifier":
        return ClassifierTask(classes=classes, **shared, **given)
    if name == "encoder":
        return EncoderTask(**shared, **given)
    smoothing = Smoothing(*(given.pop(f"smooth_{part}", 0.0) for part in ("real", "fake", "generator")))
    return new_gan(name, classes=max(classes, 1), smoothing=smoothing, **shared, **given)


_RANGES: dict[str, tuple[float, float, str]] = {
    "width": (0.01, 16, "from 0.01 to 16"),
    "learning_rate": (1e-8, 10, "from 1e-8 to 10"),
    "average": (0, 0.999999, "from 0 to below 1"),
    "smooth_real": (0, 0.5, "from 0 to 0.5"),
    "smooth_fake": (0, 0.5, "from 0 to 0.5"),
    "smooth_generator": (0, 0.5, "from 0 to 0.5"),
    "auxiliary_weight": (0, 100, "from 0 to 100"),
}


def _check(given: Mapping[str, Any]) -> None:
    for option, value in given.items():
        if option in _RANGES:
            low, high, words = _RANGES[option]
            if not low <= value <= high:
                raise InputError(f"`{option}` is {value:g}; it must be {words}")
