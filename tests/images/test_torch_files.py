"""Files of torch.save are looked into, never unpickled, and the line says how their content is read."""

import os
import pickle
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fidprobe.errors import FidprobeError, InputError, SourceError
from fidprobe.features.extraction import ReadOptions
from fidprobe.images import open_images
from fidprobe.inputs import open_input

IMAGES = torch.zeros(5, 3, 8, 9, dtype=torch.uint8)
FEATURES = torch.rand(6, 4)

CONTENTS: dict[str, tuple[Any, str]] = {
    "images": (IMAGES, r"images \[5, 3, 8, 9\].*np\.save\('.*\.npy', torch\.load\('a\.pt'\)\.numpy\(\)\)"),
    "float images": (IMAGES.half(), r"images \[5, 3, 8, 9\].*np\.save\('a\.npy'"),
    "parameter": (torch.nn.Parameter(IMAGES.float()), r"images \[5, 3, 8, 9\]"),
    "features": (FEATURES, r"features \[6, 4\].*np\.save\('a\.npy', torch\.load\('a\.pt'\)\.float\(\)\.numpy\(\)\)"),
    "bfloat16": (FEATURES.bfloat16(), r"features \[6, 4\].*\.float\(\)"),
    "labelled": ({"images": IMAGES, "labels": torch.zeros(5)}, r"images \[5, 3, 8, 9\] under 'images'.*\)\['images'\]"),
    "named features": ({"feats": FEATURES, "n": 6}, r"features \[6, 4\] under 'feats'.*\)\['feats'\]\.float\(\)"),
    "statistics": (
        {"mu": torch.zeros(4), "sigma": torch.eye(4)},
        r"statistics under 'mu' and 'sigma'.*np\.savez\('a\.npz', mu=.*\['mu'\], sigma=.*\['sigma'\]\)",
    ),
    "other statistics": ({"mean": torch.zeros(4), "cov": torch.eye(4)}, r"statistics under 'mean' and 'cov'"),
    "numpy statistics": ({"mu": np.zeros(4), "sigma": np.eye(4), "n": 3}, r"statistics under 'mu' and 'sigma'"),
    "weights": (
        torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).state_dict(),
        r"weights of a network \(0\.weight, 0\.bias, .*torch\.jit\.script\(network\)\.save\('a\.pt'\)",
    ),
    "wrapped": (
        {"state_dict": OrderedDict(weight=torch.zeros(3, 3)), "epoch": 3},
        r"weights of a network \(weight.*torch\.jit",
    ),
    "checkpoint": (
        {"G": {"weight": torch.zeros(3, 3)}, "G_ema": {"weight": torch.zeros(3, 3)}, "step": 3},
        r"weights of a network",
    ),
    "module": (torch.nn.Linear(2, 3), r"a pickled torch\.nn\.modules\.linear\.Linear.*torch\.jit"),
    "list": ([IMAGES, IMAGES], r"a list of 2, such as images \[5, 3, 8, 9\].*torch\.cat"),
    "number": (3, r"no tensors"),
    "nothing": ({}, r"no tensors"),
}


def saved(content: Any, path: Path, *, old: bool = False) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(content, path, _use_new_zipfile_serialization=not old)
    return path


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("kind", CONTENTS)
def test_what_torch_saved_is_told_with_the_line_that_helps(kind: str, old: bool, tmp_path: Path) -> None:
    """In torch's archive, and in its form before 1.6; by every name, and with settings of a generator."""
    content, told = CONTENTS[kind]
    path = saved(content, tmp_path / "a.pt", old=old)
    for opened in (str(path), f"{path}?z=512"):
        with pytest.raises(SourceError, match=rf"a\.pt: .*holds {told}") as caught:
            open_images(opened, limit=3)
        assert "\n" not in str(caught.value)
    with pytest.raises(SourceError, match=told):
        open_input(path, ReadOptions())
    other = path.rename(tmp_path / "a.pth")
    with pytest.raises(SourceError, match=r"a\.pth: .*holds "):
        open_images(other)


def test_the_lines_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told for images, features and statistics makes files that are read."""
    monkeypatch.chdir(tmp_path)
    cases: dict[str, Any] = {
        "images": IMAGES,
        "features": FEATURES.bfloat16(),
        "named": {"feats": FEATURES, "n": 6},
        "statistics": {"mean": torch.zeros(4), "cov": torch.eye(4)},
    }
    for name, content in cases.items():
        torch.save(content, f"{name}.pt")
        with pytest.raises(SourceError) as caught:
            open_images(f"{name}.pt")
        line = str(caught.value).partition("`")[2].partition("`")[0]
        exec(line, {"np": np, "torch": torch})
        ending = "npz" if name == "statistics" else "npy"
        assert open_input(f"{name}.{ending}", ReadOptions()) is not None


def test_torchscript_needs_its_latent_size(tmp_path: Path) -> None:
    """As before: the file itself is sound."""

    class Gray(torch.nn.Module):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return z[:, :1, None, None].expand(-1, 3, 8, 8).sigmoid()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(Gray(), torch.zeros(2, 4)).save(str(tmp_path / "g.pt"))
    with pytest.raises(InputError, match=r"a generator needs its latent size, as in .*g\.pt\?z=512"):
        open_images(tmp_path / "g.pt")
    assert len(open_images(f"{tmp_path}/g.pt?z=4", limit=2)) == 2


class Planted:
    """Unpickling this makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("old", [False, True])
def test_what_is_looked_into_does_not_run(old: bool, tmp_path: Path) -> None:
    """Neither as the whole nor within."""
    for content in (Planted(tmp_path / "ran"), {"mu": Planted(tmp_path / "ran"), "sigma": IMAGES}):
        path = saved(content, tmp_path / "a.pt", old=old)
        with pytest.raises(FidprobeError, match=r"a\.pt: "):
            open_images(path)
        assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x02",
        b"\x80\x02.",
        b"\x80\x02}q\x00(X\x01\x00\x00\x00au.",
        b"\x80\x02" + b"(" * 5000,
        b"\x80\x02" + b"(" * 5000 + b"t" * 5000 + b".",
        b"\x80\x02]" + b"q\x00h\x00a" * 3 + b".",
        b"\x80\x02N\x85\x86\x87R.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x02\x8a\x04" + b"\xff" * 4 + b"b.",
        b"\x80\x02X\xff\xff\xff\x7fa.",
        b"cos\nsystem\n(S'true'\ntR.",
    ],
)
def test_damaged_pickles_are_refused_in_one_line(data: bytes, tmp_path: Path) -> None:
    """Stacks that run empty, marks without end, lengths that are not there, lists within themselves."""
    (tmp_path / "a.pt").write_bytes(data)
    (tmp_path / "b.pkl").write_bytes(data or pickle.dumps([1, 2]))
    with zipfile.ZipFile(tmp_path / "c.pt", "w") as archive:
        archive.writestr("c/data.pkl", data)
    for name in ("a.pt", "b.pkl", "c.pt"):
        with pytest.raises(FidprobeError, match=rf"{name}: ") as caught:
            open_images(tmp_path / name)
        assert len(str(caught.value)) < 600 + len(str(tmp_path))
        assert str(caught.value).isprintable()
