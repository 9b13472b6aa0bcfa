"""The check of heatmaps as files: JSON, a table, figures, and the maps that the sanity check compares."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fidprobe.analysis.heatmap_check.distances import Measured
from fidprobe.analysis.heatmap_check.figures import (
    check_examples_figure,
    check_noise_figure,
    check_sanity_figure,
    shown_scale,
)
from fidprobe.analysis.heatmap_check.measure import HeatmapCheck
from fidprobe.analysis.heatmap_check.noise import REGIONS
from fidprobe.analysis.output.result_files import result_folder
from fidprobe.arguments import checked

__all__ = ["write_heatmap_check"]

_MAPS = "heatmap-check-maps.npz"
_NUMBERS = ("distance", "distance_error", "rise", "rise_error", "share", "share_error")
_HEADER = ("scale", "region", *_NUMBERS, *(f"second_{name}" for name in _NUMBERS))


@checked
def write_heatmap_check(check: HeatmapCheck, folder: str | os.PathLike[str], *, command: str | None = None) -> Path:
    """Write the check, each file whole or not at all.

    `heatmap-check.json`; `heatmap-check.csv`, a row for each scale and region; the figures
    `heatmap-check-noise` and `heatmap-check-examples`; where there is a sanity check, the figure
    `heatmap-check-sanity`, and `heatmap-check-maps.npz` with its maps (`names`, `trained`, `randomised`). Figures are
    `.svg`, `.pdf` and `.png`. What an earlier run left there goes.

    Args:
        check: What to write.
        folder: Where; made if missing.
        command: The command line that made it, which the JSON states.

    Returns:
        The path of `heatmap-check.json`.

    Raises:
        InputError: the folder cannot be written, or a number is not finite.
    """
    figures = ("heatmap-check-sanity",)
    with result_folder(folder, "heatmap-check", check, command=command, files=(_MAPS,), figures=figures) as files:
        files.table("heatmap-check.csv", _HEADER, _rows(check))
        title = f"{check.main.label} under noise in regions of the images"
        files.figure("heatmap-check-noise", check_noise_figure(check), title)
        examples = check_examples_figure(check.examples, shown_scale(check.scales))
        title = "Images, their heatmaps, and noise in the halves these divide"
        files.figure("heatmap-check-examples", examples, title)
        if check.sanity is not None:
            sanity = check.sanity
            title = "Heatmaps under trained and under randomised weights"
            files.figure("heatmap-check-sanity", check_sanity_figure(sanity), title)
            names = np.array([name.encode(errors="backslashreplace").decode() for name in sanity.names])
            maps = {"names": names, "trained": sanity.trained, "randomised": sanity.randomised}
            files.arrays(_MAPS, maps)
    return files.path


def _rows(check: HeatmapCheck) -> Iterator[list[Any]]:
    spaces = (check.main, check.second)
    clean = [_cells(None if one is None else one.clean, None, None) for one in spaces]
    yield [0.0, "none", *clean[0], *clean[1]]
    for i, scale in enumerate(check.scales):
        for region in REGIONS:
            cells: list[float | None] = []
            for one in spaces:
                if one is None:
                    cells += _cells(None, None, None)
                else:
                    share = one.shares[region][i] if region in one.shares else None
                    cells += _cells(one.noised[region][i], one.rises[region][i], share)
            yield [scale, region, *cells]


def _cells(*measured: Measured | None) -> list[float | None]:
    return [cell for one in measured for cell in ((None, None) if one is None else (one.value, one.error))]
