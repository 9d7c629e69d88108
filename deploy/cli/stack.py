"""`./cx up`, `./cx status`, `./cx down`: the local stack."""

import argparse
import os
import signal
import subprocess
import sys
import time

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deploy.cli.command import Command
from deploy.local.parts import ALL
from deploy.local.processes import last_line, rotate
from deploy.local.signals import endings_interrupt
from deploy.local.state import DataDirectory, child_environment, effective_settings, python_command
from deploy.local.status import StackStatus, stack_status
from deploy.local.supervisor import interruptible_stack
from schemas.errors import EnvironmentProblem, Unavailable, UsageError
from schemas.settings import Settings

LOOK_SECONDS = 0.1
HEALTH_COLOUR = {"healthy": "green", "unhealthy": "yellow", "down": "red"}


def _settings() -> Settings:
    return Settings.from_environment(os.environ)


def _configure_up(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--detach", action="store_true", help="come back when it is ready; it goes on by itself")
    parser.add_argument("--only", metavar="PARTS", help=f"comma-separated choice of {','.join(ALL)}")


def _parts(args: argparse.Namespace) -> tuple[str, ...]:
    if not args.only:
        return ALL
    names = tuple(name.strip() for name in args.only.split(","))
    unknown = sorted(set(names) - set(ALL))
    if unknown:
        raise UsageError(f"The stack has no part `{unknown[0]}`: choose among {', '.join(ALL)}.")
    return names


def _welcome(console: Console, settings: Settings, parts: tuple[str, ...]) -> None:
    """Say where everything is and what to try."""
    host, port = settings.clickhouse_address
    lines = {
        "kafka": f"Kafka        {settings.kafka_address}",
        "clickhouse": f'ClickHouse   {host}:{port}   ./cx sql "SHOW TABLES"',
        "worker": f"metrics      http://{settings.bind}:{settings.metrics_port}/metrics",
        "web": f"live page    http://{settings.bind}:{settings.web_port}/",
    }
    console.print("[bold green]The stack is ready.[/]")
    for name in parts:
        console.print("  " + lines[name])
    console.print(f"  data         {DataDirectory(settings).path}")


def _run_up(args: argparse.Namespace) -> int:
    parts = _parts(args)
    return _detach(parts) if args.detach else _foreground(parts)


def _foreground(parts: tuple[str, ...]) -> int:
    """Run the stack until Ctrl-C or SIGTERM."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    settings = _settings()
    with console.status("starting") as shown:

        def report(phase: str) -> None:
            shown.update(phase)
            if phase == "stopping":
                shown.start()
            if not console.is_terminal:
                console.print(phase, markup=False)

        with interruptible_stack(settings, parts, report) as stack:
            shown.stop()
            _welcome(console, stack.settings, parts)
            console.print("Ctrl-C stops everything; the data stay.")
            stack.wait()
    return 0


def _detach(parts: tuple[str, ...]) -> int:
    """Start a supervisor in a session of its own; return when the stack is ready or the supervisor has ended."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    settings = _settings()
    data = DataDirectory(settings)
    data.claim()
    if data.supervisor() is not None:
        raise EnvironmentProblem(f"A stack already runs in {data.path}: `./cx status` shows it, `./cx down` stops it.")
    log_path = data.logs / "supervisor.log"
    rotate(log_path)
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            python_command("deploy.cli", "up", "--only", ",".join(parts)),
            env=child_environment(settings.model_copy(update={"data": data.path})),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    with endings_interrupt():
        try:
            _wait_until_ready(process, data, console)
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise
    if process.poll() is not None:
        console.print(last_line(log_path), markup=False)
        return process.returncode or EnvironmentProblem.exit_code
    _welcome(console, effective_settings(settings), parts)
    console.print("It runs by itself: `./cx status` looks at it, `./cx down` stops it.")
    return 0


def _wait_until_ready(process: subprocess.Popen[bytes], data: DataDirectory, console: Console) -> None:
    """Follow the supervisor's phases until it is ready or has ended."""
    with console.status("starting") as shown:
        while process.poll() is None:
            state = data.running()
            if state is not None and state.supervisor.pid == process.pid:
                shown.update(state.phase)
                if state.phase == "ready":
                    return
            time.sleep(LOOK_SECONDS)


def _configure_status(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs")


def _run_status(args: argparse.Namespace) -> int:
    """0 when every part answers, else the code of `Unavailable`."""
    status = stack_status(_settings())
    if args.json:
        sys.stdout.write(status.model_dump_json(indent=1) + "\n")
    else:
        _show(status)
    return 0 if status.is_healthy else Unavailable.exit_code


def _show(status: StackStatus) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if not status.running:
        console.print(f"No stack runs in {status.data} ({status.data_bytes // 1_000_000} MB): `./cx up` starts one.")
        return
    table = Table("part", "health", "address", "pid", "up", "restarts", box=None, pad_edge=False)
    for name, part in status.parts.items():
        health = f"[{HEALTH_COLOUR[part.health]}]{part.health}[/]"
        uptime = "" if part.seconds is None else f"{part.seconds:,.0f} s"
        table.add_row(name, health, part.address, str(part.pid or ""), uptime, str(part.restarts))
    console.print(table)
    for sentence in status.sentences():
        console.print(f"[yellow]{escape(sentence)}[/]")
    if status.group is not None:
        console.print(f"workers: {status.group}")
    phase = f"not healthy: {', '.join(status.ailing)}" if status.ailing and status.phase == "ready" else status.phase
    console.print(f"{phase}; data: {status.data}, {status.data_bytes // 1_000_000} MB; logs: {status.data / 'logs'}")
    for name, receiver in status.receivers.items():
        if receiver.failing_seconds:
            failing = f"the receiver {name} has taken no alert for {receiver.failing_seconds:,.0f} s"
            console.print(f"{failing}, {receiver.waiting:,} messages wait: `./cx alerts ls --undelivered`")


def _configure_down(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--purge", action="store_true", help="then delete the data directory with all data in it")


def _run_down(args: argparse.Namespace) -> int:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    data = DataDirectory(_settings())
    supervisor = data.supervisor()
    if supervisor is not None:
        with console.status("stopping"):
            supervisor.send(signal.SIGTERM)
            data.wait_until_ended(supervisor)
    console.print("The stack is stopped." if supervisor else f"No stack runs in {data.path}.")
    if args.purge and data.path.exists():
        data.purge()
        console.print(f"{data.path} is deleted.")
    return 0


COMMANDS = {
    "up": Command("Start the local stack and keep it running; Ctrl-C stops it, the data stay.", _configure_up, _run_up),
    "status": Command(
        "Show what of the local stack runs. Exit code 0 when all of it is healthy.", _configure_status, _run_status
    ),
    "down": Command("Stop the local stack of this data directory, from any terminal.", _configure_down, _run_down),
}
