"""Class names must stand at the right outputs: a shifted or permuted list spoils every histogram."""

import importlib.util
from pathlib import Path

import pytest

from fidprobe.extractors.labels import imagenet_class_names, imagenet_wnids, inception_class_names, inception_wnids

# Position in the ILSVRC-2012 development kit -> WordNet id or name, from published copies of TensorFlow's label map
# `imagenet_2012_challenge_label_map_proto.pbtxt` (ids) and of the label file of the FID study of Kynkaanniemi et al.,
# "The Role of ImageNet Classes in Frechet Inception Distance", ICLR 2023 (names); spread over the whole list.
WNIDS = {
    1: "n02119789",
    2: "n02100735",
    3: "n02110185",
    383: "n01514668",
    390: "n01537544",
    400: "n01622779",
    494: "n01629819",
    999: "n07831146",
    1000: "n03255030",
}
NAMES = {
    20: "whippet",
    80: "zebra",
    104: "gorilla",
    190: "lion",
    217: "platypus",
    230: "airliner",
    264: "amphibian",
    315: "dining table",
    357: "daisy",
    449: "tench",
    474: "triceratops",
    511: "mouse",
    533: "binoculars",
    600: "spider web",
    647: "jellyfish",
    701: "castle",
    754: "plate",
    794: "suit",
    835: "binder",
    889: "toilet tissue",
    932: "street sign",
    961: "jersey",
    988: "lens cap",
}


def test_inception_has_1008_outputs_of_which_eight_are_unused() -> None:
    unused = [index for index, wnid in enumerate(inception_wnids()) if wnid is None]
    assert unused == [0, *range(1001, 1008)]
    assert len(inception_class_names()) == 1008
    assert [inception_class_names()[index] for index in unused] == [f"unused {index}" for index in unused]


def test_inception_classes_are_a_permutation_of_an_independent_list_of_imagenet() -> None:
    """timm carries its own copy of the 1000 ids."""
    spec = importlib.util.find_spec("timm")  # finding the file is much faster than importing the package
    assert spec is not None
    assert spec.origin is not None
    timms = (Path(spec.origin).parent / "data/_info/imagenet_synsets.txt").read_text("ascii").split()
    assert list(imagenet_wnids()) == timms
    assert sorted(wnid for wnid in inception_wnids() if wnid is not None) == timms


@pytest.mark.parametrize(("index", "wnid"), WNIDS.items())
def test_inception_outputs_follow_the_development_kit(index: int, wnid: str) -> None:
    assert inception_wnids()[index] == wnid


@pytest.mark.parametrize(("index", "name"), NAMES.items())
def test_inception_names_follow_the_published_label_file(index: int, name: str) -> None:
    assert inception_class_names()[index] == name


def test_torchvision_order_starts_with_tench_and_ends_with_toilet_tissue() -> None:
    assert imagenet_class_names()[0] == "tench"
    assert imagenet_wnids()[0] == "n01440764"
    assert imagenet_class_names()[999] == "toilet tissue"
    assert imagenet_class_names()[281] == "tabby"


def test_a_name_identifies_a_class() -> None:
    assert len(set(imagenet_class_names())) == 1000
    assert len(set(inception_class_names())) == 1008
