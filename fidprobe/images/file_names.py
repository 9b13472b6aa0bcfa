"""Names of image files: which count as images, in which order, and under which valid and unique names."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fidprobe.runtime.messages import escape_controls

__all__ = [
    "IMAGE_EXTENSIONS",
    "MOST_CLASSES",
    "SAVED_DATASET",
    "SHOWN",
    "class_index",
    "class_labels",
    "escape_problem",
    "is_image",
    "is_left_out",
    "natural_key",
    "no_images",
    "relative_names",
    "valid_names",
]

_SPELLED = ".apng .avif .bmp .gif .jfif .jp2 .jpeg .jpg .pbm .pgm .png .pnm .ppm .tif .tiff .webp"

IMAGE_EXTENSIONS = tuple(_SPELLED.split())
"""Endings (in upper or lower case) of files that are taken for images; their content decides on the format."""

SHOWN = 100
"""Characters of a name that a message shows."""

_LONGEST_NAME = 4096  # characters, as of any path; a tar's header can hold a million

_OF_SYSTEMS = frozenset(("__MACOSX", "@eaDir", "#recycle", "@Recycle", "$RECYCLE.BIN"))
"""Copies, thumbnails and deleted files: of macOS's archives, Synology (two), QNAP, Windows."""

SAVED_DATASET = ("dataset_info.json", "dataset_dict.json")
"""Files of which a folder that `datasets` saved has one."""

MOST_CLASSES = 1_000_000
"""Limit of class indices, beyond any real set: code that counts images by class takes memory for each index."""

_DIGITS = re.compile(r"([0-9]+)")


def is_image(name: str) -> bool:
    """Whether a relative name (`/` as separator) is a visible image file by its name."""
    if not name.lower().endswith(IMAGE_EXTENSIONS):
        return False
    return not any(map(is_left_out, name.split("/")))


def is_left_out(part: str) -> bool:
    """Whether a file or folder is hidden, or one that systems make beside the users' own files."""
    return part.startswith(".") or part in _OF_SYSTEMS


def natural_key(name: str) -> tuple[object, ...]:
    """Return a sorting key that puts `img2` before `img10`, folder by folder, ignoring case.

    Runs of digits compare as numbers of any length. The name itself breaks ties (`a1`, `a01`, `A1`), so the
    order is total and does not depend on the order of listing.
    """
    return (*(_component_key(part) for part in name.split("/")), (), name)


def _component_key(part: str) -> tuple[object, ...]:
    # Splitting on a group alternates text, digits, text, ...: places are always compared like with like.
    # A number is (length, digits) rather than int(digits), which refuses more than 4,300 digits.
    pieces = _DIGITS.split(part.casefold())
    return tuple(
        (len(piece.lstrip("0")), piece.lstrip("0")) if place % 2 else piece for place, piece in enumerate(pieces)
    )


def escape_problem(name: str) -> str | None:
    """Return why an archive member's name is unsafe or endless, or None; a backslash counts as a separator."""
    if len(name) > _LONGEST_NAME:
        return f"has a name of {len(name)} characters"
    path = name.replace("\\", "/")
    if path.startswith("/") or re.match(r"[A-Za-z]:/", path):
        return "has an absolute path"
    if ".." in path.split("/"):
        return "points outside the archive"
    return None


def relative_names(paths: Sequence[Path]) -> list[str]:
    """Return names of files relative to the nearest folder that holds them all, `/` as separator."""
    whole = [os.path.abspath(path) for path in paths]  # noqa: PTH100 - links stay as they are
    common = os.path.commonpath([os.path.dirname(path) for path in whole])  # noqa: PTH120
    return [Path(os.path.relpath(path, common)).as_posix() for path in whole]


def valid_names(names: Iterable[str]) -> list[str]:
    """Turn names into valid Unicode (undecodable bytes become U+FFFD), unique by `#2`, `#3`, ... at the end."""
    seen: set[str] = set()
    last: dict[str, int] = {}  # counting from 2 for each would take ages where thousands look alike
    result = []
    for raw in names:
        name = raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        unique, count = name, last.get(name, 1)
        while unique in seen:
            count += 1
            unique = f"{name}#{count}"
        last[name] = count
        seen.add(unique)
        result.append(unique)
    return result


def class_labels(names: Sequence[str]) -> tuple[list[int | None], tuple[str, ...] | None]:
    """Derive labels from class folders.

    If every image lies in a folder and there are at least two first-level folders, those are the classes, in
    natural order.

    Returns:
        One label a name and the class names; all None where there are no class folders.
    """
    folders = [name.partition("/")[0] if "/" in name else "" for name in names]
    classes = tuple(sorted(set(folders), key=natural_key))
    if "" in classes or len(classes) < 2:
        return [None] * len(names), None
    index = {name: label for label, name in enumerate(classes)}
    return [index[folder] for folder in folders], classes


def class_index(value: int) -> int | None:
    """Return a label as a class index; None below zero, which is how sets mark pictures without a class.

    Raises:
        ValueError: it is MOST_CLASSES or more.
    """
    if value >= MOST_CLASSES:
        raise ValueError(f"a class index of {value if value < 2**63 else 'many digits'}; {MOST_CLASSES:,} is the most")
    return value if value >= 0 else None


def no_images(description: str, others: Mapping[str, int] | None = None) -> str:
    """Compose the message for a source that exists but holds no images.

    Args:
        description: The source as the user gave it.
        others: Ending -> number of the files that it holds.
    """
    text = f"no images in {description} (looked for {_SPELLED})"
    if others is None:
        return text
    most = sorted(others.items(), key=lambda other: (-other[1], other[0]))[:3]
    shown = ", ".join(f"{count} {escape_controls(ending[:20]) or 'without ending'}" for ending, count in most)
    return f"{text}; it {f'holds {shown}' if shown else 'is empty'}"
