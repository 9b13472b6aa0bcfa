"""Messages name Python arguments in the library, and flags on the command line."""

import ast
import os
import re
from pathlib import Path

import fidprobe
from fidprobe.cli.app import app
from fidprobe.cli.flags import _FLAGS, arguments_as_flags
from fidprobe.training.kinds import KINDS

NO_FLAGS = {"count", "indices", "input_size", "least", "mu_s", "precision", "provenance", "recall", "sigma_s"}
"""Words of messages about arguments, or names in files, that no command takes."""
PACKAGE = Path(fidprobe.__file__).parent


def library_messages() -> str:
    """All strings in the library that are no docstrings, a line each; pieces of f-strings stand alone."""
    found: list[str] = []
    for folder, _, names in os.walk(PACKAGE, followlinks=True):
        for file in (Path(folder, name) for name in names if name.endswith(".py") and Path(folder).name != "cli"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                    found.append(node.value)
    return "\n".join(found)


def options() -> set[str]:
    """Every option of every command."""
    found: set[str] = set()
    for command in (app[name] for name in app if not name.startswith("-")):
        if command.default_command is not None:
            found |= {flag for argument in command.assemble_argument_collection() for flag in argument.names}
    return found


def test_arguments_become_flags_and_all_other_quoted_words_stay() -> None:
    text = "a.png: empty; `skip_bad=True` goes on without it, `count` and `fidprobe audit` stay, as does skip_bad=True"
    assert arguments_as_flags(text) == text.replace("`skip_bad=True`", "--skip-bad")
    assert arguments_as_flags("an odd ` stays") == "an odd ` stays"


def test_every_flag_of_the_table_is_an_option_and_stands_for_a_word_of_some_message() -> None:
    assert {flag.split()[0] for flag in _FLAGS.values()} <= options()
    messages = library_messages()
    of_sets = {f"second_{name}" for name in ("reference", "generated", "candidates", "baseline", "weights")}
    of_kinds = {option for kind in KINDS.values() for option in kind.options}
    assert of_sets | of_kinds <= set(_FLAGS)
    assert not [word for word in _FLAGS if word not in of_sets | of_kinds and f"`{word}`" not in messages]


def test_every_word_between_backticks_is_a_flag_or_known_to_be_none() -> None:
    words = set(re.findall(r"`([a-z_]+(?:=[A-Za-z]+)?)`", library_messages()))
    assert words - set(_FLAGS) == NO_FLAGS


def test_no_message_of_the_library_names_a_flag() -> None:
    flagged = re.findall(r"^.*(?<![\w-])--[a-z].*$", library_messages(), re.MULTILINE)
    assert not [text for text in flagged if "pip install" not in text]  # pip's own flags are to be typed
