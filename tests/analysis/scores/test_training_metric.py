"""The metric of training loops against scores of whole sets, torchmetrics' own, and what loops do to metrics."""

import copy
import io
import math
import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.wrappers import MetricTracker

import fidprobe
from fidprobe.analysis.scores import training_metric
from fidprobe.analysis.scores.training_metric import CrossCheckedFID, _key
from fidprobe.errors import InputError, MismatchError
from fidprobe.metrics.frechet import frechet
from fidprobe.metrics.inputs import float64_device
from fidprobe.statistics import GaussianStatistics
from tests.analysis.small_network import MADE, REAL, Tiny, tiny

FIRST, SECOND = tiny(0, "tiny"), tiny(1, "small:2")


def metric(**options: object) -> CrossCheckedFID:
    return CrossCheckedFID(FIRST, SECOND, **options)  # type: ignore[arg-type]


def batches(images: Tensor, size: int = 16) -> Iterator[Tensor]:
    yield from images.split(size)


def fed(one: CrossCheckedFID, real: Tensor = REAL, made: Tensor = MADE) -> CrossCheckedFID:
    for side, images in ((True, real), (False, made)):
        for batch in batches(images):
            one.update(batch, real=side)
    return one


def expected(real: Tensor = REAL, made: Tensor = MADE) -> dict[str, float]:
    """From features extracted as a whole, with centred moments."""
    values = {}
    for key, network in (("fd_tiny", FIRST), ("fd_small_2", SECOND)):
        values[key] = frechet(*(fidprobe.extract(images, network) for images in (real, made))).value
    return values


def assert_same(got: dict[str, Tensor], wanted: dict[str, float], rel: float = 1e-8) -> None:
    assert list(got) == list(wanted)
    for key, value in got.items():
        assert value.shape == ()
        assert value.dtype == torch.float64
        assert float(value) == pytest.approx(wanted[key], rel=rel)


def test_equal_to_scores_of_the_whole_sets() -> None:
    """The pair that `fidprobe.score` gives, the main space first."""
    scored = fidprobe.score(REAL, MADE, extractor="random", second_opinion="random:1")
    assert scored.second is not None
    pair = [space.scores["generated"].frechet for space in (scored.main, scored.second)]
    got = fed(CrossCheckedFID("random", "random:1")).compute()
    assert_same(got, {f"fd_random{end}": one.value for end, one in zip(("", "_1"), pair, strict=True) if one})


def test_equal_to_torchmetrics_with_the_same_network() -> None:
    """Its own metric around the same features; its result is float32."""

    class Features(nn.Module):
        num_features = FIRST.dim

        def forward(self, images: Tensor) -> Tensor:
            return FIRST(images).features

    theirs = FrechetInceptionDistance(feature=Features())
    for side, images in ((True, REAL), (False, MADE)):
        for batch in batches(images):
            theirs.update(batch, real=side)
    assert float(fed(metric()).compute()["fd_tiny"]) == pytest.approx(float(theirs.compute()), rel=1e-5)


@pytest.mark.parametrize(
    ("ratio", "rel"),
    [(1, 1e-12), (100, 1e-10), (1000, 1e-8)],
)
def test_sums_that_are_not_centred_lose_few_digits(ratio: float, rel: float) -> None:
    """Means `ratio` times the spread of the features, in every direction."""

    class Shifted(type(tiny())):  # type: ignore[misc]
        def embed(self, prepared: Tensor) -> object:
            made = super().embed(prepared)
            spread = FIRST(REAL).features.std()
            return made._replace(features=made.features + ratio * spread)

    network = copy.copy(FIRST)
    network.__class__ = Shifted
    one = fed(CrossCheckedFID(network, SECOND))
    assert_same(
        {"fd_tiny": one.compute()["fd_tiny"]},
        {"fd_tiny": frechet(*(fidprobe.extract(images, network) for images in (REAL, MADE))).value},
        rel,
    )


def test_merged_states_equal_one_pass() -> None:
    """Two halves by `merge_state`, as after evaluation in parts."""
    one, other = fed(metric(), REAL[:30], MADE[:20]), fed(metric(), REAL[30:], MADE[20:])
    one.merge_state(other)
    assert_same(one.compute(), expected())


def test_two_processes_give_the_distance_of_all_images() -> None:
    """Through torchmetrics' synchronisation, its gathering played by the other half's states; undone afterwards."""
    other = fed(metric(), REAL[30:], MADE[20:])

    def gather(state: Tensor, group: object = None) -> list[Tensor]:
        name = next(name for name in one._defaults if getattr(one, name) is state)
        return [state, getattr(other, name)]

    one = fed(metric(dist_sync_fn=gather, distributed_available_fn=lambda: True), REAL[:30], MADE[:20])
    assert_same(one.compute(), expected())
    assert int(one.real_count) == 30


def test_reset_forgets_all_or_keeps_the_real_images() -> None:
    """By torchmetrics' own option."""
    one = fed(metric())
    one.reset()
    one.update(MADE[:2], real=False)
    with pytest.raises(InputError, match="got 0 and 2"):
        one.compute()
    kept = fed(metric(reset_real_features=False), made=MADE[:10])
    kept.reset()
    kept.update(MADE, real=False)
    assert_same(kept.compute(), expected())


def test_a_reference_takes_the_place_of_real_images() -> None:
    """Statistics measured once; real images beside them, and those of another space, are refused."""
    sides = [GaussianStatistics.of(fidprobe.extract(REAL, network)) for network in (FIRST, SECOND)]
    one = metric(reference=(sides[0], sides[1]))
    one.update(MADE, real=False)
    assert_same(one.compute(), expected())
    one.reset()
    one.update(MADE[:1], real=False)
    with pytest.raises(InputError, match="at least 2 generated images, and thousands to mean anything; got 1:"):
        one.compute()
    with pytest.raises(InputError, match="given as reference; update with generated"):
        one.update(REAL, real=True)
    with pytest.raises(MismatchError, match="name is"):
        metric(reference=(sides[1], sides[0]))


def test_floats_become_the_nearest_level() -> None:
    """With `normalize`, in any float type; uint8 divided by 255 comes back exactly."""
    assert_same(fed(metric(normalize=True), REAL / 255, MADE / 255).compute(), expected())
    assert_same(fed(metric(normalize=True), REAL.double() / 255, MADE / 255).compute(), expected())


def test_modes_of_training_leave_no_trace() -> None:
    """Autocast, inference mode in turn with gradients, and a module in training mode around it."""
    one = metric()
    holder = nn.ModuleList([one]).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        one.update(REAL[:20], real=True)
    with torch.inference_mode():
        one.update(REAL[20:], real=True)
        one.update(MADE[:25], real=False)
    one.update(MADE[25:], real=False)
    assert_same(one.compute(), expected())
    assert not any(value.requires_grad for value in one.compute().values())
    with torch.inference_mode():
        one.reset()
    assert_same(fed(one).compute(), expected())
    assert not list(holder.parameters())
    assert not FIRST.network.training


@pytest.mark.parametrize("convert", ["half", "bfloat16", "to", "set_dtype"])
def test_conversions_of_a_module_leave_sums_in_float64(convert: str) -> None:
    """`to(torch.bfloat16)` on a whole model is how true half precision is set."""
    one = fed(metric())
    getattr(one, convert)(*([torch.bfloat16] if convert in ("to", "set_dtype") else []))
    assert one.real_outer_main.dtype == torch.float64
    assert_same(one.compute(), expected())


def test_networks_move_with_the_metric() -> None:
    """And to the CPU beside it where the device has no float64."""
    one = CrossCheckedFID("random", "random:1")
    one.to("meta")
    assert {network.device.type for network in one.networks} == {"meta"}
    assert one.generated_sum_second.device.type == "meta"
    devices = [float64_device(torch.device(name)) for name in ("mps", "cuda:1")]
    assert devices == [torch.device("cpu"), torch.device("cuda:1")]


def test_copies_pickles_and_checkpoints() -> None:
    """All with the images so far; checkpoints only if asked to, and without the networks' weights."""
    one = fed(metric())
    assert_same(pickle.loads(pickle.dumps(one)).compute(), expected())
    assert_same(one.clone().compute(), expected())
    assert one.state_dict() == {}
    one.persistent(True)
    saved = one.state_dict()
    assert set(saved) == set(one._defaults)
    again = metric()
    again.persistent(True)
    again.load_state_dict(saved)
    assert_same(again.compute(), expected())


def test_in_a_collection() -> None:
    """Both numbers beside another metric's, under its prefix."""
    both = MetricCollection({"cross": metric()}, prefix="val_")
    for side, images in ((True, REAL), (False, MADE)):
        both.update(images, real=side)
    assert {key: float(value) for key, value in both.compute().items()} == pytest.approx(
        {f"val_{key}": value for key, value in expected().items()}, rel=1e-8
    )


def resized() -> Tiny:
    """The first network with another resize rule."""
    network = tiny(0, "tiny")
    network.provenance = replace(network.provenance, resize="clean")
    return network


OTHERS = {
    "weights": (tiny(7, "tiny"), SECOND),
    "resize": (resized(), SECOND),
    "name": (tiny(0, "small"), SECOND),
    "second": (FIRST, tiny(4, "small:2")),
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("door", ["merge", "merge a dictionary", "load", "load in a module", "sync"])
def test_no_door_adds_up_sums_of_other_networks(other: str, door: str) -> None:
    """2.92 where the network of the first process gives 2.40; nothing is changed by the refusal."""
    one, theirs = fed(metric()), fed(CrossCheckedFID(*OTHERS[other]))
    before = {name: getattr(one, name).clone() for name in one._defaults}
    space, item = ("second", "weights") if other == "second" else ("main", other)
    with pytest.raises(MismatchError, match=f"comes from another network in the {space} space: {item} is") as caught:
        through(door, one, theirs)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(getattr(one, name), state) for name, state in before.items())
    assert_same(one.compute(), expected())


@pytest.mark.parametrize("door", ["merge", "merge a dictionary", "load", "load in a module", "sync"])
def test_no_door_takes_other_dimensions_or_another_reference(door: str) -> None:
    """Torch's RuntimeError named sizes of tensors."""
    network = copy.copy(FIRST)
    network.dim += 1
    with pytest.raises(MismatchError, match="another network in the main space: dimensions is 6 there and 5 here"):
        through(door, metric(), CrossCheckedFID(network, SECOND))
    sides = [GaussianStatistics.of(fidprobe.extract(REAL, each)) for each in (FIRST, SECOND)]
    with pytest.raises(MismatchError, match=r"belongs to another reference \(SHA-256 [0-9a-f]{16} there, none here\)"):
        through(door, metric(), metric(reference=(sides[0], sides[1])))


def through(door: str, one: CrossCheckedFID, other: CrossCheckedFID) -> None:
    """Bring the state of another metric into one."""
    if door == "merge":
        one.merge_state(other)
    elif door == "merge a dictionary":
        one.merge_state(dict(other.metric_state))
    elif door == "sync":

        def gather(state: Tensor, group: object = None) -> list[Tensor]:
            name = next(name for name in one._defaults if getattr(one, name) is state)
            return [state, getattr(other, name)]

        with one.sync_context(dist_sync_fn=gather, distributed_available=lambda: True):
            pass
    else:
        for each in (one, other):
            each.persistent(True)
        hold = nn.ModuleDict if door == "load in a module" else (lambda each: each["metric"])
        hold({"metric": one}).load_state_dict(hold({"metric": other}).state_dict())


@pytest.mark.parametrize("door", ["merge", "load"])
def test_results_are_those_of_the_state(door: str) -> None:
    """torchmetrics returns what was computed before the state came."""
    one = fed(metric(), REAL[:30], MADE[:20])
    before = one.compute()
    through(door, one, fed(metric(), REAL[30:], MADE[20:]) if door == "merge" else fed(metric()))
    assert before != one.compute()
    assert_same(one.compute(), expected())


def test_damaged_checkpoints_are_named() -> None:
    """Half precision, a missing sum, no fingerprint, a fingerprint of something else."""
    one = fed(metric())
    one.persistent(True)
    saved = one.state_dict()

    def load(message: str, kind: type[Exception] = InputError, without: str = "", **changed: Tensor) -> None:
        state = {**saved, **changed}
        state.pop(without, None)
        with pytest.raises(kind, match=message):
            metric().load_state_dict(state)

    half = saved["real_sum_main"].half()
    load("`real_sum_main` must be torch.float64 .5., got torch.float16 .5.", real_sum_main=half)
    load("`real_outer_main` must be .*, got NoneType", without="real_outer_main")
    load("lacks the key fingerprint", MismatchError, without="fingerprint")
    for bad in (torch.zeros(3, dtype=torch.uint8), torch.tensor(list(b"[]"), dtype=torch.uint8), torch.zeros(2)):
        load("its fingerprint cannot be read", fingerprint=bad)
    metric().load_state_dict({})
    broken = metric()
    broken.load_state_dict({**saved, "real_outer_main": -saved["real_outer_main"]})
    with pytest.raises(InputError, match="negative variances"):
        broken.compute()


def test_checkpoints_of_a_whole_training() -> None:
    """`torch.save` pickles by an old protocol; copies share the networks, which are large."""
    one = fed(metric())
    torch.save({"metric": one, "module": nn.ModuleList([one])}, stream := io.BytesIO())
    stream.seek(0)
    back = torch.load(stream, weights_only=False)
    assert {key: float(value) for key, value in back["metric"].compute().items()} == one.compute()
    for copied in (one.clone(), copy.deepcopy(nn.ModuleList([one]))[0]):
        assert isinstance(copied, CrossCheckedFID)
        assert all(network is own for network, own in zip(copied.networks, one.networks, strict=True))
        copied.update(MADE, real=False)
        assert copied.compute() != one.compute()


def test_torchmetrics_names() -> None:
    """`imgs` by name, `feature` as a network or 2048; other layers are no FID."""
    one = CrossCheckedFID(feature=FIRST, second_opinion=SECOND)
    for side, images in ((True, REAL), (False, MADE)):
        one.update(imgs=images, real=side)
    assert_same(one.compute(), expected())
    for bad, message in ((64, "feature=64 is an earlier layer"), (5, "feature must be 2048")):
        with pytest.raises(InputError, match=message):
            CrossCheckedFID(feature=bad)
        with pytest.raises(InputError, match=message):
            CrossCheckedFID(bad, SECOND)
    with pytest.raises(InputError, match="give one of them"):
        CrossCheckedFID(FIRST, SECOND, feature=FIRST)


def test_the_number_2048_is_inception(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in `FrechetInceptionDistance(feature=2048)`, without and with a name."""
    asked: list[str] = []

    def load(chosen: list[Any]) -> list[object]:
        asked.append(chosen[0].name)
        return [FIRST, SECOND]

    monkeypatch.setattr(training_metric, "load_networks", load)
    for options in ({}, {"feature": 2048}, {"extractor": 2048}):
        CrossCheckedFID(second_opinion=SECOND, **options)  # type: ignore[arg-type]
    assert asked == ["inception"] * 3


def test_forward_takes_a_batch_in() -> None:
    """One side has no distance; a collection gives the values of its other metrics."""
    both = MetricCollection({"cross": metric(), "mean": MeanOfImages()})
    assert set(both(REAL, real=True)) == {"mean"}
    assert float(both(imgs=MADE, real=False)["mean"]) == pytest.approx(float(MADE.double().mean()), rel=1e-6)
    found = both.compute()
    assert_same({key: found[key] for key in expected()}, expected())


class MeanOfImages(MeanMetric):
    """A metric that takes what the other takes."""

    def update(self, imgs: Tensor, real: bool) -> None:  # type: ignore[override]
        del real
        super().update(imgs.double())


def test_equal_first_batches_do_not_join_metrics_of_other_networks() -> None:
    """A collection lets metrics with equal states share them: black images are the same under every resize rule."""
    both = MetricCollection({"one": metric(), "other": CrossCheckedFID(*OTHERS["resize"])})
    black = torch.zeros_like(REAL)
    for side, images in ((True, black), (True, REAL), (False, MADE)):
        both.update(images, real=side)
    assert len(both.compute_groups) == 2


@pytest.mark.parametrize("collected", [False, True])
def test_the_best_of_a_tracked_training(collected: bool) -> None:
    """The least distance of each space, with its step."""
    tracker = MetricTracker(MetricCollection([metric()]) if collected else metric())
    values = []
    for made in (MADE, REAL.flip(0)[:40], MADE // 2):
        tracker.increment()
        for side, images in ((True, REAL), (False, made)):
            tracker.update(images, real=side)
        values.append(tracker.compute())
    best, step = tracker.best_metric(return_step=True)  # type: ignore[misc]
    assert best == {key: min(float(value[key]) for value in values) for key in expected()}
    assert step == {key: min(range(3), key=lambda i, key=key: float(values[i][key])) for key in expected()}  # type: ignore[misc]
    assert tracker.best_metric() == best


def test_values_are_drawn() -> None:
    """A point or a curve for each space, as torchmetrics draws them."""
    one = fed(metric())
    figure, axes = one.plot()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(expected())
    _, again = one.plot([one.compute(), one.compute()], axes)
    assert again is axes
    plt.close(figure)


def test_keys_are_what_loggers_take() -> None:
    """`fid` for Inception alone."""
    assert [_key(space) for space in ("inception", "clip", "efficientnet-lite0", "timm:resnet50.a1_in1k")] == [
        "fid",
        "fd_clip",
        "fd_efficientnet_lite0",
        "fd_timm_resnet50_a1_in1k",
    ]


@pytest.mark.parametrize(
    ("images", "normalize", "message"),
    [
        (torch.zeros(2, 3, 8, 8), False, "must be uint8 in 0..255, got torch.float32; normalize=True"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), True, "floats in 0..1 with normalize=True, got torch.uint8"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.int64), False, "must be uint8 in 0..255, got torch.int64"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), False, r"\[n, 3, h, w\], got \[2, 1, 8, 8\]"),
        (torch.zeros(0, 3, 8, 8, dtype=torch.uint8), False, r"got \[0, 3, 8, 8\]"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), False, r"got \[3, 8, 8\]"),
        (REAL.numpy(), False, "must be a tensor .*, got ndarray"),
        (torch.full((2, 3, 8, 8), 1.1), True, "1.1"),
        (torch.full((2, 3, 8, 8), -1.0), True, "-1"),
        (torch.full((2, 3, 8, 8), math.nan), True, "NaN"),
    ],
)
def test_wrong_images_are_named_and_not_counted(images: Tensor, normalize: bool, message: str) -> None:
    """Type, shape and range, in one line."""
    one = metric(normalize=normalize)
    with pytest.raises(InputError, match=message) as caught:
        one.update(images, real=True)
    assert "\n" not in str(caught.value)
    assert int(one.real_count) == 0


def test_mistakes_are_named() -> None:
    """Flags, sides, spaces, networks and calls."""
    with pytest.raises(InputError, match="real must be True or False, got 'yes'"):
        metric().update(REAL, real="yes")  # type: ignore[arg-type]
    for name in ("normalize", "reset_real_features"):
        with pytest.raises(InputError, match=f"`{name}` must be True or False, not 1"):
            metric(**{name: 1})
    with pytest.raises(InputError, match="both networks write their distance as 'fd_tiny'"):
        CrossCheckedFID(FIRST, tiny(2, "tiny"))
    one = metric()
    one.update(REAL, real=True)
    with pytest.raises(InputError, match="at least 2 real and of generated images.*got 60 and 0: call update"):
        one.compute()
    assert int(one.real_count) == 60

    broken = tiny(3, "broken")
    with torch.no_grad():
        next(broken.network.parameters()).fill_(math.nan)
    one = CrossCheckedFID(FIRST, broken)
    with pytest.raises(InputError, match="broken gives NaN or infinite numbers for image 0 of the batch"):
        one.update(REAL, real=True)
    sums = [name for name in one._defaults if name != "fingerprint"]
    assert not any(bool(getattr(one, name).any()) for name in sums)  # counted in neither space
