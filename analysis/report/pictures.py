"""The report's pictures: random ones of every set, influential images, and sensitivity maps beside their pictures."""

from collections.abc import Sequence
from typing import Any

from fidprobe.analysis.audit.headline import label_text
from fidprobe.analysis.audit.influential_images import DistanceFocus, Influential
from fidprobe.analysis.audit.result import Audit
from fidprobe.analysis.heatmaps.figures import overlay
from fidprobe.analysis.heatmaps.measure import Heatmap
from fidprobe.analysis.output.montage import montage
from fidprobe.analysis.output.page import png_uri
from fidprobe.analysis.output.wording import amount, shortened, signed_percent
from fidprobe.analysis.sets.pictures import shrunk

__all__ = ["focus_view", "grid_views"]

_CELL = 96  # pixels: pictures are shown no larger than this
_MAP = 192  # of a map and its picture
_NAME = 40


def grid_views(audit: Audit) -> list[dict[str, Any]]:
    """One picture grid a set, in cells of one size, or the reason why there is none."""
    longest = max((max(p.shape[:2]) for grid in audit.grids.values() for p in grid), default=_CELL)
    cell = min(_CELL, longest)
    views = []
    for name in audit.scored.sets:
        pictures = audit.grids.get(name, ())
        view: dict[str, Any] = {"name": name, "count": len(pictures), "small": cell < _CELL}
        if pictures:
            shrunk = any(max(p.shape[:2]) > cell for p in pictures)
            view["uri"] = png_uri(montage(pictures, cell=cell))
            view["note"] = f"{amount(len(pictures))} pictures" + (f", shrunk to {cell} pixels" if shrunk else "")
        views.append(view)
    return views


def focus_view(focus: DistanceFocus | None) -> dict[str, Any] | None:
    """The maps, and two strips of images."""
    if focus is None:
        return None
    label = label_text(focus.label)
    spaces = [label, *([f"{label_text(focus.second_label)} (second opinion)"] if focus.second_label else [])]
    return {
        "maps": [_map(one, influential=i < focus.influential) for i, one in enumerate(focus.maps)],
        "why": focus.why.removesuffix("."),
        "strips": [
            {"title": f"Images of the model that raise {label} most", "images": _strip(focus.raising)},
            {"title": f"Images of the model that lower {label} most", "images": _strip(focus.lowering)},
        ],
        "note": f"Below a picture: its Top-1 class if known, and its influence in % of {' | '.join(spaces)}. The mean "
        "influence is 0; leaving an image of N out changes the distance by about −1/N of it.",
    }


def _map(heatmap: Heatmap, *, influential: bool) -> dict[str, Any]:
    # Small pictures are enlarged by whole numbers, so that a map over them is smooth.
    times = max(1, _MAP // max(heatmap.picture.shape[:2]))
    enlarged = heatmap.picture.repeat(times, axis=0).repeat(times, axis=1)
    box = type(heatmap.box)(*(times * edge for edge in heatmap.box))
    return {
        "name": shortened(heatmap.name, _NAME),
        "picture": png_uri(shrunk(heatmap.picture, _MAP)),
        "overlay": png_uri(shrunk(overlay(enlarged, heatmap.map, box), _MAP)),
        "small": max(heatmap.picture.shape[:2]) < _MAP,
        "kind": "among the most influential" if influential else "drawn at random",
        "predictions": [
            f"{shortened(p.name, 24)} {100 * p.probability:.0f}\N{NO-BREAK SPACE}%" for p in heatmap.predictions[:2]
        ],
    }


def _strip(images: Sequence[Influential]) -> list[dict[str, Any]]:
    return [
        {
            "name": shortened(one.name, _NAME) if one.name is not None else f"image {one.index}",
            "uri": "" if one.picture is None else png_uri(montage([one.picture], cell=_CELL)),
            "small": one.picture is not None and max(one.picture.shape[:2]) < _CELL,
            "text": _caption(one),
        }
        for one in images
    ]


def _caption(one: Influential) -> str:
    known = [signed_percent(value) for value in (one.percent, one.second_percent) if value is not None]
    return ": ".join(text for text in (shortened(one.class_name or "", 24), " | ".join(known)) if text)
