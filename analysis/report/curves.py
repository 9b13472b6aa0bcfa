"""An audit's PRD curves, drawn as `fidprobe prd` draws them."""

from fidprobe.analysis.audit.measure import Audit
from fidprobe.analysis.prd.measure import ModelPRD, PRDCurves
from fidprobe.analysis.sets.description import SetDescription

__all__ = ["audit_curves"]


def audit_curves(audit: Audit) -> PRDCurves | None:
    """Curves of every model in the main space and the first second opinion's; None where none were measured."""
    scored = audit.scored
    spaces = {"main": scored.main, **({"second": scored.second} if scored.second else {})}
    found = {
        model: {
            key: one.scores[model].results["prd"] for key, one in spaces.items() if "prd" in one.scores[model].results
        }
        for model in scored.main.scores
    }
    curves = [curve for one in found.values() for curve in one.values()]
    if not curves:
        return None
    known = {key: one.extractor.name if one.extractor else "unknown" for key, one in spaces.items()}
    return PRDCurves(
        models={
            model: ModelPRD(
                SetDescription(scored.sets[model], min(curve.generated_count for curve in one.values())), one
            )
            for model, one in found.items()
            if one
        },
        spaces={key: name for key, name in known.items() if any(key in one for one in found.values())},
        images=min(curve.balanced_count or curve.generated_count for curve in curves),
        clusters=curves[0].clusters,
        runs=curves[0].runs,
        seed=curves[0].seed,
        beta=8.0,
        no_second="" if "second" in known else "there is no second opinion",
        reference=SetDescription(scored.sets["reference"], curves[0].reference_count),
        advice=(),
        elapsed=scored.elapsed,
        version=scored.version,
    )
