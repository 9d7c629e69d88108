"""What a command module exports: `COMMANDS: dict[str, Command]`, by the name typed after `./cx`.

    def _configure(parser: argparse.ArgumentParser) -> None: ...
    def _run(args: argparse.Namespace) -> int: ...

    COMMANDS = {"calendar": Command("What it does, for `./cx calendar --help`.", _configure, _run)}

`run` returns the exit code; expected failures are raised as `schemas.errors.CxError` and shown as one sentence.
The module's name and its line in the overview stand in `deploy.cli.main.TABLE`.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its help text, its arguments, its work."""

    help: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    takes_rest: bool = False
    """Whether arguments that the parser does not know are passed on as `args.rest`, a list."""


def no_arguments(_parser: argparse.ArgumentParser) -> None:
    """For a command that takes none."""
