"""Names of several files: `samples-{000..004}.npz`, `out/*_fake_B.png`."""

import os
import re
from glob import glob
from pathlib import Path

from fidprobe.errors import SourceError
from fidprobe.images.file_names import is_left_out, natural_key
from fidprobe.runtime.messages import escape_controls

__all__ = ["expand_pattern", "is_pattern"]

_BRACES = re.compile(r"\{([0-9]+)\.\.([0-9]+)\}")
_SIGNS = re.compile(r"[*?\[]")


def is_pattern(text: str) -> bool:
    """Whether a name has a sign of patterns; a file of just that name counts before its pattern."""
    return bool(_SIGNS.search(text) or _BRACES.search(text))


def expand_pattern(pattern: str) -> list[Path]:
    """List what matches: `{000..004}` counts (zero-padded as written), `*`, `?`, `[]` match, `**` folders at any depth.

    Hidden files and folders, and those that systems make, match only where the pattern names them.

    Returns:
        Paths in natural order; the pattern itself where it has no sign of patterns.

    Raises:
        SourceError: a counted file is missing, or nothing matches.
    """
    braces = _BRACES.search(pattern)
    if braces:
        first, last = braces.groups()
        if not int(first) <= int(last) < int(first) + 100_000:
            raise SourceError(f"{pattern}: {{{first}..{last}}} does not count upwards (to at most 100,000 files)")
        numbers = (f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1))
        parts = [f"{pattern[: braces.start()]}{number}{pattern[braces.end() :]}" for number in numbers]
        return [path for part in parts for path in expand_pattern(part)]
    if Path(pattern).exists():
        return [Path(pattern)]
    found: list[str] = []
    if sign := _SIGNS.search(pattern):
        fixed = len(pattern[: sign.start()].rpartition("/")[0])  # folders that the user names count
        found = [
            name
            for name in glob(pattern, recursive=True)  # noqa: PTH207
            if not any(map(is_left_out, name[fixed:].replace(os.sep, "/").strip("/").split("/")))
        ]
    if not found:
        kind = "shard" if pattern.lower().endswith((".tar", ".tar.gz", ".tgz")) else "file or folder"
        raise SourceError(f"{escape_controls(pattern)}: no such {kind}; check the pattern and the folder")
    return [Path(name) for name in sorted(set(found), key=natural_key)]
