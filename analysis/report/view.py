"""What the report shows, in words: an audit as plain strings that the template only lays out.

Nothing here is HTML. A value that was not computed becomes a sentence that says why.
"""

from collections.abc import Mapping
from typing import Any

from fidprobe.analysis.classes.histogram import ClassHistogram
from fidprobe.analysis.output.wording import amount, number, shortened
from fidprobe.analysis.scores.measure import ScoreResult
from fidprobe.analysis.scores.space_scores import SpaceScores
from fidprobe.provenance import ExtractorProvenance, SourceProvenance

__all__ = [
    "classes_view",
    "network_view",
    "no_logits",
    "set_view",
    "source_facts",
    "weights_text",
]

_CLASSES = 8  # classes listed on either side of the comparison
_SHOWN = 6  # entries of a long list that are shown unfolded


def set_view(scored: ScoreResult, name: str) -> dict[str, Any]:
    """A set's card: where it comes from and how many pictures of which kind."""
    count, source = scored.counts[name], scored.sets[name]
    facts = ["number of images unknown" if count is None else f"{amount(count)} images"]
    if source is None:
        return {"name": name, "description": "features or statistics of unknown origin", "facts": facts}
    if source.sizes:
        facts.append(_brief(source.sizes, "sizes").replace("x", "×"))
    if source.formats:
        facts.append(_brief(source.formats, "formats"))
    if source.limit is not None:
        facts.append("random subset" + ("" if source.seed is None else f", seed {source.seed}"))
    if source.skipped:
        facts.append(f"{_unreadable(source)} skipped")
    return {"name": name, "description": source.description, "facts": facts}


def no_logits(space: str) -> str:
    """Why there is no class histogram."""
    return f"Not computed: it needs a classifier's logits for every set, and not every set here has them ({space})."


def classes_view(histogram: ClassHistogram, model: str) -> dict[str, Any]:
    """A model's total-variation distance, and the classes it shows too often and too rarely."""
    real, fake = histogram.counts["reference"], histogram.counts[model]
    total_real, total_fake = sum(real), sum(fake)
    gap = [b / total_fake - a / total_real for a, b in zip(real, fake, strict=True)]
    order = sorted(range(len(gap)), key=lambda c: (-gap[c], c))

    def row(c: int) -> dict[str, str]:
        points = f"{100 * gap[c]:+.2f}".replace("-", "−")
        return {
            "name": shortened(histogram.class_names[c], 48),
            "reference": amount(real[c]),
            "model": amount(fake[c]),
            "gap": points,
        }

    return {
        "model": model,
        "total_variation": number(histogram.total_variation[model], 3),
        "over": [row(c) for c in order[:_CLASSES] if gap[c] > 0],
        "under": [row(c) for c in reversed(order[-_CLASSES:]) if gap[c] < 0],
    }


def network_view(space: SpaceScores) -> list[tuple[str, str]]:
    """Every recorded fact of a feature network."""
    extractor = space.extractor
    if extractor is None:
        return [("network", "unknown: the features came without provenance"), ("dimensions", amount(space.dim))]
    return [
        ("network", extractor.name),
        ("dimensions", amount(space.dim)),
        ("weights, SHA-256", extractor.weights),
        ("weights are", weights_text(extractor)),
        ("resize rule", extractor.resize),
        ("libraries", _pairs(extractor.versions) or "not recorded"),
    ]


def source_facts(source: SourceProvenance | None) -> dict[str, Any]:
    """Every recorded fact of a set: short ones, and long lists to fold."""
    if source is None:
        return {"facts": [("pictures", "unknown: the features came without provenance")], "lists": []}
    subset = "all images" if source.limit is None else f"{amount(source.limit)} images drawn at random"
    if source.seed is not None:
        subset += f", seed {source.seed}"
    facts = [
        ("source", source.description),
        ("images", amount(source.count)),
        ("subset", subset),
        ("content, SHA-256", source.content or "not computed: the source cannot be read twice, or hid its content"),
    ]
    if source.decoder:
        facts.append(("decoded by", source.decoder))
    lists = []
    for title, counts in (("sizes", source.sizes), ("formats", source.formats), ("conversions", source.treatments)):
        entries = [f"{key}: {amount(n)}" for key, n in sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))]
        if len(entries) > _SHOWN:
            lists.append({"title": f"{amount(len(entries))} {title}", "entries": entries})
        else:
            facts.append((title, ", ".join(entries) or ("none" if title == "conversions" else "not recorded")))
    if source.skipped:
        # Reasons mostly name the file themselves, with its folder.
        entries = [reason if name in reason else f"{name}: {reason}" for name, reason in source.skipped]
        lists.append({"title": f"{_unreadable(source)} left out", "entries": entries})
    return {"facts": facts, "lists": lists}


def _unreadable(source: SourceProvenance) -> str:
    number_skipped = len(source.skipped)
    return f"{amount(number_skipped)} unreadable file{'' if number_skipped == 1 else 's'}"


def weights_text(extractor: ExtractorProvenance) -> str:
    """What is known of a network's weights."""
    if not extractor.trained:
        return "random, untrained"
    return "verified as the published ones" if extractor.verified else "not verified"


def _brief(counts: Mapping[str, int], plural: str) -> str:
    names = sorted(counts, key=lambda key: (-counts[key], key))
    return names[0] if len(names) == 1 else f"{amount(len(names))} {plural}, mostly {names[0]}"


def _pairs(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
