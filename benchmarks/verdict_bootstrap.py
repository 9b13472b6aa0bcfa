"""The infinitesimal jackknife's standard errors beside the bootstrap's, on real features.

To first order both are the same; the bootstrap counts the second-order part of the variance once more than the plain
jackknife does (three times, the jackknife twice, what is true once: see `fidprobe.metrics.frechet_sampling`), so that
they meet where the first order rules: where sets differ by more than their sampling error.

    python -m benchmarks.verdict_bootstrap cifar10-jpeg.zip WORK --encoder WORK/patch-encoder.pt
"""

import argparse
from pathlib import Path
from statistics import stdev

import torch

from benchmarks.recording import environment, write
from benchmarks.verdict_coverage import leading
from benchmarks.verdict_pools import features_of, reference_features
from fidprobe.analysis.verdict.uncertainty import joint
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import frechet
from fidprobe.metrics.frechet_sampling import frechet_sampling

RESAMPLES = 400


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cifar", type=Path, help="zip of train/<class>/NNNN.jpg and test/<class>/NNNN.jpg")
    parser.add_argument("work", type=Path, help="folder of verdict_pools.py")
    parser.add_argument("--encoder", type=Path, required=True, help="file of patch_encoder.py")
    parser.add_argument("--pools", nargs="+", default=["noise-2", "jpeg-3", "blur-2"])
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--dimensions", type=int, default=64)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "verdict_bootstrap.json")
    args = parser.parse_args()
    rows = []
    for pool in args.pools:
        for space, extractor in (("main", "efficientnet-lite0"), ("second", f"torchscript:{args.encoder}")):
            whole = {
                "reference": reference_features(args.cifar, args.work, extractor).features,
                "generated": features_of(pool, args.work, extractor).features,
            }
            real, made = (side[: args.count].float() for side in leading(whole, args.dimensions).values())
            found = frechet_sampling(Features(real), Features(made))
            assert found.reference is not None
            plain = (
                float(found.generated.square().sum()) / len(made) ** 2
                + float(found.reference.square().sum()) / len(real) ** 2
            ) ** 0.5
            g = torch.Generator().manual_seed(0)
            values = []
            for _ in range(RESAMPLES):
                again = [Features(x[torch.randint(len(x), (len(x),), generator=g)]) for x in (real, made)]
                values.append(frechet(again[0], again[1]).value)
            row = {
                "pool": pool,
                "space": space,
                "distance": found.corrected,
                "jackknife": plain,
                "bootstrap": stdev(values),
                "corrected_error": joint({(space, pool): found}).distance(space, pool).error,
            }
            rows.append(row)
            ratio = row["jackknife"] / row["bootstrap"]
            print(f"{pool} {space}: jackknife {plain:.4f}, bootstrap {row['bootstrap']:.4f}, ratio {ratio:.3f}")
    settings = {"count": args.count, "dimensions": args.dimensions, "resamples": RESAMPLES}
    write(args.output, {"environment": environment(), "settings": settings, "rows": rows})


if __name__ == "__main__":
    main()
