"""Which classes a classifier sees more or less often in one set than in another, and whether that is chance."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.classes.histogram import ClassHistogram, class_name
from fidprobe.analysis.classes.significance import (
    TotalVariation,
    difference_interval,
    fisher_exact,
    ratio_interval,
    total_variation,
)
from fidprobe.analysis.classes.top_classes import Marks, check_marks, check_same_classes, class_marks
from fidprobe.errors import InputError
from fidprobe.features.value import Features
from fidprobe.provenance import check_comparable
from fidprobe.runtime.progress import Progress, silent

__all__ = ["FALSE_DISCOVERY_RATE", "ClassComparison", "ClassShift", "ClassUse", "class_comparison"]

FALSE_DISCOVERY_RATE = 0.05
"""Expected share of wrong entries among the classes that are reported as over- or under-represented."""


@dataclass(frozen=True)
class ClassUse:
    """How a set spreads over the classes.

    Attributes:
        images: How many.
        classes: Classes that occur.
        entropy: Of the class histogram, in nats, 0..log(number of classes).
        probability: Mean over images of the probability that the counted classes have together: for Top-1 the
            classifier's confidence, 0..1.
    """

    images: int
    classes: int
    entropy: float
    probability: float

    @property
    def effective_classes(self) -> float:
        """exp(entropy): as many classes of equal size would have this entropy."""
        return float(np.exp(self.entropy))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "images": self.images,
            "classes": self.classes,
            "entropy_nats": self.entropy,
            "effective_classes": self.effective_classes,
            "mean_probability": self.probability,
        }


@dataclass(frozen=True)
class ClassShift:
    """One class in both sets.

    Attributes:
        index: In the logits.
        name: Of the class.
        counts: Images of the class: in the reference, in the generated set.
        shares: The same as shares of each set's images, 0..1.
        probabilities: Mean probability of the class over these images in each set; None where there are none. Low
            values are guesses: classes that do not fit the images.
        difference: Generated share less the reference's, -1..1.
        difference_interval: 95 % of it (Newcombe).
        ratio: Generated share over the reference's; None where the reference has none.
        ratio_interval: 95 % of it (Katz); None where either set has none.
        p_value: Fisher's exact test, two-sided, of images with and without the class.
        q_value: The p-value after Benjamini and Hochberg's correction over all classes that occur.
        verdict: `over`, `under` or `not significant` at a false discovery rate of 5 %.
        too_rare: No split of so few images between the sets would be significant, all other classes being as they are.
    """

    index: int
    name: str
    counts: tuple[int, int]
    shares: tuple[float, float]
    probabilities: tuple[float | None, float | None]
    difference: float
    difference_interval: tuple[float, float]
    ratio: float | None
    ratio_interval: tuple[float, float] | None
    p_value: float
    q_value: float
    verdict: str
    too_rare: bool

    def to_json(self) -> dict[str, Any]:
        """Plain data, one value a key: also the columns of a table."""
        low, high = self.ratio_interval or (None, None)
        return {
            "index": self.index,
            "name": self.name,
            "reference": self.counts[0],
            "generated": self.counts[1],
            "reference_share": self.shares[0],
            "generated_share": self.shares[1],
            "difference": self.difference,
            "difference_low": self.difference_interval[0],
            "difference_high": self.difference_interval[1],
            "ratio": self.ratio,
            "ratio_low": low,
            "ratio_high": high,
            "p_value": self.p_value,
            "q_value": self.q_value,
            "verdict": self.verdict,
            "too_rare": self.too_rare,
            "reference_mean_probability": self.probabilities[0],
            "generated_mean_probability": self.probabilities[1],
        }


@dataclass(frozen=True)
class ClassComparison:
    """Top-1 or Top-N class histograms of two sets, compared.

    Attributes:
        space: The classifier.
        top: N, how many classes of each image are counted.
        class_names: c names, in the logits' order.
        reference: How the reference spreads over the classes.
        generated: How the generated set does.
        total_variation: Distance between both histograms, with its noise floor.
        classes: Every class that occurs, in the logits' order.
    """

    space: str
    top: int
    class_names: tuple[str, ...]
    reference: ClassUse
    generated: ClassUse
    total_variation: TotalVariation
    classes: tuple[ClassShift, ...]

    def shifted(self, verdict: str) -> list[ClassShift]:
        """Classes of one verdict, the largest difference in share first: ratios would favour rare classes."""
        found = [one for one in self.classes if one.verdict == verdict]
        return sorted(found, key=lambda one: (-abs(one.difference), one.index))

    @property
    def too_rare_share(self) -> float:
        """Share of both sets' marks (N an image) in classes too rare for any difference to be significant, 0..1."""
        everything = sum(sum(one.counts) for one in self.classes)
        return sum(sum(one.counts) for one in self.classes if one.too_rare) / everything

    def histogram(self) -> ClassHistogram:
        """Both sets' counts, as figures take them."""
        counts = np.zeros((2, len(self.class_names)), dtype=np.int64)
        for one in self.classes:
            counts[:, one.index] = one.counts
        reference, generated = (tuple(int(n) for n in row) for row in counts)
        return ClassHistogram(
            space=self.space,
            class_names=self.class_names,
            counts={"reference": reference, "generated": generated},
            total_variation={"generated": self.total_variation.value},
            top=self.top,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "space": self.space,
            "top": self.top,
            "classifier_classes": len(self.class_names),
            "reference": self.reference.to_json(),
            "generated": self.generated.to_json(),
            "total_variation": vars(self.total_variation),
            "false_discovery_rate": FALSE_DISCOVERY_RATE,
            "over": len(self.shifted("over")),
            "under": len(self.shifted("under")),
            "too_rare": sum(one.too_rare for one in self.classes),
            "too_rare_share": self.too_rare_share,
            "classes": [one.to_json() for one in self.classes],
        }


def class_comparison(
    reference: Features,
    generated: Features,
    *,
    top: int = 1,
    permutations: int = 999,
    seed: int = 0,
    progress: Progress = silent,
) -> ClassComparison:
    """Compare which classes both sets' images are classified as.

    Args:
        reference: Real images' features with logits.
        generated: Generated images', of the same classifier.
        top: N: each image counts for its N most probable classes (bias included; the first of equal ones first).
        permutations: How often images are shared out anew for the noise floor of the total-variation distance; its
            least p-value is 1 / (1 + permutations).
        seed: Draws them.
        progress: Reports each stage.

    Raises:
        InputError: no logits, NaN or infinite ones, another number of classes, or `top` or `permutations` out of range.
        MismatchError: sets of different networks, or of different class names.
    """
    if permutations < 1:
        raise InputError(f"the total-variation distance needs at least 1 permutation, got {permutations}")
    names = _class_names(reference, generated, top)
    real = class_marks(reference, top, "reference", progress=progress)
    made = class_marks(generated, top, "generated", progress=progress)
    return ClassComparison(
        space=reference.space if reference.provenance.extractor else generated.space,
        top=top,
        class_names=names,
        reference=_use(real),
        generated=_use(made),
        total_variation=total_variation(real, made, permutations=permutations, seed=seed, progress=progress),
        classes=_shifts(real, made, names),
    )


def _class_names(reference: Features, generated: Features, top: int) -> tuple[str, ...]:
    """Return a name for each logit, after checking that both sets can be compared."""
    check_marks(reference, top, "reference")
    check_marks(generated, top, "generated")
    assert reference.logits is not None
    check_comparable(reference.provenance, generated.provenance, (reference.dim, generated.dim))
    check_same_classes(reference, generated)
    names = reference.class_names or generated.class_names
    return tuple(class_name(names, c) for c in range(reference.logits.shape[1]))


def _use(marks: Marks) -> ClassUse:
    present = marks.counts > 0
    shares = marks.counts[present] / (marks.images * marks.top)
    together = float((marks.counts[present] * marks.probability[present]).sum() / marks.images)
    return ClassUse(
        images=marks.images,
        classes=int(present.sum()),
        entropy=max(0.0, float(-(shares * np.log(shares)).sum())),
        probability=min(together, 1.0),  # all classes together may round to more
    )


def _shifts(reference: Marks, generated: Marks, names: tuple[str, ...]) -> tuple[ClassShift, ...]:
    """Test every class that occurs, and correct the p-values for their number."""
    from scipy.stats import false_discovery_control

    # Whether a class occurs at all is given by its sum over both sets, on which Fisher's test is conditional: leaving
    # out the others favours no outcome.
    occur = ((reference.counts + generated.counts) > 0).nonzero()[0]
    a, b = reference.counts[occur], generated.counts[occur]
    images = (reference.images, generated.images)
    p_values, least = fisher_exact(a, b, images)
    q_values = false_discovery_control(p_values, method="bh")
    significant = q_values <= FALSE_DISCOVERY_RATE
    too_rare = _never_significant(p_values, least, significant)
    ratio, ratio_low, ratio_high = ratio_interval(a, b, images)
    low, high = difference_interval(a, b, images)
    shares = (a / images[0], b / images[1])
    difference = shares[1] - shares[0]
    out = []
    for i, c in enumerate(occur.tolist()):
        verdict = "not significant"
        if significant[i]:
            verdict = "over" if difference[i] > 0 else "under"
        out.append(
            ClassShift(
                index=c,
                name=names[c],
                counts=(int(a[i]), int(b[i])),
                shares=(float(shares[0][i]), float(shares[1][i])),
                probabilities=(_known(reference.probability[c]), _known(generated.probability[c])),
                difference=float(difference[i]),
                difference_interval=(float(low[i]), float(high[i])),
                ratio=_known(ratio[i]),
                ratio_interval=None if np.isnan(ratio_low[i]) else (float(ratio_low[i]), float(ratio_high[i])),
                p_value=float(p_values[i]),
                q_value=float(q_values[i]),
                verdict=verdict,
                too_rare=bool(too_rare[i]),
            )
        )
    return tuple(out)


def _never_significant(
    p_values: npt.NDArray[np.float64], least: npt.NDArray[np.float64], significant: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Find the classes that would not be significant even with the least p-value that their images allow."""
    from scipy.stats import false_discovery_control

    never = np.zeros(len(p_values), dtype=np.bool_)
    for i in (~significant).nonzero()[0]:
        better = p_values.copy()
        better[i] = least[i]
        never[i] = false_discovery_control(better, method="bh")[i] > FALSE_DISCOVERY_RATE
    return never


def _known(value: "np.floating[Any]") -> float | None:
    return None if np.isnan(value) else float(value)
