"""Warnings that a reader of scores needs: one sentence of what, one of why it matters or what to do."""

from collections.abc import Mapping
from dataclasses import dataclass

from fidprobe.features import Features
from fidprobe.provenance import SourceProvenance
from fidprobe.statistics import GaussianStatistics

__all__ = ["Advice", "advise_on_sets", "advise_on_spaces"]

_STABLE = 10_000  # below this FID's bias is no longer small (Bińkowski et al. 2018, Fig. 1)


@dataclass(frozen=True)
class Advice:
    """A warning.

    Attributes:
        code: Stable short name, for programs (`few-images`, `formats-differ`, ...).
        text: What is the matter and what to do, in one or two sentences.
    """

    code: str
    text: str


def advise_on_spaces(
    reference: Features | GaussianStatistics,
    second: Features | GaussianStatistics | None,
) -> list[Advice]:
    """Warnings about the two feature spaces themselves."""
    out = []
    if second is None:
        out.append(
            Advice(
                "no-second-opinion",
                "No second opinion was computed: features and statistics files hold one space only. Give images, "
                "or the second space's features as well.",
            )
        )
    for side, role in ((reference, "main"), (second, "second opinion's")):
        extractor = None if side is None else side.provenance.extractor
        if side is None:
            continue
        if extractor is None:
            out.append(
                Advice(
                    "unknown-space",
                    f"The {role} features come without provenance: which network, weights and resize made them "
                    "cannot be checked.",
                )
            )
            continue
        if not extractor.trained:
            out.append(
                Advice(
                    "untrained-network",
                    f"{extractor.name!r} is an untrained network with random weights. It notices strong changes of "
                    "texture and colour but knows nothing of content: it cannot confirm a small gain.",
                )
            )
        elif not extractor.verified:
            out.append(
                Advice(
                    "unverified-weights",
                    f"The weights of {extractor.name!r} are not known to be the published ones (sha256 "
                    f"{extractor.weights[:12]}…): its numbers compare with each other, not with papers.",
                )
            )
    if second is not None:
        first_name, second_name = reference.space, second.space
        if first_name == second_name != "unknown":
            out.append(
                Advice("same-space", f"Both opinions come from {first_name!r}: the second one confirms nothing.")
            )
        elif isinstance(second, Features) and second.class_names is not None and len(second.class_names) >= 1000:
            out.append(
                Advice(
                    "imagenet-second-opinion",
                    f"The second opinion {second_name!r} is an ImageNet classifier too and shares the main space's "
                    "blind spots. Prefer clip.",
                )
            )
    return out


def advise_on_sets(
    reference: Features | GaussianStatistics,
    models: Mapping[str, Features | GaussianStatistics],
) -> list[Advice]:
    """Warnings about the sets of images: how many, how alike their files are."""
    out: list[Advice] = []
    named = {"reference": reference, **models}
    counts = {name: len(s) if isinstance(s, Features) else s.count for name, s in named.items()}
    known = {name: n for name, n in counts.items() if n is not None}
    few = {name: n for name, n in known.items() if n <= reference.dim}
    if few:
        out.append(
            Advice(
                "singular-covariance",
                f"{_list(few)}: no more images than the {reference.dim} feature dimensions, so covariances are "
                "singular and the Fréchet distance is dominated by how many images there are. Use more images; KID "
                "is unbiased.",
            )
        )
    small = {name: n for name, n in known.items() if n < _STABLE and name not in few}
    if small:
        out.append(
            Advice(
                "few-images",
                f"{_list(small)}: Fréchet distances of fewer than {_STABLE:,} images are biased upwards. Compare only "
                "equal counts; papers use 50,000.",
            )
        )
    if len(set(known.values())) > 1 and max(known.values()) > 1.01 * min(known.values()):
        generated = {n for name, n in known.items() if name != "reference"}
        between = "The models" if len(generated) > 1 else "Reference and generated"
        out.append(
            Advice(
                "counts-differ",
                f"{between} have different numbers of images ({_list(known)}): the bias of the Fréchet distance "
                "depends on the count. Use --limit to draw equal subsets.",
            )
        )
    sources = {name: s.provenance.source for name, s in named.items()}
    out += _advise_on_files({name: s for name, s in sources.items() if s is not None})
    return out


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
        if reference is None or source is reference:
            continue
        if source.content is not None and source.content == reference.content:
            out.append(
                Advice("same-images", f"{name} and the reference are the same images; distances are 0 by design.")
            )
        if _main(source.formats) != _main(reference.formats):
            out.append(
                Advice(
                    "formats-differ",
                    f"{name} is mostly {_main(source.formats)} and the reference {_main(reference.formats)}: "
                    "compression alone moves FID, by more than many claimed gains. Store both alike.",
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
        if set(source.treatments) != set(reference.treatments):
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


def _main(formats: Mapping[str, int]) -> str:
    return max(formats, key=lambda f: formats[f]) if formats else "of unknown format"


def _sizes(source: SourceProvenance) -> str:
    names = sorted(source.sizes, key=lambda s: -source.sizes[s])
    return names[0] if len(names) == 1 else f"{len(names)} sizes (most often {names[0]})"
