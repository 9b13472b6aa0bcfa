"""Each row of the conventions equals the library it is named after, with the same random weights in both networks."""

import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from fidprobe.analysis.conventions.table import CONVENTIONS
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import frechet
from fidprobe.metrics.inception_score import inception_score
from fidprobe.metrics.kernel import KernelSubsetsResult, kernel_distance_subsets
from fidprobe.provenance import Provenance
from tests.extractors import inception_peers as peers
from tests.extractors.contract import relative
from tests.helpers import wrapped

COUNT = 3
SIZES = {"real": (420, 350), "made": (96, 130)}  # one is shrunk to 299 x 299, the other enlarged
BY_NAME = {one.name: one for one in CONVENTIONS}
INSTALLABLE = ("pytorch-fid", "clean-fid", "torchmetrics", "torch-fidelity")
LIBRARIES = {name: BY_NAME[name].resize for name in INSTALLABLE}
DIMENSIONS = 2  # of a projection in which three images have regular covariances, as the libraries' roots need them


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of pictures with detail of all scales, and the network's weights."""
    path = tmp_path_factory.mktemp("conventions")
    torch.save(peers.random_state(), path / "inception.pth")
    rng = np.random.default_rng(0)
    for name, (width, height) in SIZES.items():
        (path / name).mkdir()
        for i in range(COUNT):
            coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)).resize((width, height))
            noise = rng.normal(0, 60 if name == "real" else 20, (height, width, 3))
            pixels = (np.asarray(coarse) + noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(path / name / f"{i}.png")
    return path


@pytest.fixture(scope="module")
def ours(folder: Path) -> dict[str, dict[str, Features]]:
    """Rule -> set -> features."""
    out: dict[str, dict[str, Features]] = {}
    for rule in LIBRARIES.values():
        extractor = peers.ours(rule)
        bias, provenance = extractor.logit_bias, Provenance(extractor.provenance)
        with torch.inference_mode():
            found = {name: extractor(pictures(folder, name)) for name in SIZES}
        out[rule] = {
            name: Features(
                one.features.clone(), None if one.logits is None else one.logits.clone(), bias, provenance=provenance
            )
            for name, one in found.items()
        }
    return out


def pictures(folder: Path, name: str) -> Tensor:
    stacked = np.stack([np.asarray(Image.open(folder / name / f"{i}.png")) for i in range(COUNT)])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2)


def by_pytorch_fid(folder: Path, network: Any) -> dict[str, Tensor]:
    """pytorch-fid's own reading, transforms and network."""
    from pytorch_fid.fid_score import get_activations

    def features(name: str) -> Tensor:
        files = sorted((folder / name).glob("*.png"))
        return torch.from_numpy(get_activations(files, network, COUNT, 2048, "cpu", 0)).float()

    return {name: features(name) for name in SIZES}


def by_clean_fid(folder: Path, network: nn.Module) -> dict[str, Tensor]:
    """clean-fid's own reading, resizing, scaling and wrapper."""
    from cleanfid.fid import get_folder_features

    wrapper = peers.clean_fid_network(folder, network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow minds how clean-fid calls it
        return {
            name: torch.from_numpy(
                get_folder_features(
                    str(folder / name), wrapper, 0, batch_size=COUNT, device=torch.device("cpu"), verbose=False
                )
            )
            for name in SIZES
        }


@pytest.fixture(scope="module")
def torchmetrics_network(folder: Path) -> Any:
    """As torchmetrics' metrics make it."""
    from torchmetrics.image.fid import NoTrainInceptionV3

    return NoTrainInceptionV3("inception-v3-compat", ["2048"], str(folder / "inception.pth"))


@pytest.fixture(scope="module")
def by_torch_fidelity(folder: Path) -> dict[str, Any]:
    """Set -> pre-logits, logits without bias, logits."""
    network = peers.torch_fidelity_network(folder / "inception.pth")
    with torch.inference_mode():
        return {name: network(pictures(folder, name)) for name in SIZES}


@pytest.fixture(scope="module")
def theirs(folder: Path, torchmetrics_network: Any, by_torch_fidelity: dict[str, Any]) -> dict[str, dict[str, Tensor]]:
    """Library -> set -> features as the library extracts them."""
    network = peers.pytorch_fid_network()
    with torch.inference_mode():
        out = {
            "pytorch-fid": by_pytorch_fid(folder, network),
            "clean-fid": by_clean_fid(folder, network),
            "torchmetrics": {name: torchmetrics_network(pictures(folder, name)) for name in SIZES},
            "torch-fidelity": {name: found[0] for name, found in by_torch_fidelity.items()},
        }
    return {library: {name: one.clone() for name, one in sets.items()} for library, sets in out.items()}


@pytest.mark.parametrize("library", LIBRARIES)
def test_features_equal_the_librarys(
    library: str, ours: dict[str, dict[str, Features]], theirs: dict[str, dict[str, Tensor]]
) -> None:
    """Its own reading, resizing, scaling and network; other rules give other features."""
    for name in SIZES:
        assert relative(ours[LIBRARIES[library]][name].features, theirs[library][name]) < 1e-5
    for rule in set(LIBRARIES.values()) - {LIBRARIES[library]}:
        assert relative(ours[rule]["real"].features, theirs[library]["real"]) > 1e-4


def projected(values: Tensor) -> Tensor:
    mixing = torch.randn(2048, DIMENSIONS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return values.double() @ mixing


def fid_of_pytorch_fid(real: Tensor, made: Tensor) -> float:
    from pytorch_fid.fid_score import calculate_frechet_distance

    stats = [(one.numpy().mean(0), np.cov(one.numpy(), rowvar=False)) for one in (real, made)]
    return float(calculate_frechet_distance(*stats[0], *stats[1]))


def fid_of_clean_fid(real: Tensor, made: Tensor) -> float:
    from cleanfid.fid import fid_from_feats

    return float(fid_from_feats(made.numpy(), real.numpy()))


def fid_of_torchmetrics(real: Tensor, made: Tensor) -> float:
    from torchmetrics.image.fid import FrechetInceptionDistance

    class Given(nn.Identity):
        num_features = DIMENSIONS

    metric = FrechetInceptionDistance(Given())
    metric.update(real, real=True)
    metric.update(made, real=False)
    return float(metric.compute())


def fid_of_torch_fidelity(real: Tensor, made: Tensor) -> float:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    stats = [fid_features_to_statistics(one) for one in (made, real)]
    return float(fid_statistics_to_metric(*stats, False)["frechet_inception_distance"])


@pytest.mark.filterwarnings("ignore:.*sqrtm.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")
@pytest.mark.parametrize(
    ("library", "fid"),
    [
        ("pytorch-fid", fid_of_pytorch_fid),
        ("clean-fid", fid_of_clean_fid),
        ("torchmetrics", fid_of_torchmetrics),
        ("torch-fidelity", fid_of_torch_fidelity),
    ],
)
def test_fid_equals_the_librarys(
    library: str,
    fid: Callable[[Tensor, Tensor], float],
    ours: dict[str, dict[str, Features]],
    theirs: dict[str, dict[str, Tensor]],
) -> None:
    """Its function on its features, ours on ours, of the same two mixtures of them; other rules are off by more."""
    expected = fid(*(projected(theirs[library][name]) for name in SIZES))
    by_rule = {
        rule: frechet(*(wrapped(projected(sets[name].features).float()) for name in SIZES)).value
        for rule, sets in ours.items()
    }
    assert by_rule.pop(LIBRARIES[library]) == pytest.approx(expected, rel=1e-5)
    assert all(value != pytest.approx(expected, rel=1e-4) for value in by_rule.values())


def test_kid_equals_the_libraries_with_their_draws(
    ours: dict[str, dict[str, Features]], theirs: dict[str, dict[str, Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """clean-fid's, whose unseeded stream is given the seed, and torch-fidelity's own."""
    from cleanfid.fid import kernel_distance
    from torch_fidelity.metric_kid import kid_features_to_metric

    def drawn(rule: str) -> KernelSubsetsResult:
        return kernel_distance_subsets(ours[rule]["real"], ours[rule]["made"], subsets=20, subset_size=2)

    sets = {name: one.double().numpy() for name, one in theirs["clean-fid"].items()}
    seeded = np.random.RandomState(2020)
    monkeypatch.setattr(np.random, "choice", seeded.choice)
    expected = kernel_distance(sets["real"], sets["made"], num_subsets=20, max_subset_size=2)
    assert drawn("clean").mean == pytest.approx(expected, rel=1e-5)
    sides = [theirs["torch-fidelity"][name].double() for name in ("made", "real")]
    told = kid_features_to_metric(*sides, kid_subsets=20, kid_subset_size=2, rng_seed=2020, verbose=False)
    assert drawn("tf1").mean == pytest.approx(told["kernel_inception_distance_mean"], rel=1e-5)
    assert drawn("tf1").std == pytest.approx(told["kernel_inception_distance_std"], rel=1e-5)


def logits(count: int) -> Tensor:
    return torch.randn(count, 12, generator=torch.Generator().manual_seed(2)) * 3


def inception_score_of_torchmetrics(values: Tensor, seed: int) -> tuple[float, float, Tensor]:
    """Its own class, fed logits as they are; and the order in which it drew them."""
    from torchmetrics.image.inception import InceptionScore

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its notice about memory
        metric = InceptionScore(nn.Identity())
        metric.update(values)
        torch.manual_seed(seed)
        mean, std = metric.compute()
        torch.manual_seed(seed)
        order = torch.randperm(len(values))
    return float(mean), float(std), order


def test_inception_scores_equal_the_libraries(
    ours: dict[str, dict[str, Features]], by_torch_fidelity: dict[str, Any]
) -> None:
    """torch-fidelity's with its seed, from pictures; torchmetrics' with its std, where the draw is the same."""
    from torch_fidelity.metric_isc import isc_features_to_metric

    expected = isc_features_to_metric(by_torch_fidelity["made"][1], splits=2)
    parts = BY_NAME["torch-fidelity"].parts
    assert parts
    score = inception_score(ours["tf1"]["made"], splits=2, shuffle=parts.order == "shuffled")
    assert score.mean == pytest.approx(expected["inception_score_mean"], rel=1e-5)
    assert score.std == pytest.approx(expected["inception_score_std"], rel=1e-4)
    parts = BY_NAME["torchmetrics"].parts
    assert parts
    assert parts.std_ddof is not None
    mean, std, order = inception_score_of_torchmetrics(logits(60), seed=5)
    drawn = Features(torch.ones(60, 1), logits(60)[order])
    mine = inception_score(drawn, splits=parts.splits, shuffle=False, std_ddof=parts.std_ddof)
    assert mine.mean == pytest.approx(mean, rel=1e-5)
    assert mine.std == pytest.approx(std, rel=1e-5)


def test_torchmetrics_has_fewer_parts_where_the_count_is_no_multiple_of_ten() -> None:
    """torch.chunk makes 9 of 25 images: 8 of 3 and 1 of 1, where others make 10 of 2 or 3."""
    mean, _, order = inception_score_of_torchmetrics(logits(25), seed=5)
    drawn = Features(torch.ones(25, 1), logits(25)[order])
    assert inception_score(drawn, split_size=3, shuffle=False).splits == 9
    assert inception_score(drawn, split_size=3, shuffle=False).mean == pytest.approx(mean, rel=1e-5)
    assert inception_score(drawn, splits=10, shuffle=False).mean != pytest.approx(mean, rel=1e-2)


def test_torchmetrics_antialiasing_changes_fid_of_all_sizes_but_299(
    folder: Path, torchmetrics_network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Since 1.8 by default; switched off, which only its FID can be, it equals TensorFlow 1's grid."""
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.inception import InceptionScore
    from torchmetrics.image.kid import KernelInceptionDistance

    def features(images: Tensor, antialias: bool) -> Tensor:
        monkeypatch.setattr(torchmetrics_network, "use_antialias", antialias)
        found: Tensor = torchmetrics_network(images)
        return found

    assert torchmetrics_network.use_antialias
    images = pictures(folder, "real")[:1]
    whole = images[..., :299, :299]
    with torch.inference_mode():
        assert relative(features(images, False), peers.ours("tf1")(images).features) < 1e-5
        assert relative(features(images, True), features(images, False)) > 1e-2
        assert relative(features(whole, True), features(whole, False)) < 1e-5
    assert inspect.signature(FrechetInceptionDistance).parameters["antialias"].default is True
    for other in (KernelInceptionDistance, InceptionScore):
        assert "antialias" not in inspect.signature(other).parameters


def test_stylegans_divisor_is_its_codes(ours: dict[str, dict[str, Features]]) -> None:
    """Sums in float64, divided by the number of images: its `get_mean_cov`, restated."""
    stats = []
    for name in SIZES:
        x = projected(ours["tf1"][name].features).float().double().numpy()
        mean = x.sum(axis=0) / COUNT
        stats.append((mean, x.T @ x / COUNT - np.outer(mean, mean)))
    (mr, cr), (mg, cg) = stats
    root = np.sqrt(np.linalg.eigvals(cr @ cg).astype(complex)).real.sum()
    expected = ((mr - mg) ** 2).sum() + np.trace(cr + cg) - 2 * root
    sides = [wrapped(projected(ours["tf1"][name].features).float()) for name in SIZES]
    assert frechet(*sides, ddof=BY_NAME["stylegan"].covariance_ddof).value == pytest.approx(expected, rel=1e-6)
