"""Whether intervals hold what they promise: coverage, bias and standard errors on populations that are known exactly.

Finite sets of pictures serve as populations, whose Fréchet distances are known. From a reference, a model and a
baseline images are drawn again and again, with replacement, the same images in both spaces; every draw gives
bias-corrected distances, differences and shares with 95 % intervals. Beside them: the spread over fresh draws, the
bootstrap's standard errors, and extrapolation in 1/n (Chong and Forsyth, "Effectively unbiased FID and Inception
score",
CVPR 2020).

    python -m benchmarks.verdict_coverage cifar10-jpeg.zip WORK --encoder WORK/patch-encoder.pt
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.recording import environment, write
from benchmarks.verdict_pools import features_of, reference_features
from fidprobe.analysis.verdict.uncertainty import Estimate, JointEstimates, Ratio, Z, joint
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import frechet
from fidprobe.metrics.frechet_sampling import FrechetSampling, frechet_sampling
from fidprobe.statistics import GaussianStatistics

SIDES = ("reference", "model", "baseline")
BOOTSTRAPS = 200
SUBSETS = 15  # sizes of an extrapolation, between half of the images and all, evenly spaced in 1/n
EXTRAPOLATIONS = 20

Population = Mapping[str, Tensor]  # side -> float64 [N, d]


def leading(rows: Mapping[str, Tensor], dimensions: int) -> dict[str, Tensor]:
    """All sides in the reference's leading principal components, float64."""
    real = rows["reference"].double()
    mean = real.mean(0)
    _, vectors = torch.linalg.eigh(torch.cov((real - mean).T))
    basis = vectors[:, -dimensions:]
    return {side: (one.double() - mean) @ basis for side, one in rows.items()}


def exact(rows: Tensor) -> GaussianStatistics:
    """A population's statistics: divided by its size, since draws with replacement have exactly these."""
    mean = rows.mean(0)
    return GaussianStatistics(mean, (rows - mean).T @ (rows - mean) / len(rows))


def distance(population: Population, side: str) -> float:
    """The true one."""
    return frechet(exact(population["reference"]), exact(population[side])).value


def draw(sides: Population, count: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Places of the images drawn from each side."""
    return {side: torch.randint(len(rows), (count,), generator=generator) for side, rows in sides.items()}


def sampled(spaces: Mapping[str, Population], index: Mapping[str, Tensor]) -> dict[tuple[str, str], FrechetSampling]:
    """Both models in both spaces."""
    found = {}
    for space, population in spaces.items():
        sets = {side: Features(population[side][index[side]].float()) for side in SIDES}
        for side in SIDES[1:]:
            found[space, side] = frechet_sampling(sets["reference"], sets[side])
    return found


def measured(estimates: JointEstimates) -> dict[str, tuple[float, float, float, float]]:
    """What a draw says: value, standard error, ends of the interval."""
    said: dict[str, tuple[float, float, float, float]] = {}
    for space in ("main", "second"):
        numbers: dict[str, Estimate | Ratio] = {
            "distance": estimates.distance(space, "model"),
            "difference": estimates.change(space, "model", "baseline"),
            "relative change": estimates.relative_change(space, "model", "baseline"),
        }
        for what, one in numbers.items():
            said[f"{what} [{space}]"] = _ends(one)
    said["share"] = _ends(estimates.share("second", "main", "model", "baseline"))
    return said


def _ends(one: Estimate | Ratio) -> tuple[float, float, float, float]:
    """Value, standard error (of a ratio: its interval's width in such), and interval."""
    low, high = one.interval or (-np.inf, np.inf)
    return one.value, (high - low) / (2 * Z), low, high


def truths(spaces: Mapping[str, Population]) -> dict[str, float]:
    """What they should say."""
    true: dict[str, float] = {}
    for space, population in spaces.items():
        model, baseline = (distance(population, side) for side in SIDES[1:])
        true[f"distance [{space}]"] = model
        true[f"difference [{space}]"] = model - baseline
        true[f"relative change [{space}]"] = model / baseline - 1
    true["share"] = true["relative change [second]"] / true["relative change [main]"]
    return true


def coverage(spaces: Mapping[str, Population], count: int, repeats: int) -> dict[str, Any]:
    """Estimates over fresh draws against the truth."""
    generator = torch.Generator().manual_seed(count)
    true = truths(spaces)
    said: dict[str, list[tuple[float, float, float, float]]] = {what: [] for what in true}
    raw: dict[str, list[float]] = {"main": [], "second": []}
    begun = time.perf_counter()
    for _ in range(repeats):
        found = sampled(spaces, draw(spaces["main"], count, generator))
        for what, one in measured(joint(found)).items():
            said[what].append(one)
        for space, values in raw.items():
            values.append(found[space, "model"].value)
    rows = {}
    for what, truth in true.items():
        values, errors, lows, highs = (list(column) for column in zip(*said[what], strict=True))
        rows[what] = {
            "truth": truth,
            "mean": fmean(values),
            "spread": stdev(values),
            "standard_error": median(errors),
            "coverage": fmean(low <= truth <= high for low, high in zip(lows, highs, strict=True)),
            "unbounded": sum(not np.isfinite(high - low) for low, high in zip(lows, highs, strict=True)),
        }
    for space, values in raw.items():
        rows[f"distance [{space}]"]["uncorrected"] = fmean(values)
    return {"repeats": repeats, "seconds": time.perf_counter() - begun, "estimates": rows}


def bootstrap(spaces: Mapping[str, Population], count: int) -> dict[str, Any]:
    """Standard errors of one draw, in closed form and by drawing again from it."""
    generator = torch.Generator().manual_seed(10 * count)
    index = draw(spaces["main"], count, generator)
    estimates = joint(sampled(spaces, index))
    own = {space: {side: rows[side][index[side]] for side in SIDES} for space, rows in spaces.items()}
    again: dict[str, list[float]] = {}
    for _ in range(BOOTSTRAPS):
        chosen = draw(own["main"], count, generator)
        for space, rows in own.items():
            real, *made = (GaussianStatistics.of(rows[side][chosen[side]].float()) for side in SIDES)
            model, baseline = (frechet(real, one).value for one in made)
            again.setdefault(f"distance [{space}]", []).append(model)
            again.setdefault(f"difference [{space}]", []).append(model - baseline)
    return {
        what: {"closed_form": measured(estimates)[what][1], "bootstrap": stdev(values)}
        for what, values in again.items()
    }


def extrapolation(population: Population, count: int) -> dict[str, Any]:
    """The generated side's bias in closed form and by a fit in 1/n, against the truth for one fixed reference."""
    generator = torch.Generator().manual_seed(20 * count)
    real = population["reference"]
    fixed = Features(real[torch.randint(len(real), (count,), generator=generator)].float())
    statistics = GaussianStatistics.of(fixed)
    truth = frechet(statistics, exact(population["model"])).value
    errors: dict[str, list[float]] = {"uncorrected": [], "closed form": [], "extrapolation": []}
    for _ in range(EXTRAPOLATIONS):
        made = population["model"][torch.randint(len(population["model"]), (count,), generator=generator)].float()
        found = frechet_sampling(fixed, Features(made))
        inverse = np.linspace(1 / count, 2 / count, SUBSETS)
        values = []
        for size in (1 / inverse).round().astype(int):
            part = made[torch.randperm(count, generator=generator)[:size]]
            values.append(frechet(statistics, GaussianStatistics.of(part)).value)
        errors["uncorrected"].append(found.value - truth)
        errors["closed form"].append(found.value - found.bias_generated - truth)
        errors["extrapolation"].append(float(np.polyfit(inverse, values, 1)[1]) - truth)
    return {"truth": truth, **{how: {"mean": fmean(one), "spread": stdev(one)} for how, one in errors.items()}}


def report(result: Mapping[str, Any]) -> None:
    """Side by side."""
    print(f"\n{'':>24}{'truth':>10}{'mean':>10}{'plain':>10}{'spread':>10}{'s.e.':>10}{'cover':>8}")
    for what, row in result["coverage"]["estimates"].items():
        plain = f"{row['uncorrected']:.4f}" if "uncorrected" in row else ""
        print(
            f"{what:>24}{row['truth']:>10.4f}{row['mean']:>10.4f}{plain:>10}{row['spread']:>10.4f}"
            f"{row['standard_error']:>10.4f}{row['coverage']:>8.1%}"
        )
    for what, row in result["bootstrap"].items():
        print(f"{what:>24}  s.e. {row['closed_form']:.4f}, bootstrap {row['bootstrap']:.4f}")
    fits = result["extrapolation"]
    told = (f"{how} {fits[how]['mean']:+.4f} ± {fits[how]['spread']:.4f}" for how in list(fits)[1:])
    print(f"{'error of main distance':>24}  " + ", ".join(told), flush=True)


def main() -> None:
    """Measure, print, write after each setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cifar", type=Path, help="zip of train/<class>/NNNN.jpg and test/<class>/NNNN.jpg")
    parser.add_argument("work", type=Path, help="folder of verdict_pools.py")
    parser.add_argument("--encoder", type=Path, required=True, help="file of patch_encoder.py")
    parser.add_argument("--model", default="blur-1", help="a pool")
    parser.add_argument("--baseline", default="blur-2", help="a pool")
    parser.add_argument("--dimensions", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 2000, 5000])
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "verdict_coverage.json")
    args = parser.parse_args()
    extractors = {"main": "efficientnet-lite0", "second": f"torchscript:{args.encoder}"}
    whole = {
        space: {
            "reference": reference_features(args.cifar, args.work, extractor).features,
            "model": features_of(args.model, args.work, extractor).features,
            "baseline": features_of(args.baseline, args.work, extractor).features,
        }
        for space, extractor in extractors.items()
    }
    results: list[dict[str, Any]] = _kept(args.output)
    done = {(one["dimensions"], one["count"]) for one in results}
    for dimensions in args.dimensions:
        spaces = {space: leading(rows, min(dimensions, rows["model"].shape[1])) for space, rows in whole.items()}
        for count in args.counts:
            if (dimensions, count) in done:
                continue
            result = {
                "dimensions": dimensions,
                "count": count,
                "coverage": coverage(spaces, count, args.repeats),
                "bootstrap": bootstrap(spaces, count),
                "extrapolation": extrapolation(spaces["main"], count),
            }
            print(f"\n{dimensions} dimensions, {count} images a side", end="")
            report(result)
            results.append(result)
            problem = {"model": args.model, "baseline": args.baseline, **_sizes(whole["main"])}
            write(args.output, {"environment": environment(), "populations": problem, "settings": results})


def _sizes(rows: Mapping[str, Sequence[Any] | Tensor]) -> dict[str, Any]:
    return {"sizes": {side: len(one) for side, one in rows.items()}}


def _kept(output: Path) -> list[dict[str, Any]]:
    """Settings that an earlier run has measured."""
    return json.loads(output.read_text())["settings"] if output.exists() else []


if __name__ == "__main__":
    main()
