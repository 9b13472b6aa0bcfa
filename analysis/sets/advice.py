"""Warnings that a reader of scores needs: one sentence of what, one of why it matters or what to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from fidprobe.features.value import Features
from fidprobe.provenance import SourceProvenance
from fidprobe.statistics import GaussianStatistics, count_of

__all__ = [
    "DISTANCE_CODES",
    "NOT_SAMPLED",
    "Advice",
    "advise_on_attack",
    "advise_on_classifier",
    "advise_on_neighbours",
    "advise_on_sets",
    "advise_on_spaces",
    "advise_on_splits",
    "same_values",
]

_OWN_DOUBT = 0.5  # nats: ten times what a classifier of the data set leaves on real images
_MANY = 1000  # fewer neighbours lie so far away that balls hold what they should not
_STABLE = 10_000  # below this FID's bias is no longer small (Bińkowski et al. 2018, Fig. 1)


_MOST_MODELS = 100  # more folders than these are classes
_LOSSY = {"AVIF", "JPEG", "JPEG2000", "WEBP"}  # formats; some of their files are lossless, which is rare
DISTANCE_CODES = ("few-images", "counts-differ", "singular-covariance")
"""Warnings about printed Fréchet distances, of no use where none is printed."""

Measurable = Features | GaussianStatistics
Sides = Mapping[str, Measurable]


@dataclass(frozen=True)
class Advice:
    """A warning.

    Attributes:
        code: Stable short name, for programs (`few-images`, `formats-differ`, ...).
        text: What is the matter and what to do, in one or two sentences.
    """

    code: str
    text: str


NOT_SAMPLED = Advice(
    "reference-not-sampled",
    "The reference came as statistics, whose own sampling error is not known: intervals leave it out and are too "
    "narrow, the more so the smaller the reference was. Give its images or features.",
)
"""Of every result with intervals whose reference holds no single images."""


def same_values(main: Features | GaussianStatistics, second: Features | GaussianStatistics) -> bool:
    """Whether a set has the very same numbers in both spaces; no two networks give the same."""

    def equal(one: torch.Tensor, other: torch.Tensor) -> bool:
        return one.shape == other.shape and one.dtype == other.dtype and torch.equal(one, other)

    if isinstance(main, Features) and isinstance(second, Features):
        return equal(main.features, second.features)
    if isinstance(main, GaussianStatistics) and isinstance(second, GaussianStatistics):
        return equal(main.mean, second.mean) and equal(main.cov, second.cov)
    return False


def advise_on_spaces(main: Sides, second: Sides | None, *, same: Sequence[str] | None = None) -> list[Advice]:
    """Warnings about the two feature spaces themselves.

    Args:
        main: Set name -> its features or statistics in the main space; all of one space.
        second: The same sets in the second opinion's; None if there is none.
        same: The sets with the `same_values` in both, for sides that no longer hold any; by default they are compared.
    """
    out = []
    if second is None:
        out.append(
            Advice(
                "no-second-opinion",
                "No second opinion was computed: features and statistics files hold one space only. Give images, "
                "or the second space's features as well.",
            )
        )
    for sides, role in ((main, "main"), (second or {}, "second opinion's")):
        unknown = [name for name, side in sides.items() if side.provenance.extractor is None]
        if unknown:
            out.append(
                Advice(
                    "unknown-space",
                    f"The {role} features of {', '.join(unknown)} come without provenance: which network, weights "
                    "and resize rule made them cannot be checked.",
                )
            )
        out += [one for one in _advise_on_network(sides) if one not in out]
    if second is not None:
        out += _advise_on_singular(second, "In the second opinion's space, ")
        first, other = _space_of(main), _space_of(second)
        if first == other != "unknown":
            out.append(Advice("same-space", f"Both opinions come from {first!r}: the second one confirms nothing."))
        elif equal := [n for n in second if n in main and same_values(main[n], second[n])] if same is None else same:
            whose = ", ".join(equal) if len(equal) < 4 else f"{', '.join(equal[:2])} and {len(equal) - 2} more"
            out.append(
                Advice(
                    "same-space",
                    f"Both opinions have the very same features of {whose}: the second one confirms nothing. Extract "
                    "it with another network.",
                )
            )
        elif _has_classes(second):
            out.append(
                Advice(
                    "imagenet-second-opinion",
                    f"The second opinion {other!r} is an ImageNet classifier too and shares the main space's blind "
                    "spots. Prefer clip.",
                )
            )
    return out


def _advise_on_network(sides: Sides) -> list[Advice]:
    extractor = next((s.provenance.extractor for s in sides.values() if s.provenance.extractor), None)
    if extractor is None:
        return []
    if not extractor.trained:
        return [
            Advice(
                "untrained-network",
                f"{extractor.name!r} is an untrained network with random weights. It notices strong changes of "
                "texture and colour but knows nothing of content: it cannot confirm a small gain.",
            )
        ]
    if not extractor.verified:
        return [
            Advice(
                "unverified-weights",
                f"The weights of {extractor.name!r} are not known to be the published ones (sha256 "
                f"{extractor.weights[:12]}…): its numbers compare with each other, not with papers.",
            )
        ]
    return []


def _space_of(sides: Sides) -> str:
    return next((side.space for side in sides.values() if side.space != "unknown"), "unknown")


def _has_classes(sides: Sides) -> bool:
    return any(isinstance(s, Features) and len(s.class_names or ()) >= 1000 for s in sides.values())


def _advise_on_singular(sides: Sides, where: str = "") -> list[Advice]:
    few = {name: n for name, n in _counts(sides).items() if n <= sides[name].dim}
    if not few:
        return []
    dim = next(iter(sides.values())).dim
    return [
        Advice(
            "singular-covariance",
            f"{where}{_list(few)}: no more images than the {dim} feature dimensions, so covariances are singular and "
            "the Fréchet distance is dominated by how many images there are. Use more images; the kernel distance "
            "is unbiased.",
        )
    ]


def _counts(sides: Sides) -> dict[str, int]:
    counts = {name: count_of(side) for name, side in sides.items()}
    return {name: n for name, n in counts.items() if n is not None}


def advise_on_sets(
    reference: Features | GaussianStatistics,
    models: Mapping[str, Features | GaussianStatistics],
) -> list[Advice]:
    """Warnings about the sets of images: how many, how alike their files are."""
    out: list[Advice] = []
    named = {"reference": reference, **models}
    known = _counts(named)
    few = {name for name, n in known.items() if n <= reference.dim}
    out += _advise_on_singular(named)
    small = {name: n for name, n in known.items() if n < _STABLE and name not in few}
    if small:
        out.append(
            Advice(
                "few-images",
                f"{_list(small)}: printed Fréchet distances of fewer than {_STABLE:,} images are biased upwards. "
                "Compare only equal counts, or distances without bias (audit, compare); papers use 50,000.",
            )
        )
    if len(set(known.values())) > 1 and max(known.values()) > 1.01 * min(known.values()):
        generated = {n for name, n in known.items() if name != "reference"}
        between = "The sets" if len(generated) > 1 else "Reference and generated"
        out.append(
            Advice(
                "counts-differ",
                f"{between} have different numbers of images ({_list(known)}): the bias of printed Fréchet "
                "distances depends on the count. Distances without bias (audit, compare) compare all the same; `limit` "
                "draws equal subsets.",
            )
        )
    out += _advise_on_folders(reference, models)
    sources = {name: s.provenance.source for name, s in named.items()}
    out += _advise_on_files({name: s for name, s in sources.items() if s is not None})
    return out


def advise_on_neighbours(sides: Sides) -> list[Advice]:
    """A warning about counts, on which neighbours and clusters depend."""
    known = _counts(sides)
    if len(set(known.values())) < 2 and min(known.values(), default=_MANY) >= _MANY:
        return []
    return [
        Advice(
            "neighbours-need-counts",
            f"Precision, recall, density, coverage and PRD depend on the numbers of images ({_list(known)}): compare "
            "equal ones only, thousands of each.",
        )
    ]


def advise_on_splits(sides: Sides, splits: int, split_size: int | None = None) -> list[Advice]:
    """Warnings about an Inception Score whose splits are too small for the classifier's classes.

    exp(H(y) - H(y|x)) is the exponential of the information that an image's index gives about its class: at most
    the number of images, and biased low where they are few.

    Args:
        sides: Set name -> its features or statistics; those without logits have no score.
        splits: Of the score; a set of fewer images has as many as images.
        split_size: Images in a split in their place.
    """
    logits = {name: s.logits for name, s in sides.items() if isinstance(s, Features) and s.logits is not None}
    few = []
    classes = 0
    for name, values in logits.items():
        images = len(values)
        parts = min(splits, images) if split_size is None else -(-images // split_size)
        most = -(-images // parts) if split_size is None else min(split_size, images)
        if most < values.shape[1]:
            few.append(f"{name} {images:,} in {parts:,} {'split' if parts == 1 else 'splits'}, at most {most:,} each")
            classes = values.shape[1]
    if not few:
        return []
    return [
        Advice(
            "few-images-per-class",
            f"The Inception Score's splits hold fewer images than the classifier's {classes:,} classes ("
            f"{'; '.join(few)}). The score of a split cannot exceed its number of images and is biased low: use "
            "more images or fewer splits, and compare only equal counts.",
        )
    ]


def advise_on_classifier(reference_entropy: float) -> list[Advice]:
    """A warning about an AM Score under a classifier of other data.

    Args:
        reference_entropy: Mean H(p) over real images, in nats. The paper's classifiers of the data set itself leave
            less than 0.05 on nearly all of them (am-gan.md, §6.4).
    """
    if reference_entropy < _OWN_DOUBT:
        return []
    return [
        Advice(
            "classifier-of-other-data",
            f"The AM Score asks for a classifier of the data set, and this one doubts the real images themselves (mean "
            f"entropy {reference_entropy:.2g} nats): its classes are others. Give features of a classifier that was "
            "trained on the data.",
        )
    ]


def advise_on_attack(
    reference: Features | GaussianStatistics, candidates: Features, *, keep: int, held_out: float
) -> list[Advice]:
    """Warnings about how much an attack's outcome can say.

    Args:
        reference: The whole reference.
        candidates: What was chosen from.
        keep: How many images were chosen.
        held_out: Share of the reference that was held out, where it could be.
    """
    out = []
    n = len(candidates)
    if keep > n:
        out.append(
            Advice(
                "few-candidates",
                f"{keep:,} images were drawn from {n:,} candidates: each is drawn {keep / n:.2g} times on average. "
                "Give more candidates, or `keep` fewer.",
            )
        )
    elif keep > n / 2:
        out.append(
            Advice(
                "little-choice",
                f"{keep:,} of {n:,} candidates are kept, which leaves little to choose from: the attack could do more "
                "with more candidates (the papers use 5 for each image kept).",
            )
        )
    if keep <= candidates.dim:
        out.append(
            Advice(
                "few-drawn",
                f"The {keep:,} drawn images are no more than the {candidates.dim:,} feature dimensions: their "
                "distances are dominated by how many they are. Keep more.",
            )
        )
    if isinstance(reference, GaussianStatistics):
        out.append(
            Advice(
                "nothing-held-out",
                "The reference came as statistics, of which nothing can be held out: how much of the gain only fits "
                "the reference's own sampling noise is unknown. Give its images or features.",
            )
        )
        optimised = reference.count
    else:
        optimised = len(reference) - round(held_out * len(reference))
    if optimised is not None and optimised <= reference.dim:
        out.append(
            Advice(
                "few-references",
                f"The attack optimised against {optimised:,} reference images in {reference.dim:,} dimensions, whose "
                "covariance is singular and easier to match than the real one: objective and bound are optimistic.",
            )
        )
    return out


def _advise_on_folders(reference: Measurable, models: Mapping[str, Measurable]) -> list[Advice]:
    """A question about sets that may hold several models: their folders are none of the reference's classes."""
    out = []
    for name, model in models.items():
        folders = _folders(model)
        if 1 < len(folders) <= _MOST_MODELS and not folders & _folders(reference):
            few = ", ".join(sorted(folders)[:3]) + (", ..." if len(folders) > 3 else "")
            out.append(
                Advice(
                    "several-folders",
                    f"{name} holds {len(folders)} folders ({few}) that the reference has not, measured as one set. Are "
                    "they models of their own? Then give each by itself, for example to fidprobe compare.",
                )
            )
    return out


def _folders(side: Measurable) -> set[str]:
    """The first folders of a set's images; none where an image lies in no folder, or names are not known."""
    names = side.names if isinstance(side, Features) else None
    if not names or not all("/" in name for name in names):
        return set()
    return {name.partition("/")[0] for name in names}


def _advise_on_files(sources: Mapping[str, SourceProvenance]) -> list[Advice]:
    out: list[Advice] = []
    reference = sources.get("reference")
    for name, source in sources.items():
        if source.skipped:
            files = "1 file" if len(source.skipped) == 1 else f"{len(source.skipped):,} files"
            out.append(
                Advice(
                    "skipped-files",
                    f"{name}: {files} could not be read and were left out, the first: {source.skipped[0][1]}.",
                )
            )
        if reference is None or name == "reference":
            continue
        if source.content is not None and source.content == reference.content:
            out.append(
                Advice("same-images", f"{name} and the reference are the same images; distances are 0 by design.")
            )
        own, others = _main(source.formats), _main(reference.formats)
        if own != others and None not in (own, others) and {own, others} & _LOSSY:
            kinds = {name: own, "the reference": others}
            lossy = " and ".join(whose for whose, kind in kinds.items() if kind in _LOSSY)
            out.append(
                Advice(
                    "formats-differ",
                    f"{name} is mostly {own} and the reference {others}: {lossy} lost detail "
                    "to compression, which alone moves FID by more than many claimed gains. Store both alike.",
                )
            )
        if source.sizes and reference.sizes and set(source.sizes) != set(reference.sizes):
            out.append(
                Advice(
                    "sizes-differ",
                    f"{name} has images of {_sizes(source)} and the reference of {_sizes(reference)}: resampling to "
                    "the network's input differs between them. Resize both beforehand in the same way.",
                )
            )
        # Treatments are counted only where formats are: a part of features has neither.
        if source.formats and reference.formats and set(source.treatments) != set(reference.treatments):
            only = sorted(set(source.treatments) ^ set(reference.treatments))
            out.append(
                Advice(
                    "treatments-differ",
                    f"Pixels of {name} and the reference were converted differently on reading ({'; '.join(only)}).",
                )
            )
    return out


def _list(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counts.items())


def _main(formats: Mapping[str, int]) -> str | None:
    return max(formats, key=lambda f: formats[f]) if formats else None


def _sizes(source: SourceProvenance) -> str:
    names = sorted(source.sizes, key=lambda s: -source.sizes[s])
    return names[0] if len(names) == 1 else f"{len(names)} sizes (most often {names[0]})"
