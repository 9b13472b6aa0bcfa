"""Every table and figure of the papers that shows data, in the papers' order, and what has been run of it."""

import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from reproduce.experiment import PAPERS, SCALES, Experiment

__all__ = ["ITEMS", "RESULTS", "Item", "cost", "duration", "experiment", "listing", "record"]

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Item:
    """A table or figure.

    Attributes:
        paper: Key of `PAPERS`.
        item: `Table 1`.
        module: The script's name; None where there is no script.
        why: Why there is none.
    """

    paper: str
    item: str
    module: str | None
    why: str = ""


ITEMS = (
    Item("fid", "Table 1", "fid_table1"),
    Item("fid", "Table 2", "fid_table2"),
    Item("fid", "Table 3", "fid_table3"),
    Item("fid", "Figures 3 and 11", "fid_fig3"),
    Item("fid", "Figures 4 and 12", "fid_fig4"),
    Item("fid", "Figures 5, 13 and 14", "fid_fig5"),
    Item("fid", "Figures 6 and 15", "fid_fig6"),
    Item("fid", "Figures 7 and 16", "fid_fig7"),
    Item("fid", "Figure 8a", "fid_fig8a"),
    Item("fid", "Figure 8b", "fid_fig8b"),
    Item("fid", "Figure 9", "fid_fig9"),
    Item("fid", "Figure 10", "fid_fig10"),
    Item(
        "prd",
        "Figure 1",
        None,
        "pairs of GANs on MNIST and CelebA that the paper does not publish; Figure 6 shows such",
    ),
    Item("prd", "Figures 2 and 3", "prd_fig3"),
    Item("prd", "Figure 4", "prd_fig4"),
    Item("prd", "Figures 5 and 11", "prd_fig5"),
    Item("prd", "Figure 6", "prd_fig6"),
    Item("prd", "Figure 7", "prd_fig7"),
    Item("prd", "Figure 8", None, "recall lost within classes, of models that the paper does not publish"),
    Item("prd", "Figure 9", None, "samples by cluster: pictures without numbers"),
    Item("prd", "Figure 10", "prd_fig10"),
    Item("amgan", "Table 1", "amgan_table1"),
    Item("amgan", "Table 2", "amgan_table2"),
    Item("amgan", "Table 3", "amgan_table3"),
    Item("amgan", "Figures 3, 6 and 7", "amgan_fig6"),
    Item("amgan", "Figure 4", "amgan_fig4"),
    Item("amgan", "Figure 5", "amgan_fig5"),
    Item("is", "Bounds", "is_limits"),
    Item("lecture", "Figure 7", "lecture_fig7"),
    Item("lecture", "Figure 8", "lecture_fig8"),
    Item("lecture", "Figure 10", "lecture_fig10"),
    Item("lecture", "Figure 17", "lecture_fig17"),
    Item("lecture", "Figure 18", "lecture_fig18"),
    Item("lecture", "Figure 20", "lecture_fig20"),
    Item("lecture", "Figure 21", "lecture_fig21"),
)


def experiment(module: str) -> Experiment[Any]:
    """The experiment of a script."""
    found = import_module(f"reproduce.{module}").EXPERIMENT
    assert isinstance(found, Experiment)
    return found


def record(module: str, scale: str, results: Path = RESULTS) -> Mapping[str, Any] | None:
    """What was kept of a run; None if it was not run."""
    path = results / f"{module}-{scale}.json"
    if not path.is_file():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def listing(results: Path = RESULTS) -> str:
    """What there is, what each needs and costs, and whether it has been run."""
    lines = []
    paper = ""
    for item in ITEMS:
        if item.paper != paper:
            paper = item.paper
            lines += ["", PAPERS[paper]]
        if item.module is None:
            lines.append(f"  {item.item}: no script; {item.why}")
            continue
        one = experiment(item.module)
        lines.append(f"  {item.item}: {one.title}")
        lines.append(f"    python -m reproduce.{item.module}")
        for scale in SCALES:
            if scale in one.presets:
                lines.append(f"    {scale:5}  {cost(one, scale, results)}")
                if scale in one.needs:
                    lines.append(f"           needs {one.needs[scale]}")
    return "\n".join(wrapped for line in lines[1:] for wrapped in _wrapped(line))


def _wrapped(line: str) -> list[str]:
    """At most 80 columns; what goes on is indented further."""
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(line, 80, subsequent_indent=indent, break_long_words=False) or [""]


def cost(one: Experiment[Any], scale: str, results: Path = RESULTS) -> str:
    """How long a run took, and where; or that there was none."""
    found = record(one.name, scale, results)
    if found is not None:
        return f"run in {duration(found['seconds'])} on {found['hardware']['device']}"
    if scale == "smoke":
        return "seconds, in the tests"
    thought = f" (thought to take {one.costs[scale]})" if scale in one.costs else ""
    return f"not run{thought}"


def duration(seconds: float) -> str:
    """`12 s`, `3 min`, `2.1 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
