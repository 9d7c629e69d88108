"""`./cx web`: the live page and the intake in one process, in the foreground."""

import argparse
import asyncio
import errno
import logging
import os

from aiohttp import web
from rich.console import Console

from dashboards.live.actions import action_routes
from dashboards.live.page import live
from deploy.cli.command import Command, no_arguments
from deploy.local.signals import ENDING
from deploy.local.state import effective_settings
from schemas.errors import EnvironmentProblem
from schemas.settings import Settings
from streams.intake.gateway import routes
from streams.intake.producer import EventProducer

STOP_SECONDS = 5.0

# The drivers log each failed attempt with its traceback; the page and the intake say it in a sentence.
for driver in ("kafka", "clickhouse_driver"):
    logging.getLogger(driver).setLevel(logging.CRITICAL)


async def serve(settings: Settings, producer: EventProducer) -> None:
    """Listen until told to end. Raises `EnvironmentProblem` when the address cannot be had."""
    application = live(settings)
    application.add_routes(routes(settings, producer))
    application.add_routes(action_routes(settings, producer))
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=STOP_SECONDS)
    await runner.setup()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in ENDING:
        loop.add_signal_handler(number, ended.set)
    try:
        await _listen(runner, settings)
        Console(stderr=True, highlight=False).print(f"Live page: http://{settings.bind}:{settings.web_port}/")
        await ended.wait()
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, settings: Settings) -> None:
    try:
        await web.TCPSite(runner, settings.bind, settings.web_port).start()
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = "is taken by another program" if taken else f"cannot be had ({error.strerror})"
        raise EnvironmentProblem(
            f"Port {settings.web_port} on {settings.bind} {reason}: set CX_WEB_PORT to another one."
        ) from None


def _run(_args: argparse.Namespace) -> int:
    settings = effective_settings(Settings.from_environment(os.environ))
    with EventProducer(settings) as producer:
        asyncio.run(serve(settings, producer))
    return 0


COMMANDS = {
    "web": Command(
        "Serves the live page at /, the intake at POST /v1/events, /healthz and /metrics; Ctrl-C stops it.",
        no_arguments,
        _run,
    )
}
