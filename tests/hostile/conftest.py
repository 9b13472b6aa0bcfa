"""The command line, as the tests of its commands run it."""

from tests.cli.conftest import cli

__all__ = ["cli"]
