"""Heatmaps as files: raw maps, overlays, figures, a page to leaf through, and JSON."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.heatmaps.figures import heatmaps_figure, mean_overlay, means_figure, overlay
from fidprobe.analysis.heatmaps.measure import Heatmap, Heatmaps, MeanHeatmap, overlay_name
from fidprobe.analysis.output.page import png_uri, render_page
from fidprobe.analysis.output.result_files import result_folder
from fidprobe.analysis.output.wording import images_text, number, shortened, signed
from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.analysis.sets.pictures import Picture, shrunk
from fidprobe.arguments import checked

__all__ = ["write_heatmaps"]

_SHOWN = 320  # pixels: pictures of the page are shown no larger than this


@checked
def write_heatmaps(heatmaps: Heatmaps, folder: str | os.PathLike[str], *, command: str | None = None) -> Path:
    """Write heatmaps, each file whole or not at all.

    `heatmap.json`, `maps.npz` (raw maps), `overlays/` (one PNG an image), `heatmaps.html` (all of them with their
    predictions), the figure `heatmaps`; with means `means.npz` and the figure `means`.

    Args:
        heatmaps: What to write.
        folder: Where; made if missing.
        command: The command line that made them, which JSON and page state.

    Returns:
        The path of the page.

    Raises:
        InputError: the folder cannot be written, or a number is not finite.
    """
    label = metric_label(heatmaps.extractor.name, "FD")
    overlays = [overlay(one.picture, one.map, one.box) for one in heatmaps.images]
    with result_folder(folder, "heatmap", heatmaps, command=command, files=("means.npz",), figures=("means",)) as files:
        files.arrays("maps.npz", _image_arrays(heatmaps.images))
        with files.subfolder("overlays") as pictures:
            for i, pixels in enumerate(overlays):
                _save_png(pixels, pictures / overlay_name(i))
        figure = heatmaps_figure(heatmaps.images, label=label)
        files.figure("heatmaps", figure, f"Images and where {label} is most sensitive in each of them")
        if heatmaps.means:
            files.arrays("means.npz", _mean_arrays(heatmaps.means))
            figure = means_figure(heatmaps.means, label=label)
            files.figure("means", figure, f"Mean pictures and mean heatmaps of {label}")
        files.text("heatmaps.html", _page(heatmaps, overlays, command))
    return files.path.with_name("heatmaps.html")


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
    names = {name: one.source.description if one.source else "" for name, one in heatmaps.sets.items()}
    return render_page(
        "heatmaps/heatmaps.html.j2",
        title=shortened(names["images" if heatmaps.joined else "generated"] or "the generated set", 60),
        label=metric_label(heatmaps.extractor.name, "FD"),
        sets=[
            {
                "name": name,
                "description": shortened(names[name], 60) if names[name] else "features or statistics",
                "count": images_text(one.count),
            }
            for name, one in heatmaps.sets.items()
        ],
        space=heatmaps.extractor.name,
        layer=heatmaps.layer or "",
        method=heatmaps.method,
        joined=heatmaps.joined,
        advice=heatmaps.advice,
        images=[
            {
                "name": shortened(one.name, 60),
                "picture": png_uri(shrunk(one.picture, _SHOWN)),
                "overlay": png_uri(shrunk(over, _SHOWN)),
                "predictions": [(p.name, f"{100 * p.probability:.1f} %") for p in one.predictions],
                "number": signed(one.effect),
            }
            for one, over in zip(heatmaps.images, overlays, strict=True)
        ],
        means=[
            {
                "name": "all images" if one.name is None else shortened(one.name, 40),
                "count": images_text(one.count),
                "picture": png_uri(one.rounded),
                "overlay": png_uri(mean_overlay(one)),
            }
            for one in heatmaps.means
        ],
        command=command or "",
        version=heatmaps.version,
        elapsed=number(heatmaps.elapsed, 3),
    )
