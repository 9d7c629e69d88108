"""The dispatcher of `./cx`: finds a command's module, imports only that one, and turns errors into sentences."""

import argparse
import difflib
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from deploy.cli.command import Command
from schemas.errors import CxError, UsageError
from streams.driver_logs import TOLD_BY_US

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the overview: the module that holds the command, and what it is for."""

    module: str
    line: str


TABLE: dict[str, Entry] = {
    "demo": Entry("deploy.cli.demo", "start everything with a simulated district that lives, show the live page"),
    "up": Entry("deploy.cli.stack", "start the local stack: Kafka, ClickHouse, worker, live page"),
    "status": Entry("deploy.cli.stack", "what of the local stack runs, since when, and how it feels"),
    "down": Entry("deploy.cli.stack", "stop the local stack; --purge deletes its data"),
    "import": Entry("deploy.cli.imports", "bring in a file of events, or of a known source"),
    "sql": Entry("deploy.cli.sql", "ask ClickHouse a question"),
    "explain": Entry(
        "deploy.cli.explain", "what made a conversation's numbers: events, slices, promises, restatements"
    ),
    "audit": Entry("deploy.cli.audit", "compute everything anew from the raw events, compare with what landed"),
    "chaos": Entry("deploy.cli.chaos", "kill and stop parts of a stack of its own: is anything lost or counted twice"),
    "replay": Entry("deploy.cli.replay", "compute facts anew from the events and land them, while the stream runs"),
    "dead-letters": Entry("deploy.cli.dead_letters", "what could not be taken: show, try again, leave for good"),
    "alerts": Entry("deploy.cli.alerts", "promises at risk or broken: show, take on, silence"),
    "district": Entry("deploy.cli.district", "a district's document: example, check, resolve, apply"),
    "schema": Entry("deploy.cli.schema", "JSON Schema of the events"),
    "fold": Entry("deploy.cli.fold", "events in, facts out, with no stack at all"),
    "measures": Entry("deploy.cli.measures", "events in, every measure by unit out, with no stack at all"),
    "simulate": Entry("deploy.cli.simulate", "a simulated district's events, from a seed, with no stack at all"),
    "calendar": Entry("deploy.cli.calendar", "business seconds and due times; import of a published school calendar"),
    "erase": Entry("deploy.cli.erase", "forget a person: the facts stay, the key goes"),
    "retention": Entry("deploy.cli.retention", "let go of what is older than the settings keep it"),
    "migrate": Entry("deploy.cli.migrate", "bring the ClickHouse tables to this version"),
    "worker": Entry("deploy.cli.worker", "run one stream worker in the foreground"),
    "web": Entry("deploy.cli.web", "run the live page and the intake in the foreground"),
    "grafana": Entry("deploy.cli.grafana", "the dashboard for Grafana: push it to a server, or write its file"),
    "test": Entry("deploy.cli.test", "all checks and tests; arguments go to pytest"),
    "check": Entry("deploy.cli.test", "the static checks only: style, types, import directions"),
    "bench": Entry("deploy.cli.bench", "measure the core and the whole pipeline"),
}


def overview() -> str:
    """The text of `./cx --help`."""
    width = max(map(len, TABLE))
    lines = [f"  {name:<{width}}  {entry.line}" for name, entry in TABLE.items()]
    return "\n".join(
        [
            "usage: ./cx COMMAND [ARGUMENT …]      ./cx COMMAND --help tells more",
            "",
            "Continuous customer-experience measurement for school districts.",
            "",
            *lines,
            "",
            "Try first: ./cx demo",
            "",
        ]
    )


def load(name: str) -> Command:
    """The command called `name`. Raises `UsageError` for an unknown one."""
    entry = TABLE.get(name)
    if entry is None:
        near = difflib.get_close_matches(name, TABLE, n=1)
        hint = f"did you mean `{near[0]}`?" if near else "`./cx --help` lists them all."
        raise UsageError(f"There is no command `{name}`: {hint}")
    commands: dict[str, Command] = import_module(entry.module).COMMANDS
    return commands[name]


def dispatch(arguments: Sequence[str]) -> int:
    """Run one command line (without the program's name); returns the exit code, raises `CxError`."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.stdout.write(overview())
        return 0
    name = arguments[0]
    command = load(name)
    # Its failures come as errors of ours, in a sentence.
    logging.getLogger(TOLD_BY_US).setLevel(logging.CRITICAL)
    parser = argparse.ArgumentParser(prog=f"cx {name}", description=command.help)
    command.configure(parser)
    if not command.takes_rest:
        return command.run(parser.parse_args(arguments[1:]))
    known, rest = parser.parse_known_args(arguments[1:])
    known.rest = rest
    return command.run(known)


def _discard_output() -> None:
    """The reader has gone: nothing more may be written, not even by the interpreter's last flush."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def main(arguments: Sequence[str]) -> int:
    """The whole program: `dispatch`, with every expected failure as one sentence and its exit code."""
    try:
        code = dispatch(arguments)
        sys.stdout.flush()
    except CxError as error:
        sys.stderr.write(f"cx: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("cx: interrupted.\n")
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return 0
    return code
