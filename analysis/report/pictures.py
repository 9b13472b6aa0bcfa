"""What the report shows of `Look`: pictures of influential images, and sensitivity maps beside their pictures."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fidprobe.analysis.audit.headline import label_text
from fidprobe.analysis.audit.influential_images import Influential, Look
from fidprobe.analysis.heatmaps.figures import overlay
from fidprobe.analysis.heatmaps.measure import Heatmap
from fidprobe.analysis.output.montage import montage
from fidprobe.analysis.output.page import png_uri
from fidprobe.analysis.output.wording import shortened, signed_percent
from fidprobe.analysis.sets.pictures import Picture

__all__ = ["look_view"]

_CELL = 96  # pixels of an influential image
_MAP = 192  # of a map and its picture
_NAME = 40


def look_view(look: Look | None) -> dict[str, Any] | None:
    """The maps, and two strips of images."""
    if look is None:
        return None
    label = label_text(look.label)
    spaces = [label, *([f"{label_text(look.second_label)} (second opinion)"] if look.second_label else [])]
    return {
        "maps": [_map(one, influential=i < look.influential) for i, one in enumerate(look.maps)],
        "why": look.why.removesuffix("."),
        "strips": [
            {"title": f"Images of the model that raise {label} most", "images": _strip(look.raising)},
            {"title": f"Images of the model that lower {label} most", "images": _strip(look.lowering)},
        ],
        "note": f"Below a picture: its Top-1 class if known, and its influence in % of {' | '.join(spaces)}. The mean "
        "influence is 0; leaving an image of N out changes the distance by about −1/N of it.",
    }


def _map(one: Heatmap, *, influential: bool) -> dict[str, Any]:
    return {
        "name": shortened(one.name, _NAME),
        "picture": png_uri(_shrunk(one.picture, _MAP)),
        "overlay": png_uri(_shrunk(overlay(_enlarged(one.picture), one.map, _box(one)), _MAP)),
        "small": max(one.picture.shape[:2]) < _MAP,
        "kind": "among the most influential" if influential else "drawn at random",
        "predictions": [
            f"{shortened(p.name, 24)} {100 * p.probability:.0f}\N{NO-BREAK SPACE}%" for p in one.predictions[:2]
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


def _enlarged(picture: Picture) -> Picture:
    """Small pictures by whole numbers, so that a map over them is smooth."""
    times = max(1, _MAP // max(picture.shape[:2]))
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def _box(one: Heatmap) -> Any:
    times = max(1, _MAP // max(one.picture.shape[:2]))
    return type(one.box)(*(times * edge for edge in one.box))


def _shrunk(picture: Picture, side: int) -> Picture:
    from PIL import Image

    height, width = picture.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)) if scale < 1 else picture
