"""Results of several files: together or not at all, and nobody's files deleted but our own."""

from pathlib import Path

import pytest

from fidprobe.analysis.output.folders import replaced_folder, replaced_result
from fidprobe.analysis.output.writers import FIGURE_SUFFIXES, write_text
from fidprobe.errors import InputError

PLOT = {f"plot{suffix}" for suffix in FIGURE_SUFFIXES}


def write(folder: Path, *names: str, failing: bool = False) -> None:
    """A result `it.json` with these further files; it may have had a table, a plot and pictures before."""
    with replaced_result(
        folder, "it.json", "it", files=("table.csv",), figures=("plot",), folders=("pictures",)
    ) as fresh:
        for name in names:
            write_text(fresh / name, "new")
        if "picture" in names:
            with replaced_folder(fresh / "pictures") as pictures:
                (pictures / "0.png").write_text("new")
        if failing:
            write_text(fresh / ("x" * 300), "new")
        write_text(fresh / "it.json", "{}")


def there(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".fidprobe"
    }


def test_only_an_earlier_result_is_deleted(tmp_path: Path) -> None:
    """Without its JSON file the same names are somebody else's; other files always stay."""
    mine = {"table.csv", "notes.txt", *PLOT}
    for name in mine:
        (tmp_path / name).write_text("mine")
    write(tmp_path, "other.txt")
    assert there(tmp_path) == {**dict.fromkeys(mine, "mine"), "other.txt": "new", "it.json": "{}"}
    write(tmp_path, "table.csv")
    assert there(tmp_path) == {"table.csv": "new", "notes.txt": "mine", "other.txt": "new", "it.json": "{}"}


def test_what_fails_leaves_the_earlier_result_whole(tmp_path: Path) -> None:
    """And tells of the place that the user knows, not of the one where it was made."""
    write(tmp_path, *PLOT, "picture")
    (tmp_path / "it.json").write_text("earlier")
    before = there(tmp_path)
    with pytest.raises(InputError, match=rf"^cannot write {tmp_path}/xxx"):
        write(tmp_path, "table.csv", "picture", failing=True)
    assert there(tmp_path) == before
    assert not list(tmp_path.glob(".*"))
    with pytest.raises(InputError, match="cannot write"):
        write(tmp_path / "a" / "b", failing=True)
    assert not (tmp_path / "a").exists()


def test_folders_of_pictures_are_replaced_and_go(tmp_path: Path) -> None:
    """Ours; somebody else's is refused before anything changes."""
    write(tmp_path, "picture")
    (tmp_path / "pictures" / "0.png").write_text("old")
    write(tmp_path, "picture")
    assert there(tmp_path)["pictures/0.png"] == "new"
    write(tmp_path)
    assert not (tmp_path / "pictures").exists()
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "0.png").write_text("mine")
    before = there(tmp_path)
    with pytest.raises(InputError, match="pictures exists and was not made by fidprobe"):
        write(tmp_path, "picture")
    assert there(tmp_path) == before


@pytest.mark.parametrize("name", ["plot.svg", "table.csv"])
def test_what_cannot_be_replaced_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    """A folder of a file's name, whether the new result has that file or not."""
    write(tmp_path)
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=rf"cannot replace it in {tmp_path}: Is a directory$"):
        write(tmp_path, "table.csv")
    assert there(tmp_path) == {"it.json": "{}"}


class KilledError(BaseException):
    """Stands for a death between two lines: no clean-up runs."""


def test_a_kill_while_files_change_places_is_tidied_up_by_the_next_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file is the old or the new one, the marker is missing, and files that the next result lacks go."""
    write(tmp_path, *PLOT)
    (tmp_path / "plot.svg").write_text("old")
    with monkeypatch.context() as patch:
        moved = 0
        replace = Path.replace

        def dying(path: Path, target: Path) -> Path:
            nonlocal moved
            moved += str(target.parent) == str(tmp_path)
            if moved == 2:
                raise KilledError
            return replace(path, target)

        patch.setattr(Path, "replace", dying)
        patch.setattr("fidprobe.analysis.output.folders._delete", lambda folder: None)
        with pytest.raises(KilledError):
            write(tmp_path, *PLOT)
    assert not (tmp_path / "it.json").exists()
    assert {name for name in PLOT if (tmp_path / name).is_file()} == PLOT
    left = [path.name for path in tmp_path.iterdir() if path.is_dir()]
    assert len(left) == 1
    (tmp_path / ".it.json.abcdefgh.part").mkdir()  # killed before its mark was made
    write(tmp_path)
    assert there(tmp_path) == {"it.json": "{}"}
    assert [path.name for path in tmp_path.iterdir()] == ["it.json"]


def test_a_folder_may_have_the_longest_name(tmp_path: Path) -> None:
    """255 bytes, four a character."""
    folder = tmp_path / ("\U0001f600" * 63)
    for content in ("old", "new"):
        with replaced_folder(folder) as fresh:
            (fresh / "a.txt").write_text(content)
    assert (folder / "a.txt").read_text() == "new"
    assert list(tmp_path.iterdir()) == [folder]
