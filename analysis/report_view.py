"""What the report shows, in words: an audit as plain strings that the template only lays out.

Nothing here is HTML. A value that was not computed becomes a sentence that says why.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fidprobe.analysis.class_histogram import ClassHistogram
from fidprobe.analysis.scores import Scores, metric_label
from fidprobe.analysis.scoring import Scored, SpaceScores
from fidprobe.analysis.wording import amount, number, plus_minus, shortened
from fidprobe.metrics.inception_score import InceptionScoreResult
from fidprobe.provenance import ExtractorProvenance, SourceProvenance

__all__ = [
    "classes_view",
    "inception_scores_view",
    "network_view",
    "no_logits",
    "scores_view",
    "set_view",
    "source_facts",
]

_CLASSES = 8  # classes listed on either side of the comparison
_SHOWN = 6  # entries of a long list that are shown unfolded


def set_view(scored: Scored, name: str) -> dict[str, Any]:
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


def scores_view(scored: Scored, space: SpaceScores) -> dict[str, Any]:
    """A space's table: a row a metric, a column a model; with the Inception Scores of every set."""
    models = list(space.scores)
    kernel = "KID" if metric_label(_space_name(space), "KD") == "KID" else "kernel distance"
    reference = next(
        (s.frechet.reference_count for s in space.scores.values() if s.frechet), scored.counts["reference"]
    )
    rows = [
        (
            "FID" if space.label == "FID" else "Fréchet distance",
            "mean term + covariance term",
            [_frechet(space.scores[m]) for m in models],
        ),
        (
            kernel,
            "all pairs, ± standard error",
            [_kernel(space.scores[m]) for m in models],
        ),
        (
            f"{kernel}, subsets",
            "as papers print it: ± standard deviation over subsets, not a standard error",
            [_subsets(space.scores[m]) for m in models],
        ),
        (
            "images",
            f"against {_count(reference)} of the reference",
            [
                (_count(s.frechet.generated_count if s.frechet else scored.counts[m]), "")
                for m, s in space.scores.items()
            ],
        ),
    ]
    return {
        "label": space.label,
        "models": models,
        "rows": [{"label": label, "note": note, "cells": cells} for label, note, cells in rows],
        "network": _network_brief(space),
    }


def inception_scores_view(space: SpaceScores) -> dict[str, Any]:
    """Inception Scores of the reference and of every model, with their entropies, or why there are none."""
    found = {"reference": space.reference_score, **{m: s.inception_score for m, s in space.scores.items()}}
    missing = {"reference": space.reference_missing, **{m: s.missing.get("is", "") for m, s in space.scores.items()}}
    name = _space_name(space)
    known = [score for score in found.values() if score is not None]
    if not known:
        return {
            "label": metric_label(name, "IS"),
            "why": f"Not computed: no set here has a classifier's logits ({name}).",
        }

    def cells(text: Callable[[InceptionScoreResult], str], *, why: bool = False) -> list[tuple[str, str]]:
        return [
            (text(score), "") if score else ("not computed", (missing[model] or "not asked for") if why else "")
            for model, score in found.items()
        ]

    parts = [
        ("score", "± standard deviation over splits", cells(lambda s: plus_minus(s.mean, s.std), why=True)),
        ("H(y)", "entropy of the mean prediction, nats", cells(lambda s: number(s.marginal_entropy))),
        ("H(y|x)", "mean entropy of a prediction, nats", cells(lambda s: number(s.conditional_entropy))),
    ]
    return {
        "label": metric_label(name, "IS"),
        "models": list(found),
        "rows": [{"label": row, "note": note, "cells": shown} for row, note, shown in parts],
        "why": "",
        "how": _how(known),
    }


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
        ("weights are", _weights(extractor)),
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


def _frechet(scores: Scores) -> tuple[str, str]:
    result = scores.frechet
    if result is None:
        return "not computed", "the Fréchet distance was not asked for"
    return number(result.value), f"{number(result.mean_term)} + {number(result.covariance_term)}"


def _kernel(scores: Scores) -> tuple[str, str]:
    if scores.kernel is None:
        return "not computed", scores.missing.get("kid", "not asked for")
    return plus_minus(scores.kernel.value, scores.kernel.standard_error), ""


def _subsets(scores: Scores) -> tuple[str, str]:
    result = scores.kernel_subsets
    if result is not None:
        return plus_minus(result.mean, result.std), f"{amount(result.subsets)} × {amount(result.subset_size)} images"
    return "not computed", scores.missing.get("kid", scores.missing.get("kid_subsets", "not asked for"))


def _space_name(space: SpaceScores) -> str:
    return "unknown" if space.extractor is None else space.extractor.name


def _count(count: int | None) -> str:
    return "an unknown number" if count is None else amount(count)


def _how(scores: Sequence[InceptionScoreResult]) -> str:
    score = scores[0]
    splits = " or ".join(amount(n) for n in sorted({s.splits for s in scores}))  # a small set has fewer
    bias = "without the classifier's bias, as published scores" if score.logits == "unbiased" else "with its bias"
    order = "images shuffled" if score.order == "shuffled" else "images in their order"
    return f"{splits} splits, {order}, logits {bias}. ln IS of the whole set is H(y) − H(y|x)."


def _weights(extractor: ExtractorProvenance) -> str:
    if not extractor.trained:
        return "random, untrained"
    return "verified as the published ones" if extractor.verified else "not verified"


def _network_brief(space: SpaceScores) -> list[str]:
    extractor: ExtractorProvenance | None = space.extractor
    if extractor is None:
        return ["network unknown: features without provenance", f"{amount(space.dim)} dimensions"]
    return [
        extractor.name,
        f"{amount(space.dim)} dimensions",
        f"resize {extractor.resize}",
        f"weights {extractor.weights[:12]}…, {_weights(extractor)}",
    ]


def _brief(counts: Mapping[str, int], plural: str) -> str:
    names = sorted(counts, key=lambda key: (-counts[key], key))
    return names[0] if len(names) == 1 else f"{amount(len(names))} {plural}, mostly {names[0]}"


def _pairs(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
