"""Heatmaps as files: raw maps, overlays, figures, a page to leaf through, and JSON."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.heatmaps.figures import heatmaps_figure, means_figure, overlay
from fidprobe.analysis.heatmaps.measure import Heatmap, Heatmaps, MeanHeatmap
from fidprobe.analysis.output.page import png_uri, render_page
from fidprobe.analysis.output.replaceable_folder import check_own_folder, replaced_folder
from fidprobe.analysis.output.result_files import replaced_result
from fidprobe.analysis.output.wording import images_text, json_text, number, shortened
from fidprobe.analysis.output.writers import output_folder, write_arrays, write_figure, write_text
from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.analysis.sets.pictures import Picture
from fidprobe.extractors.base import Box
from fidprobe.provenance import Provenance

__all__ = ["heatmap_folder", "heatmap_json", "signed", "write_heatmaps"]

_SHOWN = 320  # pixels: pictures of the page are shown no larger than this


def heatmap_folder(folder: str | os.PathLike[str]) -> Path:
    """Find out before the work whether a folder for heatmaps can be written.

    Raises:
        InputError: the folder cannot be made or written, or its `overlays` is not fidprobe's.
    """
    path = output_folder(folder, "heatmaps")
    check_own_folder(path / "overlays")
    return path


def heatmap_json(heatmaps: Heatmaps, *, command: str | None = None) -> str:
    """Everything but maps and pictures as JSON text.

    Args:
        heatmaps: What to tell.
        command: The command line that made them.

    Raises:
        InputError: a number is not finite; names its place.
    """
    provenance = Provenance(extractor=heatmaps.extractor).to_json()
    data = {
        "fidprobe": heatmaps.version,
        "sets": {
            name: {"count": heatmaps.counts[name], "source": Provenance(source=source).to_json()["source"]}
            for name, source in heatmaps.sets.items()
        },
        "extractor": provenance["extractor"],
        "layer": heatmaps.layer,
        "method": heatmaps.method,
        "joined": heatmaps.joined,
        "images": [_image_json(one, i) for i, one in enumerate(heatmaps.images)],
        "means": [_mean_json(one) for one in heatmaps.means],
        "warnings": [vars(one) for one in heatmaps.advice],
        "seconds": round(heatmaps.seconds, 3),
        "command": command,
    }
    return json_text(data, "the heatmaps")


def write_heatmaps(heatmaps: Heatmaps, folder: str | os.PathLike[str], *, command: str | None = None) -> Path:
    """Write heatmaps, each file whole or not at all.

    `heatmap.json`, `maps.npz` (raw maps), `overlays/` (one PNG an image), `heatmaps.html` (all of them with their
    predictions), the figure `heatmaps`; with means `means.npz` and the figure `means`.

    Args:
        heatmaps: What to write.
        folder: Where; made if missing.
        command: The command line that made them, to be told.

    Returns:
        The path of the page.

    Raises:
        InputError: the folder cannot be written, or a number is not finite.
    """
    text = heatmap_json(heatmaps, command=command)
    path = heatmap_folder(folder)
    label = metric_label(heatmaps.extractor.name, "FD")
    overlays = [overlay(one.picture, one.map, one.box) for one in heatmaps.images]
    files, figures = ("means.npz",), ("means",)
    with replaced_result(path, "heatmap.json", "the heatmaps", files=files, figures=figures) as fresh:
        write_arrays(fresh / "maps.npz", _image_arrays(heatmaps.images))
        with replaced_folder(fresh / "overlays") as pictures:
            for i, pixels in enumerate(overlays):
                _save_png(pixels, pictures / _overlay_name(i))
        write_figure(
            heatmaps_figure(heatmaps.images, label=label),
            fresh / "heatmaps",
            f"Images and where {label} is most sensitive in each of them",
        )
        if heatmaps.means:
            write_arrays(fresh / "means.npz", _mean_arrays(heatmaps.means))
            figure = means_figure(heatmaps.means, label=label)
            write_figure(figure, fresh / "means", f"Mean pictures and mean heatmaps of {label}")
        write_text(fresh / "heatmaps.html", _page(heatmaps, overlays, command))
        write_text(fresh / "heatmap.json", text)
    return path / "heatmaps.html"


def signed(value: float | None) -> str:
    """`+1.23`, `−0.0045`: an influence or a change, with its sign."""
    assert value is not None  # either is there
    return ("+" if value > 0 else "") + number(value, 3)


def _overlay_name(index: int) -> str:
    return f"{index:04d}.png"


def _image_json(one: Heatmap, index: int) -> dict[str, Any]:
    return {
        "name": one.name,
        "overlay": f"overlays/{_overlay_name(index)}",
        "influence": one.influence,
        "change": one.change,
        "predictions": [vars(prediction) for prediction in one.predictions],
        "box": list(one.box),
        "map_min": float(one.map.min()),
        "map_max": float(one.map.max()),
    }


def _mean_json(one: MeanHeatmap) -> dict[str, Any]:
    return {
        "class": one.name,
        "count": one.count,
        "map_min": float(one.map.min()),
        "map_max": float(one.map.max()),
    }


def _image_arrays(images: Sequence[Heatmap]) -> dict[str, npt.NDArray[Any]]:
    """`names`, `boxes`, and `maps` [n, u, v]; `map_0`, `map_1`, ... where their sizes differ."""
    arrays: dict[str, npt.NDArray[Any]] = {
        "names": np.array([one.name for one in images]),
        "boxes": np.array([one.box for one in images], dtype=np.float64),
    }
    if len({one.map.shape for one in images}) == 1:
        return {**arrays, "maps": np.stack([one.map for one in images])}
    return {**arrays, **{f"map_{i}": one.map for i, one in enumerate(images)}}


def _mean_arrays(means: Sequence[MeanHeatmap]) -> dict[str, npt.NDArray[Any]]:
    """`names` (empty: all images), `counts`, `maps` [n, u, v], `pictures` [n, h, w, 3]."""
    return {
        "names": np.array([one.name or "" for one in means]),
        "counts": np.array([one.count for one in means]),
        "maps": np.stack([one.map for one in means]),
        "pictures": np.stack([one.picture for one in means]),
    }


def _save_png(pixels: Picture, path: Path) -> None:
    from PIL import Image

    Image.fromarray(pixels).save(path, format="PNG")


def _page(heatmaps: Heatmaps, overlays: Sequence[Picture], command: str | None) -> str:
    names = {name: "" if source is None else source.description for name, source in heatmaps.sets.items()}
    return render_page(
        "heatmaps/heatmaps.html.j2",
        title=shortened(names["images" if heatmaps.joined else "generated"] or "the generated set", 60),
        label=metric_label(heatmaps.extractor.name, "FD"),
        sets=[
            {
                "name": name,
                "description": shortened(names[name], 60) if names[name] else "features or statistics",
                "count": "unknown number of images" if count is None else images_text(count),
            }
            for name, count in heatmaps.counts.items()
        ],
        space=heatmaps.extractor.name,
        layer=heatmaps.layer or "",
        method=heatmaps.method,
        joined=heatmaps.joined,
        advice=heatmaps.advice,
        images=[
            {
                "name": shortened(one.name, 60),
                "picture": png_uri(_shrunk(one.picture)),
                "overlay": png_uri(_shrunk(over)),
                "predictions": [(p.name, f"{100 * p.probability:.1f} %") for p in one.predictions],
                "number": signed(one.change if one.influence is None else one.influence),
            }
            for one, over in zip(heatmaps.images, overlays, strict=True)
        ],
        means=[
            {
                "name": "all images" if one.name is None else shortened(one.name, 40),
                "count": images_text(one.count),
                "picture": png_uri(_rounded(one)),
                "overlay": png_uri(_mean_overlay(one)),
            }
            for one in heatmaps.means
        ],
        command=command or "",
        version=heatmaps.version,
        seconds=number(heatmaps.seconds, 3),
    )


def _rounded(one: MeanHeatmap) -> Picture:
    return one.picture.round().clip(0, 255).astype(np.uint8)


def _mean_overlay(one: MeanHeatmap) -> Picture:
    height, width = one.picture.shape[:2]
    return overlay(_rounded(one), one.map, Box(0, 0, width, height))


def _shrunk(picture: Picture) -> Picture:
    from PIL import Image

    height, width = picture.shape[:2]
    scale = min(1.0, _SHOWN / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)) if scale < 1 else picture
