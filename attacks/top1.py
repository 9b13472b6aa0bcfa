"""Top-1 histogram matching: unique images, with the reference's counts of each predicted class.

Role-of-imagenet-classes-in-fid, §3.1 and Table 1.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fidprobe.attacks.attack import Attack, Choice, Plan, Reference
from fidprobe.errors import InputError, MismatchError
from fidprobe.features.value import Features
from fidprobe.runtime.progress import Progress, silent
from fidprobe.statistics import GaussianStatistics

__all__ = ["Top1Matching", "apportion", "first_to_fill", "top1_classes"]

_ROWS = 8192


class Top1Matching(Attack):
    """Goes through the candidates and keeps each whose Top-1 class the reference still has room for.

    The Top-1 class is the largest logit's, bias included, among all of them. Every draw goes through the candidates
    in a random order of its own and takes none twice. A class with fewer candidates than the reference wants stays
    short: it is reported, and all draws then have as many images less.

    With as many images as the reference (the default) the histogram is the reference's exactly; with any other `keep`
    it is the nearest in whole images, by largest remainders (the class that comes first where those are equal).

    Args:
        in_order: Go through the candidates as they stand, since that is the order in which a generator made them:
            first come, first served. There is one such draw, and it is compared with the first images as they came.
        places: For candidates that are only a part of what was drawn in order (`draw_until_full`): their places in
            the whole, increasing [N].
        **options: `keep` (the number of reference images optimised against by default), `draws` (3), `seed`,
            `held_out`, `device` of `Attack`.

    Raises:
        InputError: `places` or several draws without need, or a value out of range.

    Example:
        >>> import torch
        >>> from fidprobe.attacks.top1 import Top1Matching
        >>> from fidprobe.features.value import Features
        >>> real, made = (torch.eye(3)[torch.arange(n) % classes] for n, classes in ((8, 2), (60, 3)))
        >>> outcome = Top1Matching(held_out=0)(Features(real, real), Features(made, made))
        >>> made[outcome.choices[0]].sum(dim=0)
        tensor([4., 4., 0.])
    """

    def __init__(self, *, in_order: bool = False, places: Tensor | None = None, **options: Any) -> None:
        if in_order:
            if options.get("draws") not in (None, 1):
                raise InputError(f"{options['draws']} draws: candidates taken in order are always the same; ask for 1")
            options["draws"] = 1
        elif places is not None:
            raise InputError("places tell where candidates stand in their order; give in_order=True as well")
        super().__init__(**options)
        self.in_order, self.places = in_order, places

    def settings(self) -> dict[str, Any]:
        """Name, and whether candidates come in an order."""
        return {"name": "top-1 matching", "in_order": self.in_order}

    def default_keep(self, reference: Reference, candidates: Features) -> int:
        """As many as the reference has, whose histogram can then be had exactly."""
        del candidates
        return len(_features(reference))

    def sample(self, candidates: Features, keep: int, seed: int) -> Tensor:
        """Drawn uniformly; the first ones where candidates come in order."""
        return torch.arange(keep) if self.in_order else super().sample(candidates, keep, seed)

    def quotas(self, reference: Reference) -> Tensor:
        """What drawing from a generator has to fill: int64 [c] images of each class, as the attack will want them.

        Args:
            reference: The whole one, as the attack will be given it.

        Raises:
            InputError: statistics, or features without usable logits.
        """
        counts = _counts(_features(self._halves(reference)["optimised"]), silent)
        return apportion(counts, self.keep or int(counts.sum()))

    def plan(
        self,
        reference: Reference,
        candidates: Features,
        keep: int,
        *,
        state: Path | None,
        interrupted: Callable[[], bool],
        progress: Progress,
    ) -> Plan:
        """Count the classes."""
        del state, interrupted  # one pass over the logits
        counts = _counts(_features(reference), progress)
        quotas = apportion(counts, keep)
        classes = top1_classes(candidates, "candidates", progress)
        wide = 0 if candidates.logits is None else candidates.logits.shape[1]
        if wide != len(quotas):
            raise MismatchError(
                f"the reference has {len(quotas)} logits an image and the candidates {wide}; use the same classifier"
            )
        if self.places is not None and self.places.shape != classes.shape:
            raise InputError(f"there are {self.places.numel()} places for {len(classes)} candidates")
        found = torch.bincount(classes, minlength=len(quotas))
        filled = torch.minimum(found, quotas)
        kept = int(filled.sum())
        if kept < 2:
            raise InputError(
                f"of {len(classes)} candidates {kept} fall into the reference's Top-1 classes; at least 2 are needed"
            )

        def walk(seed: int) -> tuple[Tensor, Tensor, Tensor]:
            """The order of the candidates, the places in it of those that are kept, and an order for these."""
            if self.in_order:
                order, mix = torch.arange(len(classes)), torch.arange(kept)
            else:
                generator = torch.Generator().manual_seed(seed)
                order = torch.randperm(len(classes), generator=generator)
                # Rare classes fill up last, and no part of the list shall be made of them.
                mix = torch.randperm(kept, generator=generator)
            return order, first_to_fill(classes[order], quotas), mix

        def choose(seed: int) -> Choice:
            order, chosen, mix = walk(seed)
            return Choice(order[chosen[mix]])

        fillable = (found >= quotas) & (quotas > 0)
        looked, before = [], []
        for seed in range(self.seed, self.seed + self.draws):
            order, chosen, _ = walk(seed)
            last = chosen[fillable[classes[order[chosen]]]]
            place = int(last[-1]) if len(last) else len(classes) - 1
            looked.append(1 + (place if self.places is None else int(self.places[place])))
            drawn = torch.bincount(classes[self.sample(candidates, kept, seed)], minlength=len(quotas))
            before.append(_total_variation(counts, drawn))
        names = candidates.class_names
        return Plan(
            choose,
            details={
                "candidates_looked_at": looked,
                "oversampling": [number / kept for number in looked],
                "missing": keep - kept,
                "short_bins": [
                    {
                        "class": c,
                        "name": None if names is None else names[c],
                        "wanted": int(quotas[c]),
                        "found": int(found[c]),
                    }
                    for c in (found < quotas).nonzero().flatten().tolist()
                ],
                "top1_total_variation": {"random": before, "drawn": [_total_variation(counts, filled)] * self.draws},
            },
        )


def top1_classes(features: Features, what: str, progress: Progress) -> Tensor:
    """int64 [n]: the class of each image's largest logit, the first of equal ones.

    Args:
        features: With logits.
        what: Whose they are, for messages: `reference` or `candidates`.
        progress: Told of every block of rows.

    Raises:
        InputError: no logits, or NaN or infinite ones.
    """
    if features.logits is None:
        raise InputError(
            f"Top-1 matching needs a classifier's logits, and the {what} [{features.space}] have none; use a network "
            "with classes (inception, efficientnet-lite0)"
        )
    n = len(features)
    classes = torch.empty(n, dtype=torch.int64)
    for start in range(0, n, _ROWS):
        block = features.logits[start : start + _ROWS].cpu().numpy()
        if not np.isfinite(block).all():
            row = start + int((~np.isfinite(block).all(axis=1)).nonzero()[0][0])
            raise InputError(f"{what}: logits row {row} holds NaN or infinite values; extract that image again")
        classes[start : start + _ROWS] = torch.from_numpy(block.argmax(axis=1))
        progress("finding Top-1 classes", min(start + _ROWS, n), n)
    return classes


def apportion(counts: Tensor, keep: int) -> Tensor:
    """`keep` images in the proportions of a histogram: its own counts if `keep` is their sum, else the nearest.

    By largest remainders; of equal ones the class that comes first wins.

    Args:
        counts: int64 [c], not negative, at least one positive.
        keep: Images to share out.

    Returns:
        int64 [c], sum `keep`.
    """
    total = int(counts.sum())
    quotas, remainders = counts * keep // total, counts * keep % total
    more = remainders.argsort(descending=True, stable=True)[: keep - int(quotas.sum())]
    quotas[more] += 1
    return quotas


def first_to_fill(classes: Tensor, quotas: Tensor) -> Tensor:
    """First come, first served: the places of the images that still find room in the bin of their class.

    Each class's bin takes its first `quotas` images, whatever the others do.

    Args:
        classes: int64 [n], in 0..c-1.
        quotas: int64 [c], not negative.

    Returns:
        int64, increasing.
    """
    by_class = classes.argsort(stable=True)
    counts = torch.bincount(classes, minlength=len(quotas))
    rank = torch.arange(len(classes)) - (counts.cumsum(0) - counts)[classes[by_class]]
    return by_class[rank < quotas[classes[by_class]]].sort().values


def _features(reference: Reference) -> Features:
    if isinstance(reference, GaussianStatistics):
        raise InputError(
            "Top-1 matching needs the reference's logits, and statistics hold only mean and covariance; give images or "
            "features"
        )
    return reference


def _counts(reference: Features, progress: Progress) -> Tensor:
    classes = top1_classes(reference, "reference", progress)
    return torch.bincount(classes, minlength=0 if reference.logits is None else reference.logits.shape[1])


def _total_variation(first: Tensor, second: Tensor) -> float:
    """Between two histograms' shares, 0..1."""
    one, other = (counts.to(torch.float64) / counts.sum() for counts in (first, second))
    return float((one - other).abs().sum() / 2)
