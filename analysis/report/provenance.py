"""Where an audit's sets and networks come from, as plain strings that the template only lays out.

Nothing here is HTML. What was not recorded becomes words that say so.
"""

from collections.abc import Mapping
from typing import Any

from fidprobe.analysis.output.wording import amount, images_text
from fidprobe.analysis.scores.measure import ScoreResult
from fidprobe.analysis.scores.space_scores import SpaceScores
from fidprobe.provenance import ExtractorProvenance, SourceProvenance

__all__ = ["network_brief", "network_view", "set_view", "source_view"]

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
        facts.append(f"random subset{_seed(source)}")
    if source.skipped:
        facts.append(f"{_unreadable(source)} skipped")
    return {"name": name, "description": source.description, "facts": facts}


def source_view(name: str, source: SourceProvenance | None) -> dict[str, Any]:
    """Every recorded fact of a set: short ones, and long lists to fold."""
    if source is None:
        return {"name": name, "facts": [("pictures", "unknown: the features came without provenance")], "lists": []}
    subset = "all images" if source.limit is None else f"{amount(source.limit)} images drawn at random"
    facts = [
        ("source", source.description),
        ("images", amount(source.count)),
        ("subset", f"{subset}{_seed(source)}"),
        ("content, SHA-256", source.content or "not computed: the source cannot be read twice, or hid its content"),
    ]
    if source.decoder:
        facts.append(("decoded by", source.decoder))
    lists = []
    for title, counts in (("sizes", source.sizes), ("formats", source.formats), ("conversions", source.treatments)):
        entries = [f"{key}: {amount(counts[key])}" for key in _by_count(counts)]
        if len(entries) > _SHOWN:
            lists.append({"title": f"{amount(len(entries))} {title}", "entries": entries})
        else:
            facts.append((title, ", ".join(entries) or ("none" if title == "conversions" else "not recorded")))
    if source.skipped:
        # Most reasons name the file themselves, with its folder.
        entries = [reason if file in reason else f"{file}: {reason}" for file, reason in source.skipped]
        lists.append({"title": f"{_unreadable(source)} left out", "entries": entries})
    return {"name": name, "facts": facts, "lists": lists}


def network_view(space: SpaceScores) -> list[tuple[str, str]]:
    """Every recorded fact of a feature network."""
    extractor = space.extractor
    if extractor is None:
        return [("network", "unknown: the features came without provenance"), ("dimensions", amount(space.dim))]
    return [
        ("network", extractor.name),
        ("dimensions", amount(space.dim)),
        ("weights, SHA-256", extractor.weights),
        ("weights are", _weights(extractor)),
        ("resize rule", extractor.resize),
        ("libraries", ", ".join(" ".join(one) for one in sorted(extractor.versions.items())) or "not recorded"),
    ]


def network_brief(space: SpaceScores) -> list[str]:
    """What to know of a feature network at a glance."""
    extractor = space.extractor
    if extractor is None:
        return ["network unknown: features without provenance", f"{amount(space.dim)} dimensions"]
    return [
        extractor.name,
        f"{amount(space.dim)} dimensions",
        f"resize {extractor.resize}",
        f"weights {extractor.weights[:12]}…, {_weights(extractor)}",
    ]


def _weights(extractor: ExtractorProvenance) -> str:
    """What is known of a network's weights."""
    if not extractor.trained:
        return "random, untrained"
    return "verified as the published ones" if extractor.verified else "not verified"


def _seed(source: SourceProvenance) -> str:
    return "" if source.seed is None else f", seed {source.seed}"


def _unreadable(source: SourceProvenance) -> str:
    return images_text(len(source.skipped)).replace("image", "unreadable file")


def _brief(counts: Mapping[str, int], plural: str) -> str:
    names = _by_count(counts)
    return names[0] if len(names) == 1 else f"{amount(len(names))} {plural}, mostly {names[0]}"


def _by_count(counts: Mapping[str, int]) -> list[str]:
    """The most frequent first."""
    return sorted(counts, key=lambda name: (-counts[name], name))
