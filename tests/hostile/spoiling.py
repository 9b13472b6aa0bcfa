"""Ways to spoil a sound file: bytes changed anywhere, and headers rewritten with values that nobody sane writes."""

import io
import json
import re
import struct
import zipfile
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DataObject

__all__ = ["SPOILERS", "split_safetensors", "spoilt"]

NUMBERS = (0, -1, 1, 2, 255, 256, 2**16, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, 10**30, -(2**63))
"""What lengths, shapes and counts become."""

_DEEP = 5000  # brackets within brackets: deeper than Python's own stack

_BOMB = 2**32  # values that a header claims in a few bytes


def spoilt(content: bytes, kind: str, data: DataObject) -> bytes:
    """The content of a file with one to four faults.

    Args:
        content: Of a sound file.
        kind: Out of `SPOILERS`; every kind is spoilt as plain bytes as well.
        data: Draws the faults.
    """
    for _ in range(data.draw(st.sampled_from((1, 1, 1, 2, 4)), label="faults")):
        spoil = data.draw(st.sampled_from((_spoil_bytes, SPOILERS[kind])), label="how")
        try:
            content = spoil(content, data)
        except Exception:  # an earlier fault has left no header to rewrite, and parsers say so by any error
            content = _spoil_bytes(content, data)
    return content


def _spoil_bytes(content: bytes, data: DataObject) -> bytes:
    """Flip, overwrite, cut out, insert, cut short or extend."""
    size = len(content)
    # Headers lie at the ends, where most can go wrong.
    ends = st.integers(0, min(size, 64)) | st.integers(max(0, size - 96), size)
    place = data.draw(ends | st.integers(0, size), label="place")
    how = data.draw(st.sampled_from(("flip", "overwrite", "cut", "insert", "truncate", "extend")), label="change")
    piece = data.draw(st.sampled_from(_PIECES) | st.binary(min_size=1, max_size=12), label="piece")
    if how == "flip" and place < size:
        return content[:place] + bytes([content[place] ^ (1 << piece[0] % 8)]) + content[place + 1 :]
    if how == "cut":
        return content[:place] + content[place + len(piece) :]
    if how == "insert":
        return content[:place] + piece + content[place:]
    if how == "truncate":
        return content[:place]
    if how == "extend":
        return content + piece * 50
    return content[:place] + piece + content[place + len(piece) :]


_PIECES = (
    *(struct.pack(order + "I", value % 2**32) for value in NUMBERS[:10] for order in "<>"),
    *(struct.pack("<Q", value % 2**64) for value in NUMBERS),
    b"\0" * 8,
    b"\xff" * 8,
    b"NaN",
    b"1e999",
    b"\x80\x04\x95",
    b"../",
    b"\r\n",
    b'"',
)


def _spoil_numbers(content: bytes, data: DataObject) -> bytes:
    """One number of a text becomes another one."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?", content))
    one = found[data.draw(st.integers(0, len(found) - 1), label="number")]
    told = [str(value) for value in NUMBERS] + ["NaN", "-Infinity", "1e999", "1e-400", "", "'", "0x10", "9" * 5000]
    return content[: one.start()] + data.draw(st.sampled_from(told), label="told").encode() + content[one.end() :]


def _spoil_json(content: bytes, data: DataObject) -> bytes:
    """One value anywhere in a JSON text becomes another, or goes, or comes twice."""
    return json.dumps(_edited(json.loads(content), data)).encode()


def _edited(tree: Any, data: DataObject) -> Any:
    keys: list[Any] = list(tree) if isinstance(tree, dict) else list(range(len(tree))) if isinstance(tree, list) else []
    if not keys or data.draw(st.integers(0, 4), label="here") == 0:
        return data.draw(_VALUES, label="value")
    key = data.draw(st.sampled_from(keys), label="key")
    if data.draw(st.integers(0, 9), label="drop") == 0:
        if isinstance(tree, dict):
            return {name: value for name, value in tree.items() if name != key}
        return tree + tree[:1]
    if isinstance(tree, dict):
        return {**tree, key: _edited(tree[key], data)}
    return [*tree[:key], _edited(tree[key], data), *tree[key + 1 :]]


_VALUES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(
        [None, True, "", "F64", "x\x1b[31m\n", "../x", "\ud800", 0.5, [], {}, [[]], {"a": {}}, "[" * _DEEP]
    ),
    st.sampled_from([float("nan"), float("inf"), -1e308, 1e-320]),
    st.lists(st.sampled_from(NUMBERS), max_size=3),
)


def split_safetensors(content: bytes) -> tuple[Any, bytes]:
    """Header and data of a safetensors file."""
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def _spoil_safetensors(content: bytes, data: DataObject) -> bytes:
    """Rewrite the header: shapes, offsets and types of tensors, or the JSON within the metadata."""
    header, rest = split_safetensors(content)
    metadata = header.get("__metadata__", {})
    inner = [key for key, text in metadata.items() if text[:1] in ("{", "[")]
    within = data.draw(st.booleans(), label="within the metadata")
    if inner and within:
        key = data.draw(st.sampled_from(inner), label="metadata")
        header["__metadata__"][key] = _spoil_json(metadata[key].encode(), data).decode()
    else:
        header = _edited(header, data)
    text = json.dumps(header)
    if data.draw(st.integers(0, 9), label="twice") == 0:  # every key comes a second time
        text = text[:-1] + "," + text[1:]
    encoded = text.encode()
    length = len(encoded) if data.draw(st.integers(0, 9), label="lie") else data.draw(st.sampled_from(NUMBERS)) % 2**64
    return struct.pack("<Q", length) + encoded + rest


def _spoil_npy(content: bytes, data: DataObject) -> bytes:
    """Rewrite the dictionary that begins a `.npy`."""
    size = int.from_bytes(content[8:10], "little")
    text, rest = content[10 : 10 + size].decode("latin-1"), content[10 + size :]
    shape = data.draw(st.lists(st.sampled_from((*NUMBERS, 3, 4)), max_size=4), label="shape")
    told = data.draw(
        st.sampled_from(
            (
                text,
                re.sub(r"\(.*\)", str(tuple(shape)), text),
                re.sub(r"'descr': [^,]+", f"'descr': '{data.draw(st.sampled_from(_TYPES), label='type')}'", text),
                re.sub(r"False", data.draw(st.sampled_from(("True", "None", "2")), label="order"), text),
                "(" * _DEEP,
                "{" + text,
                text + "#" * 20_000,
            )
        ),
        label="header",
    ).encode("latin-1")
    version = data.draw(st.sampled_from((1, 1, 1, 2, 3)), label="version")
    lengths = (len(told), len(told), len(told), 2**16 - 1, 0)
    length = data.draw(st.sampled_from(lengths), label="length") % 2**16
    if version > 1:
        length = data.draw(st.sampled_from((length, 2**32 - 1)), label="longer")
    return content[:6] + bytes([version, 0]) + length.to_bytes(2 if version == 1 else 4, "little") + told + rest


_TYPES = ("|O", "<f2", ">f8", "<c16", "|S0", "|U3", "<M8[s]", "|V8", "<i8", "|b1", "<f16", "O", "x", "|u1", "|S1000000")


def _spoil_zip(content: bytes, data: DataObject) -> bytes:
    """Spoil one member of an archive and pack it anew, by any method."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {member.filename: archive.read(member) for member in archive.infolist()}
    name = data.draw(st.sampled_from(sorted(members)), label="member")
    spoil = _spoil_npy if name.endswith(".npy") else _spoil_bytes
    members[name] = spoil(members[name], data)
    packing = data.draw(st.sampled_from((0, 8, 12, 14)), label="packing")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", packing) as archive:
        for member, held in members.items():
            archive.writestr(member, held)
    return packed.getvalue()


SPOILERS: dict[str, Callable[[bytes, DataObject], bytes]] = {
    "bytes": _spoil_bytes,
    "text": _spoil_numbers,
    "json": _spoil_json,
    "safetensors": _spoil_safetensors,
    "npy": _spoil_npy,
    "zip": _spoil_zip,
}
"""Kind of file -> what spoils it with knowledge of its structure."""
