"""Pairs of image sets of which we know by construction whether one is a real gain over the other.

Three kinds of truth:

- `real`: the model's pictures are better: less blur, noise or compression, fewer missing kinds of pictures, a generator
  trained for longer.
- `null`: the model's pictures were chosen among as good ones so that FID falls: resampling in pre-logits or logits,
  Top-1 matching, resampling by Top-1 class. Model and baseline choose from different halves of one pool.
- `none`: nothing differs but the draw.

A fourth kind, `mixed`, has no simple truth and counts for nothing: pictures chosen in the same ways from a pool whose
pictures are degraded by different amounts. Better ones are chosen there, and the null space is made use of as well.

Each recipe belongs to the development or to the test half as a whole, at all its sizes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

import torch
from torch import Tensor

from fidprobe.attacks.certified_solver import CertifiedSolver
from fidprobe.attacks.resampling import Resampling
from fidprobe.attacks.top1 import Top1Matching, top1_classes
from fidprobe.features.collector import concatenated
from fidprobe.features.value import Features
from fidprobe.runtime.progress import silent

__all__ = ["SIZES", "Draw", "Pair", "features", "pairs"]

SIZES = (1000, 2000, 4000)

Draw = tuple[tuple[str, Tensor], ...]
"""A set of images: places in one or several pools."""


@dataclass(frozen=True, eq=False)
class Pair:
    """A model, a baseline, and the truth.

    Attributes:
        recipe: How the pair is made.
        truth: `real`, `null`, `none` or `mixed`.
        half: `development` or `test`.
        size: Images on either side.
        model: What is claimed to be better.
        baseline: What it is compared with.
    """

    recipe: str
    truth: str
    half: str
    size: int
    model: Draw
    baseline: Draw

    @property
    def name(self) -> str:
        """Recipe and size."""
        return f"{self.recipe} n={self.size}"


def features(draw: Draw, pools: Mapping[str, Features]) -> Features:
    """A set's features in one space.

    Args:
        draw: The set.
        pools: Every pool's features in that space.
    """
    parts = [pools[name].select(index) for name, index in draw]
    names = tuple(f"{name}/{one}" for (name, _), part in zip(draw, parts, strict=True) for one in part.names or ())
    return concatenated(parts, names, replace(parts[0].provenance, source=None))


LADDERS = (
    # baseline, model, half: each kind of degradation in steps, large and small.
    ("blur-3", "blur-2", "development"),
    ("blur-2", "blur-1", "test"),
    ("blur-1", "clean", "test"),
    ("noise-3", "noise-2", "test"),
    ("noise-2", "noise-1", "development"),
    ("noise-1", "clean", "test"),
    ("jpeg-3", "jpeg-2", "development"),
    ("jpeg-2", "jpeg-1", "test"),
    ("jpeg-1", "clean", "development"),
    ("early", "late", "test"),
)
MIXED = (("blur-2", "clean", "development"), ("noise-3", "noise-1", "test"), ("jpeg-3", "clean", "test"))
"""Every second picture of the model is of the better pool; the baseline is all of the worse one."""

MISSING = (
    # kinds of pictures that the baseline lacks, those that the model lacks, half
    (("airplane", "ship", "truck"), (), "development"),
    (("bird", "cat", "deer", "dog", "frog"), ("deer",), "test"),
    (("automobile", "cat", "horse", "ship"), ("automobile", "cat"), "development"),
    (("airplane", "automobile", "ship", "truck"), ("truck",), "test"),
)
DEGRADED = "degraded"
"""The pool of pictures with a degradation of their own each; all kinds of pictures are in it."""

NEAR_CLEAN = ("clean", "jpeg-1")
"""Pools of which kinds of pictures are left out; the second is as good as the first to both spaces."""

CHOSEN = {
    # pool: half of each way to choose from it
    "late": {"pre-logits": "test", "logits": "development", "top-1": "test", "classes": "development"},
    "blur-2": {"pre-logits": "development", "logits": "test", "top-1": "development", "classes": "test"},
    "noise-2": {"pre-logits": "test", "logits": "development", "top-1": "test", "classes": "development"},
    "jpeg-2": {"pre-logits": "development", "logits": "test", "top-1": "development", "classes": "test"},
    DEGRADED: {"pre-logits": "test", "top-1": "test", "classes": "development"},
}


def pairs(
    reference: Features, pools: Mapping[str, Features], sizes: Sequence[int] = SIZES, state: Path | None = None
) -> Iterator[Pair]:
    """All pairs that the pools are large enough for.

    Args:
        reference: The real images in the main space, with logits.
        pools: Every pool in the main space.
        sizes: Images on either side.
        state: Folder that keeps optimised weights.
    """
    for size in sizes:
        yield from _real(pools, size)
        yield from _none(pools, size)
    yield from _null(reference, pools, sizes, state)


def _shuffled(count: int, what: str) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(crc32(what.encode())))


def _draw(pools: Mapping[str, Features], pool: str, count: int, what: str) -> Draw:
    return ((pool, _shuffled(len(pools[pool]), what)[:count]),)


def _real(pools: Mapping[str, Features], size: int) -> Iterator[Pair]:
    for worse, better, half in LADDERS:
        if worse in pools and better in pools and size <= min(len(pools[worse]), len(pools[better])):
            recipe = f"{worse} -> {better}"
            sides = (_draw(pools, pool, size, f"{recipe} {size} {pool}") for pool in (better, worse))
            yield Pair(recipe, "real", half, size, *sides)
    for worse, better, half in MIXED:
        if worse in pools and better in pools and 3 * size // 2 <= len(pools[worse]):
            recipe = f"{worse} -> half {better}"
            order = _shuffled(len(pools[worse]), f"{recipe} {size}")
            model = ((worse, order[size : size + size // 2]), *_draw(pools, better, size - size // 2, recipe))
            yield Pair(recipe, "real", half, size, model, ((worse, order[:size]),))
    for part in ((DEGRADED,), NEAR_CLEAN):
        if set(part) <= set(pools):
            yield from _missing(pools, part, size)


def _missing(pools: Mapping[str, Features], part: tuple[str, ...], size: int) -> Iterator[Pair]:
    """Pairs whose model has more kinds of pictures, out of a part of the pools."""
    places = [(pool, i, name.split("/")[0]) for pool in part for i, name in enumerate(pools[pool].names or ())]
    for before, after, half in MISSING:
        recipe = f"{part[0]} without {', '.join(before)} -> without {', '.join(after) or 'none'}"
        order = _shuffled(len(places), f"{recipe} {size}").tolist()
        cut = len(order) // 2
        sides = []
        for some, missing in ((order[:cut], after), (order[cut:], before)):
            chosen = [places[i] for i in some if places[i][2] not in missing][:size]
            sides.append(tuple((pool, torch.tensor([i for own, i, _ in chosen if own == pool])) for pool in part))
        if all(sum(len(index) for _, index in side) == size for side in sides):
            yield Pair(recipe, "real", half, size, *sides)


def _none(pools: Mapping[str, Features], size: int) -> Iterator[Pair]:
    for i, (name, pool) in enumerate(sorted(pools.items())):
        half = ("development", "test")[i % 2]
        if 2 * size <= len(pool):
            order = _shuffled(len(pool), f"two draws {name} {size}")
            sides = (((name, order[:size]),), ((name, order[size : 2 * size]),))
            yield Pair(f"two draws of {name}", "none", half, size, *sides)
    for half, name in (("development", "noise-2"), ("test", "blur-1")):
        if name in pools and size <= len(pools[name]):
            same = _draw(pools, name, size, f"identical {name} {size}")
            yield Pair(f"the same images of {name}", "none", half, size, same, same)


def _null(
    reference: Features, pools: Mapping[str, Features], sizes: Sequence[int], state: Path | None
) -> Iterator[Pair]:
    for name, ways in CHOSEN.items():
        if name not in pools:
            continue
        order = _shuffled(len(pools[name]), f"halves {name}")
        cut = len(order) // 2
        for way, half in ways.items():
            candidates = pools[name].select(order[cut:])
            kept = None if state is None else state / f"{name}-{way}.pt"
            if kept is not None:
                kept.parent.mkdir(parents=True, exist_ok=True)
            choose = _chooser(way, reference, candidates, kept)
            for size in sizes:
                if size > cut:
                    continue
                chosen = choose(size)
                if len(chosen) == size:
                    sides = (((name, order[cut:][chosen]),), ((name, order[:cut][:size]),))
                    yield Pair(f"{name} by {way}", "mixed" if name == DEGRADED else "null", half, size, *sides)


def _chooser(way: str, reference: Features, candidates: Features, state: Path | None) -> Callable[[int], Tensor]:
    """Size -> places among the candidates."""
    if way == "top-1":
        # Unique images: a class that the candidates lack stays short. What is missing is filled up at random.
        def match(size: int) -> Tensor:
            outcome = Top1Matching(keep=size, draws=1, held_out=0)(reference, candidates)
            chosen = outcome.choices[0]
            order = _shuffled(len(candidates), f"fill {size}")
            return torch.cat([chosen, order[~torch.isin(order, chosen)][: size - len(chosen)]])

        return match
    if way == "classes":
        # Each candidate as likely as its Top-1 class is in the reference, over how often the class is among candidates.
        real, made = (top1_classes(side, what, silent) for side, what in ((reference, "r"), (candidates, "c")))
        wanted, found = (torch.bincount(one, minlength=1000).double() for one in (real, made))
        weights = (wanted / found.clamp_min(1))[made]
    else:
        weights = _weights(way, reference, candidates, state)

    def draw(size: int) -> Tensor:
        generator = torch.Generator().manual_seed(crc32(f"{way} {size}".encode()))
        return torch.multinomial(weights, size, replacement=True, generator=generator)

    return draw


def _weights(space: str, reference: Features, candidates: Features, state: Path | None) -> Tensor:
    """Resampling's optimised probabilities."""
    if state is not None and state.exists():
        saved: Tensor = torch.load(state, weights_only=True)
        return saved
    attack = Resampling(space, keep=len(candidates), draws=1, held_out=0, solver=CertifiedSolver(tolerance=0.02))
    solution = attack(reference, candidates).solution
    assert solution is not None
    if state is not None:
        torch.save(solution.probabilities, state)
    return solution.probabilities
