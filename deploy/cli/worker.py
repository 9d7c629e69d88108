"""`./cx worker`: one worker process; start as many as there is work for."""

import argparse
import os

from deploy.cli.command import Command
from deploy.local.state import effective_settings
from schemas.settings import Settings
from streams.app import run


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--metrics-port", type=int, help="port for metrics (default: CX_METRICS_PORT)")


def _run(args: argparse.Namespace) -> int:
    settings = effective_settings(Settings.from_environment(os.environ))
    if args.metrics_port is not None:
        settings = settings.model_copy(update={"metrics_port": args.metrics_port})
    run(settings)


COMMANDS = {"worker": Command("Read events, compute facts, land them in ClickHouse.", _configure, _run)}
