"""The table of conventions: its page says what its data say, and each row gives its metric's choices."""

import json
from pathlib import Path

import pytest

from fidprobe.analysis.conventions.table import CONVENTIONS, RESIZES, Convention, conventions_named
from fidprobe.analysis.scores.metric_choices import MetricChoices
from fidprobe.errors import InputError
from fidprobe.extractors import resize_rules

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "conventions.md"
MEASURED = ROOT / "benchmarks" / "results" / "conventions.json"


def table_row(one: Convention) -> str:
    """A row as docs/conventions.md has it."""
    kid = parts = balls = "–"
    if one.kernel:
        size = f"min({one.kernel.subset_size:,}, n)" if one.kernel.clips else f"{one.kernel.subset_size:,}"
        told = "mean ± std" if one.kernel.spread else "mean"
        kid = f"{one.kernel.subsets} × {size}, {one.kernel.draws}, {told}"
    if one.parts:
        split = f"parts of {one.parts.split_size:,}" if one.parts.split_size else f"{one.parts.splits} parts"
        order = "in order" if one.parts.order == "natural" else f"shuffled {one.parts.draws}"
        told = "mean" if one.parts.std_ddof is None else f"mean ± std (ddof {one.parts.std_ddof})"
        parts = f"{split}, {order}, {told}"
    if one.balls:
        balls = f"k = {one.balls.neighbours}, `{'<' if one.balls.strict else '<='}`, {one.balls.space}"
    covariance = "/ (n − 1)" if one.covariance_ddof else "/ n"
    cells = [f"`{one.name}`", one.title, f"{RESIZES[one.resize]} (`{one.resize}`)", one.scaling, covariance]
    return f"| {' | '.join([*cells, kid, parts, balls])} |"


def remark(one: Convention) -> str:
    """What the page adds to a row."""
    return f"- `{one.name}`: {one.remarks} Read in {', '.join(f'`{source}`' for source in one.sources)}."


def measured_text() -> list[str]:
    """What the page tells of the benchmark: a row a convention, then the spread and the second opinion."""
    found = json.loads(MEASURED.read_text(encoding="utf-8"))
    lines = []
    for row in found["conventions"]:
        score = f"{row['inception_score_mean']:.2f}" if "inception_score_mean" in row else "–"
        if "inception_score_std" in row:
            score += f" ± {row['inception_score_std']:.2f}"
        lines.append(f"| {row['convention']} | {row['frechet_distance']:.2f} | {score} |")
    spread, second = found["spread"], found["second_opinion"]
    ends = [f"{spread[end]:.2f} ({spread[name]})" for end, name in (("low", "lowest"), ("high", "highest"))]
    lines.append(f"from {' to '.join(ends)}: a factor of {spread['ratio']:.2f}")
    lines.append(f"{second['label']} = {second['frechet_distance']:.3f}")
    lines.append(f"{found['images']['reference']} photographs")
    return lines


def test_the_page_tells_what_was_measured() -> None:
    """Every number of its example is in the benchmark's result, rounded."""
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    for line in measured_text():
        assert line in text, line


def test_the_page_has_every_row_and_remark_and_no_other() -> None:
    """In the table's order."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("| `")] == list(map(table_row, CONVENTIONS))
    assert [line for line in lines if line.startswith("- `")] == list(map(remark, CONVENTIONS))


def test_rules_exist_and_names_are_unique() -> None:
    assert {one.resize for one in CONVENTIONS} == set(RESIZES) <= set(resize_rules())
    assert len({one.name for one in CONVENTIONS}) == len(CONVENTIONS)
    assert [one.name for one in CONVENTIONS if one.covariance_ddof == 0] == ["stylegan"]


def test_choices_are_what_score_has_to_be_told() -> None:
    """fidprobe's own defaults are torch-fidelity's; where a library lacks a metric they stand."""
    choices = {one.name: one.choices() for one in CONVENTIONS}
    own = MetricChoices()
    for name in ("ttur", "pytorch-fid", "clean-fid", "torch-fidelity"):
        assert choices[name] == own, name
    assert choices["torchmetrics"] == MetricChoices(inception_std_ddof=1)
    assert choices["stylegan"] == MetricChoices(inception_natural_order=True, covariance_ddof=0)
    assert choices["adm"] == MetricChoices(inception_natural_order=True, inception_split_size=5000)


def test_rows_are_had_by_name() -> None:
    assert conventions_named(None) == CONVENTIONS
    assert [one.name for one in conventions_named(["adm", "ttur"])] == ["ttur", "adm"]
    with pytest.raises(InputError, match="unknown convention 'tensorflow'; choose from ttur, pytorch-fid, clean-fid"):
        conventions_named(["ttur", "tensorflow"])
