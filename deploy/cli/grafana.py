"""`./cx grafana`: the dashboard *Now* into a Grafana server, or into a file that a Grafana is provisioned from."""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr, TypeAdapter, ValidationError

from dashboards.grafana import DATASOURCE, FOLDER_TITLE, UID, dashboard, text
from dashboards.grafana_server import GrafanaServer
from deploy.cli.command import Command
from deploy.local.state import local_settings, write_whole
from schemas.errors import EnvironmentProblem
from schemas.settings import Address

PROVISIONED = Path(__file__).resolve().parents[1] / "grafana" / "dashboards"
FILE = "now.json"
_UID = re.compile(r"[A-Za-z0-9_-]{1,40}")
_ADDRESS: TypeAdapter[str] = TypeAdapter(Address)

HELP = """The Grafana dashboard "Now": the live page's questions and explanations, for the official ClickHouse plugin
(grafana-clickhouse-datasource), which must be installed in that Grafana.

`push` writes it over Grafana's HTTP API into the folder "Customer experience", over an older one; the data source
cx-clickhouse is made if it is absent. `export` writes the file that a Grafana is provisioned from: deploy/grafana holds
it, with the other files that belong to it. docs/grafana.md tells more."""
EXAMPLES = """examples:
  CX_GRAFANA_TOKEN=glsa_… ./cx grafana push --url https://grafana.example.org --clickhouse clickhouse.example.org:9000
  ./cx grafana push --url http://127.0.0.1:3000 --datasource my-clickhouse
  ./cx grafana export --out /etc/grafana/dashboards

exit codes: 0 done, 2 the request is wrong, 3 a file cannot be written, 4 Grafana does not answer, 5 it refused"""


def _datasource(given: str) -> str:
    if not _UID.fullmatch(given):
        raise argparse.ArgumentTypeError("a uid has letters, digits, _ and - only, at most 40")
    return given


def _address(given: str) -> tuple[str, int]:
    try:
        host, _, port = _ADDRESS.validate_python(given).rpartition(":")
    except ValidationError:
        raise argparse.ArgumentTypeError("give host:port, such as clickhouse.example.org:9000") from None
    return host.strip("[]"), int(port)


def _answer(args: argparse.Namespace, record: dict[str, Any], sentence: str) -> int:
    sys.stdout.write(json.dumps(record) + "\n" if args.json else sentence + "\n")
    return 0


def _push(args: argparse.Namespace) -> int:
    settings = local_settings()
    token = settings.grafana_token if args.token is None else SecretStr(args.token)
    server = GrafanaServer(args.url, token)
    clickhouse = args.clickhouse or settings.clickhouse_address
    source, made = server.data_source(args.datasource, settings, clickhouse)
    pushed = server.push(dashboard(source))
    record = {
        "url": pushed.url,
        "uid": UID,
        "version": pushed.version,
        "folder": FOLDER_TITLE,
        "folder_made": pushed.folder_made,
        "datasource": source,
        "datasource_made": made,
    }
    host, port = clickhouse
    origin = f"made for ClickHouse at {host}:{port}" if made else "there already, used as it is"
    return _answer(args, record, f"{pushed.url}\nVersion {pushed.version}; data source {source}: {origin}.")


def _export(args: argparse.Namespace) -> int:
    path: Path = args.out / FILE
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        write_whole(path, text(args.datasource or DATASOURCE))
    except OSError as error:
        raise EnvironmentProblem(f"{path} cannot be written ({error.strerror}): name another folder.") from None
    return _answer(args, {"file": str(path), "uid": UID}, f"Wrote {path}.")


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    push = actions.add_parser("push", help="write the dashboard into a Grafana server")
    push.add_argument("--url", required=True, help="the address under which Grafana is opened, with its path if any")
    push.add_argument(
        "--token",
        help="token of a service account; better in CX_GRAFANA_TOKEN, as others on this machine see command lines",
    )
    push.add_argument(
        "--clickhouse",
        type=_address,
        metavar="HOST:PORT",
        help="ClickHouse's native port as Grafana reaches it, if the data source is made; else that of the settings",
    )
    push.set_defaults(work=_push)
    export = actions.add_parser("export", help="write the dashboard as a file")
    export.add_argument(
        "--out", type=Path, default=PROVISIONED, metavar="FOLDER", help="else deploy/grafana/dashboards of the checkout"
    )
    export.set_defaults(work=_export)
    for action in (push, export):
        action.add_argument(
            "--datasource", type=_datasource, metavar="UID", help=f"uid of the data source to use, else {DATASOURCE}"
        )
        action.add_argument("--json", action="store_true", help="the answer as one JSON object")


def _run(args: argparse.Namespace) -> int:
    code: int = args.work(args)
    return code


COMMANDS = {"grafana": Command(HELP, _configure, _run)}
