"""Generators that training runs kept, as presets name them, and features of whatever a preset names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fidprobe.analysis.sets.two_spaces import extract_sets
from fidprobe.errors import InputError
from fidprobe.extractors.base import Extractor
from fidprobe.extractors.chosen import load_network
from fidprobe.features.extraction import extract
from fidprobe.features.value import Features
from fidprobe.inputs import Input, open_input
from fidprobe.statistics import GaussianStatistics
from reproduce.experiment import Setting

__all__ = [
    "KEPT_PAPER",
    "KEPT_SMALL",
    "MODELS_SMALL",
    "MODELS_SMOKE",
    "REAL",
    "SMALL_RUNS",
    "Kept",
    "Models",
    "features",
    "kept",
    "networks",
    "set_features",
]

REAL = "embedded:cifar10"
"""Real pictures of CIFAR-10 whose features come with fidprobe, in `efficientnet-lite0` and `cifar10-encoder`."""

SMALL_RUNS = (
    "Generators at a quarter of the paper's width, one seed each (docs/training.md): AM-GAN with dynamic labels over "
    "12,000 steps of 100 pictures, the plain GAN over its first 3,000; no other variant was trained."
)
"""A note for all that measure them."""


@dataclass(frozen=True)
class Kept:
    """A generator that a run of `fidprobe train` kept.

    Attributes:
        run: The run, as a figure calls it.
        step: Steps it had learnt.
        source: A name for `DataFolder.find`.
    """

    run: str
    step: int
    source: str

    @property
    def name(self) -> str:
        """`AM-GAN, 3,000 steps`."""
        return f"{self.run}, {self.step:,} steps"


def kept(run: str, folder: str, steps: Sequence[int]) -> tuple[Kept, ...]:
    """Generators of a run's folder after so many steps."""
    return tuple(Kept(run, step, f"{folder}/generators/step-{step:06d}.safetensors") for step in steps)


@dataclass(frozen=True)
class Models:
    """Generators, what they are held against, and in which spaces.

    Attributes:
        kept: Generators, those of a run together and oldest first.
        images: Samples of each, from seed 0.
        reference: Real images.
        references: Of them, at random; None for all.
        extractor: The main space, and the Inception Score's classifier.
        second_opinion: The space beside it.
        classifier: Of the data set's own classes.
    """

    kept: tuple[Kept, ...]
    images: int
    reference: str
    references: int | None
    extractor: str
    second_opinion: str
    classifier: str


KEPT_SMALL = (
    *kept("GAN", "gan-run", (1_000, 2_000, 3_000)),
    *kept("AM-GAN", "am-gan-run", (1_000, 2_000, 3_000, 6_000, 12_000)),
)
# A hundred passes in batches of a hundred: about the length of the paper's curves.
KEPT_PAPER = tuple(
    one
    for kind, title in (
        ("gan", "GAN"),
        ("ac-gan-star", "AC-GAN*"),
        ("ac-gan-star-plus", "AC-GAN*+"),
        ("labelgan", "LabelGAN"),
        ("am-gan", "AM-GAN"),
    )
    for one in kept(title, f"{kind}-run", range(5_000, 50_001, 5_000))
)


MODELS_SMOKE = Models(
    (Kept("AM-GAN", 2_500, "embedded:am-gan-early"), Kept("AM-GAN", 12_000, "embedded:am-gan")),
    60,
    "embedded:am-gan?seed=1",
    60,
    "cifar10-classifier",
    "cifar10-encoder",
    "cifar10-classifier",
)
MODELS_SMALL = Models(
    KEPT_SMALL, 2_000, "cifar10/test", None, "efficientnet-lite0", "cifar10-encoder", "cifar10-classifier"
)


def set_features(
    sets: Mapping[str, Input], extractor: str, second_opinion: str | None, setting: Setting
) -> list[dict[str, Features]]:
    """Features of every set by name: in the main space, then in the second opinion's if there is one.

    Raises:
        SourceError: images are missing.
    """
    extracted = extract_sets(
        sets,
        {},
        extractor=extractor,
        second_opinion=second_opinion,
        options=setting.options,
        progress=setting.progress,
    )
    spaces = []
    for sides in (extracted.main, extracted.second):
        if sides is not None:
            assert all(isinstance(side, Features) for side in sides.values())
            spaces.append({name: side for name, side in sides.items() if isinstance(side, Features)})
    return spaces


def networks(names: Sequence[str], setting: Setting) -> list[Extractor]:
    """Load networks by name."""
    return [load_network(name, setting.progress) for name in names]


def features(source: str, network: Extractor, setting: Setting, limit: int | None = None) -> Features:
    """Features of what a preset names, kept in fidprobe's cache, so that a script that was stopped goes on.

    Args:
        source: A name for `DataFolder.find`; `REAL` gives its features in the network's space.
        network: The network.
        setting: Where the script runs.
        limit: Images to take; needed for generators.

    Raises:
        InputError: statistics, which hold no single images.
        SourceError: missing.
    """
    place = f"{REAL}/{network.provenance.name}" if source == REAL else setting.data.find(source)
    side = open_input(place, replace(setting.options, limit=limit))
    if isinstance(side, GaussianStatistics):
        raise InputError(f"{place} holds statistics, no single images; give images or features")
    return side if isinstance(side, Features) else extract(side, network, setting.options, progress=setting.progress)
