"""Every network of both folders, at its smallest width: gradients of one step with and without oneDNN.

Libraries have kernels of their own for few channels, and for each kind of processor.
"""

import pytest
import torch
from torch import Tensor

from fidprobe.training.classifier import ClassifierTask
from fidprobe.training.encoder import EncoderTask
from fidprobe.training.kinds import KINDS, new_task
from fidprobe.training.loop import Batch, Task

_RATE = 1e-8  # the least: a GAN's generator learns from the discriminator's new weights


def smallest(name: str, seed: int) -> Task:
    """A task with as few channels as it takes."""
    if name == "encoder":
        return EncoderTask(stem=1, widths=(2, 3), blocks=(1, 1), learning_rate=_RATE, seed=seed)
    if name == "classifier":
        return ClassifierTask(classes=3, stem=3, widths=(4, 8), blocks=(1, 1), learning_rate=_RATE, seed=seed)
    chosen = {"width": 0.01, "learning_rate": _RATE}
    if "predefined" in KINDS[name].options:
        chosen["predefined"] = True
    return new_task(name, classes=3, seed=seed, chosen=chosen)


def gradients(name: str, seed: int) -> dict[str, Tensor]:
    """Of all weights, after one step."""
    drawn = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8, generator=drawn)
    labels = torch.randint(3, (16,), generator=drawn)
    task = smallest(name, seed)
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        task.step(Batch(images, labels, torch.Generator().manual_seed(seed), 0.5))
    found: dict[str, Tensor] = {}
    for place, module in task.modules.items():
        grads = {f"{place}/{key}": weight.grad for key, weight in module.named_parameters()}
        assert any(grad is not None for grad in grads.values()), place
        found |= {key: grad for key, grad in grads.items() if grad is not None}
    return found


@pytest.mark.filterwarnings("ignore:TF32 acceleration")  # of `flags`, on machines without an Intel GPU
@pytest.mark.parametrize("name", KINDS)
def test_gradients_of_few_channels_are_those_without_onednn(name: str) -> None:
    """From one of three beginnings: rounding may carry a value across a ReLU's edge, but a wrong kernel stays wrong."""

    def agree(seed: int) -> bool:
        with torch.backends.mkldnn.flags(enabled=False):
            expected = gradients(name, seed)
        found, again = gradients(name, seed), gradients(name, seed)
        assert all(torch.equal(found[key], again[key]) for key in expected)
        largest = max(float(grad.norm()) for grad in expected.values())  # others can be differences of such sums
        return all(
            float((found[key] - grad).norm()) < 1e-4 * float(grad.norm()) + 1e-6 * largest
            for key, grad in expected.items()
        )

    assert any(agree(seed) for seed in range(3))
