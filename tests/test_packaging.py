"""What an installed fidprobe consists of, and how quickly it starts."""

import subprocess
import sys
import tomllib
from pathlib import Path

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
    """Templates, styles and label lists travel with the code."""
    patterns = CONFIG["tool"]["setuptools"]["package-data"]
    folders = {
        "fidprobe": "fidprobe",
        "fidprobe.extractors": "fidprobe/extractors",
        "fidprobe.embedded": "fidprobe/embedded",
        "fidprobe.analysis": "analysis",
    }
    for package, folder in folders.items():
        for file in (ROOT / folder).iterdir():
            if file.is_file() and file.suffix not in {".py", ".pyc"}:
                assert any(file.match(pattern) for pattern in patterns[package]), file


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
