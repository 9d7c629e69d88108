"""`./cx worker`: one worker process; start as many as there is work for."""

import argparse
import os

from deploy.cli.command import Command
from deploy.local.machine import listener
from deploy.local.state import effective_settings
from schemas.settings import Settings
from schemas.topics import ALERTS, DEAD_LETTERS, EVENTS
from streams.app import run
from streams.intake.topics import check_topics

HIGHEST_PORT = 65_535


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to {HIGHEST_PORT}, or 0 for any that is free")
    return int(text)


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--metrics-port", type=_port, metavar="N", help="port for metrics (default: CX_METRICS_PORT)")


def _run(args: argparse.Namespace) -> int:
    settings = effective_settings(Settings.from_environment(os.environ))
    if args.metrics_port is not None:
        settings = settings.model_copy(update={"metrics_port": args.metrics_port})
    # One that cannot work does not join the group: the others would stop for it.
    check_topics(settings, (EVENTS, ALERTS, DEAD_LETTERS))
    run(settings, listener(settings.bind, settings.metrics_port, "--metrics-port or CX_METRICS_PORT", "the worker"))


COMMANDS = {"worker": Command("Read events, compute facts, land them in ClickHouse.", _configure, _run)}
