"""The report says what the audit says, loads nothing, runs nothing, and lets no name become markup."""

import base64
import functools
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fidprobe.analysis.audit.headline import verdict_sentence
from fidprobe.analysis.audit.measure import Audit
from fidprobe.analysis.audit.measure import audit as run_audit
from fidprobe.analysis.output.wording import number, plus_minus
from fidprobe.analysis.report.files import report_html, report_paths, write_report
from fidprobe.analysis.report.markdown import report_markdown
from fidprobe.analysis.scores.space_scores import SpaceScores
from fidprobe.analysis.sets.advice import Advice
from fidprobe.errors import InputError
from tests.analysis import audits
from tests.analysis.pages import Page, page_of

HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "{{ 7 * 7 }}{% raw %}",
    "</style></title></svg><b>",
    "tab\tline\nbell\x07\x1b[31m null\x00",
    "gnp.\u202etxt \udcff",
    "&lt;b&gt; &amp; $x_1^2$ \\",
    "ü" * 127 + "x",
    "漢字" * 42,
]


def assert_inert(html: str) -> None:
    """No script, no event handler, nothing loaded; links only in <a>."""
    for tag, attrs in Page(html).tags:
        assert tag not in {"script", "iframe", "object", "embed", "link", "base", "form", "foreignobject"}, tag
        for key, value in attrs.items():
            assert not key.startswith("on"), (tag, key)
            if key in {"src", "srcset", "data", "poster", "action", "background"}:
                assert (value or "").startswith("data:image/png;base64,"), (tag, key)
            if key in {"href", "xlink:href"}:
                assert (value or "").startswith("https://arxiv.org/" if tag == "a" else "#"), (tag, value)
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


@functools.cache
def every_kind() -> dict[str, Audit]:
    """Audits that leave out one thing each, and hostile ones."""
    sets = dict.fromkeys(("reference", "generated"))
    plain = audits.audit(baseline=False)
    nameless = audits.with_main(plain, replace(plain.scored.main, extractor=None, label="FD[unknown]"))
    unknown = replace(nameless.scored, sets=sets, counts=dict.fromkeys(sets))
    bare = audits.audit(baseline=False, second=False, classifier=False, grids={})
    missing = {"kid": "this set came as statistics", "is": "this set came as statistics"}
    scores = {
        m: replace(s, results={"fid": s.results["fid"]}, missing=missing) for m, s in bare.scored.main.scores.items()
    }
    return {
        "everything": audits.audit(),
        "no baseline": plain,
        "no second opinion": audits.audit(second=False),
        "no classifier": audits.audit(classifier=False),
        "unknown provenance": replace(nameless, scored=unknown, grids={}),
        "distance only": audits.with_main(bare, replace(bare.scored.main, scores=scores)),
        "hostile": hostile_audit(),
    }


def hostile_audit() -> Audit:
    """Every text that comes from outside is an attempt at something."""
    everything = " ".join(HOSTILE)
    sets = {
        name: audits.source(
            everything,
            sizes={f"{text}": 1 for text in HOSTILE},
            formats={everything: 5000},
            treatments={everything: 1},
            skipped=tuple((text, text) for text in HOSTILE),
            limit=5000,
            seed=3,
        )
        for name in ("reference", "generated", "baseline")
    }
    made = audits.audit(sets=sets, advice=tuple(Advice(text, text) for text in HOSTILE), version=HOSTILE[0])
    assert made.histogram is not None
    assert made.scored.main.extractor is not None
    names = tuple(HOSTILE[i % len(HOSTILE)] for i in range(len(made.histogram.class_names)))
    network = replace(made.scored.main.extractor, name=everything, resize=HOSTILE[0], versions={HOSTILE[0]: HOSTILE[1]})
    main = replace(made.scored.main, label=f"FD[{everything}]", extractor=network)
    named = replace(made.histogram, class_names=names, space=everything)
    return replace(audits.with_main(made, main), histogram=named)


@pytest.mark.parametrize("kind", every_kind())
def test_every_page_is_whole_inert_and_free_of_leaks_from_python(kind: str) -> None:
    html = report_html(every_kind()[kind], command="fidprobe audit 'a b' <c>")
    assert html.startswith("<!doctype html>")
    assert_inert(html)
    page = Page(html)
    assert not re.search(r"\b(nan|inf|None|True|False|Undefined)\b", page.text), page.text
    assert "fidprobe audit 'a b' <c>" in page.text
    html.encode()  # no lone surrogates
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", html)


def test_the_page_forbids_its_own_scripts_and_loads() -> None:
    policies = [
        attrs
        for attrs in page_of(audits.audit(baseline=False, classifier=False)).named("meta")
        if "http-equiv" in attrs
    ]
    assert policies == [
        {
            "http-equiv": "Content-Security-Policy",
            "content": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
        }
    ]


def test_hostile_text_is_shown_and_never_obeyed() -> None:
    made = audits.audit(
        baseline=False, classifier=False, grids={}, advice=tuple(Advice("a-code", text) for text in HOSTILE)
    )
    page = page_of(made, command=" | ".join(HOSTILE))
    for text in HOSTILE:
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
        assert page.text.count(re.sub(r"\s+", " ", shown)) == 2  # as a warning and in the command
    assert page.named("script") == []
    assert all("onerror" not in attrs for _, attrs in page.tags)


def space_numbers(space: SpaceScores) -> list[str]:
    out = []
    for scores in space.scores.values():
        assert scores.frechet is not None
        assert scores.kernel is not None
        assert scores.kernel_subsets is not None
        out += [number(scores.frechet.value), number(scores.frechet.mean_term)]
        out.append(plus_minus(scores.kernel.value, scores.kernel.standard_error))
        out.append(plus_minus(scores.kernel_subsets.mean, scores.kernel_subsets.std))
        if scores.inception_score:
            out.append(plus_minus(scores.inception_score.mean, scores.inception_score.std))
    return out


def test_page_and_json_hold_the_audits_numbers() -> None:
    made = audits.audit()
    assert made.scored.second is not None
    text = page_of(made).text
    for expected in (*space_numbers(made.scored.main), *space_numbers(made.scored.second)):
        assert expected.replace("\N{NO-BREAK SPACE}", " ") in text
    data = json.loads(made.json_text())
    assert {key: data[key] for key in made.to_json()} == json.loads(json.dumps(made.to_json()))
    assert data["summary"] == verdict_sentence(made)
    assert data["summary"].replace("\N{NO-BREAK SPACE}", " ") in text
    assert data["main"]["generated"]["frechet_inception_distance"] == 20.25
    assert data["second_opinion"]["baseline"]["frechet_distance"] == 8.875
    assert data["changes"][0]["percent"] == pytest.approx(100 * (20.25 - 35) / 35)
    assert data["command"] is None
    assert json.loads(made.json_text("fidprobe audit a b"))["command"] == "fidprobe audit a b"


def test_the_verdict_comes_before_the_warnings_and_those_before_the_scores() -> None:
    made = audits.judged({"FID": (20.2, 35.1), "FD[clip]": (7.8, 8.0)}, {"FD[clip]": 0.05})
    made = replace(made, advice=(Advice("few-images", "Few images."),))
    text = page_of(made).text
    parts = ("Not confirmed", "FID falls by", "FID changes by", "Few images.", "mean term + covariance term")
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_an_audit_without_warnings_says_so() -> None:
    quiet = audits.audit(classifier=False, grids={})
    warned = replace(quiet, advice=(Advice("x", "y"),))
    assert "No warnings" in page_of(quiet).text
    assert "No warnings" not in page_of(warned).text


def test_what_was_not_computed_comes_with_its_reason() -> None:
    kinds = every_kind()
    text = page_of(kinds["distance only"]).text
    assert "not computed" in text
    assert text.count("this set came as statistics") == 2  # the kernel distance and its subsets
    assert "Not computed: no set here has a classifier's logits (inception)." in text
    assert text.count("it needs a classifier's logits for every set") == 1
    assert "came as features or statistics" in text
    assert "no second opinion" in text
    assert "number of images unknown" in page_of(kinds["unknown provenance"]).text
    assert "without provenance" in page_of(kinds["unknown provenance"]).text


def test_provenance_is_complete() -> None:
    sets = {
        "reference": audits.source("a", limit=500, seed=7, treatments={"CMYK to RGB": 2}, decoder="pillow 13.0.0"),
        "generated": audits.source("b", content=None, sizes={f"{i}x{i}": 1 for i in range(1, 40)}),
        "baseline": audits.source("c", skipped=(("x/1.png", "truncated"), ("2.png", "images/c/2.png: empty"))),
    }
    page = page_of(audits.audit(sets=sets), command="fidprobe audit a b --baseline c")
    for expected in (
        "ab" * 32,
        "cd" * 32,
        "torch 2.6.0",
        "tf1",
        "verified as the published ones",
        "500 images drawn at random, seed 7",
        "CMYK to RGB: 2",
        "decoded bypillow 13.0.0",
        "39 sizes",
        "39x39: 1",
        "2 unreadable files left out",
        "x/1.png: truncated",
        "fidprobe audit a b --baseline c",
        "fidprobe 0.1.0",
    ):
        assert expected in page.text
    assert page.text.count("2.png") == 1  # its reason names it already
    assert len(page.named("details")) == 3  # sizes, skipped files, the baseline's classes


def test_class_lists_hold_the_largest_gaps_with_their_counts() -> None:
    made = audits.audit(baseline=False)
    assert made.histogram is not None
    found = replace(
        made.histogram,
        class_names=("cat", "dog", "bow tie", "seat belt"),
        counts={"reference": (50, 30, 20, 0), "generated": (20, 30, 100, 50)},
        total_variation={"generated": 0.55},
    )
    text = page_of(replace(made, histogram=found)).text
    # 100/200 - 20/100 = +30 points, 50/200 - 0 = +25, 20/200 - 50/100 = -40, 30/200 - 30/100 = -15
    assert "bow tie20100+30.00 seat belt050+25.00" in text
    assert "cat5020−40.00 dog3030−15.00" in text
    assert "generated 0.550" in text


def montages(page: Page) -> list[Any]:
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(str(attrs["src"]).split(",")[1]))))
        for attrs in page.named("img")
        if "drawn at random" in str(attrs["alt"])
    ]


def test_grids_show_every_picture_losslessly_in_cells_of_one_size() -> None:
    small, wide = audits.pictures(24, ((32, 32),)), audits.pictures(5, ((64, 4000),))
    made = audits.audit(classifier=False, grids={"reference": small, "generated": wide})
    page = page_of(made)
    shown = montages(page)
    assert [image.shape for image in shown] == [(4 * 98 - 2, 6 * 98 - 2, 4), (96, 5 * 98 - 2, 4)]
    np.testing.assert_array_equal(shown[0][32:64, 32:64, :3], small[0])
    assert "5 pictures, shrunk to 96 pixels" in page.text
    assert page.text.count("came as features or statistics") == 1  # the baseline
    assert all(attrs.get("alt") for attrs in page.named("img"))


def test_small_pictures_get_small_cells() -> None:
    (image,) = montages(page_of(audits.audit(classifier=False, grids={"generated": audits.pictures(7, ((32, 24),))})))
    assert image.shape == (2 * 34 - 2, 6 * 34 - 2, 4)


@pytest.mark.parametrize("kind", ["everything", "hostile"])
def test_the_same_audit_gives_the_same_bytes(kind: str) -> None:
    made = every_kind()[kind]
    assert report_html(made) == report_html(made)
    assert made.json_text() == made.json_text()


def test_a_number_that_is_not_finite_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    made = audits.audit()
    scores = dict(made.scored.main.scores)
    results = scores["generated"].results
    broken = {**results, "kid": replace(results["kid"], value=float("nan"))}
    scores["generated"] = replace(scores["generated"], results=broken)
    made = audits.with_main(made, replace(made.scored.main, scores=scores))
    with pytest.raises(InputError, match=r"main\.generated\.kernel_inception_distance_all_pairs is nan"):
        made.json_text()
    with pytest.raises(InputError, match=r"main\.generated\.kernel_inception_distance_all_pairs is nan"):
        write_report(made, tmp_path / "out")
    assert list(tmp_path.rglob("report*")) == []


def test_writing_makes_the_folder_and_all_files(tmp_path: Path) -> None:
    made = audits.audit(baseline=False, classifier=False)
    html, data, markdown = write_report(made, tmp_path / "new" / "out", command="c")
    assert markdown.read_text(encoding="utf-8") == report_markdown(made, command="c")
    assert html.read_text(encoding="utf-8") == report_html(made, command="c")
    assert data.read_text(encoding="utf-8") == made.json_text("c")
    assert sorted(path.name for path in html.parent.iterdir()) == ["report.html", "report.json", "report.md"]
    write_report(made, tmp_path / "new" / "out")  # writing again replaces them
    assert json.loads(data.read_text())["command"] is None


def test_a_folder_that_cannot_be_written_is_named_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write a report into .*file"):
        report_paths(tmp_path / "file")
    assert report_paths(tmp_path / "a") == tuple(
        tmp_path / "a" / f"report.{suffix}" for suffix in ("html", "json", "md")
    )
    assert not (tmp_path / "a").exists()


def test_a_real_audit_reports_its_distances(tmp_path: Path) -> None:
    """Two untrained networks on 40 noisy pictures a set: everything but a classifier."""
    generator = torch.Generator().manual_seed(0)

    def draw(low: int, high: int) -> torch.Tensor:
        return torch.randint(low, high, (40, 3, 16, 16), generator=generator).to(torch.uint8)

    made = run_audit(draw(0, 256), draw(0, 200), baseline=draw(0, 90), extractor="random", second_opinion="random:1")
    html, data, _ = write_report(made, tmp_path)
    page, numbers = Page(html.read_text(encoding="utf-8")), json.loads(data.read_text())
    assert_inert(html.read_text(encoding="utf-8"))
    for key in ("main", "second_opinion"):
        for model in ("generated", "baseline"):
            assert number(numbers[key][model]["frechet_distance"]) in page.text
    assert len([attrs for attrs in page.named("img") if "drawn at random" in str(attrs["alt"])]) == 3
    assert len([attrs for attrs in page.named("img") if "sensitivity map" in str(attrs["alt"])]) >= 4
    assert {"untrained-network", "singular-covariance"} <= {one["code"] for one in numbers["warnings"]}
    for one in numbers["warnings"]:
        assert one["text"] in page.text
    assert "Dropped modes, or bad images?" in page.text
    curve = made.scored.main.scores["generated"].results["prd"]
    assert f"generated in random: F_8 {number(curve.f_8)}, F_1/8 {number(curve.f_1_8)}" in page.text
    density = made.spaces[1].precision_recall.densities["baseline"]
    assert plus_minus(density.density, density.density_error).replace("\N{NO-BREAK SPACE}", " ") in page.text
