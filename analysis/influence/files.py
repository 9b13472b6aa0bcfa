"""Influence as files: JSON, a table of all images, a table of all classes, figures."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fidprobe.analysis.influence.figures import (
    Captioned,
    influence_classes_figure,
    influence_images_figure,
    influence_spaces_figure,
)
from fidprobe.analysis.influence.measure import Influence
from fidprobe.analysis.output.result_files import result_folder
from fidprobe.analysis.output.wording import shortened, signed_percent
from fidprobe.analysis.sets.pictures import read_pictures
from fidprobe.arguments import checked
from fidprobe.errors import InputError
from fidprobe.runtime.progress import Progress, silent

__all__ = ["write_influence"]

_CLASSES = "influence_classes.csv"
_FIGURES = ("influence_classes", "influence_spaces", "influence_images")
_MOST = 20  # classes of either kind in a figure: a page


@checked
def write_influence(
    influence: Influence,
    folder: str | os.PathLike[str],
    *,
    count: int = 10,
    command: str | None = None,
    progress: Progress = silent,
) -> Path:
    """Write the influence of all images, each file whole or not at all.

    `influence.json`; `influence.csv`, every image from the most harmful to the most favourable; and as far as there
    is what they show: `influence_classes.csv`, every class that occurs; the figures `influence_classes`,
    `influence_spaces` and `influence_images` as `.svg`, `.pdf` and `.png`. What an earlier run left there goes.

    Args:
        influence: What to write.
        folder: Where; made if missing.
        count: Images and classes of either kind in JSON and figures, >= 1; 20 classes at most are drawn.
        command: The command line that made it, which the JSON states.
        progress: Reports the pictures.

    Returns:
        The path of `influence.json`.

    Raises:
        InputError: the folder cannot be written, or a number is not finite.
        SourceError: a picture cannot be read any more.
    """
    if count < 1:
        raise InputError(f"at least 1 image of either kind is listed, not {count}")
    listed = influence.listing(count)
    with result_folder(folder, "influence", listed, command=command, files=(_CLASSES,), figures=_FIGURES) as files:
        files.table("influence.csv", list(influence.image(0)), _rows(influence))
        label = influence.main.label
        if influence.classes:
            rows = [one.to_json() for one in influence.classes]
            files.table(_CLASSES, list(rows[0]), (list(row.values()) for row in rows))
            if not influence.main.vanishes and influence.raising_classes(1):
                figure = influence_classes_figure(influence, number=min(count, _MOST))
                files.figure("influence_classes", figure, f"Classes that raise and lower {label} most")
        if influence.second is not None and not influence.main.vanishes and not influence.second.vanishes:
            title = f"Influence of every image on {label} and on {influence.second.label}"
            files.figure("influence_spaces", influence_spaces_figure(influence), title)
        if influence.images is not None and influence.names is not None:
            harmful, favourable = influence.order[:count].tolist(), influence.order[::-1][:count].tolist()
            captioned = _captioned(influence, [*harmful, *favourable], progress)
            figure = influence_images_figure(
                captioned[: len(harmful)], captioned[len(harmful) :], label=label, note=_note(influence)
            )
            files.figure("influence_images", figure, f"Images that raise and lower {label} most")
    return files.path


def _captioned(influence: Influence, indices: list[int], progress: Progress) -> list[Captioned]:
    """Pictures with their class and their influence in percent of the distance."""
    assert influence.images is not None
    assert influence.names is not None
    pictures = read_pictures(influence.images, [influence.names[i] for i in indices], progress=progress)
    out = []
    for picture, i in zip(pictures, indices, strict=True):
        lines = []
        if influence.top1 is not None:
            lines.append(shortened(influence.class_names[influence.top1.classes[i]], 17))
        known = [signed_percent(value) for value in influence.percents(i) if value is not None]
        lines.append(" | ".join(value.removesuffix("\N{NO-BREAK SPACE}%") for value in known))
        out.append(Captioned(picture, lines))
    return out


def _note(influence: Influence) -> str:
    """The line that explains what stands below each picture."""
    spaces = [shortened(influence.main.label, 21)] if not influence.main.vanishes else []
    if influence.second is not None and not influence.second.vanishes:
        spaces.append(f"{shortened(influence.second.label, 21)} (second opinion)")
    second = "" if influence.second is not None else "; no second opinion"
    classes = "Top-1 class; " if influence.top1 is not None else ""
    return f"{classes}influence in % of {' | '.join(spaces) or 'nothing: the distance is 0'}{second}"


def _rows(influence: Influence) -> Iterator[list[Any]]:
    for index in influence.order.tolist():
        yield list(influence.image(index).values())
