"""What the tables of attacks in Kynkäänniemi et al. 2022 share: their data sets, and an attack on each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fidprobe.analysis.attack.candidate_sets import AttackSets, extract_attack_sets
from fidprobe.analysis.attack.measure import Attacked, attack_sets
from fidprobe.attacks.attack import Attack
from fidprobe.attacks.rescoring import DistanceBeforeAfter
from fidprobe.images import open_images
from reproduce.experiment import Cell, Setting
from reproduce.generators import set_features

__all__ = [
    "CIFAR10",
    "PAPER_ROWS",
    "SMOKE",
    "Attacks",
    "Row",
    "attacked",
    "before_and_after",
    "notes_of",
    "of_role",
    "spread",
    "tolerance",
]


@dataclass(frozen=True)
class Row:
    """A data set with the generator that learnt it.

    Attributes:
        label: As in the table.
        reference: Real images, a name for `DataFolder.find`.
        candidates: Generated images, likewise.
        references: Real images that are used, at random; None for all.
        pool: Generated images there are to choose from, at most; None for all.
        keep: Images an attack chooses.
    """

    label: str
    reference: str
    candidates: str
    references: int | None
    pool: int | None
    keep: int


@dataclass(frozen=True)
class Attacks:
    """A table's exact inputs.

    Attributes:
        rows: Data sets.
        extractor: The main space, with a classifier.
        second_opinion: The second space.
        draws: Evaluations averaged over.
        held_out: Share of the real images against which nothing was optimised; 0 as in the paper, which measures
            against those that were.
    """

    rows: tuple[Row, ...]
    extractor: str
    second_opinion: str
    draws: int
    held_out: float


CIFAR10 = Row("CIFAR-10, AM-GAN", "cifar10/train", "embedded:am-gan?seed=1", None, 50_000, 10_000)
SMOKE = Row("AM-GAN, early", "embedded:am-gan", "embedded:am-gan-early", 60, 150, 30)

PAPER_ROWS = (
    Row("FFHQ", "ffhq-256", "stylegan2-ffhq-256", 50_000, 250_000, 50_000),
    Row("LSUN Cat", "lsun-cat-256", "stylegan2-lsun-cat-256", 50_000, 250_000, 50_000),
    Row("LSUN Car", "lsun-car-256", "stylegan2-lsun-car-256", 50_000, 250_000, 50_000),
    Row("LSUN Places", "lsun-places-256", "stylegan2-lsun-places-256", 50_000, 250_000, 50_000),
    Row("AFHQ-v2 Dog", "afhqv2-dog-512", "stylegan2-afhqv2-dog-512", 4_678, 25_000, 4_678),
)

_SMALL = (
    "CIFAR-10's 50,000 training images, 50,000 images of the AM-GAN that comes with fidprobe, 10,000 of them to be "
    "chosen; EfficientNet-Lite0 in the place of Inception-V3, and in CLIP's a self-supervised encoder of CIFAR-10. The "
    "paper's column is the range over its five data sets.",
    "Every choice is made against one half of the real images and measured against the other, which it has not seen; "
    "the paper measures against the images that were optimised against, and so do the cells that say so.",
)
_PAPER = (
    "Weights come from a solver with a certificate; the paper takes 100,000 steps of gradient descent, and of them the "
    "weights whose draws have the least FID.",
)


def notes_of(scale: str, sets: Sequence[AttackSets]) -> list[str]:
    """What was done otherwise than in the paper, and how the real images are stored."""
    told = [*{"small": _SMALL, "paper": _PAPER}.get(scale, ())]
    for one in sets:
        source = one.reference.provenance.source
        if source is not None:
            formats = ", ".join(f"{count:,} {form}" for form, count in source.formats.items())
            told.append(f"Real images as stored: {formats}; generated ones: {len(one.candidates):,} to choose from.")
    return told


def attacked(
    row: Row, preset: Attacks, attacks: Mapping[str, Attack], setting: Setting, *, until_full: bool = False
) -> tuple[AttackSets, dict[str, Attacked]]:
    """Extract a row's images once in both spaces, and attack them.

    Args:
        row: Which images.
        preset: Networks.
        attacks: Name -> attack.
        setting: Data and progress.
        until_full: For a single `Top1Matching` and a generator: go on drawing until all classes are full, and keep
            only what matters; else the pool's features are kept in the cache for other attacks.

    Raises:
        SourceError: images are missing.
    """
    reference = open_images(setting.data.find(row.reference), limit=row.references)
    candidates = setting.data.pool(row.candidates, row.pool)
    if until_full:
        sets = extract_attack_sets(
            reference,
            candidates,
            list(attacks.values()),
            extractor=preset.extractor,
            second_opinion=preset.second_opinion,
            options=setting.options,
            progress=setting.progress,
        )
    else:
        named = {"reference": reference, "candidates": candidates}
        main, second = set_features(named, preset.extractor, preset.second_opinion, setting)
        sets = AttackSets(main["reference"], main["candidates"], second["reference"], second["candidates"], candidates)

    def one(name: str, attack: Attack) -> Attacked:
        def stage(what: str, done: int, total: int | None) -> None:
            setting.progress(f"{row.label}, {name}: {what}", done, total)

        return attack_sets(sets, attack, progress=stage)

    return sets, {name: one(name, attack) for name, attack in attacks.items()}


def of_role(found: Attacked, role: str, reference: str, metric: str = "frechet_distance") -> DistanceBeforeAfter:
    """A score; of the optimised reference where nothing was held out."""
    scores = {score.reference: score for score in found.outcome.scores if (score.role, score.metric) == (role, metric)}
    return scores[reference] if reference in scores else scores["optimised"]


def before_and_after(
    label: str,
    score: DistanceBeforeAfter,
    *,
    space: str,
    after: str,
    published: Sequence[float | tuple[float, float] | None],
    points: float = 5,
) -> list[Cell]:
    """Three cells: a distance of random images, of those chosen, and the change in percent.

    Args:
        label: The row's.
        score: Before and after.
        space: Distance's label.
        after: What is chosen, `Top-1`.
        published: The paper's three; None where it has none that compares.
        points: Tolerance of the change.
    """
    first, second, change = published
    judged = points if isinstance(change, float) else None
    return [
        Cell(f"{label}, {space}", score.random.mean, first, tolerance(first)),
        Cell(f"{label}, {space} {after}", score.drawn.mean, second, tolerance(second)),
        Cell(
            f"{label}, {space} {after}, change",
            score.percent,
            change,
            judged,
            "%",
            1,
        ),
    ]


def tolerance(published: float | tuple[float, float] | None) -> float | None:
    """A tenth of a distance, since generators are trained anew; None for ranges."""
    return round(0.1 * published, 3) if isinstance(published, float) else None


def spread(values: Sequence[float]) -> tuple[float, float]:
    """The range over the paper's rows."""
    return min(values), max(values)
