"""What callers set for torch and NumPy neither reaches features nor is changed."""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import fidprobe
from fidprobe.analysis.heatmaps.sensitivity import layer_to_look_at
from fidprobe.extractors.base import Embedding
from fidprobe.torch_settings import own_settings
from tests.analysis.small_network import MADE, REAL, Tiny, tiny

FEW = REAL[:12]
BACKENDS: Any = torch.backends


# torch 2.9 warns of the older settings, which callers still use.
pytestmark = pytest.mark.filterwarnings("ignore:Please use the new API settings:UserWarning")


@contextmanager
def changed(change: Callable[[Any], None], value: Any, back: Any) -> Iterator[None]:
    change(value)
    try:
        yield
    finally:
        change(back)


def default_dtype(dtype: torch.dtype) -> AbstractContextManager[None]:
    return changed(torch.set_default_dtype, dtype, torch.float32)


def new_precision(name: str) -> AbstractContextManager[None]:
    return changed(lambda value: setattr(BACKENDS.cuda.matmul, "fp32_precision", value), name, "none")


SETTINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "float64": lambda: default_dtype(torch.float64),
    "float16": lambda: default_dtype(torch.float16),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "another device": lambda: changed(torch.set_default_device, "meta", None),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "inference": torch.inference_mode,
    "no gradients": torch.no_grad,
    "deterministic": lambda: changed(torch.use_deterministic_algorithms, True, False),
    "fast products": lambda: changed(torch.set_float32_matmul_precision, "medium", "highest"),
    "fast products, new setting": lambda: new_precision("tf32"),
    "float errors": lambda: np.errstate(all="raise"),
}


def settings_now() -> tuple[object, ...]:
    try:
        products = torch.get_float32_matmul_precision()
    except RuntimeError:  # the new setting is in use
        products = BACKENDS.cuda.matmul.fp32_precision
    return (
        torch.get_default_dtype(),
        torch.empty(0).device,
        torch.is_autocast_enabled("cpu"),
        torch.is_inference_mode_enabled(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_num_threads(),
        products,
        BACKENDS.cudnn.conv.fp32_precision,
        BACKENDS.cudnn.benchmark,
        tuple(np.geterr().items()),
        random.getstate(),
        str(np.random.get_state()),  # noqa: NPY002
        torch.default_generator.get_state().tolist(),
    )


@cache
def reference(name: str) -> Tensor:
    return fidprobe.load_extractor(name)(FEW).features


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_network_is_built_and_run_under_its_own_settings(setting: str) -> None:
    """The same features to the bit, in one piece and through `extract`."""
    wanted = reference("random")
    with SETTINGS[setting]():
        before = settings_now()
        network = fidprobe.load_extractor("random")
        got = [network(FEW).features, fidprobe.extract(FEW, network).features]
        assert settings_now() == before
    for features in got:
        assert torch.equal(features, wanted)


@pytest.mark.parametrize("setting", ["float64", "float16", "another device"])
@pytest.mark.parametrize("name", ["efficientnet-lite0", "cifar10-encoder", "cifar10-classifier"])
def test_embedded_networks_too(name: str, setting: str) -> None:
    """Some are built by other libraries, which make tensors of the default type."""
    wanted = reference(name)
    with SETTINGS[setting]():
        got = fidprobe.load_extractor(name)(FEW).features
    assert torch.equal(got, wanted)


def test_a_network_loaded_in_inference_mode_has_gradients_later() -> None:
    """Its parameters would otherwise never enter a computation that has gradients."""
    with torch.inference_mode():
        network = fidprobe.load_extractor("random")
    images = FEW.float().requires_grad_()
    network.embed(network.prepare(images)).features.sum().backward()
    assert images.grad is not None
    assert bool(images.grad.any())


def test_gradients_at_a_layer_are_found_in_inference_mode() -> None:
    """Heatmaps of a layer need them."""
    network = tiny()
    with torch.inference_mode():
        assert layer_to_look_at(network, "0") == "0"


def test_products_and_convolutions_have_full_precision() -> None:
    """Also after torch's newer settings, beside which the older ones cannot be read."""
    seen = []

    class Looking(Tiny):
        def embed(self, prepared: Tensor) -> Embedding:
            operations = (BACKENDS.cudnn.conv, BACKENDS.cuda.matmul, BACKENDS.mkldnn.matmul, BACKENDS.mkldnn.conv)
            seen.append({operation.fp32_precision for operation in operations})
            return super().embed(prepared)

    network = tiny()
    network.__class__ = Looking
    for setting in ("fast products", "fast products, new setting"):
        with SETTINGS[setting]():
            network(FEW)
            fidprobe.extract(FEW, network)
    with changed(lambda value: setattr(BACKENDS.cudnn.conv, "fp32_precision", value), "ieee", "tf32"):
        network(FEW)
    assert len(seen) == 5
    assert all(each <= {"ieee", "none"} for each in seen)


def test_settings_return_after_an_error() -> None:
    """Whatever stops the computation."""
    with default_dtype(torch.float64), SETTINGS["fast products"]():
        before = settings_now()
        with pytest.raises(ZeroDivisionError), own_settings():
            1 / 0  # noqa: B018
        assert settings_now() == before


@pytest.mark.parametrize(
    "setting", [name for name in SETTINGS if name != "another device"]
)  # where the states would be
def test_a_training_metric_under_foreign_settings(setting: str) -> None:
    """Built, fed and computed in a loop that has set something."""

    networks = tiny(0, "tiny"), tiny(1, "small")

    def distance() -> dict[str, float]:
        metric = fidprobe.CrossCheckedFID(*networks)
        for side, images in ((True, REAL), (False, MADE)):
            metric.update(images, real=side)
        return {key: float(value) for key, value in metric.compute().items()}

    wanted = distance()
    with SETTINGS[setting]():
        before = settings_now()
        got = distance()
        assert settings_now() == before
    assert got == wanted


@pytest.mark.parametrize("setting", SETTINGS)
def test_public_functions_run_under_their_own_settings(setting: str) -> None:
    """The same numbers: distances and their errors, scores, and an attack's optimum."""
    rng = np.random.default_rng(0)
    real, made = (fidprobe.Features(rng.standard_normal((60, 4)).astype(np.float32) + by) for by in (0, 0.5))

    def numbers() -> list[float]:
        scored = fidprobe.score(real, made, metrics="fid,kid,pr", second_reference=real, second_generated=made)
        attacked = fidprobe.attack(real, made, fidprobe.Resampling(fidprobe.AttackSpace("pre-logits"), keep=30))
        main = scored.main.scores["generated"].results
        return [
            main["fid"].value,
            main["kid"].value,
            main["pr"].precision,
            fidprobe.frechet_sampling(real, made).corrected,
            attacked.outcome.scores[0].weighted or 0.0,
        ]

    wanted = numbers()
    with SETTINGS[setting]():
        before = settings_now()
        assert numbers() == wanted
        assert settings_now() == before
