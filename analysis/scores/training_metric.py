"""The cross-checked Fréchet distance as a torchmetrics metric, for training loops."""

import copy
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.arguments import checked
from fidprobe.errors import InputError, MismatchError
from fidprobe.extractors.chosen import Network, NetworkSpec, load_networks
from fidprobe.features.value import first_nonfinite_row
from fidprobe.images.pixels import to_uint8
from fidprobe.metrics.frechet import frechet_distance
from fidprobe.metrics.inputs import float64_device
from fidprobe.provenance import Provenance, check_comparable
from fidprobe.runtime.packages import require
from fidprobe.statistics import GaussianStatistics

require("torchmetrics", "CrossCheckedFID")  # the class below needs it at once
from torchmetrics import ClasswiseWrapper, Metric  # noqa: E402

__all__ = ["CrossCheckedFID"]

_SPACES = ("main", "second")
_IDENTITY = ("name", "weights", "resize")  # what `check_comparable` compares
_LAYERS = (64, 192, 768)  # other layers of Inception that torchmetrics offers as `feature`


class CrossCheckedFID(Metric):
    """FID and its second opinion over batches, in the place of torchmetrics' `FrechetInceptionDistance`.

    The states are float64 sums of features and of their outer products. They are added up over processes, so that any
    number of devices gives the distance of all images together. The networks are frozen and compute in float32 without
    gradients, also under autocast. They are not submodules: `train()`, `half()`, optimisers and checkpoints of the
    module that holds the metric leave them alone; `to(device)` moves them.

    Images go through each network's own resize rule, so that the distances equal those of `fidprobe.score`.
    (torchmetrics resizes with antialiasing by default, which gives other numbers.)

    Sums that are not centred lose the digits by which |mean|² exceeds the smallest variances. Distances of networks'
    features agree with `fidprobe.frechet` to 1e-8, mostly to 1e-11: measured 4e-14 on 10,000 of `efficientnet-lite0`,
    3e-11 on 10,000 of `random`, 2e-9 on 300 (fewer than dimensions), and 1e-8 with means 1000 times the spread.

    The state says which networks its sums come from. `merge_state`, `load_state_dict` and the synchronisation of
    processes compare that with their own and take nothing of other networks. Copies (`clone`, `MetricTracker`) share
    the networks.

    Args:
        extractor: The main space: a registry name (then loaded on the CPU, as every metric), or a loaded network. 2048
            is torchmetrics' name for `inception`.
        second_opinion: The second space.
        feature: torchmetrics' name of the argument `extractor`; give one of them.
        reference: Statistics of the real images in the main space and in the second one; `update` then takes only
            generated images.
        reset_real_features: Whether `reset` forgets the real images; False measures them once for a whole training.
        normalize: False: images are uint8 in 0..255. True: floats in 0..1, which become the nearest of 256 levels
            (torchmetrics truncates, up to one level darker).
        kwargs: torchmetrics' own.

    Raises:
        InputError: a flag is not a bool; both networks write their distance in the same way; another layer of
            Inception; both `extractor` and `feature`.
        MismatchError: a reference comes from another space.
        WeightsError: a network's weights are missing.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    plot_lower_bound = 0.0
    # torchmetrics' `MetricTracker` takes several values of one metric only where it is registered as below, and reads
    # their number here.
    metric = SimpleNamespace(num_classes=len(_SPACES))

    fingerprint: Tensor
    real_count: Tensor
    generated_count: Tensor

    @checked
    def __init__(
        self,
        extractor: Network | int | None = None,
        second_opinion: Network = "clip",
        *,
        feature: Network | int | None = None,
        reference: tuple[GaussianStatistics, GaussianStatistics] | None = None,
        reset_real_features: bool = True,
        normalize: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.reset_real_features, self.normalize, self.reference = reset_real_features, normalize, reference
        if extractor is not None and feature is not None:
            raise InputError("feature is torchmetrics' name of the argument extractor; give one of them")
        main = _named(next((one for one in (extractor, feature) if one is not None), "inception"))
        # A name alone would load the network on a GPU, where there is one.
        chosen = [NetworkSpec(name) if isinstance(name, str) else name for name in (main, second_opinion)]
        self.networks = tuple(network for network in load_networks(chosen) if network is not None)
        first, second = self.keys = tuple(_key(network.provenance.name) for network in self.networks)
        if first == second:
            raise InputError(
                f"both networks write their distance as {first!r} and confirm nothing of each other; choose a second "
                "opinion of another space"
            )
        for network, known in zip(self.networks, reference or (), strict=False):
            check_comparable(known.provenance, Provenance(network.provenance), (known.dim, network.dim))
        # The first state, so that it is compared before others are added up.
        self.add_state("fingerprint", self._own_fingerprint(), dist_reduce_fx=_first)
        for side in ("generated",) if reference else ("real", "generated"):
            self.add_state(f"{side}_count", torch.tensor(0), dist_reduce_fx="sum")
            for space, network in zip(_SPACES, self.networks, strict=True):
                zeros = torch.zeros(network.dim, network.dim, dtype=torch.float64)
                self.add_state(f"{side}_sum_{space}", zeros[0].clone(), dist_reduce_fx="sum")
                self.add_state(f"{side}_outer_{space}", zeros, dist_reduce_fx="sum")

    def update(self, imgs: Tensor, real: bool) -> None:
        """Take in a batch.

        Args:
            imgs: Images [n, 3, h, w], RGB, on any device: uint8, or floats in 0..1 with `normalize=True`.
            real: Whether they are real images.

        Raises:
            InputError: another shape, type or range; real images although there is a `reference`; a network gives NaN.
        """
        if not isinstance(real, bool):
            raise InputError(f"real must be True or False, got {real!r}")
        if real and self.reference is not None:
            raise InputError("the real images' statistics were given as reference; update with generated images only")
        levels = self._levels(imgs)
        side = "real" if real else "generated"
        sums = []
        for network in self.networks:
            features = network(levels).features.to(float64_device(self.device)).double()
            if (row := first_nonfinite_row(features)) is not None:
                raise InputError(
                    f"{network.provenance.name} gives NaN or infinite numbers for image {row} of the batch; its "
                    "weights are damaged"
                )
            sums.append((features.sum(0), features.T @ features))
        # Added only now, so that a batch counts in both spaces or in none, and not in place: states made in inference
        # mode may not be changed outside it.
        for space, (total, outer) in zip(_SPACES, sums, strict=True):
            self._add(f"{side}_sum_{space}", total)
            self._add(f"{side}_outer_{space}", outer)
        self._add(f"{side}_count", torch.tensor(len(levels), device=float64_device(self.device)))

    def compute(self) -> dict[str, Tensor]:
        """Compute both distances of all images so far, over all processes.

        Returns:
            Two float64 scalars, the main space first: `fid` for Inception, else `fd_` and the space's name in letters,
            digits and underscores (`fd_clip`, `fd_random_1`).

        Raises:
            InputError: fewer than 2 images on a side.
        """
        counts = [2 if self.reference else int(self.real_count), int(self.generated_count)]
        if min(counts) < 2:
            asked = "generated images" if self.reference else "real and of generated images"
            raise InputError(
                f"a Fréchet distance needs at least 2 {asked}, and thousands to mean anything; got "
                f"{' and '.join(map(str, counts[bool(self.reference) :]))}: call update(imgs, real=...) first"
            )
        out = {}
        for i, (key, space) in enumerate(zip(self.keys, _SPACES, strict=True)):
            real = self.reference[i] if self.reference else self._statistics("real", space)
            out[key] = frechet_distance(real, self._statistics("generated", space))
        return out

    def forward(self, imgs: Tensor, real: bool) -> dict[str, Tensor]:
        """Take in a batch, as `update` does.

        Returns:
            An empty dictionary: a batch of one side has no distance. A `MetricCollection` then gives the values of its
            other metrics, and loggers log nothing.

        Raises:
            InputError: as `update`.
        """
        self.update(imgs, real)
        self._forward_cache = {}  # type: ignore[assignment]
        return {}

    def plot(self, val: Any = None, ax: Any = None) -> Any:
        """Draw values with matplotlib.

        Args:
            val: What `compute` gave, or a list of that, which is drawn as a curve for each space; None for `compute`.
            ax: The axes to draw into; None for new ones.

        Returns:
            The figure and its axes.
        """
        return self._plot(val, ax)

    def reset(self) -> None:
        """Forget all images, or all generated ones with `reset_real_features=False`."""
        kept = {}
        if not self.reset_real_features:
            kept = {name: getattr(self, name) for name in self._defaults if name.startswith("real_")}
        super().reset()
        for name, value in kept.items():
            setattr(self, name, value)

    def __deepcopy__(self, memo: dict[int, Any]) -> "CrossCheckedFID":
        # Networks never change, and `MetricTracker` makes a copy each epoch.
        memo |= {id(network): network for network in self.networks}
        memo[id(self)] = other = type(self).__new__(type(self))
        other.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return other

    def _reduce_states(self, incoming_state: dict[str, Any]) -> None:
        """Add another state to this one, as `merge_state` does."""
        incoming = self._checked_state(incoming_state, "the other metric's state")
        super()._reduce_states(incoming)
        self._changed()

    def _sync_dist(self, dist_sync_fn: Callable[..., Any], process_group: Any = None) -> None:  # type: ignore[override]
        # Alone and first: with other networks the processes have other states, whose gathering would fail or wait.
        for text in dist_sync_fn(self.fingerprint, group=process_group or self.process_group):
            self._check_fingerprint(text, "another process's state")
        super()._sync_dist(dist_sync_fn, process_group)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Load a checkpoint's state, also as part of a module that holds the metric."""
        given = {name: state_dict[prefix + name] for name in self._defaults if prefix + name in state_dict}
        if given:
            state_dict |= {prefix + name: state for name, state in self._checked_state(given, "the checkpoint").items()}
        super()._load_from_state_dict(state_dict, prefix, *args)
        if given:
            self._changed()

    def _changed(self) -> None:
        """Forget the result of the state before; torchmetrics would return it, or warn that there were no images."""
        self._computed = None
        self._update_count = max(1, self._update_count)

    def _own_fingerprint(self) -> Tensor:
        """What sums of other metrics must agree in to be added up: UTF-8 of JSON, uint8."""
        facts: dict[str, Any] = {
            space: [*(getattr(network.provenance, item) for item in _IDENTITY), network.dim]
            for space, network in zip(_SPACES, self.networks, strict=True)
        }
        digest = hashlib.sha256()
        for known in self.reference or ():
            for moment in (known.mean, known.cov):
                digest.update(moment.detach().cpu().contiguous().numpy().data)
        facts["reference"] = digest.hexdigest()[:16] if self.reference else None
        return torch.tensor(list(json.dumps(facts).encode()), dtype=torch.uint8, device="cpu")

    def _check_fingerprint(self, text: Any, whose: str) -> None:
        """Raise if a state belongs to other networks, or to another reference."""
        own = self._own_fingerprint()
        try:
            theirs, ours = (json.loads(bytes(one.cpu().tolist())) for one in (text, own))
            for space in _SPACES:
                for item, their, our in zip((*_IDENTITY, "dimensions"), theirs[space], ours[space], strict=True):
                    if their != our:
                        raise MismatchError(
                            f"{whose} comes from another network in the {space} space: {item} is {their!r} there and "
                            f"{our!r} here; give all metrics the same networks and resize rules"
                        )
            if theirs["reference"] != ours["reference"]:
                raise MismatchError(
                    f"{whose} belongs to another reference ({_shown(theirs['reference'])} there, "
                    f"{_shown(ours['reference'])} here); give all metrics the same one"
                )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{whose} is damaged: its fingerprint cannot be read; measure the images again") from error

    def _checked_state(self, state: Mapping[str, Any], whose: str) -> dict[str, Tensor]:
        """Return a state of the same networks, on this metric's device.

        Args:
            state: Name -> value.
            whose: For messages.

        Raises:
            MismatchError: it belongs to other networks or another reference, or does not say to which.
            InputError: it is damaged.
        """
        if "fingerprint" not in state:
            raise MismatchError(
                f"{whose} does not say which networks its sums of images come from (it lacks the key fingerprint); "
                "leave it out and measure the images again"
            )
        self._check_fingerprint(state["fingerprint"], whose)
        checked = {}
        for name, default in self._defaults.items():
            value, own = state.get(name), getattr(self, name)
            assert isinstance(default, Tensor)
            if not isinstance(value, Tensor) or (value.shape, value.dtype) != (default.shape, default.dtype):
                kind = f"{value.dtype} {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
                raise InputError(
                    f"{whose} is damaged: `{name}` must be {default.dtype} {list(default.shape)}, got {kind}; measure "
                    "the images again"
                )
            checked[name] = value.to(own.device)
        return checked

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> "CrossCheckedFID":
        def moved(tensor: Tensor) -> Tensor:
            # Move states but never convert them, as `to(torch.bfloat16)` of a whole module and `set_dtype` would: sums
            # in less than float64 leave no digits to a covariance.
            device = fn(torch.empty(0, device=tensor.device)).device
            return tensor.to(float64_device(device) if tensor.dtype == torch.float64 else device)

        super()._apply(moved, exclude_state)
        for network in self.networks:
            network.to(self.device)
        return self

    def _levels(self, images: Any) -> Tensor:
        if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
            got = list(images.shape) if isinstance(images, Tensor) else type(images).__name__
            raise InputError(
                f"images must be a tensor [n, 3, h, w], got {got}; see fidprobe.images.to_uint8 for others"
            )
        if self.normalize:
            if not images.is_floating_point():
                raise InputError(
                    f"images must be floats in 0..1 with normalize=True, got {images.dtype}; leave it out for uint8"
                )
            return to_uint8(images.float())
        if images.dtype != torch.uint8:
            raise InputError(f"images must be uint8 in 0..255, got {images.dtype}; normalize=True takes floats in 0..1")
        return images

    def _add(self, name: str, value: Tensor) -> None:
        setattr(self, name, getattr(self, name) + value)

    def _statistics(self, side: str, space: str) -> GaussianStatistics:
        count = int(getattr(self, f"{side}_count"))
        mean = getattr(self, f"{side}_sum_{space}") / count
        cov = (getattr(self, f"{side}_outer_{space}") - count * torch.outer(mean, mean)) / (count - 1)
        network = self.networks[_SPACES.index(space)]
        return GaussianStatistics(mean, (cov + cov.T) / 2, count, Provenance(network.provenance))


ClasswiseWrapper.register(CrossCheckedFID)


def _named(network: Network | int) -> Network:
    """The network that torchmetrics' `feature` names by its number of features."""
    if not isinstance(network, int):
        return network
    if network == 2048:
        return "inception"
    if network in _LAYERS:
        raise InputError(f"feature={network} is an earlier layer of Inception, whose distance is no FID; choose 2048")
    raise InputError(f"feature must be 2048 (Inception) or a network, got {network}")


def _first(stacked: Tensor) -> Tensor:
    """The first of several fingerprints that are known to be equal."""
    return stacked[0]


def _shown(reference: str | None) -> str:
    return f"SHA-256 {reference}" if reference else "none"


def _key(space: str) -> str:
    """A name of the space's distance that every logger takes: `fid` for Inception, elsewhere `fd_clip` and the like."""
    return re.sub(r"[^a-z0-9]+", "_", metric_label(space).lower()).strip("_")
