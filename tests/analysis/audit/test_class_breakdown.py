import pytest
import torch

from fidprobe.analysis.audit.class_breakdown import ClassBreakdown, class_breakdown
from fidprobe.analysis.sets.two_spaces import Measurable
from fidprobe.analysis.verdict.sampling_error import EstimateCollector
from fidprobe.features.value import Features
from fidprobe.statistics import GaussianStatistics

NAMES = ("cat", "dog", "owl")
CENTRES = torch.tensor([[0.0, 0, 0], [6, 0, 0], [0, 6, 0]])


def pictures(counts: tuple[int, int, int], seed: int, *, noise: float = 1.0) -> Features:
    """Images of three classes, each a cloud of its own; logits that name the class."""
    g = torch.Generator().manual_seed(seed)
    classes = torch.repeat_interleave(torch.arange(3), torch.tensor(counts))
    values = CENTRES[classes] + noise * torch.randn(len(classes), 3, generator=g)
    return Features(values, logits=5 * torch.nn.functional.one_hot(classes, 3).float(), class_names=NAMES)


def broken_down(
    reference: Measurable, baseline: Measurable, generated: Measurable, second: bool = False
) -> ClassBreakdown:
    spaces: dict[str, dict[str, Measurable]] = {
        "main": {"reference": reference, "baseline": baseline, "generated": generated}
    }
    if second:
        spaces["second"] = {
            name: Features(side.features[:, :2]) for name, side in spaces["main"].items() if isinstance(side, Features)
        }
    found = EstimateCollector()
    for space, sides in spaces.items():
        for model in ("generated", "baseline"):
            found.add(space, model, sides["reference"], sides[model])
    change = class_breakdown(spaces, found.result())
    assert change is not None
    return change


def test_frequencies_alone_explain_a_gain_that_is_nothing_else() -> None:
    """Both models draw from the same clouds; only how often each class comes differs."""
    found = broken_down(pictures((500, 300, 200), 0), pictures((200, 300, 500), 1), pictures((500, 300, 200), 2), True)
    for one in found.compositions:
        assert one.explained == pytest.approx(1, abs=0.05)
    assert found.unreachable == 0


def test_frequencies_explain_nothing_of_a_gain_within_the_classes() -> None:
    found = broken_down(
        pictures((500, 300, 200), 0), pictures((500, 300, 200), 1, noise=2), pictures((500, 300, 200), 2)
    )
    assert found.compositions[0].explained == pytest.approx(0, abs=0.01)


def test_changes_of_the_classes_add_up_to_the_distances_change() -> None:
    real, before, after = pictures((500, 300, 200), 0), pictures((200, 300, 500), 1), pictures((450, 350, 200), 2)
    found = broken_down(real, before, after)
    sampling = EstimateCollector()
    for model, side in (("generated", after), ("baseline", before)):
        sampling.add("main", model, real, side)
    total = sampling.result().joint.change("main", "generated", "baseline").value
    assert sum(one.change for one in found.classes) == pytest.approx(total)


def test_classes_are_sorted_by_what_they_change_and_carry_their_shares() -> None:
    found = broken_down(pictures((500, 300, 200), 0), pictures((200, 300, 500), 1), pictures((500, 300, 200), 2), True)
    strengths = [abs(one.change) for one in found.classes]
    assert strengths == sorted(strengths, reverse=True)
    shares = {one.name: (one.reference, one.baseline, one.generated) for one in found.classes}
    assert shares == {"cat": (0.5, 0.2, 0.5), "dog": (0.3, 0.3, 0.3), "owl": (0.2, 0.5, 0.2)}
    assert all(one.second_change is not None for one in found.classes)


def test_classes_that_the_baseline_lacks_cannot_be_reached() -> None:
    real, before = pictures((500, 300, 200), 0), pictures((500, 500, 0), 1)
    assert broken_down(real, before, pictures((400, 300, 300), 2)).unreachable == pytest.approx(0.3)
    most = broken_down(real, before, pictures((100, 100, 800), 2))
    assert most.unreachable == pytest.approx(0.8)
    assert most.compositions == ()


@pytest.mark.parametrize("what", ["generated", "baseline"])
def test_without_single_images_or_a_classifier_there_is_nothing_to_break_down(what: str) -> None:
    sides: dict[str, Measurable] = {name: pictures((50, 30, 20), 0) for name in ("reference", "generated", "baseline")}
    found = EstimateCollector()
    for model in ("generated", "baseline"):
        found.add("main", model, sides["reference"], sides[model])
    side = sides[what]
    assert isinstance(side, Features)
    for other in (Features(side.features), GaussianStatistics.of(side)):
        assert class_breakdown({"main": {**sides, what: other}}, found.result()) is None


def test_a_reference_of_statistics_has_no_shares() -> None:
    real = pictures((500, 300, 200), 0)
    found = broken_down(GaussianStatistics.of(real), pictures((200, 300, 500), 1), pictures((500, 300, 200), 2))
    assert {one.reference for one in found.classes} == {None}
    plain = found.to_json()
    assert plain["compositions"][0]["explained"] == pytest.approx(1, abs=0.05)
