"""`./cx alerts`: what stands of the promises, and what people do about it: take one on, or hear no more of some."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, get_args
from uuid import uuid4

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from deploy.cli.codes import alert_key, code
from deploy.cli.command import Command
from deploy.cli.instants import instant_ms, length
from deploy.local.state import local_settings
from schemas.district import missing
from schemas.errors import DifferenceFound, Unavailable, UsageError
from schemas.events import AlertAcknowledged, AlertSilenced
from schemas.incidents import KINDS, SILENCE, IncidentTransition
from schemas.settings import Settings
from schemas.transitions import as_json
from schemas.vocabulary import PromiseClock, from_ms
from schemas.watches import Metric
from sinks.alerts import OVER, STANDING, Alerts, AlertState, Silence, WantedAlerts
from sinks.reading import ClickHouseReader
from streams.couriers.service import receivers_of
from streams.couriers.undelivered import Undelivered, undelivered
from streams.intake.producer import EventProducer, encode
from streams.present import now, now_ms

MOST_SHOWN = 100
SOURCE = "cx"
# What an alert or an incident may be of; a silence of one of these mutes no other.
_CLOCKS = (*get_args(PromiseClock), *dict.fromkeys((*KINDS, *get_args(Metric))))
_INSTANTS = {"at", "started_at", "due_at", "breach_at", "ended_at", "acknowledged_until", "since", "until"}


def _as_json(found: AlertState | Silence) -> dict[str, Any]:
    shown = found._asdict()
    for name in shown.keys() & _INSTANTS:
        shown[name] = None if shown[name] is None else from_ms(shown[name]).isoformat()
    return shown | ({"critical": bool(shown["critical"])} if "critical" in shown else {})


def _list(args: argparse.Namespace, settings: Settings) -> int:
    if args.undelivered:
        everything = undelivered(settings, receivers_of(settings).receivers)
        mine = [each for each in everything if args.district in (None, each.alert.district)]
        return _shown_undelivered(mine, args.json)
    since = instant_ms(args.since) if args.since else None
    state = None if args.key or args.state == "all" else args.state
    wanted = WantedAlerts(now_ms(settings), tuple(args.key), args.district, args.unit, since, state)
    with closing(Alerts(settings)) as store:
        if args.silences:
            return _shown_silences(store.silences(wanted.now_ms, args.district), args.json)
        if args.incidents:
            return _shown_newest(store.incidents(wanted), as_json, _table_of_incidents, args.json)
        return _shown_newest(store.states(wanted), _as_json, _table, args.json)


def _shown_newest(
    found: Iterator[Any], as_object: Callable[[Any], dict[str, Any]], table: Callable[[Any], Table], as_json_lines: bool
) -> int:
    if as_json_lines:
        for each in found:
            sys.stdout.write(json.dumps(as_object(each), ensure_ascii=False) + "\n")
        return 0
    Console().print(table(islice(found, MOST_SHOWN)))
    if next(found, None) is not None:
        sys.stderr.write(f"Only the newest {MOST_SHOWN} are shown: name a filter, or --json for all.\n")
    return 0


def _table_of_incidents(found: Iterable[IncidentTransition]) -> Table:
    table = Table(Column("key", no_wrap=True), "what", "state", "since", "until", "unit", "count or value", "told")
    for each in found:
        what = f"{each.kind}: {each.metric} {each.about}"
        until = "" if each.ended_at is None else _shown(each.ended_at)
        told = each.muted or ", ".join(each.recipients)
        observed = f"{each.observed:,.6g}" if each.kind != SILENCE else ""
        cells = (each.key, what, each.transition, _shown(each.began_at), until, each.unit, observed, told)
        table.add_row(*(Text(cell, overflow="fold") for cell in cells))
    return table


def _table(found: Any) -> Table:
    # A key is there to be copied.
    table = Table(Column("key", no_wrap=True), "what", "since", "unit", "promise", "conversation", "told", "taken on")
    for each in found:
        unit = each.owner if each.owner == each.unit else f"{each.owner} (first {each.unit})"
        promise = f"{each.promise}, {each.clock}" + (f", due {_shown(each.due_at)}" if each.due_at else "")
        told = each.muted or ", ".join(each.recipients)
        cells = (each.key, each.transition, _shown(each.at), unit, promise, each.conversation, told, _taken_on(each))
        table.add_row(*(Text(cell, overflow="fold") for cell in cells))
    return table


def _taken_on(each: AlertState) -> str:
    until = "" if each.acknowledged_until is None else f" until {_shown(each.acknowledged_until)}"
    return each.acknowledged + until


def _shown(at_ms: int) -> str:
    return from_ms(at_ms).strftime("%Y-%m-%d %H:%M:%S")


def _shown_undelivered(found: list[Undelivered], as_json_lines: bool) -> int:
    """What receivers have not got; exit code 6 if there is anything."""
    if as_json_lines:
        for each in found:
            told = {"receiver": each.receiver, "state": each.state, "since": from_ms(each.since_ms).isoformat()}
            sys.stdout.write(json.dumps(told | {"reason": each.reason, "alert": as_json(each.alert)}) + "\n")
    else:
        table = Table("receiver", "state", "since", Column("key", no_wrap=True), "what", "conversation", "why")
        for each in found[:MOST_SHOWN]:
            alert = each.alert
            about = alert.about if isinstance(alert, IncidentTransition) else alert.conversation
            what = (alert.key, alert.transition, about, each.reason)
            table.add_row(each.receiver, each.state, _shown(each.since_ms), *what)
        Console().print(table)
        sys.stderr.write(f"{len(found):,} not delivered.\n")
    return DifferenceFound.exit_code if found else 0


def _shown_silences(found: list[Silence], as_json: bool) -> int:
    if as_json:
        sys.stdout.write("".join(json.dumps(_as_json(each), ensure_ascii=False) + "\n" for each in found))
        return 0
    table = Table("district", "what", "since", "until", "who", "why")
    for each in found:
        what = ", ".join(filter(None, (each.alert, each.unit, each.clock))) or "everything"
        table.add_row(each.district, what, _shown(each.since), _shown(each.until), each.who, each.why)
    Console().print(table)
    return 0


def _until(args: argparse.Namespace, at: datetime) -> datetime | None:
    if args.lasting is not None:
        return at + timedelta(milliseconds=length(args.lasting))
    if args.until is None:
        return None
    return at if args.until == "now" else from_ms(instant_ms(args.until))


def _frame(district: str, at: datetime) -> dict[str, Any]:
    times = {"occurred_at": at, "received_at": at}
    return {"event_id": f"cx:{uuid4().hex}", "district": district, "source": SOURCE, **times}


def _publish(settings: Settings, events: list[AlertAcknowledged | AlertSilenced]) -> None:
    with EventProducer(settings) as producer:
        for written in [producer.publish(*encode(event)) for event in events]:
            written.result()


def _acknowledge(args: argparse.Namespace, settings: Settings) -> int:
    who, why = code(args.who), None if args.why is None else code(args.why)
    at = now(settings)
    until = _until(args, at)
    keys = [alert_key(key) for key in dict.fromkeys(args.key)]
    districts = dict.fromkeys(keys, code(args.district)) if args.district else _districts(keys, settings)
    done: dict[str, Any] = {"who": who, "why": why, "until": until}
    events = [
        AlertAcknowledged(kind="alert_acknowledged", alert=key, **_frame(district, at), **done)
        for key, district in districts.items()
    ]
    _publish(settings, list(events))
    return _told([{"district": each.district, "alert": each.alert} for each in events], until, args)


def _districts(keys: list[str], settings: Settings) -> dict[str, str]:
    """The district of each alert or incident. Raises `UsageError` for one that has not landed."""
    with closing(Alerts(settings)) as store:
        found = store.districts(keys)
    unknown = [key for key in keys if key not in found]
    if unknown:
        hint = "`./cx alerts ls [--incidents]` shows keys; with --district it is not looked up."
        raise UsageError(f"There is no alert {unknown[0]}: {hint}")
    return found


def _silence(args: argparse.Namespace, settings: Settings) -> int:
    who, why, at = code(args.who), code(args.why), now(settings)
    until = _until(args, at)
    if until is None:
        raise UsageError("Say how long: --for 2h, or --until WHEN; --until now ends a silence.")
    _check_unit(args.district, args.unit, settings)
    key = None if args.key is None else alert_key(args.key)
    scope = {"alert": key, "unit": args.unit, "clock": args.clock}
    frame = _frame(code(args.district), at)
    _publish(settings, [AlertSilenced(kind="alert_silenced", until=until, who=who, why=why, **scope, **frame)])
    told = {"district": args.district} | {name: value for name, value in scope.items() if value is not None}
    return _told([told], until, args)


def _check_unit(district: str, unit: str | None, settings: Settings) -> None:
    """Whether the unit exists, as far as ClickHouse tells. Raises `UsageError`."""
    if unit is None:
        return
    try:
        with closing(ClickHouseReader(settings)) as reader:
            known = {row.unit for row in reader.units(district)}
    except Unavailable as error:
        sys.stderr.write(f"{error}: whether {unit} exists was not looked up.\n")
        return
    if unit not in known:
        raise UsageError(f"In {district} {missing('unit', unit, known)}.")


def _told(what: list[dict[str, str]], until: datetime | None, args: argparse.Namespace) -> int:
    ends = None if until is None else until.isoformat()
    if args.json:
        sys.stdout.write("".join(json.dumps(each | {"until": ends, "who": args.who}) + "\n" for each in what))
        return 0
    done = {"ack": "taken on by", "silence": "silenced by"}[args.action]
    for each in what:
        named = ", ".join(value for name, value in each.items() if name != "district") or "everything"
        sys.stdout.write(f"{each['district']}: {named} {done} {args.who}" + (f" until {ends}\n" if ends else "\n"))
    return 0


def _configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("ls", help="show them, each by its newest transition; those that stand, if not said")
    listing.add_argument("key", nargs="*", metavar="KEY", help="only these, whatever their state")
    listing.add_argument("--district", metavar="CODE", help="only of this district")
    listing.add_argument("--unit", metavar="CODE", help="only of this unit: it has the conversation, or had it first")
    listing.add_argument("--since", metavar="WHEN", help="only with news since, ISO 8601; UTC without offset")
    listing.add_argument("--state", choices=(STANDING, OVER, "all"), default=STANDING, help="default: standing")
    listing.add_argument(
        "--undelivered", action="store_true", help="instead, what receivers have not got; asks Kafka, not ClickHouse"
    )
    listing.add_argument(
        "--incidents", action="store_true", help="instead, surges, silent feeds and watched values; standing: it lasts"
    )
    listing.add_argument("--silences", action="store_true", help="instead, what is silenced now, until when, by whom")
    ack = actions.add_parser("ack", help="take alerts on: they escalate no further")
    ack.add_argument(
        "key",
        nargs="+",
        metavar="KEY",
        help="key of an alert, as `ls` shows it, or of an incident, as `ls --incidents` does",
    )
    ack.add_argument("--district", metavar="CODE", help="its district; then nothing is looked up in ClickHouse")
    silence = actions.add_parser("silence", help="hear no more of an alert, a unit and all below it, or a district")
    silence.add_argument("key", nargs="?", metavar="KEY", help="only this alert")
    silence.add_argument("--district", metavar="CODE", required=True, help="of this district")
    silence.add_argument("--unit", metavar="CODE", help="only of this unit and all below it")
    silence.add_argument("--clock", choices=_CLOCKS, help="only of this promise clock or metric")
    for action in (ack, silence):
        action.add_argument("--who", metavar="CODE", required=True, help="who does it: a role's code, no name")
        end = action.add_mutually_exclusive_group()
        end.add_argument("--until", metavar="WHEN", help="until an instant, ISO 8601; `now` takes it back")
        end.add_argument("--for", dest="lasting", metavar="LENGTH", help="for so long: 90s, 30m, 8h")
    ack.add_argument("--why", metavar="CODE", help="why, a code such as calling-back")
    silence.add_argument("--why", metavar="CODE", required=True, help="why, a code such as planned-work")
    for action, work in ((listing, _list), (ack, _acknowledge), (silence, _silence)):
        action.add_argument("--json", action="store_true", help="JSON on standard output, one object a line")
        action.set_defaults(work=work)


def _run(args: argparse.Namespace) -> int:
    work: Any = args.work
    exit_code: int = work(args, local_settings())
    return exit_code


COMMANDS = {
    "alerts": Command(
        "Alerts of promises and incidents: show what stands, take one on (`ack`), or mute some for a time (`silence`). "
        "Both are events in the district's log and act on what is told from then on; nothing is deleted. What is "
        "silenced lands and is never sent. Exit code 2: an alert or unit that does not exist; 6: `ls --undelivered` "
        "found some.",
        _configure,
        _run,
    )
}
