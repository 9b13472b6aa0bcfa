"""Zhou et al. 2018, Fig. 4: what an ImageNet classifier, and the data set's own, say of a data set's images.

a) mean class probabilities, b) H(C(x)) in each class under the ImageNet classifier, c) under the data set's own. The
paper takes CIFAR-10's training images, Inception, whose classes are doubted from 2.14 nats (trucks) to 3.80 (birds),
and a DenseNet, under which 99.6 % of images are below 0.05 nats.

    python -m reproduce.amgan_fig4 cifar10.zip/train --extractor inception
    python -m reproduce.amgan_fig4 train-inception.safetensors --own train-densenet.safetensors
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fidprobe import ReadOptions, extract, load_extractor
from fidprobe.analysis.class_entropies import CLEAR, ClassEntropies, class_entropies
from fidprobe.analysis.class_entropies_figure import class_entropies_figure
from fidprobe.analysis.output import write_figure, write_text
from fidprobe.analysis.wording import json_text, shortened
from fidprobe.errors import FidprobeError
from fidprobe.features import Features
from fidprobe.inputs import open_input
from fidprobe.provenance import check_same_images
from fidprobe.statistics import GaussianStatistics
from reproduce.amgan_fig5 import RESULTS


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", help="real images in class folders, or their features with logits")
    parser.add_argument("--extractor", default="inception", help="the ImageNet classifier, where images are given")
    parser.add_argument("--own", help="features of the same images, with logits of the data set's own classifier")
    parser.add_argument("--unbiased", action="store_true", help="drop classifiers' biases, as the Inception Score does")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of amgan_fig4.json")
    parser.add_argument("--figures", type=Path, default=Path("out"), help="folder of amgan_fig4.svg, .pdf and .png")
    args = parser.parse_args(arguments)
    sides = [opened(args.images, args.extractor)]
    if args.own:
        own = opened(args.own, args.extractor)
        check_same_images("the data set", sides[0].provenance, own.provenance, (len(sides[0]), len(own)))
        # Class folders are told by the first side's names.
        sides.append(replace(own, names=own.names or sides[0].names))
    found = [class_entropies(side, biased=not args.unbiased) for side in sides]
    for one in found:
        print(f"{one.space}, {one.whole.count} images: H(mean C) = {one.marginal_entropy:.3f} nats")
        for row in (*one.classes, one.whole):
            low, _, median, _, high = row.quantiles
            print(
                f"  {shortened(row.name, 24):24} mean {row.mean:6.3f}, median {median:6.3f}, "
                f"5–95 % {low:6.3f} to {high:6.3f}, {100 * row.clear:5.1f} % below {CLEAR:g}"
            )
    name = "amgan_fig4"
    write_text(args.results / f"{name}.json", json_text([told(one) for one in found], "Fig. 4"))
    write_figure(class_entropies_figure(found), args.figures / name, "Predictions of a classifier on real images")
    print(f"written to {args.results / f'{name}.json'} and {args.figures / name}.pdf")


def opened(source: str, extractor: str) -> Features:
    """Features with logits, extracted where images are given."""
    options = ReadOptions.with_cache()
    side = open_input(source, options)
    if isinstance(side, GaussianStatistics):
        raise SystemExit(f"{source} holds statistics, no single images; give images or features")
    return side if isinstance(side, Features) else extract(side, load_extractor(extractor), options)


def told(found: ClassEntropies) -> dict[str, object]:
    """Numbers of one classifier; of its classes' probabilities the twenty largest, and the extremes."""
    data = found.to_json()
    probabilities = data.pop("mean_probabilities")
    return {
        **data,
        "predicted_classes": len(probabilities),
        "least_probability": probabilities[-1]["probability"],
        "most_probable": probabilities[:20],
    }


if __name__ == "__main__":
    try:
        main()
    except FidprobeError as error:
        raise SystemExit(f"error: {error}") from None
