"""Images a second through Inception-V3: fidprobe beside its peers, all with the same random weights.

From a folder of JPEGs and from memory. Each peer is compared under its own resize rule, which fidprobe follows to the
peer's numbers; all get the batch size that is theirs by default, and pytorch-fid and clean-fid as many loading
processes as there are cores.
"""

import os
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.comparison import OURS, Aim, Work, interleaved, keep, rate
from fidprobe.analysis.conventions.table import CONVENTIONS
from fidprobe.features.extraction import extract
from fidprobe.torch_settings import own_settings
from tests.extractors import inception_peers

PEERS = ("pytorch-fid", "torch-fidelity", "clean-fid", "torchmetrics")
RULES = {one.name: one.resize for one in CONVENTIONS if one.name in PEERS}
SIZE = (500, 375)


def write_pictures(folder: Path, count: int) -> None:
    """JPEGs as large as photographs of ImageNet, with detail of all scales."""
    rng = np.random.default_rng(0)
    for i in range(count):
        pixels = np.zeros((SIZE[1], SIZE[0], 3), np.float32)
        for cells in (4, 16, 64):
            noise = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
            pixels += np.asarray(noise.resize(SIZE, Image.Resampling.BICUBIC), np.float32) / 3
        pixels += rng.normal(0, 8, pixels.shape)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{i:05}.jpg", quality=90)


class _Memory(torch.utils.data.Dataset[Tensor]):
    """Pictures uint8 [n, 3, h, w] as torch-fidelity takes them."""

    def __init__(self, pixels: Tensor) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, place: int) -> Tensor:
        return self.pixels[place]


Found = dict[str, Callable[[], Any]]


def from_folder(work: Path, folder: Path, device: str) -> Found:
    """Each library's features of a folder, [n, 2048]."""
    from cleanfid.fid import get_folder_features
    from pytorch_fid.fid_score import get_activations
    from torch_fidelity.utils import extract_featuresdict_from_input_id

    cores = os.cpu_count() or 1
    plain = inception_peers.pytorch_fid_network().to(device)
    clean = inception_peers.clean_fid_network(work, inception_peers.pytorch_fid_network()).to(device)
    fidelity = inception_peers.torch_fidelity_network(work / "inception.pth").to(device)
    files = sorted(folder.iterdir())
    return {
        "pytorch-fid": lambda: get_activations(files, plain, 50, 2048, device, cores),
        "torch-fidelity": lambda: extract_featuresdict_from_input_id(
            1, fidelity, input1=str(folder), cuda=device == "cuda", verbose=False
        )["2048"],
        "clean-fid": lambda: get_folder_features(
            str(folder), clean, cores, batch_size=32, device=torch.device(device), verbose=False
        ),
    }


def from_memory(work: Path, pixels: Tensor, device: str) -> Found:
    """Features of uint8 [n, 3, h, w] by the libraries that take such."""
    from torch_fidelity.utils import extract_featuresdict_from_input_id
    from torchmetrics.image.fid import NoTrainInceptionV3

    fidelity = inception_peers.torch_fidelity_network(work / "inception.pth").to(device)
    metrics = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(work / "inception.pth")).to(device)

    def torchmetrics() -> Tensor:
        with torch.inference_mode():
            return torch.cat([metrics(batch.to(device)) for batch in pixels.split(50)])

    return {
        "torch-fidelity": lambda: extract_featuresdict_from_input_id(
            1, fidelity, input1=_Memory(pixels), cuda=device == "cuda", verbose=False
        )["2048"],
        "torchmetrics": torchmetrics,
    }


def ours(source: Any, rule: str, device: str) -> Tensor:
    """Features by fidprobe under a resize rule."""
    return extract(source, inception_peers.ours(rule).to(device)).features


def works(title: str, source: Any, peers: Found, count: int, rounds: int, small: bool, device: str) -> list[Work]:
    """Each peer beside fidprobe under the peer's rule."""
    calls: Found = {}
    for name in peers:
        calls[f"{OURS} as {name}"] = partial(ours, source, RULES[name], device)
        calls[name] = peers[name]
    found: dict[str, Tensor] = {}

    def kept(name: str) -> Callable[[], None]:
        def call() -> None:
            with own_settings():  # on GPUs the peers would round to TF32, which is faster
                found[name] = torch.as_tensor(calls[name]()).float().cpu()

        return call

    rate(torch.float32, small=small, device=device)
    timings = interleaved({name: kept(name) for name in calls}, rounds=rounds, patience=float("inf"))
    with FlopCounterMode(display=False) as counted, torch.inference_mode():
        inception_peers.fresh_network()(torch.zeros(1, 3, 299, 299))
    floor = count * counted.get_total_flops() / rate(torch.float32, small=small, device=device)
    out = []
    for name in peers:
        own, theirs = found[f"{OURS} as {name}"], found[name]
        error = float((own - theirs).abs().max() / theirs.abs().max())
        work = Work(title, {OURS: timings[f"{OURS} as {name}"], name: timings[name]})
        aims = [
            Aim(f"{name}'s time over fidprobe's", work.ratio(name), least=1.3),
            Aim("largest difference of features over the largest feature", error, most=1e-4),
        ]
        own_row = work.rows[OURS]
        assert own_row.processor_seconds is not None
        busy = sum(own_row.processor_seconds) / sum(own_row.seconds)
        text = "multiplications of Inception-V3 at the rate of a large float32 product"
        facts = {"busy cores": busy, "resize rule": RULES[name]}
        out.append(Work(f"{title}, {RULES[name]}", work.rows, aims, floor, text, ("images", count), facts))
    return out


def measure(small: bool, device: str = "cpu") -> dict[str, Any]:
    """Time all and keep the record."""
    count, rounds = (4, 1) if small else (256, 3)
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # how the peers call Pillow and torch
        work = Path(name)
        folder = work / "pictures"
        folder.mkdir()
        write_pictures(folder, count)
        pixels = np.stack([np.asarray(Image.open(path)) for path in sorted(folder.iterdir())])
        tensor = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
        title = f"Inception features of {count} pictures of {SIZE[0]} x {SIZE[1]}"
        found = works(
            f"{title}, folder of JPEGs", folder, from_folder(work, folder, device), count, rounds, small, device
        )
        found += works(f"{title}, in memory", tensor, from_memory(work, tensor, device), count, rounds, small, device)
    versions = {name: version(name) for name in PEERS}
    inputs = {"images": count, "size": SIZE}
    return keep("extraction", found, inputs=inputs, versions=versions, small=small, device=device)
