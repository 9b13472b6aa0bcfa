"""What a user mistypes: one line on stderr, the nearest name, and nothing heavy loaded on the way."""

import subprocess
import sys
from pathlib import Path

import pytest

from docs.cli_reference import page_text
from fidprobe.cli.app import app
from tests.cli.running import Run

METRICS = "fid, kid, fid-infinity, sfid"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("scor", "a", "b"), "unknown command 'scor'; did you mean 'score'? choose from attack, audit"),
        (("weights", "ftch", "clip"), "unknown command 'ftch'; did you mean 'fetch'? choose from"),
        (("--limt", "3"), "unknown option --limt; `fidprobe --help` lists all"),
        (("score", "a", "b", "--limt", "3"), "unknown option --limt; did you mean --limit? `fidprobe score --help`"),
        (("score", "a", "b", "--limt=3"), "unknown option --limt; did you mean --limit?"),
        (("score", "a", "b", "--xyzzy"), "unknown option --xyzzy; `fidprobe score --help` lists all"),
        (("score", "a", "b", "--no-quiet"), "unknown option --no-quiet; "),
        (("score", "a"), "GENERATED is missing; see `fidprobe score --help`"),
        (("compare", "a"), "MODEL is missing; see `fidprobe compare --help`"),
        (("features", "a"), "--out is missing; see `fidprobe features --help`"),
        (("score", "a", "b", "c"), "unexpected argument 'c'; see `fidprobe score --help`"),
        (("score", "a", "b", "--limit"), "--limit takes a value; see `fidprobe score --help`"),
        (("score", "a", "b", "--limit", "1"), "--limit takes a whole number of at least 2, not '1'"),
        (("score", "a", "b", "--limit=-3"), "--limit takes a whole number of at least 2, not '-3'"),
        (("score", "a", "b", "--limit", "2.5"), "--limit takes a whole number of at least 2, not '2.5'"),
        (("influence", "a", "b", "--count", "51"), "--count takes a whole number from 1 to 50, not '51'"),
        (("compare", "a", "b", "--within", "x"), "--within takes a number, not 'x'"),
        (("score", "a", "b", "--quiet=3"), "--quiet takes no value, not '3'"),
        (("score", "a", "b", "--resize", "torc"), "--resize: unknown value 'torc'; did you mean 'torch'? choose from"),
        (("attack", "a", "b", "--draw", "swop"), "--draw: unknown value 'swop'; did you mean 'swap'? choose from"),
        (("score", "a", "b", "-m", "fid,kidd"), f"unknown metric 'kidd'; did you mean 'kid'? choose from {METRICS}"),
        (("train", "am-gna", "a", "-o", "b"), "unknown kind of model 'am-gna'; did you mean 'am-gan'? choose from"),
        (("score", "a", "b", "\x1b[2J"), "unexpected argument '\\x1b[2J'"),
    ],
)
def test_mistakes_end_in_one_line(cli: Run, arguments: tuple[str, ...], message: str) -> None:
    """On stderr, exit code 2, nothing on stdout."""
    ran = cli(*arguments)
    assert ran.code == 2
    assert ran.err.startswith(f"fidprobe: error: {message}")
    assert ran.err.count("\n") == 1
    assert ran.out == ""


def test_a_pattern_that_the_shell_took_is_proposed(cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`fidprobe score real samples_*.npz` without quotes arrives as several files."""
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        (tmp_path / f"samples_{number}.npz").touch()
    ran = cli("score", "real", *(f"samples_{number}.npz" for number in range(3)))
    assert "'samples_1.npz'; several files are one set by a pattern between quotes, such as 'samples_*.npz'" in ran.err
    assert ran.err.count("\n") == 1


def test_mistakes_are_found_without_loading_the_library() -> None:
    """An answer at once: neither torch nor numpy is imported."""
    code = (
        "import sys; from fidprobe.cli import main\n"
        "sys.argv = ['fidprobe', 'score', 'a', 'b', '-m', 'fod', '--limt', '3']\n"
        "try: main()\n"
        "finally: print(sorted({'torch', 'numpy', 'PIL', 'fidprobe.images'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (2, "[]\n")


def test_values_may_begin_with_a_hyphen_and_the_last_of_an_option_counts() -> None:
    """`--option=value`, `-o value`, `-ovalue`, options between arguments, and `--` before them."""
    _, bound, _ = app.parse_args(["score", "-q", "a", "--weights=-w.pth", "-e", "-x", "-mfid", "--seed", "1", "b"])
    networks = bound.arguments["networks"]
    assert bound.args == ("a", "b")
    assert (networks.extractor, str(networks.weights), bound.arguments["metrics"]) == ("-x", "-w.pth", "fid")
    assert bound.arguments["output"].quiet
    _, bound, _ = app.parse_args(["compare", "a", "b", "--within", "-1", "c", "--within", "0.1", "--", "-d"])
    assert (bound.args, bound.arguments["within"]) == (("a", "b", "c", "-d"), 0.1)
    _, bound, _ = app.parse_args(["compare", "a", "b", "-s", "clip", "-s", "-dino"])
    assert bound.arguments["networks"].second_opinion == ["clip", "-dino"]


def test_no_flag_has_a_twin_that_turns_it_off() -> None:
    """And every page fits the screen."""
    pages = page_text().partition("## Every option")[2]
    assert max(map(len, pages.splitlines())) <= 80
    assert {word for word in pages.split() if word.startswith("--no-")} == {"--no-budget", "--no-cache"}


def test_the_program_alone_shows_its_help(cli: Run) -> None:
    alone, asked = cli(), cli("-h")
    assert (alone.code, asked.code) == (2, 0)
    assert alone.out == asked.out
    assert "Usage: fidprobe COMMAND" in alone.out


def test_the_shell_can_complete_commands(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/bash")
    ran = cli("--show-completion")
    assert ran.code == 0
    assert "heatmap-check" in ran.out
