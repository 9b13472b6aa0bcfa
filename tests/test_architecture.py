"""ARCHITECTURE.md names what is there."""

import pkgutil
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text below a heading."""
    return TEXT.partition(f"## {title}\n")[2].partition("\n## ")[0]


def packages(folder: Path) -> set[str]:
    """Names of the packages in a folder; the links in `fidprobe/` count."""
    return {path.parent.name for path in folder.glob("*/__init__.py")}


def test_every_room_is_named_in_the_order_of_the_import_contract() -> None:
    """And every room that is named exists."""
    rows = [row.split("|")[1] for row in section("The rooms of `analysis/`").splitlines() if row.startswith("| `")]
    rooms = [name for row in rows for name in re.findall(r"`([a-z_]+)/`", row)]
    assert sorted(rooms) == sorted(packages(ROOT / "analysis"))
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    [layers] = [one["layers"] for one in contracts if one.get("containers") == ["fidprobe.analysis"]]
    assert [set(re.findall(r"`([a-z_]+)/`", row)) for row in rows] == [set(layer.split(" | ")) for layer in layers]


def test_every_folder_and_module_of_the_package_is_named() -> None:
    """Those at the root that hold code, too."""
    table = section("The folders")
    for name in packages(ROOT / "fidprobe"):
        assert f"`fidprobe.{name}`" in table, name
    for path in (ROOT / "fidprobe").glob("[a-z]*.py"):
        assert f"`fidprobe/{path.name}`" in table, path.name
    for folder in re.findall(r"^\| `([a-z/]+)/`", table, re.MULTILINE):
        assert (ROOT / folder).is_dir(), folder


def test_every_door_and_example_is_there() -> None:
    """Functions by their full names, files by their paths."""
    for name in re.findall(r"`(fidprobe\.[A-Za-z_.]+)`", section("The way of the data")):
        assert pkgutil.resolve_name(name), name
    for room, file in re.findall(r"`([a-z]+)/([a-z_]+\.(?:py|html\.j2))`", section("The way of the data")):
        assert (ROOT / "analysis" / room / file).is_file(), file
