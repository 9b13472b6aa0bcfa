"""The order, validity and uniqueness of names."""

import random

from hypothesis import given
from hypothesis import strategies as st

from fidprobe.images.file_names import class_labels, escape_problem, is_image, natural_key, valid_names

_NAMES = st.text(st.sampled_from("aB0129/._ é"), max_size=12)


def test_numbers_count_and_case_does_not() -> None:
    """img2 before img10 before IMG11, folder by folder."""
    expected = ["a/img1.png", "a/IMG2.png", "a/img10.png", "a2/img1.png", "a10/img1.png", "b.png"]
    shuffled = expected.copy()
    random.Random(3).shuffle(shuffled)
    assert sorted(shuffled, key=natural_key) == expected


def test_leading_zeros_do_not_count() -> None:
    """007 lies between 6 and 8, and a tie has a fixed order."""
    assert sorted(["8", "007", "6", "7"], key=natural_key) == ["6", "007", "7", "8"]


def test_very_long_numbers_are_compared() -> None:
    """More digits than Python turns into an integer."""
    small, large = "1" * 5000, "2" * 5000
    assert sorted([large, small], key=natural_key) == [small, large]


@given(st.integers(0, 10**30), st.integers(0, 10**30))
def test_order_of_numbered_names_is_that_of_the_numbers(first: int, second: int) -> None:
    """For one prefix and suffix the key sorts as the integers do."""
    keys = [natural_key(f"x{number}.png") for number in (first, second)]
    assert (keys[0] < keys[1]) == (first < second)


@given(st.lists(_NAMES, unique=True), st.randoms(use_true_random=False))
def test_order_does_not_depend_on_the_listing(names: list[str], shuffler: random.Random) -> None:
    """The key is total: any permutation sorts to the same list."""
    shuffled = names.copy()
    shuffler.shuffle(shuffled)
    assert sorted(shuffled, key=natural_key) == sorted(names, key=natural_key)


def test_images_are_known_by_their_ending_in_any_case() -> None:
    """Hidden files and macOS's resource forks are left out."""
    assert all(map(is_image, ["a.JPG", "x/b.WebP", "c.d.png"]))
    assert not any(map(is_image, [".a.png", "x/.git/b.png", "__MACOSX/x/._a.png", "a.txt", "png"]))
    assert not any(map(is_image, ["@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", "x/#recycle/a.png", "$RECYCLE.BIN/a.png"]))


def test_names_are_valid_and_unique() -> None:
    """Undecodable bytes become U+FFFD; what then is equal gets a number."""
    assert valid_names(["a\udcff.png", "a\udcfe.png", "b.png"]) == ["a\ufffd.png", "a\ufffd.png#2", "b.png"]
    assert valid_names(["a#2", "a", "a", "a", "a#2"]) == ["a#2", "a", "a#3", "a#4", "a#2#2"]


def test_thousands_of_names_that_look_alike_are_told_apart() -> None:
    """In a moment, not in minutes."""
    found = valid_names(["\udcff.png"] * 20_000)
    assert found[:2] == ["\ufffd.png", "\ufffd.png#2"]
    assert found[-1] == "\ufffd.png#20000"


def test_class_folders_need_all_images_and_two_folders() -> None:
    """First-level folders are classes; loose images or a single folder are none."""
    assert class_labels(["b/1.png", "a/x/2.png"]) == ([1, 0], ("a", "b"))
    assert class_labels(["b/1.png", "2.png"]) == ([None, None], None)
    assert class_labels(["b/1.png", "b/2.png"]) == ([None, None], None)


def test_names_that_lead_out_of_an_archive_are_seen() -> None:
    """Slashes of both kinds, drives, and `..` as a whole part only."""
    for name in ("../a.png", "x/../../a.png", "..\\a.png"):
        assert escape_problem(name) == "points outside the archive"
    for name in ("/etc/a.png", "C:\\a.png", "\\\\host\\a.png"):
        assert escape_problem(name) == "has an absolute path"
    assert escape_problem("a..b/c...png") is None
    assert escape_problem("a:b.png") is None
