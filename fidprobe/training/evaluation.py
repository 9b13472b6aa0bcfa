"""Scores of a generator while it learns: both spaces' distances, Inception Score, AM Score (AM-GAN, Fig. 3, 6, 7)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from types import MappingProxyType
from typing import Any

from fidprobe.errors import InputError
from fidprobe.extractors import Extractor
from fidprobe.extractors.chosen import Network, load_networks
from fidprobe.features.extraction import ReadOptions, extract
from fidprobe.features.value import Features
from fidprobe.images import ImageSource
from fidprobe.metrics.am_score import am_score
from fidprobe.metrics.frechet import KnownReference
from fidprobe.metrics.inception_score import inception_score
from fidprobe.runtime.progress import Progress, silent
from fidprobe.statistics import GaussianStatistics

__all__ = ["SCORE_TITLES", "Evaluation", "Evaluator"]

SCORE_TITLES: Mapping[str, str] = MappingProxyType(
    {
        "inception_score": "Inception Score",
        "marginal_entropy": "H(mean C(x))",
        "conditional_entropy": "mean H(C(x))",
        "am_score": "AM Score",
        "am_divergence": "KL(train || generated)",
        "am_entropy": "mean H(C(x))",
    }
)
"""Attribute of `Evaluation` -> what figures call it; all but the Inception Score are in nats."""


@dataclass(frozen=True)
class Evaluation:
    """The scores of a generator after a number of steps.

    Attributes:
        step: Steps of training.
        images: How many generated images were scored.
        distances: Space -> Fréchet distance to the reference, the main space first and the second opinion beside it.
        inception_score: exp(H(mean p) - mean H(p)) over all images, of the main network's classes; None without a
            classifier.
        marginal_entropy: H(mean p), in nats (Fig. 3b).
        conditional_entropy: mean H(p), in nats (Fig. 3c).
        am_score: Of the data's own classifier, in nats (Fig. 6a); None without one.
        am_divergence: Its first term, KL(train || generated) (Fig. 6b).
        am_entropy: Its second, mean H(C(x)) (Fig. 6c).
    """

    step: int
    images: int
    distances: Mapping[str, float]
    inception_score: float | None = None
    marginal_entropy: float | None = None
    conditional_entropy: float | None = None
    am_score: float | None = None
    am_divergence: float | None = None
    am_entropy: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries and numbers."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Evaluation":
        """What `to_json` gave.

        Raises:
            TypeError: something else.
        """
        evaluation = cls(**data)
        step, images, distances, *scores = (getattr(evaluation, field.name) for field in fields(cls))
        if not all(type(count) is int and count >= 0 for count in (step, images)):
            raise TypeError(f"step {step!r:.40} or images {images!r:.40} is no count")
        if not isinstance(distances, Mapping):
            raise TypeError(f"distances are {distances!r:.40}")
        for value in (*distances.values(), *(score for score in scores if score is not None)):
            if type(value) not in (int, float):
                raise TypeError(f"a score is {value!r:.40}")
        return evaluation


class Evaluator:
    """Measures generators against one reference.

    Args:
        reference: Real images that were not learnt from.
        extractor: The main space.
        second_opinion: The space that has to confirm.
        classifier: The data set's own classifier, for the AM Score; None for none.
        options: How to read images, and where the reference's features are cached; those of samples are not.
        progress: Called during extraction.

    Attributes:
        identity: What the scores depend on besides the generator. Scores with different values do not make a curve.
        count: Images in the reference.

    Raises:
        FidprobeError: any user's mistake, in one line.
    """

    def __init__(
        self,
        reference: Any,
        *,
        extractor: Network,
        second_opinion: Network,
        classifier: Network | None = None,
        options: ReadOptions | None = None,
        progress: Progress = silent,
    ) -> None:
        self._options, self._progress = options or ReadOptions(), progress
        self._of_samples = replace(self._options, cache=None)
        main, second, self._classifier = load_networks([extractor, second_opinion, classifier], progress)
        assert main is not None
        assert second is not None
        if main.provenance.name == second.provenance.name:
            raise InputError(f"{main.provenance.name} cannot be a second opinion on itself; name another network")
        self._spaces = {
            network.provenance.name: (
                network,
                KnownReference(GaussianStatistics.of(self._features(reference, network))),
            )
            for network in (main, second)
        }
        self._main = main
        if self._classifier is not None and self._classifier.class_names is None:
            raise InputError(f"{self._classifier.provenance.name} has no classes; the AM Score needs a classifier")
        self._real = None if self._classifier is None else self._features(reference, self._classifier)
        known = self._spaces[main.provenance.name][1].statistics
        self.count, source = known.count, known.provenance.source
        self.identity: dict[str, Any] = {
            "reference": None if source is None else source.content,
            "spaces": {name: network.provenance.weights for name, (network, _) in self._spaces.items()},
            "classifier": None if self._classifier is None else self._classifier.provenance.weights,
        }

    def __call__(self, source: ImageSource, step: int) -> Evaluation:
        """Scores of a source of generated images.

        Args:
            source: Generated images, enough for a distance to mean something; see docs/verdict.md.
            step: Steps of training, for the record.
        """
        distances: dict[str, float] = {}
        scores: dict[str, float] = {}
        for name, (network, reference) in self._spaces.items():
            features = self._samples(source, network)
            distances[name] = reference.distance(GaussianStatistics.of(features))
            if network is self._main and features.logits is not None:
                score = inception_score(features, splits=1)
                scores |= {
                    "inception_score": score.mean,
                    "marginal_entropy": score.marginal_entropy,
                    "conditional_entropy": score.conditional_entropy,
                }
        if self._classifier is not None and self._real is not None:
            am = am_score(self._real, self._samples(source, self._classifier))
            scores |= {"am_score": am.value, "am_divergence": am.divergence, "am_entropy": am.conditional_entropy}
        return Evaluation(step, len(source), distances, **scores)

    def _features(self, source: Any, network: Extractor) -> Features:
        return extract(source, network, self._options, progress=self._progress)

    def _samples(self, source: ImageSource, network: Extractor) -> Features:
        return extract(source, network, self._of_samples, progress=self._progress)
