"""Top-1 histogram matching: choose unique images with the reference's count of each predicted class.

Role-of-imagenet-classes-in-fid, §3.1 and Table 1.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fidprobe.arguments import checked
from fidprobe.attacks.attack import Attack, Draw, Plan, Reference, single_images
from fidprobe.attacks.spaces import logits_of
from fidprobe.errors import InputError, MismatchError
from fidprobe.features.value import Features, check_finite_rows
from fidprobe.runtime.progress import Progress, silent

__all__ = ["Top1Matching", "apportion", "first_to_fill", "top1_classes"]

_ROWS = 8192  # images in a block


@checked
class Top1Matching(Attack):
    """Goes through the candidates and keeps each image whose Top-1 class still lacks images.

    The Top-1 class is the class of the largest logit, bias included. Every draw goes through the candidates in its own
    random order and takes none twice. A class with too few candidates stays short: it is reported, and all draws then
    have that many images less.

    With as many images as the reference (the default) the histogram equals the reference's. With any other `keep` it
    is the nearest in whole images, by largest remainders; of equal remainders the class that comes first wins.

    Args:
        in_order: Go through the candidates in the given order, in which a generator made them: first come, first
            served. There is one such draw, and it is compared with the first images in that order.
        places: If the candidates are only a part of what was drawn in order (`draw_until_full`): their positions in
            the whole, increasing [N].
        **options: `keep` (the number of reference images optimised against by default), `draws` (3), `seed`,
            `held_out`, `device` of `Attack`.

    Raises:
        InputError: `places` without `in_order`, several draws with it, or a value out of range.

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
            raise InputError("places are positions in the candidates' order; give in_order=True as well")
        super().__init__(**options)
        self.in_order, self.places = in_order, places

    def settings(self) -> dict[str, Any]:
        """Name, and whether the candidates are taken in order."""
        return {"name": "top-1 matching", "in_order": self.in_order}

    def default_keep(self, reference: Reference, candidates: Features) -> int:
        """As many as the reference has, since its histogram can then be matched exactly."""
        del candidates
        return len(_with_logits(reference))

    def sample(self, candidates: Features, keep: int, seed: int) -> Tensor:
        """A uniform draw; the first images if the candidates are taken in order."""
        return torch.arange(keep) if self.in_order else super().sample(candidates, keep, seed)

    def quotas(self, reference: Reference) -> Tensor:
        """The images of each class that the attack will want, int64 [c]: what drawing from a generator has to fill.

        Args:
            reference: The whole reference, as the attack will get it.

        Raises:
            InputError: statistics, or features without usable logits.
        """
        counts = _counts(_with_logits(self._halves(reference)["optimised"]), silent)
        return apportion(counts, self.keep or int(counts.sum()))

    def plan(
        self,
        reference: Reference,
        candidates: Features,
        keep: int,
        *,
        also: tuple[Reference, Features] | None = None,
        state: Path | None,
        interrupted: Callable[[], bool],
        progress: Progress,
    ) -> Plan:
        """Count the classes."""
        del also, state, interrupted  # one pass over the logits
        counts = _counts(_with_logits(reference), progress)
        quotas = apportion(counts, keep)
        classes = top1_classes(candidates, "candidates", progress)
        width = 0 if candidates.logits is None else candidates.logits.shape[1]
        if width != len(quotas):
            raise MismatchError(
                f"the reference has {len(quotas)} logits an image and the candidates {width}; use the same classifier"
            )
        if self.places is not None and self.places.shape != classes.shape:
            raise InputError(f"there are {self.places.numel()} places for {len(classes)} candidates")
        available = torch.bincount(classes, minlength=len(quotas))
        filled = torch.minimum(available, quotas)
        kept = int(filled.sum())
        if kept < 2:
            raise InputError(
                f"of {len(classes)} candidates {kept} fall into the reference's Top-1 classes; at least 2 are needed"
            )

        def walk(seed: int) -> tuple[Tensor, Tensor, Tensor]:
            """The candidates' order, the positions in it of the kept ones, and a random order of the kept ones."""
            if self.in_order:
                order, mix = torch.arange(len(classes)), torch.arange(kept)
            else:
                generator = torch.Generator().manual_seed(seed)
                order = torch.randperm(len(classes), generator=generator)
                # Rare classes fill up last; without this they would all stand at the end of the list.
                mix = torch.randperm(kept, generator=generator)
            return order, first_to_fill(classes[order], quotas), mix

        def choose(seed: int) -> Draw:
            order, chosen, mix = walk(seed)
            return Draw(order[chosen[mix]])

        fillable = (available >= quotas) & (quotas > 0)
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
                        "found": int(available[c]),
                    }
                    for c in (available < quotas).nonzero().flatten().tolist()
                ],
                "top1_total_variation": {"random": before, "drawn": [_total_variation(counts, filled)] * self.draws},
            },
        )


def top1_classes(features: Features, what: str, progress: Progress) -> Tensor:
    """The class of each image's largest logit, the first of equal ones: int64 [n].

    Args:
        features: Features with logits.
        what: `reference` or `candidates`, for messages.
        progress: Called after every block of rows.

    Raises:
        InputError: no logits, or NaN or infinite ones.
    """
    logits = logits_of(features, "Top-1 matching", what)
    n = len(features)
    classes = torch.empty(n, dtype=torch.int64)
    for start in range(0, n, _ROWS):
        block = logits[start : start + _ROWS].cpu()
        check_finite_rows(f"{what}: logits", block, first=start)
        # numpy's argmax takes the first of equal logits.
        classes[start : start + _ROWS] = torch.from_numpy(block.numpy().argmax(axis=1))
        progress("finding Top-1 classes", min(start + _ROWS, n), n)
    return classes


def apportion(counts: Tensor, keep: int) -> Tensor:
    """Share out `keep` images in the proportions of a histogram, by largest remainders.

    If `keep` is the histogram's sum, its own counts come out. Of equal remainders the class that comes first wins.

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
    """The positions of the images that fill the bins: each class takes the first `quotas` of its images.

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


def _with_logits(reference: Reference) -> Features:
    return single_images(reference, "Top-1 matching")


def _counts(reference: Features, progress: Progress) -> Tensor:
    classes = top1_classes(reference, "reference", progress)
    return torch.bincount(classes, minlength=0 if reference.logits is None else reference.logits.shape[1])


def _total_variation(first: Tensor, second: Tensor) -> float:
    """Total variation between the shares of two histograms, 0..1."""
    p, q = (counts.to(torch.float64) / counts.sum() for counts in (first, second))
    return float((p - q).abs().sum() / 2)
