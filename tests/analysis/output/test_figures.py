"""The figures show the numbers they are given, the same every time, and leave matplotlib's state alone."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest

from fidprobe.analysis.audit.measure import Change
from fidprobe.analysis.classes.figures import class_histogram_figure
from fidprobe.analysis.output.figure_style import COLOURS, svg
from fidprobe.analysis.output.montage import montage
from fidprobe.analysis.report.figures import changes_figure
from fidprobe.errors import InputError
from tests.analysis import audits

CHANGES = (Change("FID", 35.0, 20.25, -42.142857), Change("FD[clip]", 8.875, 8.75, -1.408450))
SVG = "{http://www.w3.org/2000/svg}"


def texts(image: str) -> list[str]:
    return ["".join(node.itertext()).strip() for node in ET.fromstring(image).iter(f"{SVG}text")]


def widths(figure: object) -> list[float]:
    (axes,) = figure.axes  # type: ignore[attr-defined]
    return [patch.get_width() for patch in axes.patches]


def assert_inside(figure: object) -> None:
    """No text is cut by the figure's edge."""
    figure.draw_without_rendering()  # type: ignore[attr-defined]
    width, height = figure.bbox.width, figure.bbox.height  # type: ignore[attr-defined]
    (axes,) = figure.axes  # type: ignore[attr-defined]
    labels = [*axes.get_xticklabels(), *axes.get_yticklabels(), *axes.texts, axes.xaxis.label]
    low, high = axes.get_xlim()
    for label in labels:
        if not label.get_text() or (label in axes.get_xticklabels() and not low <= label.get_position()[0] <= high):
            continue
        box = label.get_window_extent()
        assert box.x0 >= -1, label
        assert box.x1 <= width + 1, label
        assert box.y0 >= -1, label
        assert box.y1 <= height + 1, label
    for text in axes.texts:  # numbers beside bars
        assert not any(text.get_window_extent().overlaps(tick.get_window_extent()) for tick in axes.get_yticklabels())


def test_changes_are_bars_as_long_as_the_percentages() -> None:
    figure = changes_figure(CHANGES)
    assert widths(figure) == pytest.approx([-42.142857, -1.408450])
    shown = [text.replace("\N{NO-BREAK SPACE}", " ") for text in texts(svg(figure, title="t"))]
    for expected in ("−42.1 %", "−1.4 %", "FID", "35.00 → 20.25", "FD[clip]", "8.875 → 8.750"):
        assert expected in shown


@pytest.mark.parametrize(
    "changes",
    [
        CHANGES,
        (Change("FID", 1.0, 3.0, 200.0), Change("FD[clip]", 2.0, 1.9, -5.0)),
        (Change("FID", 0.0, 3.0, None),),
        (Change("FID", 3.0, 3.0, 0.0), Change("FD[clip]", 3.0, 3.0, 0.0)),
        (Change("FD[timm:some_model_of_a_very_long_name.fb_in22k_ft_in1k]", 1e-9, 1e9, 1e20),),
        (Change("FID", 1e5, 9.9e4, -1.0), Change("FD[$x^2$ <b>&]", 1e5, 1.001e5, 0.1)),
    ],
    ids=["both fall", "apart", "from zero", "nothing moves", "extreme", "hostile"],
)
def test_no_label_of_the_changes_is_cut(changes: tuple[Change, ...]) -> None:
    figure = changes_figure(changes)
    assert_inside(figure)
    ET.fromstring(svg(figure, title="t"))


def test_names_with_dollar_signs_are_no_formulas() -> None:
    image = svg(changes_figure((Change("FD[$x^2$]", 2.0, 1.0, -50.0),)), title="t")
    assert "FD[$x^2$]" in texts(image)
    classes = replace(audits.histogram(("generated",)), class_names=("$x^2$",) * 40, space="$y^2$")
    shown = texts(svg(class_histogram_figure(classes), title="t"))
    assert shown.count("$x^2$") == 20
    assert "images with this Top-1 class (%), by $y^2$" in shown


def test_a_figure_of_no_changes_is_refused() -> None:
    with pytest.raises(InputError, match="baseline"):
        changes_figure(())


def test_class_bars_are_shares_of_each_set_in_the_references_order() -> None:
    found = replace(
        audits.histogram(("generated",), classes=4),
        class_names=("cat", "dog", "bow tie", "never in the reference"),
        counts={"reference": (1, 5, 4, 0), "generated": (10, 10, 20, 60)},
    )
    figure = class_histogram_figure(found)
    assert widths(figure) == pytest.approx([50, 40, 10, 10, 20, 10])
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["dog", "bow tie", "cat"]
    top, bottom = axes.patches[0], axes.patches[2]
    # The first class is on top: this axis runs downwards.
    assert top.get_y() < bottom.get_y()  # type: ignore[attr-defined]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


@pytest.mark.parametrize("models", [("generated",), ("generated", "baseline")], ids=len)
@pytest.mark.parametrize(
    "label", ["class", "a class of a really very long name, its synonym, and another $one^", "漢字\x00<"]
)
def test_a_thousand_classes_give_twenty_legible_ones(models: tuple[str, ...], label: str) -> None:
    figure = class_histogram_figure(audits.histogram(models, classes=1000, label=label))
    assert len(widths(figure)) == 20 * (1 + len(models))
    image = svg(figure, title="t")
    ET.fromstring(image)
    if "漢" not in label:  # measured with a font that lacks these
        assert_inside(figure)
    for name in ("reference", *models):
        assert name in texts(image)
        assert COLOURS[name] in image


def test_a_histogram_figure_of_no_classes_is_refused() -> None:
    with pytest.raises(InputError, match="not 0"):
        class_histogram_figure(audits.histogram(("generated",)), number=0)


def test_svg_is_the_same_every_time_and_carries_no_date() -> None:
    first, second = (svg(class_histogram_figure(audits.histogram(("generated",))), title="t") for _ in "ab")
    assert first == second
    assert "<metadata" not in first
    assert "matplotlib" not in first


def test_svg_has_a_title_for_screen_readers_and_takes_the_pages_text_colour() -> None:
    image = svg(changes_figure(CHANGES), title='a <b> & "c"\x00')
    root = ET.fromstring(image)
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'a <b> & "c"\\x00'
    assert root.findtext(f"{SVG}title") == 'a <b> & "c"\\x00'
    assert "currentColor" in image


def test_two_figures_on_a_page_share_no_conflicting_ids() -> None:
    images = [
        svg(changes_figure(CHANGES), title="t"),
        svg(class_histogram_figure(audits.histogram(("generated",))), title="t"),
    ]
    shared: dict[str, bytes] = {}
    for image in images:
        for node in ET.fromstring(image).iter():
            if node.get("id"):
                node.tail = None
                text = ET.tostring(node)
                assert shared.setdefault(str(node.get("id")), text) == text


def test_global_settings_neither_change_nor_matter() -> None:
    before = dict(mpl.rcParams)
    plain = svg(changes_figure(CHANGES), title="t")
    assert dict(mpl.rcParams) == before
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert svg(changes_figure(CHANGES), title="t") == plain


def test_montage_keeps_small_pictures_pixel_by_pixel_and_centres_them() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    grid = montage([picture] * 3, cell=8, columns=2, gap=2)
    assert grid.shape == (18, 18, 4)
    for top, left in ((0, 0), (0, 10), (10, 0)):
        part = grid[top + 2 : top + 6, left + 1 : left + 7]
        np.testing.assert_array_equal(part[..., :3], picture)
        assert (part[..., 3] == 255).all()
    assert grid[..., 3].sum() == 3 * 24 * 255  # all else is transparent


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((200, 100), (96, 48)), ((1, 10_000), (1, 96)), ((10_000, 3), (96, 1)), ((97, 97), (96, 96)), ((1, 1), (1, 1))],
)
def test_large_pictures_are_shrunk_whole_with_their_aspect(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    grid = montage([np.full((*shape, 3), 77, dtype=np.uint8)])
    assert grid.shape == (96, 96, 4)
    rows, columns = np.nonzero(grid[..., 3])
    assert [int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1] == list(expected)
    assert (grid[grid[..., 3] > 0][:, :3] == 77).all()


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
    ],
)
def test_montage_refuses_what_is_no_picture(picture: np.ndarray) -> None:
    with pytest.raises(InputError, match="picture 0 must be uint8"):
        montage([picture])


def test_montage_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="needs pictures"):
        montage([])
