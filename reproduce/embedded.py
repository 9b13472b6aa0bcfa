r"""The files of fidprobe/embedded: generators, networks and a reference, all of CIFAR-10's pictures.

What they are made from, by their recipes (seed 0):

    fidprobe train am-gan cifar10.zip/train -o am-gan --width 0.25 --steps 12000 --visit-every 250 \
        --smooth-real 0.1 --average 0.999
    fidprobe train encoder cifar10.zip/train -o encoder --steps 6630 --mixed-precision
    fidprobe train classifier cifar10.zip/train -o classifier --mixed-precision
    python -m reproduce.embedded cifar10.zip --am-gan am-gan --early 2500 --encoder encoder --classifier classifier
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fidprobe import ReadOptions, Resampling, extract, frechet_distance, load_extractor, open_images
from fidprobe.analysis.output.writers import write_text
from fidprobe.embedded import EMBEDDED, SUMS, embedded_file
from fidprobe.errors import FidprobeError
from fidprobe.extractors.trained import Trained, load_trained, read_card, save_trained
from fidprobe.features.compact_reference import load_reference_features, load_reference_statistics, save_reference
from fidprobe.features.value import Features
from fidprobe.generators.saved import load_generator, save_generator
from fidprobe.provenance import Provenance, SourceProvenance
from fidprobe.runtime.files import sha256_file
from fidprobe.statistics import GaussianStatistics
from fidprobe.training.data import read_pictures
from fidprobe.training.evaluation import Evaluator
from fidprobe.training.network_run import accuracy_of

FOLDER = Path(embedded_file.__code__.co_filename).parent
MAIN, ENCODER, CLASSIFIER = "efficientnet-lite0", "cifar10-encoder", "cifar10-classifier"
DATA = "CIFAR-10's 50,000 training pictures, as JPEG copies (4:2:0)"
SAMPLE = 3500  # reference features: as many as fit, and more than twice the main space's dimensions
POOL, KEEP = 3600, 2600  # samples that the bought gain is chosen among, and that are chosen
OPTIONS = ReadOptions.with_cache()


def main(arguments: Sequence[str] | None = None) -> None:
    """Make every file, measure what its card tells, and write the hashes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="CIFAR-10: a folder or archive with train/<class>/ and test/<class>/")
    parser.add_argument("--am-gan", type=Path, required=True, help="folder of the training run")
    parser.add_argument("--early", type=int, required=True, help="step of the earlier checkpoint")
    parser.add_argument("--encoder", type=Path, required=True, help="folder of the training run")
    parser.add_argument("--classifier", type=Path, required=True, help="folder of the training run")
    args = parser.parse_args(arguments)
    networks(args.data, {ENCODER: args.encoder, CLASSIFIER: args.classifier})
    reference(args.data)
    late = json.loads((args.am_gan / "training.json").read_text(encoding="utf-8"))["step"]
    generators(args.data, args.am_gan, {"am-gan": late, "am-gan-early": args.early})
    choice()
    sums()
    total = 0
    for name, kind in EMBEDDED.items():
        path = embedded_file(name, kind)
        total += path.stat().st_size
        print(f"{name:20} {kind:10} {path.stat().st_size / 1e6:6.2f} MB")
    print(f"{'in all':31} {total / 1e6:6.2f} MB")


def networks(data: str, runs: Mapping[str, Path]) -> None:
    """Encoder and classifier in half precision, with what they reach on the test pictures in that form."""
    learnt, test = (read_pictures(f"{data}/{part}") for part in ("train", "test"))
    for name, run in runs.items():
        source, target = run / "network.safetensors", FOLDER / f"{name}.safetensors"
        whole = load_trained(source, resize="native")
        card = told(read_card(source))
        save_trained(target, whole.network, class_names=whole.class_names, card=card, half=True)
        accuracy = accuracy_of(load_trained(target, resize="native"), learnt, test)
        what = "linear_probe_accuracy" if whole.class_names is None else "accuracy"
        card["scores"] = {what: round(accuracy, 4), "pictures": len(test)}
        save_trained(target, whole.network, class_names=whole.class_names, card=card, half=True)
        print(f"{name}: {what} {accuracy:.4f} on {len(test):,} test pictures", flush=True)


def reference(data: str) -> None:
    """Features of a sample and statistics of all training pictures."""
    sides = {}
    for name in (MAIN, ENCODER):
        whole = extract(f"{data}/train", network(name), OPTIONS)
        places = np.sort(np.random.default_rng(0).choice(len(whole), SAMPLE, replace=False))
        some, every = (replace(whole.provenance, source=pictures(whole, count)) for count in (SAMPLE, len(whole)))
        sides[name] = (
            replace(whole.select(places.tolist()), provenance=some),
            replace(GaussianStatistics.of(whole), provenance=every),
        )
        print(f"{name}: {len(whole):,} pictures", flush=True)
    card: dict[str, Any] = {"title": "CIFAR-10 as a reference", "data": DATA, "sample": SAMPLE, "seed": 0}
    target = FOLDER / "cifar10.safetensors"
    save_reference(target, sides, card)
    card["rounding"] = {}  # distances of the test pictures to what was measured, and to what is read
    for name, (sample, statistics) in sides.items():
        test = extract(f"{data}/test", network(name), OPTIONS).features
        card["rounding"][name] = {
            "sample": [frechet_distance(side, test).item() for side in (sample, load_reference_features(target, name))],
            "statistics": [
                frechet_distance(side, test).item() for side in (statistics, load_reference_statistics(target, name))
            ],
        }
    save_reference(target, sides, card)
    print(json.dumps(card["rounding"]), flush=True)


def generators(data: str, run: Path, steps: Mapping[str, int]) -> None:
    """Both checkpoints in half precision, with what their samples score in that form."""
    evaluator = Evaluator(
        f"{data}/test",
        extractor=network(MAIN),
        second_opinion=network(ENCODER),
        classifier=network(CLASSIFIER),
        options=OPTIONS,
    )
    for name, step in steps.items():
        target = FOLDER / f"{name}.safetensors"
        found = load_generator(run / "generators" / f"step-{step:06d}.safetensors")
        card = told(found.card)
        save_generator(target, found.network, class_names=found.class_names, card=card, half=True)
        scores = evaluator(open_images(str(target), limit=POOL), step).to_json()
        card["scores"] = {
            **{k: v for k, v in scores.items() if k != "step"},
            "reference": f"{evaluator.count:,} test pictures",
        }
        save_generator(target, found.network, class_names=found.class_names, card=card, half=True)
        print(f"{name}: {json.dumps(card['scores'])}", flush=True)


def choice() -> None:
    """Which of AM-GAN's samples to keep so that the distance to the training pictures falls most."""
    goal = load_reference_statistics(FOLDER / "cifar10.safetensors", MAIN)
    pool = extract(open_images(str(FOLDER / "am-gan.safetensors"), limit=POOL), network(MAIN), OPTIONS)
    attack = Resampling(draw="swap-unique", keep=KEEP, held_out=0)
    found = attack(goal, Features(pool.features, provenance=Provenance(pool.provenance.extractor)))
    score = found.scores[0]
    out = {
        "generator": "am-gan",
        "pool": POOL,
        "attack": attack.settings(),
        "distance": {"chosen": score.drawn.mean, "random": score.random.mean},
        "places": sorted(found.choices[0].tolist()),
    }
    write_text(FOLDER / "am-gan-chosen.json", json.dumps(out) + "\n")
    print(f"chosen: {score.drawn.mean:.2f}, at random {score.random.mean:.2f}", flush=True)


def sums() -> None:
    """The hashes, as `sha256sum` writes and checks them."""
    files = sorted(path for path in FOLDER.iterdir() if path.suffix in (".safetensors", ".json"))
    write_text(FOLDER / SUMS, "".join(f"{sha256_file(path)}  {path.name}\n" for path in files))


def pictures(whole: Features, count: int) -> SourceProvenance:
    """Which pictures a side of the reference is of, all of one size and format."""
    source = whole.provenance.source
    assert source is not None
    return SourceProvenance(
        f"{count:,} training pictures of CIFAR-10 (JPEG copies)",
        count,
        content=source.content if count == len(whole) else None,
        sizes=dict.fromkeys(source.sizes, count),
        formats=dict.fromkeys(source.formats, count),
        treatments=dict.fromkeys(source.treatments, count),
        decoder=source.decoder,
    )


def network(name: str) -> Any:
    """A network as it will be loaded by name, whose hash is not known yet."""
    if name == MAIN:
        return load_extractor(name)
    found = load_trained(FOLDER / f"{name}.safetensors", resize="native", embedded=name)
    assert isinstance(found, Trained)
    return found


def told(card: Mapping[str, Any]) -> dict[str, Any]:
    """A card that tells which pictures, not where they lay."""
    return {**{key: value for key, value in card.items() if key not in ("accuracy", "tested_on")}, "data": DATA}


if __name__ == "__main__":
    try:
        main()
    except FidprobeError as error:
        raise SystemExit(f"error: {error}") from None
