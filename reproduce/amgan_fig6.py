"""Zhou et al. 2018, Figures 3, 6 and 7: the Inception Score, the AM Score and their terms while generators learn.

Scores generators that runs of `fidprobe train` kept, and adds what the paper does not have: the Fréchet distance in
both spaces. Features are kept in fidprobe's cache, so that a script that was stopped goes on.

python -m reproduce.amgan_fig6 --scale small
FIDPROBE_DATA=/data python -m reproduce.amgan_fig6 --scale paper
"""

from collections.abc import Mapping, Sequence

from fidprobe.analysis.output.wording import images_text
from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.metrics.am_score import am_score
from fidprobe.metrics.frechet import KnownReference
from fidprobe.metrics.inception_score import inception_score
from fidprobe.statistics import GaussianStatistics
from fidprobe.training.evaluation import Evaluation
from fidprobe.training.run_curves import runs_figure
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting
from reproduce.generators import KEPT_PAPER, MODELS_SMALL, MODELS_SMOKE, SMALL_RUNS, Models, features, networks

__all__ = ["EXPERIMENT", "PRESETS", "measured"]


PRESETS = {
    "smoke": MODELS_SMOKE,
    "small": MODELS_SMALL,
    "paper": Models(KEPT_PAPER, 50_000, "cifar10/train", None, "inception", "clip", "cifar10-classifier"),
}


def run(preset: Models, setting: Setting) -> Outcome:
    """Score every generator."""
    curves = measured(preset, setting)
    cells: list[Cell] = []
    for name, scores in curves.items():
        for one in scores:
            label = f"{name}, {one.step:,} steps"
            cells += [Cell(f"{label}, {metric_label(space, 'FD')}", value) for space, value in one.distances.items()]
            cells += [
                Cell(f"{label}, Inception Score", one.inception_score, digits=3),
                Cell(f"{label}, AM Score", one.am_score, unit="nats"),
            ]
    for name, scores in curves.items():
        cells += _courses(name, scores)
    notes = [
        f"{images_text(preset.images)} of each generator, the same latents at every step. The paper draws its curves "
        "and prints no numbers; what its text says of them is told as differences over a run.",
    ]
    if setting.scale == "small":
        notes += [
            SMALL_RUNS,
            "The Inception Score is by EfficientNet-Lite0's classes, the AM Score by fidprobe's own classifier against "
            "CIFAR-10's test pictures, which it has not learnt from; the paper takes Inception, a DenseNet and "
            "training pictures.",
        ]
    drawing = Drawing(
        runs_figure(curves, classifier=preset.classifier),
        "Inception Score, AM Score, their terms and Fréchet distances over training",
    )
    return Outcome(
        cells, {name: [one.to_json() for one in scores] for name, scores in curves.items()}, [drawing], notes
    )


def measured(preset: Models, setting: Setting) -> dict[str, list[Evaluation]]:
    """Scores of every run, oldest generator first."""
    loaded = networks([preset.extractor, preset.second_opinion, preset.classifier], setting)
    real = [features(preset.reference, network, setting, preset.references) for network in loaded]
    goals = [KnownReference(side) for side in real[:2]]
    found: dict[str, list[Evaluation]] = {}
    for done, one in enumerate(preset.kept):
        setting.progress(f"generators | {one.name}", done, len(preset.kept))
        made = [features(one.source, network, setting, preset.images) for network in loaded]
        score = inception_score(made[0], splits=1)
        am = am_score(real[2], made[2])
        found.setdefault(one.run, []).append(
            Evaluation(
                one.step,
                preset.images,
                {
                    side.space: goal.distance(GaussianStatistics.of(side))
                    for goal, side in zip(goals, made[:2], strict=True)
                },
                score.mean,
                score.marginal_entropy,
                score.conditional_entropy,
                am.value,
                am.divergence,
                am.conditional_entropy,
            )
        )
    setting.progress("generators", len(preset.kept), len(preset.kept))
    return found


def _courses(name: str, scores: Sequence[Evaluation]) -> list[Cell]:
    """What §6.2 and §6.4 say of the curves: H(mean C) falls after a rise, the AM Score and both its terms fall."""
    marginal = [one.marginal_entropy or 0.0 for one in scores]
    first, last = scores[0], scores[-1]
    terms: Mapping[str, tuple[float | None, float | None]] = {
        "AM Score": (first.am_score, last.am_score),
        "KL(train || generated)": (first.am_divergence, last.am_divergence),
        "mean H(C(x)) of the AM Score": (first.am_entropy, last.am_entropy),
    }
    cells = [
        Cell(f"{name}, H(mean C) at the end less its greatest (3b)", marginal[-1] - max(marginal), unit="nats"),
    ]
    for term, (before, after) in terms.items():
        if before is not None and after is not None:
            cells.append(Cell(f"{name}, {term} at the end less at first (6)", after - before, unit="nats"))
    return cells


EXPERIMENT = Experiment(
    "amgan_fig6",
    "amgan",
    "Figures 3, 6 and 7",
    "scores while generators learn",
    PRESETS,
    run,
    needs={
        "small": "cifar10, am-gan-run, gan-run",
        "paper": "cifar10, five runs of full width with a generator every 5,000 steps, official weights and a GPU",
    },
    costs={"paper": "days, mostly of training"},
)

if __name__ == "__main__":
    EXPERIMENT.main()
