"""Models that come with fidprobe for use offline: generators, networks and a reference, all of CIFAR-10.

docs/models.md describes them, from the cards in the files; `python -m reproduce.embedded` makes them.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from fidprobe.errors import InputError, WeightsError
from fidprobe.runtime.files import sha256_file

__all__ = ["EMBEDDED", "PREFIX", "SUMS", "embedded_file"]

PREFIX = "embedded:"
"""Prefix of the names of these generators and references among image sources."""

EMBEDDED: Mapping[str, str] = MappingProxyType(
    {
        "am-gan": "generator",
        "am-gan-early": "generator",
        "cifar10-encoder": "network",
        "cifar10-classifier": "network",
        "cifar10": "reference",
        "am-gan-chosen": "choice",
    }
)
"""Name -> kind of the file's content."""

SUMS = "SHA256SUMS"
"""Name of the file with their hashes, in the format of `sha256sum`."""

_FOLDER = Path(__file__).parent


def embedded_file(name: str, kind: str) -> Path:
    """Return the path of an embedded file after checking its SHA-256.

    Args:
        name: A key of `EMBEDDED`.
        kind: Expected kind: `generator`, `network`, `reference` or `choice` (of a generator's images).

    Raises:
        InputError: no such name of that kind.
        WeightsError: the file is damaged or missing.
    """
    if EMBEDDED.get(name) != kind:
        known = ", ".join(PREFIX + other for other, content in EMBEDDED.items() if content == kind)
        others = "; a reference is embedded:cifar10/NETWORK" if kind == "generator" else ""
        raise InputError(f"no {kind} {name!r} comes with fidprobe; there are {known}{others}")
    path = _FOLDER / f"{name}.{'json' if kind == 'choice' else 'safetensors'}"
    try:
        lines = (_FOLDER / SUMS).read_text(encoding="ascii").splitlines()
        expected = [line.split()[0] for line in lines if line.split()[1:] == [path.name]]
        found = sha256_file(path)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: cannot be checked ({error}); install fidprobe again") from error
    if [found] != expected:
        raise WeightsError(
            f"{path}: damaged, SHA-256 {found}, expected {', '.join(expected) or 'none'}; install fidprobe again"
        )
    return path
