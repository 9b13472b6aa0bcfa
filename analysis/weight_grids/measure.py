"""Which images an attack prefers, uncurated: by weight, and as drawn beside a random sample.

After role-of-imagenet-classes-in-fid, Fig. 5 and 14 (weights) and Fig. 13 (samples with FID and the second opinion).
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.attack.finished import FinishedAttack, read_attack
from fidprobe.analysis.attack.measure import score_label
from fidprobe.analysis.output.result import Document
from fidprobe.analysis.sets.advice import Advice
from fidprobe.analysis.sets.pictures import Picture, read_pictures
from fidprobe.analysis.weight_grids.comparability import (
    advise_on_attacks,
    check_attacks_comparable,
    common_part,
    set_text,
)
from fidprobe.arguments import Seed, checked
from fidprobe.errors import InputError, MismatchError
from fidprobe.images import ImageSource, open_images
from fidprobe.images.temporary_copy import rereadable
from fidprobe.runtime.progress import Progress, silent

__all__ = ["CELL", "LONGEST_NAME", "AttackGrids", "WeightGrids", "celled", "weight_grids", "weight_tails"]

CELL = 84
"""Pixels of the longer side of a picture in a grid; smaller ones are enlarged (Lanczos), so that all look alike."""

LONGEST_NAME = 60
"""Characters of an attack's name in the name of a figure."""

_MOST = 400  # pictures in a grid: of more nothing is seen

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class AttackGrids:
    """Which candidates stand in the grids of one attack.

    Attributes:
        attack: As it was read.
        tails: `smallest` and `largest` -> int64 [K], all candidates of that share; empty for attacks without weights.
        sampled: The same keys -> int64 [<= count], drawn of these without repeats.
        chosen: int64 [<= count], drawn of the images that the attack's first draw chose; what that chose several times
            can come several times.
    """

    attack: FinishedAttack
    tails: Mapping[str, Places]
    sampled: Mapping[str, Places]
    chosen: Places

    @cached_property
    def weights(self) -> npt.NDArray[np.float64] | None:
        """float64 [N], relative to their mean, 0 for never drawn; None for attacks without weights."""
        return None if self.attack.log_weights is None else np.exp(self.attack.log_weights)

    def weight_range(self, which: str) -> tuple[float, float]:
        """The least and the greatest of the `smallest` or `largest` weights."""
        assert self.weights is not None  # else there are no tails
        values = self.weights[self.tails[which]]
        return float(values.min()), float(values.max())

    def to_json(self, part: str) -> dict[str, Any]:
        """Plain data, with the distances to a part of the reference."""
        return {
            "folder": str(self.attack.folder),
            "title": self.attack.title,
            "attack": dict(self.attack.settings),
            "keep": self.attack.keep,
            "scores": [{"label": score_label(score), **score.to_json()} for score in self.attack.distances(part)],
            **{
                which: {
                    "among": len(tail),
                    "weights": self.weight_range(which),
                    "images": self._images_json(self.sampled[which]),
                }
                for which, tail in self.tails.items()
            },
            "chosen": self._images_json(self.chosen),
        }

    def _images_json(self, places: Places) -> list[dict[str, Any]]:
        return [
            {
                "index": int(place),
                "name": self.attack.names[place],
                "weight": None if self.weights is None else float(self.weights[place]),
                "times_drawn": int(self.attack.drawn[place]),
            }
            for place in places
        ]


@dataclass(frozen=True, eq=False)
class WeightGrids(Document):
    """All grids, with their pictures.

    Attributes:
        attacks: In the order given.
        random: int64 [<= count], drawn of all candidates without repeats.
        pictures: Candidate -> uint8 [h, w, 3], its longer side `CELL` pixels.
        part: The part of the reference whose distances are stated: `held_out` if every attack has it, else `optimised`.
        share: Of the candidates in a tail.
        count, seed: As asked for.
        advice: What a reader must know, the attacks' own warnings first.
    """

    WHAT: ClassVar[str] = "the grids"

    attacks: tuple[AttackGrids, ...]
    random: Places
    pictures: Mapping[int, Picture]
    part: str
    share: float
    count: int
    seed: int
    advice: tuple[Advice, ...]

    @cached_property
    def names(self) -> list[str]:
        """A name for each attack to show, its folder's, made unique; it may hold any character."""
        names: list[str] = []
        for one in self.attacks:
            name = one.attack.folder.resolve().name or "attack"
            numbered = (f"{name}-{i}" for i in range(2, len(self.attacks) + 2))
            names.append(name if name not in names else next(other for other in numbered if other not in names))
        return names

    @cached_property
    def figure_names(self) -> list[str | None]:
        """`weights-` and what is plain in the folder's name, made unique; None for attacks without weights.

        Letter case alone tells no files apart everywhere.
        """
        taken: set[str] = set()
        figures: list[str | None] = []
        for name, one in zip(self.names, self.attacks, strict=True):
            if not one.tails:
                figures.append(None)
                continue
            plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:LONGEST_NAME].strip("-") or "attack"
            endings = ("", *(f"-{i}" for i in range(2, len(self.attacks) + 2)))
            tried = (f"{plain[: LONGEST_NAME - len(ending)]}{ending}" for ending in endings)
            figure = next(other for other in tried if other.lower() not in taken)
            taken.add(figure.lower())
            figures.append(f"weights-{figure}")
        return figures

    def to_json(self) -> dict[str, Any]:
        """Which images are in which grid, with weights (relative to their mean; 0: never drawn) and distances."""
        first = self.attacks[0].attack
        return {
            "sets": {
                name: {"count": one.count, "description": one.source.description if one.source else None}
                for name, one in first.sets.items()
            },
            "seed": self.seed,
            "count": self.count,
            "share": self.share,
            "reference": self.part,
            "random": [{"index": int(place), "name": first.names[place]} for place in self.random],
            "attacks": [
                {"name": name, "figure": figure, **one.to_json(self.part)}
                for name, figure, one in zip(self.names, self.figure_names, self.attacks, strict=True)
            ],
            "warnings": [vars(one) for one in self.advice],
        }


@checked
def weight_grids(
    attacks: Sequence[str | os.PathLike[str]],
    candidates: Any,
    *,
    count: int = 36,
    share: float = 0.1,
    seed: Seed = 0,
    progress: Progress = silent,
) -> WeightGrids:
    """Draw the images of the grids of finished attacks on the same candidates, and read them.

    Args:
        attacks: Output folders of `fidprobe attack`, at least one.
        candidates: The images they chose from: anything `fidprobe.images.open_images` takes.
        count: Images in a grid, from 1 to 400; fewer where there are fewer.
        share: Of the candidates, above 0 and at most 0.5: how many count as smallest and as largest weights.
        seed: Of all draws; a grid does not depend on which other attacks are given.
        progress: Reports images hashed and read.

    Raises:
        InputError: no attack's folder, or a damaged or unfinished one; a number out of range; candidates without names.
        MismatchError: attacks on other sets or in other spaces than the first, or images they did not choose from.
        SourceError: the images cannot be read.
    """
    if not attacks:
        raise InputError("no attack was given; give the output folder of fidprobe attack")
    if not 1 <= count <= _MOST:
        raise InputError(f"a grid holds from 1 to {_MOST} images, not {count}")
    if not 0 < share <= 0.5:
        raise InputError(f"share is a part of the candidates above 0 and at most 0.5, not {share}")
    found = [read_attack(folder) for folder in attacks]
    for one in found:
        _check_alone(one)
    advice = [warning for one in found for warning in one.advice]
    check_attacks_comparable(found)
    advice += advise_on_attacks(found)
    images = _opened(found[0], candidates, progress)
    names = _names(found[0], images)
    grids = tuple(_drawn(one, count, share, seed) for one in found)
    random = np.random.default_rng([seed, 0]).choice(len(names), min(count, len(names)), replace=False)
    wanted = {int(i) for grid in grids for places in (*grid.sampled.values(), grid.chosen) for i in places}
    order = sorted(wanted | {int(i) for i in random})
    pictures: dict[int, Picture] = {}
    for start in range(0, len(order), 64):  # pictures of any size are in memory a few at a time
        few = order[start : start + 64]
        read = read_pictures(images, [names[place] for place in few])
        pictures |= {place: celled(picture) for place, picture in zip(few, read, strict=True)}
        progress("reading pictures", len(pictures), len(order))
    return WeightGrids(
        attacks=grids,
        random=random,
        pictures=pictures,
        part=common_part(found),
        share=share,
        count=count,
        seed=seed,
        advice=tuple(dict.fromkeys(advice)),
    )


def weight_tails(log_weights: npt.NDArray[np.float64], share: float, seed: int) -> dict[str, Places]:
    """The candidates of the smallest and of the largest weights; never one in both.

    Equal weights, such as the many that are 0, are put into a random order, so that a part of them is a fair one.

    Args:
        log_weights: float64 [N], N >= 2; -inf is smallest.
        share: Of the candidates on each side, above 0 and at most 0.5; at least one candidate.
        seed: Of the order of equal weights.

    Returns:
        `smallest` and `largest` -> int64 [K].
    """
    n = len(log_weights)
    size = min(max(1, round(share * n)), n // 2)
    order = np.lexsort((np.random.default_rng([seed, 1]).permutation(n), log_weights))
    return {"smallest": order[:size], "largest": order[n - size :]}


def _drawn(attack: FinishedAttack, count: int, share: float, seed: int) -> AttackGrids:
    tails = {} if attack.log_weights is None else weight_tails(attack.log_weights, share, seed)
    rng = np.random.default_rng([seed, 2])
    sampled = {name: rng.choice(tail, min(count, len(tail)), replace=False) for name, tail in tails.items()}
    draw = np.repeat(np.arange(len(attack.drawn)), attack.drawn)
    chosen = np.random.default_rng([seed, 3]).choice(draw, min(count, len(draw)), replace=False)
    return AttackGrids(attack, tails, sampled, chosen)


def _check_alone(one: FinishedAttack) -> None:
    if not any(one.names):
        raise InputError(
            f"{one.folder}: the attack was on features without names, whose images cannot be found; attack the images "
            "themselves, or features extracted by fidprobe"
        )
    if one.settings.get("in_order"):
        raise InputError(
            f"{one.folder}: its candidates were drawn from a generator until all classes were full, which leaves no "
            "fair sample to show beside them; attack a set of images"
        )


def _opened(attack: FinishedAttack, candidates: Any, progress: Progress) -> ImageSource:
    """The images, known to be those that were chosen from as far as that can be known.

    Raises:
        MismatchError: other images.
        InputError: images that are made anew each time, with nothing to tell whether they are the same.
    """
    source = attack.sets["candidates"].source
    limit, seed = (source.limit, source.seed) if source is not None and source.content is not None else (None, None)
    images = open_images(candidates) if limit is None else _subset(candidates, limit, seed or 0, attack)
    again = images.replayable
    images = rereadable(images, progress)
    wanted = None if source is None else source.content
    if wanted is None and not again:
        raise InputError(
            f"{images.description} makes its images anew, and {attack.folder} does not say which ones it chose from; "
            "write them to a folder and attack that"
        )
    total = len(images)
    if wanted is not None and wanted != images.content(lambda done: progress("checking images", done, total)):
        raise MismatchError(
            f"{images.description} holds other pictures than those {attack.folder} chose from "
            f"({set_text(attack, 'candidates')}), or in another order; give the same source"
        )
    return images


def _subset(candidates: Any, limit: int, seed: int, attack: FinishedAttack) -> ImageSource:
    try:
        return open_images(candidates, limit=limit, seed=seed)
    except InputError as error:
        raise MismatchError(
            f"{attack.folder} chose from a subset of {limit:,} images that cannot be drawn again ({error})"
        ) from error


def _names(attack: FinishedAttack, images: ImageSource) -> list[str]:
    """Each candidate's name in the source; the attack's table holds what is no valid text as escapes.

    Raises:
        MismatchError: a candidate that the source does not have.
    """
    known = {item.name.encode("utf-8", "backslashreplace").decode(): item.name for item in images.items()}
    missing = [name for name in attack.names if name not in known]
    if missing:
        raise MismatchError(
            f"{images.description} has no image {missing[0]!r}, nor {len(missing) - 1:,} more of the "
            f"{len(attack.names):,} that {attack.folder} chose from; give the images the attack chose from"
        )
    return [known[name] for name in attack.names]


def celled(picture: Picture) -> Picture:
    """A picture as grids show it: its longer side `CELL` pixels."""
    from PIL import Image

    height, width = picture.shape[:2]
    scale = CELL / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
