"""Warnings about what sampling errors take for granted: independent images, and a reference that is known as such."""

from fidprobe.analysis.sets.advice import NOT_SAMPLED, Advice
from fidprobe.analysis.verdict.sampling_error import Sampling

__all__ = ["advise_on_sampling"]


def advise_on_sampling(sampling: Sampling) -> list[Advice]:
    """Warnings about repeated and shared images, and about a reference without any.

    Args:
        sampling: Of all distances.
    """
    out = []
    for name, distinct in sampling.repeated.items():
        out.append(
            Advice(
                "repeated-images",
                f"{name} repeats images: only {distinct:,} are different. Intervals take images for independent; "
                "repeats raise a distance by themselves, and drawing them is how resampling lowers FID.",
            )
        )
    if sampling.alike:
        out.append(
            Advice(
                "same-models",
                f"{' and '.join(sampling.alike)} are the same images: is the path right? Their change is known better "
                "than its interval says, which takes them for independent.",
            )
        )
    for name, shared in sampling.shared.items():
        images = "1 image" if shared == 1 else f"{shared:,} images"
        out.append(
            Advice(
                "reference-images",
                f"{images} of {name} have the very features of a reference image: copied, memorised, or the wrong "
                "folder. Its distances are lower than those of new images, and their correction does not hold.",
            )
        )
    if any(one.reference is None for one in sampling.single.values()):
        out.append(NOT_SAMPLED)
    return out
