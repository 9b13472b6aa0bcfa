"""Hostile sets, end to end: the page renders safely and says what is wrong."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fidprobe.analysis.audit.measure import Audit, audit
from fidprobe.analysis.report.files import report_html, write_report
from fidprobe.features.value import Features
from fidprobe.provenance import ExtractorProvenance, Provenance, SourceProvenance
from tests.analysis.pages import Page
from tests.analysis.report.test_files import assert_inert

NAMES = ("<img src=x onerror=alert(1)>", "a\nb", "gnp.\u202etxt", "\"quoted' & `ticked`|", "{{ 7 * 7 }}", "日本語")
CLASSES = tuple(f"{name} {i}" for i, name in enumerate(NAMES))


def features(
    count: int, seed: int, *, dim: int = 3, classes: int | None = None, shift: float = 0.0, space: str = "inception"
) -> Features:
    """Named by the hostile names in turn; of one class, or of all."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, len(CLASSES), generator=generator)
    if classes is not None:
        logits[:, classes] = 50
    names = tuple(f"{NAMES[i % len(NAMES)]}/{i}.png" for i in range(count))
    return Features(
        torch.randn(count, dim, generator=generator) + shift,
        logits if space == "inception" else None,
        names=names,
        class_names=CLASSES if space == "inception" else None,
        provenance=Provenance(
            ExtractorProvenance(space, "ab" * 32, "tf1"),
            SourceProvenance(description=NAMES[0] + NAMES[2], count=count, content=f"{seed:02d}" * 32),
        ),
    )


def audited(count: int, **options: Any) -> Audit:
    """Reference, a model, and a baseline that is further away, with a second opinion."""
    sides: dict[str, Any] = {}
    for prefix, space in (("", "inception"), ("second_", "clip")):
        for seed, (name, shift) in enumerate({"reference": 0.0, "generated": 0.5, "baseline": 1.5}.items()):
            sides[prefix + name] = features(count, seed, shift=shift, space=space, **options)
    return audit(sides.pop("reference"), sides.pop("generated"), **sides)


def checked(made: Audit) -> str:
    """The page's text, after it has been found inert and its numbers finite."""
    html = report_html(made)
    assert_inert(html)
    json.loads(made.json_text())
    for hidden in ("\u202e", "\x1b"):
        assert hidden not in html
    return Page(html).text


def test_names_with_markup_are_shown_as_they_are() -> None:
    text = checked(audited(40))
    assert "<img src=x onerror=alert(1)>" in text
    assert "{{ 7 * 7 }}" in text
    assert "\\u202e" in text


def test_ten_thousand_files_make_no_long_page() -> None:
    made = audit(features(10_000, 0), features(10_000, 1, shift=0.5), budget=False)
    assert len(report_html(made)) < 300_000
    text = checked(made)
    assert "10,000 images" in text
    assert "There is no second opinion." in text


def test_a_set_of_one_class_is_told_and_breaks_nothing() -> None:
    """Every image of one class: frequencies explain nothing."""
    text = checked(audited(60, classes=0))
    assert "100.0 %" in text.replace("\N{NO-BREAK SPACE}", " ")
    assert "Which classes carry the difference" in text


def test_five_images_are_inconclusive_and_the_page_says_so() -> None:
    text = checked(audited(5, dim=8))
    assert "Inconclusive" in text
    assert "has 5 images" in text
    assert "the 8 dimensions of FID" in text
    assert "singular-covariance" in text


def test_two_images_have_no_sampling_error_and_no_verdict() -> None:
    text = checked(audited(2))
    assert "No verdict" in text
    assert "fewer than 3 images" in text


def test_the_same_features_as_model_and_baseline_are_no_gain() -> None:
    """The share is 0 / 0, which neither page nor JSON may stumble over."""
    real, made = features(40, 0), features(40, 1)
    second: dict[str, Any] = {
        f"second_{name}": features(40, seed, space="clip") for name, seed in (("reference", 0), ("generated", 1))
    }
    second["second_baseline"] = second["second_generated"]
    found = audit(real, made, baseline=made, budget=False, **second)
    assert found.verdict is not None
    assert found.verdict.code == "no-gain"
    assert "there is no gain to confirm" in checked(found)


@pytest.mark.parametrize("name", ["<script>alert(1)<", "a\nb", "gnp.\u202etxt", "[x](javascript:alert(1))|`"])
def test_pictures_of_hostile_names_are_audited(tmp_path: Path, name: str) -> None:
    """A folder of files that are called so."""
    rng = np.random.default_rng(0)
    for folder in ("reference", name.replace("/", "")):
        (tmp_path / folder).mkdir()
        for i in range(5):
            pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{name.replace('/', '')}{i}.png")
    found = audit(tmp_path / "reference", tmp_path / name, extractor="random", second_opinion="random:1", budget=False)
    html, _, markdown = write_report(found, tmp_path / "out")
    assert_inert(html.read_text(encoding="utf-8"))
    assert "<script" not in markdown.read_text(encoding="utf-8").replace("\\<script", "")
    assert found.focus is not None
    assert len(found.focus.maps) >= 4
