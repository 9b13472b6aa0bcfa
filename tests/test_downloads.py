"""What fidprobe fetches from the network: by which code, and held to which hash."""

import ast
import hashlib
import io
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from fidprobe.errors import WeightsError
from fidprobe.extractors import weights
from fidprobe.extractors.weights import WEIGHTS, resolve, weights_path

ROOT = Path(__file__).parents[1]

# Of these the publisher says less than a whole SHA-256, and no second source is known for the rest.
FIRST_SEEN = {"inception-torchvision": 8, "swav": 0}

# Where code of others fetches by itself, and what it compares; each has a test of its message without a network.
OTHERS = {
    ("fidprobe/extractors/clip.py", "create_model"),  # open_clip: hashes where its list has them
    ("fidprobe/extractors/timm_model.py", "pretrained"),  # timm, through the Hugging Face hub
    ("fidprobe/images/torchvision_names.py", "download"),  # torchvision: MD5
    ("fidprobe/images/huggingface.py", "load_dataset"),  # datasets: what the hub says of its files
}
OURS = {("fidprobe/extractors/download.py", "urlopen")}

_CALLS = {
    *(
        "urlopen",
        "urlretrieve",
        "hf_hub_download",
        "snapshot_download",
        "load_dataset",
        "from_pretrained",
        "create_model",
    ),
    *("load_state_dict_from_url", "download_url", "create_connection", "HTTPConnection", "HTTPSConnection"),
}
_SWITCHES = {"pretrained", "download"}


def reaching(file: Path) -> set[str]:
    """Calls in a file that reach the network: by their name, or by an argument that asks for it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        asked = {
            one.arg
            for one in node.keywords
            if one.arg in _SWITCHES and not (isinstance(one.value, ast.Constant) and not one.value.value)
        }
        switched_off = any(one.arg in _SWITCHES for one in node.keywords) and not asked
        if name in _CALLS and not switched_off:
            found.add("pretrained" if asked == {"pretrained"} and name == "create_model" and _is_timm(node) else name)
        elif asked:
            found |= asked
    return found


def _is_timm(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") == "timm"


def test_every_place_that_fetches_is_known() -> None:
    """A new one has to say here what its files are held to."""
    places = {
        (file.relative_to(ROOT).as_posix(), call)
        for folder in ("fidprobe", "attacks", "analysis", "reproduce", "benchmarks")
        for file in sorted((ROOT / folder).rglob("*.py"))
        for call in reaching(file)
        if not any(part.is_symlink() for part in file.parents)
    }
    assert places == OURS | OTHERS


def test_every_published_file_has_a_sha256() -> None:
    """All 64 digits but of those whose publishers say less: these are held to the first file seen."""
    short = {name: len(one.sha256 or "") for name, one in WEIGHTS.items() if len(one.sha256 or "") != 64}
    assert short == FIRST_SEEN


@pytest.mark.parametrize("name", [name for name, one in WEIGHTS.items() if one.url is not None])
def test_what_is_fetched_is_compared_before_it_is_used(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another file than the publisher's is refused and deleted; one without a known hash is recorded, then held to."""
    monkeypatch.setenv("FIDPROBE_CACHE", str(tmp_path))
    sent = [b"another file"]

    class Answer(io.BytesIO):
        status = 200
        headers: dict[str, str] = {}  # noqa: RUF012

    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: Answer(sent[0]))
    if WEIGHTS[name].sha256 is not None:
        with pytest.raises(WeightsError, match="sent a file with SHA-256 .*; it was deleted: try again, or put"):
            resolve(name)
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    digits = FIRST_SEEN.get(name, 64)
    expected = hashlib.sha256(b"the file").hexdigest()
    entries = {**WEIGHTS, name: replace(WEIGHTS[name], sha256=expected[:digits] or None)}
    monkeypatch.setattr(weights, "WEIGHTS", entries)
    sent[0] = b"the file"
    assert resolve(name).sha256 == expected
    weights_path(name).write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="damaged or not the official file"):
        resolve(name)
