"""Documents are executed and kept complete."""

import doctest
import importlib
import json
import re
from pathlib import Path
from statistics import fmean, median

import pytest

import fidprobe
from docs.cli_reference import PAGE, page_text
from fidprobe.analysis.audit.gates import QUANTITIES
from fidprobe.analysis.output.wording import plus_minus
from fidprobe.analysis.scores.metric_registry import METRICS
from fidprobe.analysis.verdict.answers import CONFIRMED_SHARE, NULL_SHARE, VERDICTS
from fidprobe.cli.app import app

ROOT = Path(__file__).parents[1]
WITHOUT_PICTURES = (ROOT / "PKG-INFO").exists()  # a source distribution


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "docs/attacks.md",
        "docs/budget.md",
        "docs/class-scores.md",
        "docs/classes.md",
        "docs/compare.md",
        "docs/correlate.md",
        "docs/heatmaps.md",
        "docs/influence.md",
        "docs/prd.md",
        "docs/price.md",
        "docs/python.md",
        "docs/scale.md",
        "docs/verdict.md",
    ],
)
def test_python_examples_run(document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one program, in an empty folder."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    monkeypatch.chdir(tmp_path)
    exec(compile("\n".join(blocks), document, "exec"), {})


def test_every_command_and_option_is_documented() -> None:
    """In docs/cli.md, which holds the help pages word for word, and with help of its own."""
    text = PAGE.read_text(encoding="utf-8")

    def words(page: str) -> list[str]:
        return re.findall(r"[^\s╭╮╰╯│─]+", page)  # another release of cyclopts may draw other boxes

    assert words(text) == words(page_text()), "run python docs/cli_reference.py"
    for name in (name for name in app if not name.startswith("-")):
        assert f"fidprobe {name}" in text.partition("## Every option")[0]
        assert app[name].help
        for argument in app[name].assemble_argument_collection(parse_docstring=True).filter_by(show=True):
            assert argument.parameter.help, (name, argument.name)
            assert argument.name in text, (name, argument.name)


def test_links_lead_somewhere() -> None:
    """Every relative link and picture in the documents."""
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8")):
            if not target.startswith("http") and not (WITHOUT_PICTURES and target.endswith(".png")):
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_public_name_can_be_had() -> None:
    """The lazy table, `__all__` and the type checker's imports agree."""
    for name in fidprobe.__all__:
        assert getattr(fidprobe, name) is not None
    assert sorted(fidprobe.__all__) == sorted(fidprobe._HOME)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fidprobe.nothing  # type: ignore[attr-defined]


def test_help_names_everything_once_and_a_dozen_first() -> None:
    """In groups, above the long list that `help(fidprobe)` goes on with."""
    text = (fidprobe.__doc__ or "").partition("Example:")[0]
    first = text.partition("Metrics of features:")[0]
    for name in fidprobe.__all__:
        assert len(re.findall(rf"\b{name}\b", text)) == 1 or name in ("attack", "audit", "compare"), name
    assert sum(bool(re.search(rf"^    .*\b{name}\b", first, re.MULTILINE)) for name in fidprobe.__all__) == 12


@pytest.mark.parametrize(
    "module",
    [
        "fidprobe",
        "fidprobe.analysis.attack.measure",
        "fidprobe.analysis.classes.measure",
        "fidprobe.analysis.influence.measure",
        "fidprobe.analysis.scores.measure",
        "fidprobe.attacks.price",
        "fidprobe.attacks.resampling",
        "fidprobe.attacks.top1",
        "fidprobe.metrics.frechet",
        "fidprobe.metrics.frechet_sampling",
        "fidprobe.metrics.single_image",
    ],
)
def test_examples_in_docstrings_run(module: str) -> None:
    """And give what they show."""
    outcome = doctest.testmod(importlib.import_module(module))
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_every_docstring_with_an_example_is_run() -> None:
    """The list above is whole."""
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("fidprobe", "analysis", "attacks")
        for path in (ROOT / folder).rglob("*.py")
        if not any(path.is_relative_to(ROOT / "fidprobe" / link) for link in ("analysis", "attacks"))
        and ">>> " in path.read_text(encoding="utf-8")
    }
    assert found == {
        "fidprobe/__init__.py",
        "analysis/attack/measure.py",
        "analysis/classes/measure.py",
        "analysis/influence/measure.py",
        "analysis/scores/measure.py",
        "attacks/price.py",
        "attacks/resampling.py",
        "attacks/top1.py",
        "fidprobe/metrics/frechet.py",
        "fidprobe/metrics/frechet_sampling.py",
        "fidprobe/metrics/single_image.py",
    }


def test_the_verdicts_page_has_every_verdict_limit_and_quantity() -> None:
    """docs/verdict.md says what the code does."""
    text = (ROOT / "docs/verdict.md").read_text(encoding="utf-8")
    for code, title in VERDICTS.items():
        assert f"| **{title.lower()}** |" in text
        assert f"`{code}`" in text
    assert f"wholly from {CONFIRMED_SHARE:g} up" in text
    assert f"wholly below {NULL_SHARE:g} |" in text
    for name, (what, _) in QUANTITIES.items():
        assert f"| `{name}` | {what} |" in text


def test_the_page_of_metrics_names_every_one() -> None:
    """In the order in which they are printed."""
    table = (ROOT / "docs/metrics.md").read_text(encoding="utf-8").split("\n\n")[2]
    assert re.findall(r"`([a-z0-9-]+)`", "\n".join(row.split("|")[1] for row in table.splitlines())) == list(METRICS)


def test_the_readme_says_how_many_images_each_network_needs() -> None:
    """More than twice as many as dimensions; those of the networks that come with fidprobe are theirs."""
    rows = re.findall(
        r"^\| `([a-z0-9-]+)`[^|]*\| ([\d,]+) \| ([\d,]+) \|$", (ROOT / "README.md").read_text("utf-8"), re.M
    )
    needs = {name: (int(dims.replace(",", "")), int(least.replace(",", ""))) for name, dims, least in rows}
    assert len(needs) == 5
    assert all(least == 2 * dims + 1 for dims, least in needs.values())
    for name in ("efficientnet-lite0", "cifar10-encoder"):
        assert needs[name][0] == fidprobe.load_extractor(name).dim


def test_the_cost_of_neighbours_is_what_was_measured() -> None:
    """Seconds and ratios in docs/metrics.md."""
    text = " ".join((ROOT / "docs/metrics.md").read_text(encoding="utf-8").split())
    measured = json.loads((ROOT / "benchmarks/results/peers/neighbours.json").read_text(encoding="utf-8"))
    balls, both = (measured["works"][i]["rows"] for i in (0, 1))
    images = f"{measured['inputs']['images']:,}"
    growth = json.loads((ROOT / "benchmarks/results/peers/growth.json").read_text(encoding="utf-8"))
    largest = growth["metrics"]["precision and recall"]["rows"][-1]
    assert (largest["images"], largest["dim"]) == (40_000, measured["inputs"]["dim"])
    told = (
        f"take {balls['fidprobe']['seconds']:.0f} s on two cores (40,000 against 40,000: {largest['seconds']:.0f} s), "
        f"and {both['fidprobe']['seconds']:.0f} s with density"
    )
    assert f"{images} against {images} images of {measured['inputs']['dim']:,} dimensions {told}" in text
    ratios = balls["torch-fidelity"]["over_fidprobe"], both["prdc"]["over_fidprobe"]
    assert f"torch-fidelity takes {ratios[0]:.1f} times as long, prdc {ratios[1]:.1f} times" in text


def test_the_table_of_draws_is_what_was_measured() -> None:
    """Every number of the table in docs/attacks.md is in the benchmark's result, rounded."""
    measured = json.loads((ROOT / "benchmarks/results/resampling_draws.json").read_text(encoding="utf-8"))
    table = (ROOT / "docs/attacks.md").read_text(encoding="utf-8")
    for way in ("uniform", "with-replacement", "systematic", "swap", "swap-unique"):
        cells = []
        for row in (row for row in measured["rows"] if row["draw"] == way):
            optimised, held_out = (fmean(row["measured"][half]) for half in ("optimised", "held_out"))
            cells += [f"{value:.2f}" for value in (optimised, row["expected"]["optimised"], held_out)]
        name = "uniformly" if way == "uniform" else f"`{way}`"
        assert f"| {name} | {' | '.join(cells)} |" in table


def test_the_tables_of_prd_are_what_was_measured() -> None:
    """Every number of the two tables in docs/prd.md on counts and on k-means, and of the words about them."""
    measured = json.loads((ROOT / "benchmarks/results/prd.json").read_text(encoding="utf-8"))
    text = (ROOT / "docs/prd.md").read_text(encoding="utf-8")

    def rows_below(heading: str) -> list[str]:
        return text.partition(f"\n{heading}")[2].partition("\n\n")[0].splitlines()[2:]

    halves = measured["halves"]["rows"]
    counts = list(dict.fromkeys(row["images"] for row in halves))
    expected = []
    for count in counts:
        row = f"| {count:,} |"
        for one in (one for one in halves if one["images"] == count):
            assert len(one["draws"]) == 3
            f_8, f_1_8, middle = (fmean(draw[key] for draw in one["draws"]) for key in ("f_8", "f_1_8", "middle"))
            row += f" {f_8:.3f}, {f_1_8:.3f} | {middle:.2f} |"
        expected.append(row)
    assert rows_below("| images of each |") == expected
    assert f"{measured['clusters']} clusters, {measured['halves']['runs']} runs. The patch encoder" in text

    names = {
        "fidprobe": "fidprobe",
        "KMeans": "scikit-learn's `KMeans`",
        "MiniBatchKMeans, batches of 1024": "`MiniBatchKMeans(n_init=10)`, batches of 1,024",
        "MiniBatchKMeans, batches of 100": "`MiniBatchKMeans(n_init=10)`, batches of 100",
    }
    jpeg, blur = measured["k_means"]
    expected = []
    for key, name in names.items():
        cells, squares = [name], []
        for one in (jpeg["rows"], blur["rows"]):
            f_8, f_8_spread, f_1_8, f_1_8_spread = (
                one[key][number] for number in ("f_8", "f_8_spread", "f_1_8", "f_1_8_spread")
            )
            cells.append(f"{f_8:.2f} ± {f_8_spread:.2f}, {f_1_8:.3f} ± {f_1_8_spread:.3f}")
            squares.append(f"{one[key]['mean_square'] / one['KMeans']['mean_square']:.3f}")
        expected.append(f"| {' | '.join([*cells, ', '.join(squares)])} |")
    assert rows_below("| k-means |") == expected
    for one, kind in ((jpeg, "jpeg"), (blur, "blur")):
        assert one["degraded"].startswith(kind)
        assert f"{one['images']:,} test images of CIFAR-10 against {one['images']:,} training images" in text
        assert f"over {one['runs']} runs" in text


def test_the_tables_of_heatmaps_are_what_was_measured() -> None:
    """Every number of the tables in docs/heatmaps.md and docs/influence.md is in the benchmark's result, rounded."""
    measured = json.loads((ROOT / "benchmarks/results/heatmaps.json").read_text(encoding="utf-8"))
    text = (ROOT / "docs/heatmaps.md").read_text(encoding="utf-8")
    seconds = measured["speed"]["seconds_per_image"]
    for value in seconds.values():
        assert f"| {value:.2g} | {value / seconds['network']:.2g} |" in text
    for one in measured["shortcut"]:
        assert f"| {one['images']:,} | {one['median_error']:.2g} | {one['largest_error']:.2g} |" in text
    removal = measured["removal"]
    told = f"{1000 * removal['removal_seconds_per_image']:.2f} ms an image against "
    told += f"{removal['recomputing_seconds_per_image']:.1f} s for recomputing F ({removal['images']:,} images"
    assert told in (ROOT / "docs/influence.md").read_text(encoding="utf-8")


def test_the_tables_of_the_heatmap_check_are_what_was_measured() -> None:
    """Distances, shares and correlations in docs/heatmap-check.md."""
    text = (ROOT / "docs/heatmap-check.md").read_text(encoding="utf-8")

    def told(one: dict[str, float], factor: float = 1) -> str:
        return plus_minus(factor * one["value"], factor * one["standard_error"])

    for name in ("heatmap_check", "heatmap_check_random"):
        measured = json.loads((ROOT / f"benchmarks/results/{name}.json").read_text(encoding="utf-8"))
        correlations = [measured["sanity"][key]["spearman"] for key in ("same_image", "other_images", "unrelated")]
        assert " | ".join(f"{one:.2f}" for one in correlations) in text
        if name == "heatmap_check":
            spaces = [measured["main"], measured["second_opinion"]]
            for noised in zip(*(space["noised"] for space in spaces), strict=True):
                for region in ("all", "important", "unimportant"):
                    cells = []
                    for one in noised:
                        share = one[region].get("share")
                        cells += [told(one[region]["frechet_distance"]), f"{told(share, 100)} %" if share else ""]
                    assert " | ".join(cells).strip().replace("|  |", "| |") in text
                assert f"| {told(noised[0]['difference'])} | | {told(noised[1]['difference'])} |" in text


def test_what_many_processes_cost_is_what_was_measured() -> None:
    text = " ".join((ROOT / "docs/scale.md").read_text(encoding="utf-8").split())
    measured = json.loads((ROOT / "benchmarks/results/scale.json").read_text(encoding="utf-8"))
    one, two = measured["processes"]["1"], measured["processes"]["2"]
    for what, digits in (("images_a_second", 0), ("seconds_a_pass", 2)):
        assert f"| {one[what]:.{digits}f} | {two[what]:.{digits}f} |" in text
    assert f"| 0 | {two['statistics_off']:.0e} |" in text
    days = 1e8 / one["images_a_second"] / 86400
    hours = f"{days * 24 / 100:.1f} hours"
    assert f"busy for {days:.0f} days, or, divided as well, a hundred such machines for {hours}" in text
    busy = json.loads((ROOT / "benchmarks/results/busy_cores.json").read_text(encoding="utf-8"))["seconds"]
    for others, ways in busy.items():
        assert f"| {others} | {' | '.join(f'{median(times):.1f}' for times in ways.values())} |" in text
    memory = json.loads((ROOT / "benchmarks/results/memory.json").read_text(encoding="utf-8"))
    assert f"sets of {memory['images']:,} images with {memory['dim']:,} dimensions" in text
    assert f"a control group that gives it {memory['limit_gib']:g} GiB" in text
    for job, one in memory["jobs"].items():
        assert f"| {job} | {one['seconds']:.0f} | {one['anonymous_bytes'] / 2**30:.1f} |" in text
