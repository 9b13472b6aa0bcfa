"""Sensitivity maps: fidprobe's closed form beside a backward pass with an eigendecomposition an image.

Inception-V3 with random weights and 2048-dimensional statistics. The paper's code hooks the last feature map, updates
the statistics with the image, and takes the gradient of FID through the eigenvalues of the product of both covariances.
"""

from typing import Any

import torch

from benchmarks.comparison import OURS, Aim, Timing, Work, interleaved, keep
from benchmarks.heatmaps import as_the_papers_code
from fidprobe.analysis.heatmaps.sensitivity import Sensitivity
from fidprobe.extractors import load_extractor
from fidprobe.metrics.single_image import SingleImage
from fidprobe.statistics import GaussianStatistics
from fidprobe.torch_settings import own_settings
from tests.extractors import inception_peers

_LEAST_SPREAD = 0.3  # of a feature
PAPERS = "the paper's way (one picture's time, times all)"


def measure(small: bool, device: str = "cpu") -> dict[str, Any]:
    """Time all and keep the record."""
    # Of images of a set there are more than dimensions.
    pictures, rounds, images = (2, 1, 700) if small else (64, 3, 3_000)
    network_name = "the random network" if small else "Inception-V3"
    extractor = (load_extractor("random") if small else inception_peers.ours("tf1")).to(device)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (pictures, 3, 299, 299), generator=generator).to(device, torch.uint8)
    with torch.inference_mode():
        prepared = extractor.prepare(noise)
        seen = extractor.embed(prepared).features
    # Sets about what the network gives for these pictures: their statistics are all that maps depend on. Where features
    # vary too little, the 1e-12 that the paper's way adds under its roots would count.
    centre, spread = seen.mean(0), seen.std(0).clamp_min(_LEAST_SPREAD)
    sets = [
        centre + spread * torch.randn(images, len(centre), generator=generator).to(device) * width
        for width in (1.0, 1.2)
    ]
    reference, made = map(GaussianStatistics.of, sets)
    single = SingleImage(reference, made, device=device)
    closed = Sensitivity(extractor, single, member=False)  # each picture joins the set, as in the paper's code

    def network() -> None:
        with torch.inference_mode(), own_settings():
            extractor.embed(prepared)

    rows = interleaved({"the network alone": network, OURS: lambda: closed(prepared)}, rounds=rounds)
    maps = []

    def papers() -> None:
        maps.append(as_the_papers_code(extractor, prepared[:1], reference, made)[0].cpu())

    rows[PAPERS] = Timing((pictures * interleaved({PAPERS: papers}, rounds=1)[PAPERS].median,))
    error = float((closed(prepared[:1])[0] - maps[0]).abs().max() / maps[0].abs().max())
    title = f"sensitivity maps of {pictures} pictures, {network_name}"
    work = Work(title, rows)
    aims = [
        Aim("the paper's way's time over fidprobe's", work.ratio(PAPERS), least=100),
        Aim("fidprobe's time over the network alone", 1 / work.ratio("the network alone"), most=1.2),
    ]
    facts = {"largest difference of a map over its largest value": error}
    found = Work(title, rows, aims, rows["the network alone"].median, "the network alone", ("images", pictures), facts)
    inputs = {"pictures": pictures, "images": images}
    return keep("heatmaps", [found], inputs=inputs, versions={}, small=small, device=device)
