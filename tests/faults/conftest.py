"""The command line, as in its own tests."""

from tests.cli.conftest import cli

__all__ = ["cli"]
