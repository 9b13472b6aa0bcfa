"""Warnings about what sampling errors take for granted: independent images, and a reference of single images."""

from fidprobe.analysis.output.wording import images_text, joined
from fidprobe.analysis.sets.advice import NOT_SAMPLED, Advice
from fidprobe.analysis.verdict.sampling_error import DistanceEstimates

__all__ = ["advise_on_sampling"]


def advise_on_sampling(estimates: DistanceEstimates) -> list[Advice]:
    """Warn of repeated and shared images, and of a reference that came as statistics."""
    out = []
    for name, distinct in estimates.repeated.items():
        out.append(
            Advice(
                "repeated-images",
                f"{name} repeats images: only {distinct:,} are different. Intervals take images for independent; "
                "repeats raise a distance by themselves, and drawing them is how resampling lowers FID.",
            )
        )
    if estimates.identical_models:
        out.append(
            Advice(
                "same-models",
                f"{joined(estimates.identical_models)} are the same images: is the path right? Their change is known "
                "better than its interval says, which takes them for independent.",
            )
        )
    for name, count in estimates.images_in_reference.items():
        out.append(
            Advice(
                "reference-images",
                f"{images_text(count)} of {name} have the very features of a reference image: copied, memorised, or "
                "the wrong folder. Its distances are lower than those of new images, and their correction does not "
                "hold.",
            )
        )
    if any(one.reference is None for one in estimates.estimates.values()):
        out.append(NOT_SAMPLED)
    return out
