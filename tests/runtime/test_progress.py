"""Progress under other names."""

from fidprobe.runtime.progress import stage


def test_a_stage_says_what_it_is_of() -> None:
    """Whatever characters the name holds; counts stay as they are."""
    seen: list[tuple[str, int, int | None]] = []
    of = stage(lambda *report: seen.append(report), "a{b} [clip]")
    of("extracting", 3, None)
    assert seen == [("extracting a{b} [clip]", 3, None)]
