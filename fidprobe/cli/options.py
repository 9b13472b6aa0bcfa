"""Options that several commands share: one dataclass for each group of them, with the library's objects it makes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from fidprobe.analysis.scores.metric_choices import METRIC_NAMES
from fidprobe.runtime.messages import unknown_name

if TYPE_CHECKING:
    from cyclopts import Token

    from fidprobe.extractors.chosen import NetworkSpec
    from fidprobe.features.extraction import ReadOptions

__all__ = [
    "NETWORKS",
    "OPTIONS",
    "SOURCES",
    "Generated",
    "Limit",
    "MainNetwork",
    "MetricList",
    "ModelNetworks",
    "NoCache",
    "PairNetworks",
    "PanelNetworks",
    "Reading",
    "Reference",
    "ReferenceNetworks",
    "ResizeRule",
    "SecondFeatures",
    "SecondModels",
    "Seed",
    "SimilaritySide",
    "SkipBad",
    "TwoNetworks",
    "check_conventions",
    "flag",
    "folder",
    "network_spec",
    "option",
    "whole",
]

OPTIONS = Group("Options", sort_key=1)
NETWORKS = Group("Networks", sort_key=8)
READING = Group("Reading images", sort_key=9)


def option(metavar: str, text: str | None = None, **more: Any) -> Parameter:
    """An option with a value, which may begin with a hyphen.

    Args:
        metavar: What the help page calls the value.
        text: What the help page says of the option; None for the docstring of a dataclass's field.
        **more: Further attributes of `cyclopts.Parameter`, such as `group`, `name` or `alias`.
    """
    return Parameter(metavar=metavar, allow_leading_hyphen=True, **_help(text), **more)


def whole(metavar: str, text: str | None = None, *, least: int, most: int | None = None, **more: Any) -> Parameter:
    """An option with a whole number from `least` to `most` as its value; None for no upper limit."""

    def convert(_: Any, tokens: "Sequence[Token]") -> int:
        try:
            number = int(tokens[0].value)
        except ValueError:
            number = least - 1
        if not least <= number <= (math.inf if most is None else most):
            allowed = f"of at least {least}" if most is None else f"from {least} to {most}"
            raise ValueError(f"takes a whole number {allowed}, not {tokens[0].value!r}")
        return number

    allowed = f">={least}" if most is None else f"{least}..{most}"
    return option(f"{metavar} [{allowed}]", text, converter=convert, **more)


def flag(text: str | None = None, **more: Any) -> Parameter:
    """An option without a value."""
    return Parameter(show_default=False, **_help(text), **more)


def _help(text: str | None) -> dict[str, Any]:
    return {} if text is None else {"help": text}  # None would replace the docstring


def folder(text: str) -> Parameter:
    """The option that names the folder for results."""
    return option("FOLDER", text, alias="-o")


def _check_metrics(_: Any, names: str) -> None:
    for name in names.split(","):
        if name.strip() and name.strip().lower() not in METRIC_NAMES:
            raise ValueError(unknown_name("metric", name.strip(), METRIC_NAMES))


def check_conventions(_: Any, names: str | list[str] | None) -> None:
    """Raise for an unknown convention, at once."""
    from fidprobe.analysis.conventions.table import conventions_named

    conventions_named([names] if isinstance(names, str) else names)


ResizeRule = Literal["tf1", "clean", "torch", "torch-antialias", "native"]

SOURCES = "folder, zip, tar, npz, npy, features file, generator.safetensors, cifar10:train, module:function ..."
Reference = Annotated[str, Parameter(help=f"Real images: {SOURCES}")]
Generated = Annotated[str, Parameter(help="Generated images, likewise.")]
MetricList = Annotated[
    str,
    option(
        "LIST",
        f"What to measure, comma-separated: {', '.join(METRIC_NAMES)}.",
        name=("--metrics", "-m"),
        validator=_check_metrics,
    ),
]
SimilaritySide = Annotated[
    int | None,
    whole("N", "Resize pictures to N x N for ms-ssim, where their sizes differ.", least=176, name="--ms-ssim-side"),
]
SecondFeatures = Annotated[
    str | None, option("FILE", "This set's features in the second space, where the set itself is a features file.")
]
SecondModels = Annotated[
    list[str] | None,
    option(
        "FILE",
        "The second space's features of a model that is itself a features file; given once for each MODEL, in the "
        "same order.",
    ),
]


Limit = Annotated[
    int | None,
    whole(
        "N",
        "Use a random subset of N images of each set, the first N of a generator; statistics stay whole.",
        least=2,
        group=READING,
    ),
]
SkipBad = Annotated[bool, flag("Leave out unreadable images and list them.", group=READING)]
NoCache = Annotated[bool, flag("Neither reuse nor keep extracted features.", group=READING)]
Seed = Annotated[int, whole("S", least=0)]


@Parameter(name="*", group=READING)
@dataclass(frozen=True)
class Reading:
    """How images are read and where their features are kept."""

    limit: Limit = None
    seed: Seed = 0
    """Draws the subset."""
    skip_bad: SkipBad = False
    batch_size: Annotated[int, whole("N", least=1)] = 64
    """Images a step; does not change results."""
    no_cache: NoCache = False

    def options(self) -> "ReadOptions":
        """The library's form of them, for the processes that run the command."""
        from fidprobe.features.extraction import ReadOptions
        from fidprobe.runtime.processes import ranks

        kept = ReadOptions if self.no_cache else ReadOptions.with_cache
        return kept(limit=self.limit, seed=self.seed, skip_bad=self.skip_bad, batch_size=self.batch_size, ranks=ranks())


@Parameter(name="*", group=NETWORKS)
@dataclass(frozen=True)
class MainNetwork:
    """The network of the main space."""

    extractor: Annotated[str, option("NAME", alias="-e")] = "inception"
    """Main feature space."""
    resize: Annotated[ResizeRule | None, option("RULE")] = None
    """Resize rule of the main space (the network's own by default)."""
    weights: Annotated[Path | None, option("FILE")] = None
    """Local weights of the main network."""
    unverified_weights: Annotated[bool, flag()] = False
    """Accept local weights that are not the published ones; recorded in the result."""
    device: Annotated[str | None, option("DEVICE")] = None
    """cpu, cuda, cuda:1, mps (a GPU by default, if any)."""

    def main(self) -> "NetworkSpec":
        """The library's form of the main network.

        Raises:
            InputError: the device cannot be used.
        """
        chosen = network_spec(self.extractor, self.device, self.weights, self.unverified_weights, "weights")
        return replace(chosen, resize=self.resize)


@dataclass(frozen=True)
class TwoNetworks(MainNetwork):
    """The networks of the main space and of the second opinion."""

    second_opinion: Annotated[str, option("NAME", alias="-s")] = "clip"
    """Space that has to confirm."""
    second_weights: Annotated[Path | None, option("FILE")] = None
    """Local weights of the second opinion."""

    def arguments(self) -> dict[str, Any]:
        """The library's form of both networks and of features by the second one, as arguments by name.

        Raises:
            InputError: the device cannot be used.
        """
        given = (self.second_weights, self.unverified_weights, "second_weights")
        second = network_spec(self.second_opinion, self.device, *given)
        return {"extractor": self.main(), "second_opinion": second, **_second_features(self)}


@dataclass(frozen=True)
class ReferenceNetworks(TwoNetworks):
    """Two networks, and the reference's features by the second one."""

    second_reference: SecondFeatures = None


@dataclass(frozen=True)
class PairNetworks(ReferenceNetworks):
    """Two networks, and both sets' features by the second one."""

    second_generated: SecondFeatures = None


@dataclass(frozen=True)
class ModelNetworks(ReferenceNetworks):
    """Two networks, and features of the reference and of several models by the second one."""

    second_model: SecondModels = None


@dataclass(frozen=True)
class PanelNetworks(MainNetwork):
    """The networks of the main space and of one or more second opinions, and the reference's features by the first."""

    second_opinion: Annotated[list[str] | None, option("NAME", alias="-s")] = None
    """Space that has to confirm, clip by default; give it again for further ones, which need images."""
    second_weights: Annotated[Path | None, option("FILE")] = None
    """Local weights of the (first) second opinion."""
    second_reference: SecondFeatures = None

    def arguments(self) -> dict[str, Any]:
        """The library's form of all networks and of features by the second one, as arguments by name.

        Raises:
            InputError: a network is named twice, or the device cannot be used.
        """
        from fidprobe.errors import InputError

        names = self.second_opinion or ["clip"]
        if repeated := [name for i, name in enumerate(names) if name in names[:i]]:
            raise InputError(f"--second-opinion {repeated[0]} was given twice; one opinion counts once")
        given = (self.second_weights, self.unverified_weights, "second_weights")
        first = network_spec(names[0], self.device, *given)
        panel = [first, *(network_spec(name, self.device) for name in names[1:])]
        return {"extractor": self.main(), "second_opinion": panel, **_second_features(self)}


def _second_features(networks: MainNetwork) -> dict[str, str | None]:
    """The second space's features by the library's names."""
    plural = {"second_model": "second_models"}
    sets = [*plural, *(f"second_{one}" for one in ("reference", "generated", "baseline", "candidates"))]
    return {plural.get(name, name): value for name, value in vars(networks).items() if name in sets}


def network_spec(
    name: str,
    device: str | None,
    weights: Path | None = None,
    unverified: bool = False,
    weights_argument: str | None = None,
) -> "NetworkSpec":
    """The library's form of a network's options.

    Args:
        name: A registry name.
        device: Where the network computes; None for a GPU if there is one.
        weights: A local weights file; None for the published ones.
        unverified: Accept a local file that is not the published one.
        weights_argument: The argument that names the local file, if there is one.

    Raises:
        InputError: the device cannot be used.
    """
    from fidprobe.extractors.chosen import NetworkSpec
    from fidprobe.runtime.devices import usable_device
    from fidprobe.runtime.files import expanded

    file = expanded(weights) if weights else None
    return NetworkSpec(name, None, file, unverified, usable_device(device), weights_argument)
