"""RESULTS.md, made of the records that are kept: no number in it is typed by hand."""

from pathlib import Path
from typing import Any

from benchmarks.recording import markdown_templates
from reproduce.catalogue import ITEMS, RESULTS, duration, experiment, record
from reproduce.experiment import PAPERS, SCALES, Cell, shown, theirs

__all__ = ["results_page"]

_HERE = Path(__file__).parent


def results_page(results: Path = RESULTS) -> str:
    """The page as Markdown; discussions are templates, `discussion/PAPER.md.j2`, that take numbers from the records."""
    made = markdown_templates(_HERE)

    def cell(module: str, name: str, scale: str = "small", digits: int | None = None) -> str:
        found = _cell(module, name, scale, results)
        return f"{found.ours:,.{found.digits if digits is None else digits}f}"

    def published(module: str, name: str, scale: str = "small") -> str:
        return theirs(_cell(module, name, scale, results))

    made.globals.update(
        cell=cell, published=published, detail=lambda module, scale="small": _record(module, scale, results)["details"]
    )
    papers = []
    for key, title in PAPERS.items():
        items = [_item(item, results) for item in ITEMS if item.paper == key]
        path = _HERE / "discussion" / f"{key}.md.j2"
        discussion = made.get_template(f"discussion/{key}.md.j2").render() if path.is_file() else ""
        papers.append({"title": title, "items": items, "discussion": discussion})
    return made.get_template("results.md.j2").render(papers=papers)


def _record(module: str, scale: str, results: Path) -> Any:
    found = record(module, scale, results)
    if found is None:
        raise LookupError(f"{module} was not run at {scale}")
    return found


def _cell(module: str, name: str, scale: str, results: Path) -> Cell:
    for one in _record(module, scale, results)["cells"]:
        if one["name"] == name:
            return Cell(**one)
    raise LookupError(f"{module} has no cell {name!r}")


def _item(item: Any, results: Path) -> dict[str, Any]:
    if item.module is None:
        return {"item": item.item, "title": item.why, "module": None, "runs": [], "missing": []}
    one = experiment(item.module)
    runs, missing = [], []
    for scale in SCALES:
        if scale not in one.presets or scale == "smoke":
            continue
        found = record(item.module, scale, results)
        if found is None:
            missing.append(scale)
            continue
        cells = [Cell(**cell) for cell in found["cells"]]
        runs.append(
            {
                "scale": scale,
                "command": found["command"],
                "time": duration(found["seconds"]),
                "hardware": hardware(found["hardware"]),
                "rows": [(cell.name, shown(cell.ours, cell), theirs(cell)) for cell in cells],
                "notes": found["notes"],
                "figures": [
                    (f"results/{item.module}-{scale}{figure['suffix']}.png", figure["title"])
                    for figure in found["figures"]
                ],
            }
        )
    return {"item": item.item, "title": one.title, "module": item.module, "runs": runs, "missing": missing}


def hardware(told: dict[str, Any]) -> str:
    """In a line."""
    return f"{told['device']}, {told['cores']} cores, torch {told['torch']}"
