"""What heatmaps and exact influence cost, and how far off the shared transport map is for images outside the set.

Speed: images through the network alone, with closed-form maps, with maps by one backward pass, and one image in the
way of the paper's code: autograd through the eigenvalues of the non-symmetric Σ_r Σ_g of the updated statistics.
Removal: the change of F without each image, by formula for all, and recomputed for a few.
Shortcut: pictures that are not of the set, mapped with the set's transport map and with their own; the error is
Σ|m' - m| / Σ|m| over a map's cells.

python -m benchmarks.heatmaps --reference R.safetensors --generated G.safetensors --pictures G.zip
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.recording import environment, write
from fidprobe.analysis.heatmaps.sensitivity import Sensitivity
from fidprobe.analysis.sets.pictures import read_pictures
from fidprobe.extractors import load_extractor
from fidprobe.extractors.base import Extractor
from fidprobe.extractors.network import NetworkExtractor
from fidprobe.features.forward_pass import prepare_images
from fidprobe.features.value import Features
from fidprobe.images import open_images
from fidprobe.metrics.frechet import frechet
from fidprobe.metrics.single_image import SingleImage
from fidprobe.statistics import GaussianStatistics
from fidprobe.torch_settings import own_settings

_HELD_OUT = 64  # pictures outside the set


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, required=True, help="features file")
    parser.add_argument("--generated", type=Path, required=True, help="features file")
    parser.add_argument("--pictures", required=True, help="what the generated features were made from")
    parser.add_argument("--extractor", default="efficientnet-lite0", help="what they were made with")
    parser.add_argument("--layer", default="bn2", help="its last layer before the pooling, for the backward pass")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--images", type=int, default=64, help="noise pictures to map, a batch")
    parser.add_argument("--repeats", type=int, default=5, help="of which the fastest counts")
    parser.add_argument("--counts", type=int, nargs="+", default=[2_000, 5_000, 10_000], help="sizes of the set")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "heatmaps.json")
    args = parser.parse_args()
    features = Features.load(args.generated)
    real, fake = Features.load(args.reference).features, features.features
    if max(args.counts) + _HELD_OUT > len(fake):
        parser.error(f"{args.generated} holds {len(fake)} images; choose smaller --counts")
    reference = GaussianStatistics.of(real.to(args.device))
    result = {
        "environment": environment(args.device),
        "reference": len(real),
        "dimensions": real.shape[1],
        "speed": speed(args, reference, fake),
        "removal": removal(reference, fake[: args.counts[-1]].to(args.device)),
        "shortcut": shortcuts(args, reference, features),
    }
    write(args.output, result)


def speed(args: argparse.Namespace, reference: GaussianStatistics, fake: Tensor) -> dict[str, Any]:
    """Seconds an image, and their ratio to the network alone."""
    extractor = load_extractor(args.extractor, device=args.device)
    statistics = GaussianStatistics.of(fake[: args.counts[-1]].to(args.device))
    single = SingleImage(reference, statistics, device=args.device)
    noise = torch.randint(0, 256, (args.images, 3, 256, 256), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        prepared = extractor.prepare(noise.to(torch.uint8).to(args.device))

    def alone() -> None:
        with torch.inference_mode(), own_settings():
            extractor.embed(prepared)

    closed, through = Sensitivity(extractor, single), Sensitivity(extractor, single, layer=args.layer)
    calls: dict[str, Callable[[], object]] = {
        "network": alone,
        "closed form": lambda: closed(prepared),
        "one backward pass": lambda: through(prepared),
    }
    # In turns, so that others on the machine slow all alike.
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(args.repeats + 1):
        for name, call in calls.items():
            times[name].append(timed(call, args.device) / args.images)
    seconds = {name: min(several[1:]) for name, several in times.items()}  # the first warms up
    seconds["eigenvalues of one image"] = min(
        timed(lambda: as_the_papers_code(extractor, prepared[:1], reference, statistics), args.device) for _ in range(2)
    )
    print(f"{'':<28}{'s / image':>12}{'images / s':>12}{'ratio':>10}")
    for name, value in seconds.items():
        print(f"{name:<28}{value:>12.4g}{1 / value:>12.4g}{value / seconds['network']:>10.3g}")
    return {"network": args.extractor, "seconds_per_image": seconds}


def as_the_papers_code(
    extractor: Extractor, prepared: Tensor, reference: GaussianStatistics, generated: GaussianStatistics
) -> Tensor:
    """One map as defined, by autograd through the eigenvalues of Σ_r Σ_g."""
    assert isinstance(extractor, NetworkExtractor)
    assert generated.count is not None
    n = generated.count + 1
    with torch.no_grad(), own_settings():
        activations = extractor.activations(prepared)
    leaf = activations.double().requires_grad_()
    feature = leaf.mean((2, 3))[0]
    offset = feature - generated.mean
    mean = generated.mean + offset / n
    cov = (n - 2) / (n - 1) * generated.cov + torch.outer(offset, offset) / n
    roots = torch.linalg.eigvals(reference.cov @ cov).real.clamp_min(0).add(1e-12).sqrt().sum()
    (mean - reference.mean).square().sum().add(cov.trace() - 2 * roots).backward()
    assert leaf.grad is not None
    return (leaf.grad.square().mean((2, 3), keepdim=True) * leaf.detach()).sum(1)


def removal(reference: GaussianStatistics, rows: Tensor) -> dict[str, Any]:
    """Exact changes of F for all images, against recomputing some."""
    begun = time.perf_counter()
    single = SingleImage(reference, GaussianStatistics.of(rows), device=rows.device)
    ready = time.perf_counter()
    single.influence(rows)
    derived = time.perf_counter()
    removed = single.removed(rows)
    ended = time.perf_counter()
    some = [0, len(rows) // 2, int(removed.argmin()), int(removed.argmax())]
    again = time.perf_counter()
    errors = []
    for i in some:
        statistics = GaussianStatistics.of(torch.cat([rows[:i], rows[i + 1 :]]))
        change = frechet(reference, statistics).value - single.value
        errors.append(abs(change - float(removed[i])) / abs(change))
    recomputed = (time.perf_counter() - again) / len(some)
    row = {
        "images": len(rows),
        "setup_seconds": ready - begun,
        "influence_seconds_per_image": (derived - ready) / len(rows),
        "removal_seconds_per_image": (ended - derived) / len(rows),
        "recomputing_seconds_per_image": recomputed,
        "largest_relative_difference": max(errors),
    }
    for name, value in row.items():
        print(f"{name:<34}{value:>12.4g}")
    return row


def shortcuts(args: argparse.Namespace, reference: GaussianStatistics, features: Features) -> list[dict[str, Any]]:
    """Maps of pictures outside the set, by the set's transport map and by their own."""
    assert features.names is not None
    extractor = load_extractor(args.extractor, device=args.device)
    pictures = read_pictures(open_images(args.pictures), features.names[-_HELD_OUT:])
    prepared = prepare_images(extractor, pictures)
    rows = []
    for count in args.counts:
        statistics = GaussianStatistics.of(features.features[:count].to(args.device))
        single = SingleImage(reference, statistics, device=args.device)
        exact, shared = (Sensitivity(extractor, single, member=member)(prepared) for member in (False, True))
        shared *= (count / (count + 1)) ** 2  # of a set that is larger by the image
        errors = (shared - exact).abs().sum((1, 2)) / exact.abs().sum((1, 2))
        row = {"images": count, "median_error": float(errors.median()), "largest_error": float(errors.max())}
        print(f"shared map, set of {count:>7}: median {row['median_error']:.3g}, largest {row['largest_error']:.3g}")
        rows.append(row)
    return rows


def timed(call: Callable[[], object], device: str) -> float:
    """Seconds of a call."""
    begun = time.perf_counter()
    call()
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
