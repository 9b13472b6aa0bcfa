"""An audit's PRD curves, drawn as `fidprobe prd` draws them."""

from fidprobe.analysis.audit.result import Audit
from fidprobe.analysis.prd.measure import ModelPRD, PRDCurves
from fidprobe.analysis.sets.description import SetDescription

__all__ = ["audit_curves"]


def audit_curves(audit: Audit) -> PRDCurves | None:
    """Curves of every model in the main space and the first second opinion's; None where none were measured."""
    scored, spaces = audit.scored, audit.spaces[:2]
    models = {}
    for model in audit.main.scores.scores:
        results = {space.key: space.scores.scores[model].results for space in spaces}
        curves = {key: found["prd"] for key, found in results.items() if "prd" in found}
        if curves:
            count = min(curve.generated_count for curve in curves.values())
            models[model] = ModelPRD(SetDescription(scored.sets[model], count), curves)
    everything = [curve for one in models.values() for curve in one.curves.values()]
    if not everything:
        return None
    first = everything[0]
    return PRDCurves(
        models=models,
        spaces={
            space.key: space.scores.extractor.name if space.scores.extractor else "unknown"
            for space in spaces
            if any(space.key in one.curves for one in models.values())
        },
        images=min(curve.balanced_count or curve.generated_count for curve in everything),
        clusters=first.clusters,
        runs=first.runs,
        seed=first.seed,
        beta=8.0,
        no_second="" if len(spaces) > 1 else "there is no second opinion",
        reference=SetDescription(scored.sets["reference"], first.reference_count),
        advice=(),
        elapsed=audit.elapsed,
        version=audit.version,
    )
