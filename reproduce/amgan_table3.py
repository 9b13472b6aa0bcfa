"""Zhou et al. 2018, Table 3: Inception Scores on CIFAR-10, of models and of the real images.

python -m reproduce.amgan_table3 --scale small
FIDPROBE_DATA=/data python -m reproduce.amgan_table3 --scale paper
"""

from dataclasses import dataclass
from typing import Any

from fidprobe.metrics.inception_score import inception_score
from reproduce.experiment import Cell, Experiment, Outcome, Setting
from reproduce.generators import REAL, features, networks

__all__ = ["EXPERIMENT", "PRESETS", "PUBLISHED", "Scored"]

AM_GAN, REAL_DATA = "AM-GAN", "Real data"


@dataclass(frozen=True)
class Scored:
    """The table's exact inputs.

    Attributes:
        real: Real images; None of them are left out at `small` and `paper`.
        model: The AM-GAN.
        images: Of each; None for all real ones and no model.
        extractor: The classifier.
        splits: Parts whose scores are averaged.
    """

    real: str
    model: str
    images: int
    extractor: str
    splits: int


# Score and standard deviation over the parts.
PUBLISHED = {
    "DFM": (7.72, 0.13),
    "Improved GAN": (8.09, 0.07),
    "AC-GAN": (8.25, 0.07),
    "WGAN-GP + AC": (8.42, 0.10),
    "SGAN": (8.59, 0.12),
    AM_GAN: (8.91, 0.11),
    "Splitting GAN": (8.87, 0.09),
    REAL_DATA: (11.24, 0.12),
}

# Generators are trained anew; the real images leave the port of Inception and the random parts.
_TOLERANCES = {AM_GAN: 0.5, REAL_DATA: 0.15}

PRESETS = {
    "smoke": Scored(REAL, "", 200, "efficientnet-lite0", 2),
    "small": Scored("cifar10/train", "embedded:am-gan?seed=1", 50_000, "efficientnet-lite0", 10),
    "paper": Scored("cifar10/train", "am-gan-run/generators/step-050000.safetensors", 50_000, "inception", 10),
}


def run(preset: Scored, setting: Setting) -> Outcome:
    """Score the model and the real images."""
    (network,) = networks([preset.extractor], setting)
    sources = {AM_GAN: preset.model, REAL_DATA: preset.real}
    details: dict[str, Any] = {}
    for name, source in sources.items():
        if source:
            # All real images there are, unless only some are wanted: whole sets are in the cache.
            limit = None if name == REAL_DATA and setting.scale != "smoke" else preset.images
            one = inception_score(features(source, network, setting, limit), splits=preset.splits)
            details[name] = {
                "images": limit,
                "mean": one.mean,
                "std": one.std,
                "marginal_entropy": one.marginal_entropy,
                "conditional_entropy": one.conditional_entropy,
            }
    judged = setting.scale == "paper"
    cells = []
    for name, (score, spread) in PUBLISHED.items():
        ours = details.get(name)
        tolerance = _TOLERANCES.get(name) if judged else None
        cells.append(Cell(name, ours and ours["mean"], score, tolerance))
        if ours:
            cells.append(Cell(f"{name}, standard deviation over parts", ours["std"], spread))
    if AM_GAN in details:
        share = 100 * details[AM_GAN]["mean"] / details[REAL_DATA]["mean"]
        theirs = 100 * PUBLISHED[AM_GAN][0] / PUBLISHED[REAL_DATA][0]
        cells.append(Cell("AM-GAN's score of the real images'", share, theirs, unit="%", digits=1))
    notes = ["Other papers' models were not trained; their rows are the paper's alone."]
    if setting.scale == "small":
        notes.append(
            "By EfficientNet-Lite0's classes, not Inception's, which gives real pictures of 32 pixels another score "
            "altogether. The AM-GAN comes with fidprobe: a quarter of the paper's width, one seed, 12,000 steps. "
            "50,000 of its samples, and CIFAR-10's 50,000 training pictures as JPEG copies."
        )
    return Outcome(cells, details, notes=notes)


EXPERIMENT = Experiment(
    "amgan_table3",
    "amgan",
    "Table 3",
    "Inception Scores on CIFAR-10",
    PRESETS,
    run,
    needs={
        "small": "cifar10",
        "paper": "cifar10 and am-gan-run, of full width over 50,000 steps, Inception's weights and a GPU",
    },
    costs={"paper": "a day, mostly of training"},
)

if __name__ == "__main__":
    EXPERIMENT.main()
