"""The frame of all scripts: cells, tolerance, records, data sets, the list, and the page of results."""

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor, nn

from fidprobe.analysis.output.figure_style import plot_axes, styled
from fidprobe.errors import InputError, SourceError
from reproduce.catalogue import ITEMS, cost, duration, experiment, listing, record
from reproduce.data import DataFolder
from reproduce.experiment import PAPERS, SCALES, Cell, Drawing, Experiment, Outcome, Setting, shown, theirs
from reproduce.results_page import results_page
from tests.extractors.test_torchscript import scripted

ROOT = Path(__file__).parents[2]


class Grey(nn.Module):
    """A generator: latents [n, 512] -> images in -1..1."""

    def forward(self, z: Tensor) -> Tensor:
        return z.mean(1)[:, None, None, None].expand(len(z), 3, 8, 8).clamp(-1, 1)


@dataclass(frozen=True)
class Number:
    """A preset."""

    value: float


def made(value: float = 2.0, *, data: str = "") -> Experiment[Number]:
    """One table of two cells and a figure."""

    def run(preset: Number, setting: Setting) -> Outcome:
        if data:
            setting.data.find(data)
        with styled():
            figure, axes = plot_axes()
            axes.plot([0, 1], [0, preset.value])
        return Outcome(
            [Cell("first", preset.value, 2.5, 0.6), Cell("second", None, (1.0, 3.0), unit="%")],
            {"more": [1, 2]},
            [Drawing(figure, "A line")],
            ["Made up for a test."],
        )

    return Experiment("table", "fid", "Table 9", "a test", {"smoke": Number(2.0), "paper": Number(value)}, run)


def test_cells_are_judged_by_their_tolerance() -> None:
    assert not Cell("a", 2.0, 2.5, 0.5).failed
    assert Cell("a", 2.0, 2.6, 0.5).failed
    assert Cell("a", math.nan, 2.6, 0.5).failed
    assert not Cell("a", 2.0, 9.0).failed  # told, not judged
    assert not Cell("a", None, 9.0, 0.1).failed  # not run
    assert Cell("a", 2.0, (1, 3)).difference is None


def test_cells_are_shown_with_units_and_what_was_not_run_says_so() -> None:
    cell = Cell("a", -3.14159, (-72.5, -44.0), unit="%", digits=1)
    assert shown(cell.ours, cell) == "-3.1 %"
    assert theirs(cell) == "-72.5 to -44.0 %"
    assert shown(None, cell) == "not run"
    assert theirs(Cell("a", 1.0)) == "–"
    assert shown(math.inf, cell) == "no number"


def test_a_script_prints_writes_and_ends_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made().main(["--scale", "paper", "--out", str(tmp_path)])
    told = capsys.readouterr().out
    assert "first           2.00  paper 2.50  -0.50, within 0.6" in told
    assert "not run  paper 1.00 to 3.00 %" in told
    found = json.loads((tmp_path / "table-paper.json").read_text())
    assert found["command"] == "python -m reproduce.table --scale paper"
    assert found["preset"] == {"value": 2.0}
    assert found["cells"][1]["ours"] is None
    assert found["figures"] == [{"suffix": "", "title": "A line"}]
    assert found["hardware"]["cores"] >= 1
    assert (tmp_path / "table-paper.pdf").is_file()


def test_outside_tolerance_fails_at_paper_scale_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="outside tolerance: first"):
        made(9.0).main(["--scale", "paper", "--out", str(tmp_path)])
    assert "OUTSIDE" in capsys.readouterr().out
    assert (tmp_path / "table-paper.json").is_file()
    made(9.0).main(["--scale", "smoke", "--out", str(tmp_path)])


def test_the_record_is_printed_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made().main(["--scale", "smoke", "--out", str(tmp_path), "--json"])
    assert json.loads(capsys.readouterr().out)["details"] == {"more": [1, 2]}


def test_records_do_not_tell_where_this_machine_keeps_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cifar10.zip").touch()

    def run(preset: Number, setting: Setting) -> Outcome:
        del preset
        return Outcome([], {"read": setting.data.find("cifar10/test")}, [], ["A note. " * 30])

    monkeypatch.setenv("COLUMNS", "80")
    table = Experiment("table", "fid", "Table 9", "a test", {"smoke": Number(2.0)}, run)
    table.main(["--scale", "smoke", "--out", str(tmp_path / "out"), "--data", str(tmp_path / "data")])
    assert json.loads((tmp_path / "out" / "table-smoke.json").read_text())["details"] == {"read": "cifar10.zip/test"}
    notes = [line for line in capsys.readouterr().out.splitlines() if "A note." in line]
    assert len(notes) > 1
    assert max(map(len, notes)) <= 80


def test_missing_data_ends_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIDPROBE_DATA", raising=False)
    with pytest.raises(SystemExit) as ended:
        made(data="ffhq-256").main(["--scale", "smoke", "--out", str(tmp_path), "--data", str(tmp_path / "here")])
    told = str(ended.value)
    assert told.startswith("table: ffhq-256 is missing: put 70,000 images of FFHQ at 256 x 256")
    assert f"at {tmp_path / 'here'}/ffhq-256" in told
    assert "\n" not in told


def test_data_sets_are_found_as_folders_archives_and_by_torchvisions_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIDPROBE_DATA", str(tmp_path))
    found = DataFolder()
    assert found.find("embedded:am-gan?seed=1") == "embedded:am-gan?seed=1"
    assert found.find("cifar10/train") == "cifar10:train"
    (tmp_path / "cifar10.zip").touch()
    assert found.find("cifar10/train") == f"{tmp_path}/cifar10.zip/train"
    (tmp_path / "ffhq-256").mkdir()
    assert found.find("ffhq-256") == f"{tmp_path}/ffhq-256"
    with pytest.raises(SourceError, match="mnist is missing"):
        found.find("mnist/validation")
    with pytest.raises(InputError, match="no data set is called 'imagenet'"):
        found.find("imagenet")


def test_a_pool_is_at_most_what_is_there(tmp_path: Path) -> None:
    """A generator gives as many as asked for, TorchScript by the latent that its data set has."""
    folder = tmp_path / "stylegan2-lsun-cat-256"
    folder.mkdir()
    for i in range(3):
        Image.fromarray(np.full((8, 8, 3), 80 * i, np.uint8)).save(folder / f"{i}.png")
    scripted(Grey(), tmp_path / "stylegan2-ffhq-256.pt")
    found = DataFolder(tmp_path)
    assert [len(found.pool("stylegan2-lsun-cat-256", most)) for most in (2, 3, 9, None)] == [2, 3, 3, 3]
    assert len(found.pool("embedded:am-gan", 9)) == 9
    assert found.find("stylegan2-ffhq-256") == f"{tmp_path}/stylegan2-ffhq-256.pt?z=512"
    first = next(iter(found.pool("stylegan2-ffhq-256", 5).items()))
    assert first.decode().pixels.shape == (8, 8, 3)


def test_a_cell_that_is_no_number_is_told_and_kept_as_null(tmp_path: Path) -> None:
    """Hours of work are not lost for it, but nothing passes."""
    with pytest.raises(SystemExit, match="outside tolerance: first"):
        replace(made(), run=lambda preset, setting: Outcome([Cell("first", math.nan, preset.value, 1.0)])).main(
            ["--scale", "paper", "--out", str(tmp_path)]
        )
    found = json.loads((tmp_path / "table-paper.json").read_text())
    assert found["cells"][0]["ours"] is None
    assert found["notes"][-1] == "first came out as no number."


@pytest.mark.parametrize("item", [item for item in ITEMS if item.module], ids=lambda item: item.module)
def test_every_script_is_complete(item: Any) -> None:
    """Named after its module, of its paper; at smoke without needs; every scale with needs says them."""
    one = experiment(item.module)
    assert one.name == item.module
    assert one.paper == item.paper
    assert one.item == item.item
    assert item.paper in PAPERS
    assert "smoke" in one.presets
    assert set(one.presets) <= set(SCALES)
    assert "smoke" not in one.needs
    assert set(one.needs) <= set(one.presets)
    assert (ROOT / "reproduce" / f"{item.module}.py").is_file()


def test_every_script_is_listed() -> None:
    scripts = {path.stem for path in (ROOT / "reproduce").glob("*.py") if "EXPERIMENT = " in path.read_text()}
    assert scripts == {item.module for item in ITEMS if item.module}


def test_the_list_says_what_each_needs_and_whether_it_was_run(tmp_path: Path) -> None:
    told = listing(tmp_path)
    for item in ITEMS:
        assert item.item in told
    assert "    small  not run\n           needs cifar10\n" in told
    assert all(len(line) <= 80 for line in told.splitlines())


def test_costs_come_from_records(tmp_path: Path) -> None:
    one = made()
    assert cost(one, "paper", tmp_path) == "not run"
    one.main(["--scale", "paper", "--out", str(tmp_path)])
    device = json.loads((tmp_path / "table-paper.json").read_text())["hardware"]["device"]
    assert cost(one, "paper", tmp_path).endswith(f"s on {device}")
    assert [duration(seconds) for seconds in (3.2, 300, 7200)] == ["3 s", "5 min", "2.0 h"]


def test_the_page_of_results_is_what_the_records_give() -> None:
    """No number in it is typed by hand."""
    assert (ROOT / "reproduce" / "RESULTS.md").read_text(encoding="utf-8") == results_page()


@pytest.mark.parametrize("item", [item for item in ITEMS if item.module], ids=lambda item: item.module)
def test_records_are_of_todays_presets(item: Any) -> None:
    """A record of other inputs than the script has would be another experiment's."""
    one = experiment(item.module)
    for scale in one.presets:
        found = record(item.module, scale)
        if found is not None:
            assert found["preset"] == json.loads(json.dumps(asdict(one.presets[scale])))
            for figure in found["figures"] if not (ROOT / "PKG-INFO").exists() else ():  # an sdist has no pictures
                assert (ROOT / "reproduce" / "results" / f"{item.module}-{scale}{figure['suffix']}.png").is_file()
