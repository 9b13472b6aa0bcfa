"""What an installed fidprobe consists of, what its distributions hold, and how quickly it starts."""

import base64
import csv
import hashlib
import importlib
import io
import pkgutil
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

import fidprobe

ROOT = Path(__file__).parents[1]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_sub_package_is_listed() -> None:
    """setuptools installs only listed packages; an unlisted one would be missing from the wheel."""
    found = {
        ".".join(("fidprobe", *init.parent.relative_to(ROOT / "fidprobe").parts))
        for init in (ROOT / "fidprobe").rglob("__init__.py")
    }
    for folder in ("attacks", "analysis"):
        found |= {
            ".".join(("fidprobe", folder, *init.parent.relative_to(ROOT / folder).parts))
            for init in (ROOT / folder).rglob("__init__.py")
        }
    assert found == set(CONFIG["tool"]["setuptools"]["packages"])


def test_every_data_file_is_packaged() -> None:
    """Templates, styles and label lists travel with the code; NOTICE tells whose data they are made of."""
    config = CONFIG["tool"]["setuptools"]
    links = {ROOT / package.replace(".", "/") for package in config["package-dir"] if "." in package}
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for package in config["packages"]:
        root, _, rest = package.removeprefix("fidprobe.").partition(".")
        at_the_root = f"fidprobe.{root}" in config["package-dir"]
        folder = ROOT.joinpath(root, *rest.split(".")) if at_the_root else ROOT / package.replace(".", "/")
        for file in folder.iterdir():
            # Where a system has no links, git writes the links inside fidprobe/ as small text files.
            if file.is_file() and file.suffix not in {".py", ".pyc"} and file not in links:
                assert any(file.match(pattern) for pattern in config["package-data"][package]), file
                assert file.suffix not in {".safetensors", ".txt"} or file.name in notice, file


_BUILD = """
import sys
from setuptools import build_meta
print(getattr(build_meta, "build_" + sys.argv[1])(sys.argv[2]))
"""


def built(kind: str, source: Path, out: Path) -> Path:
    """A distribution, as `python -m build` makes it, with the tools that are here."""
    command = [sys.executable, "-c", _BUILD, kind, str(out)]
    ran = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return out / ran.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Files of the sdist, without its top folder, and of the wheel that is built from it alone; by name."""
    folder = tmp_path_factory.mktemp("dist")
    hidden = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "out", "demo-out")
    shutil.copytree(ROOT, folder / "tree", symlinks=True, ignore=hidden)
    with tarfile.open(built("sdist", folder / "tree", folder)) as archive:
        assert all(member.isfile() or member.isdir() for member in archive)
        archive.extractall(folder / "unpacked", filter="data")
    [top] = (folder / "unpacked").iterdir()
    source = {path.relative_to(top).as_posix(): path.read_bytes() for path in top.rglob("*") if path.is_file()}
    with zipfile.ZipFile(built("wheel", top, folder)) as wheel:
        return source, {name: wheel.read(name) for name in wheel.namelist()}


def test_the_wheel_is_the_packages_of_the_sdist_and_nothing_else(
    distributions: tuple[dict[str, bytes], dict[str, bytes]],
) -> None:
    """Byte by byte: no data, test, result or script slips in, and nothing is in it whose source is not given."""
    source, wheel = distributions
    expected = {}
    for name, content in source.items():
        first = name.partition("/")[0]
        if first in ("fidprobe", "attacks", "analysis") and "/" in name:
            expected[name if first == "fidprobe" else f"fidprobe/{name}"] = content
    packaged = {name: content for name, content in wheel.items() if ".dist-info/" not in name}
    assert packaged == expected
    tracked = {path.relative_to(ROOT).as_posix() for path in (ROOT / "fidprobe").rglob("*.py")}
    assert {name for name in packaged if name.endswith(".py")} >= tracked


def test_the_sdist_holds_what_tests_and_documents_need(
    distributions: tuple[dict[str, bytes], dict[str, bytes]],
) -> None:
    source, _ = distributions
    folders = ("tests", "docs", "benchmarks", "reproduce")
    wanted = {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".pyc", ".png")
    }
    wanted |= {
        "LICENSE",
        "NOTICE",
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CITATION.cff",
        "CONTRIBUTING.md",
        "Makefile",
        "MANIFEST.in",
        "pyproject.toml",
    }
    assert wanted - source.keys() == set()
    made = {"PKG-INFO", "setup.cfg"}
    assert not [name for name in source if name.endswith(".png")]
    rest = {name.partition("/")[0] for name in source.keys() - wanted - made}
    assert rest == {"fidprobe", "attacks", "analysis", "fidprobe.egg-info"}


def test_the_metadata_serve_a_bill_of_materials(distributions: tuple[dict[str, bytes], dict[str, bytes]]) -> None:
    """A licence as an SPDX expression with its text, and for every dependency the oldest version that will do."""
    _, wheel = distributions
    [info] = {name.partition("/")[0] for name in wheel if ".dist-info/" in name}
    metadata = message_from_bytes(wheel[f"{info}/METADATA"])
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE", "NOTICE"]
    for name in ("LICENSE", "NOTICE"):
        assert wheel[f"{info}/licenses/{name}"] == (ROOT / name).read_bytes()
    assert not [one for one in metadata.get_all("Classifier", []) if one.startswith("License ::")]  # PEP 639: not both
    for key in ("Name", "Version", "Summary", "Author", "Requires-Python", "Keywords"):
        assert metadata[key], key
    required = metadata.get_all("Requires-Dist", [])
    assert len(required) == len(CONFIG["project"]["dependencies"]) + 1
    for one in [*required, *CONFIG["dependency-groups"]["dev"]]:
        assert re.match(r"[A-Za-z0-9-]+(>=|==)\d", one), one
    for name, digest, size in csv.reader(io.StringIO(wheel[f"{info}/RECORD"].decode())):
        if not name.endswith("/RECORD"):
            found = base64.urlsafe_b64encode(hashlib.sha256(wheel[name]).digest()).rstrip(b"=").decode()
            assert (digest, size) == (f"sha256={found}", str(len(wheel[name])))


def test_every_module_can_be_imported() -> None:
    """With the versions that are here, and no warning of deprecated names."""
    for module in pkgutil.walk_packages(fidprobe.__path__, "fidprobe."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for package in ("datasets", "faiss", "matplotlib.figure", "open_clip", "timm", "torchmetrics", "torchvision"):
        importlib.import_module(package)


def test_starting_loads_nothing_heavy() -> None:
    """`import fidprobe` and `fidprobe --help` must not wait for torch or its kin."""
    code = (
        "import sys, fidprobe, fidprobe.cli.app\n"
        "heavy = {'torch', 'torchvision', 'timm', 'open_clip', 'matplotlib', 'numpy', 'PIL', 'scipy'}\n"
        "heavy.add('torchmetrics')\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
