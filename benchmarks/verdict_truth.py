"""The verdict on pairs of image sets of which the truth is known: a confusion table.

    python -m benchmarks.verdict_truth cifar10-jpeg.zip WORK --encoder WORK/patch-encoder.pt

The main space is `efficientnet-lite0`, ImageNet's; the second opinion is the encoder of `patch_encoder.py`, which has
seen neither ImageNet nor a label. The main space is reduced to the leading principal components of the reference, so
that 1,000 pictures are more than it has dimensions; `--dimensions 0` leaves it whole.
"""

import argparse
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.recording import environment, write
from benchmarks.verdict_generator import GENERATED
from benchmarks.verdict_pairs import SIZES, Pair, features, pairs
from benchmarks.verdict_pools import POOLS, features_of, reference_features
from fidprobe.analysis.verdict.answers import CONFIRMED_SHARE, NULL_SHARE, VERDICTS
from fidprobe.analysis.verdict.rule import judge, judge_share
from fidprobe.analysis.verdict.sampling_error import EstimateCollector
from fidprobe.analysis.verdict.uncertainty import Ratio
from fidprobe.features.value import Features

TRUTHS = ("real", "null", "none", "mixed")
FOR = ("confirmed", "partly-confirmed")
WRONG: dict[str, tuple[str, ...]] = {"real": ("not-confirmed", "reversed"), "null": FOR, "none": FOR, "mixed": ()}
"""Confident verdicts that contradict the truth. `no-gain` and `inconclusive` claim nothing of the second opinion."""


def leading(reference: Features, dimensions: int) -> Any:
    """A function that projects features on the reference's leading principal components; as they are for 0."""
    if not dimensions:
        return lambda one: one
    rows = reference.features.double()
    mean = rows.mean(0)
    _, vectors = torch.linalg.eigh(torch.cov((rows - mean).T))
    basis = vectors[:, -dimensions:]

    def projected(one: Features) -> Features:
        return replace(one, features=((one.features.double() - mean) @ basis).float())

    return projected


def judged(pair: Pair, spaces: Mapping[str, tuple[Features, Mapping[str, Features]]]) -> dict[str, Any]:
    """The verdict on one pair, with what it rests on."""
    collected = EstimateCollector()
    for space, (reference, pools) in spaces.items():
        for model, draw in (("model", pair.model), ("baseline", pair.baseline)):
            collected.add(space, model, reference, features(draw, pools))
    sampling = collected.result()
    found = judge(
        sampling.joint,
        "main",
        ["second"],
        labels=sampling.labels,
        model="model",
        baseline="baseline",
        too_few_images=sampling.too_few_images,
    )
    [opinion] = found.opinions
    distances = {
        space: {
            model: {
                "printed": sampling.estimates[space, model].value,
                "corrected": sampling.joint.distance(space, model).value,
                "standard_error": sampling.joint.distance(space, model).error,
            }
            for model in ("baseline", "model")
        }
        for space in spaces
    }
    return {
        "recipe": pair.recipe,
        "truth": pair.truth,
        "half": pair.half,
        "size": pair.size,
        "verdict": found.code,
        "share": opinion.share.to_json(),
        "change": {"main": found.change.to_json(), "second": opinion.change.to_json()},
        "relative": {"main": found.relative.to_json(), "second": opinion.relative.to_json()},
        "distances": distances,
    }


def ruled(row: Mapping[str, Any], null: float, confirmed: float) -> str:
    """The rule with any thresholds, on what has been measured."""
    if row["verdict"] == "no-gain":
        return "no-gain"
    return judge_share(Ratio(math.nan, row["share"]["interval"]), null, confirmed)


def confusion(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Truth x size -> how often each verdict was given; and the wrong confident ones."""
    table = {
        truth: {
            str(size): dict(Counter(row["verdict"] for row in rows if (row["truth"], row["size"]) == (truth, size)))
            for size in sorted({row["size"] for row in rows})
        }
        for truth in TRUTHS
    }
    wrong = [row for row in rows if row["verdict"] in WRONG[row["truth"]]]
    return {
        "pairs": len(rows),
        "table": table,
        "wrong_confident": len(wrong),
        "wrong": [f"{row['recipe']} n={row['size']}: {row['verdict']}" for row in wrong],
        "by_verdict": dict(Counter(row["verdict"] for row in wrong)),
    }


def thresholds(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What other thresholds would have given: wrong confident verdicts, and right ones."""
    scan = []
    for null in (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5):
        for confirmed in (0.4, 0.5, 0.6, 0.75):
            if confirmed < null:
                continue
            codes = [(row["truth"], ruled(row, null, confirmed)) for row in rows]
            scan.append(
                {
                    "null_share": null,
                    "confirmed_share": confirmed,
                    "wrong": sum(code in WRONG[truth] for truth, code in codes),
                    "real_confirmed": sum(truth == "real" and code in FOR for truth, code in codes),
                    "null_not_confirmed": sum(truth == "null" and code in WRONG["real"] for truth, code in codes),
                }
            )
    return scan


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """A line a pair."""
    print(f"{'pair':46}{'truth':6}{'main':>9}{'second':>9}{'share':>8}{'interval':>18}  verdict")
    for row in rows:
        one = row["share"]
        ends = "unbounded" if one["interval"] is None else "{:.2f} .. {:.2f}".format(*one["interval"])
        relative = "".join(_cell(row["relative"][space]["value"], ">9.1%") for space in ("main", "second"))
        name = f"{row['recipe'][:39]} {row['size']}"
        print(f"{name:46}{row['truth']:6}{relative}{_cell(one['value'], '>8.2f')}{ends:>18}  {row['verdict']}")


def _cell(value: float | None, form: str) -> str:
    """A number; blanks of that width where there is none."""
    text = format(0.0 if value is None else value, form)
    return text if value is not None and math.isfinite(value) else " " * len(text)


def main() -> None:
    """Judge every pair, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cifar", type=Path, help="zip of train/<class>/NNNN.jpg and test/<class>/NNNN.jpg")
    parser.add_argument("work", type=Path, help="folder of verdict_pools.py and verdict_generator.py")
    parser.add_argument("--encoder", type=Path, required=True, help="file of patch_encoder.py")
    parser.add_argument("--dimensions", type=int, default=256, help="of the main space; 0: all of them")
    parser.add_argument("--pools", nargs="+", default=[*POOLS, "degraded", *GENERATED])
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "verdict_truth.json")
    args = parser.parse_args()
    spaces = {}
    for space, extractor in (("main", "efficientnet-lite0"), ("second", f"torchscript:{args.encoder}")):
        reference = reference_features(args.cifar, args.work, extractor)
        project = leading(reference, args.dimensions if space == "main" else 0)
        pools = {name: project(features_of(name, args.work, extractor)) for name in args.pools}
        spaces[space] = (project(reference), pools)
    state = args.work / "state" / f"{args.dimensions or 'all'}"
    rows: list[dict[str, Any]] = []
    for pair in pairs(*spaces["main"], args.sizes, state):
        kept = state / f"{pair.name.replace('/', ' ')}.json"
        if not kept.exists():
            kept.write_text(json.dumps(judged(pair, spaces)))
        row = json.loads(kept.read_text())
        # What was measured under other thresholds or with other pools is judged by those of today.
        rows.append({**row, "half": pair.half, "verdict": ruled(row, NULL_SHARE, CONFIRMED_SHARE)})
        if len(rows) % 10 == 0:
            print(f"{len(rows)} pairs", flush=True)
    rows.sort(key=lambda row: (TRUTHS.index(row["truth"]), row["recipe"], row["size"]))
    show(rows)
    halves = {half: [row for row in rows if row["half"] == half] for half in ("development", "test")}
    found = {half: confusion(part) for half, part in halves.items()}
    for half, one in found.items():
        print(f"\n{half}: {one['pairs']} pairs, {one['wrong_confident']} wrong confident {one['wrong']}")
        print(f"{'':14}" + "".join(f"{VERDICTS[code]:>18}" for code in VERDICTS))
        for truth, sizes in one["table"].items():
            for size, counts in sizes.items():
                print(f"{truth:6}{size:>8}" + "".join(f"{counts.get(code, 0) or '':>18}" for code in VERDICTS))
    result = {
        "environment": environment(),
        "main": {"extractor": "efficientnet-lite0", "dimensions": spaces["main"][0].dim},
        "second": {"extractor": "patch encoder", "dimensions": spaces["second"][0].dim},
        "reference": len(spaces["main"][0]),
        "rule": {"null_share": NULL_SHARE, "confirmed_share": CONFIRMED_SHARE},
        "confusion": found,
        "thresholds": {half: thresholds(part) for half, part in halves.items()},
        "pairs": rows,
    }
    write(args.output, result)


if __name__ == "__main__":
    main()
