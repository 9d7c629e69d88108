"""`./cx district`: a district's document from example to log, and its key for the intake."""

import argparse
import json
import os
import sys
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from deploy.cli.command import Command
from deploy.cli.documents import read_district, read_text
from deploy.local.state import effective_settings
from schemas import examples
from schemas.district import District
from schemas.errors import DocumentError, UsageError
from schemas.settings import Settings
from schemas.vocabulary import Code
from streams.configured import configured
from streams.intake.keys import KeyRing
from streams.intake.producer import EventProducer, encode
from streams.present import now

EXAMPLE = Path(examples.__file__).with_name("district.yaml")
_CODE: TypeAdapter[str] = TypeAdapter(Code)


def outline(document: District) -> dict[str, int | str]:
    """What a document holds, in numbers."""
    return {
        "district": document.district,
        "revision": document.revision,
        "units": sum(1 for _ in document.walk()),
        "calendars": len(document.calendars),
        "promises": len(document.promises),
        "routes": len(document.routing),
        "goals": len(document.goals),
        "waves": len(document.rollout),
    }


def _example(_args: argparse.Namespace) -> int:
    sys.stdout.write(read_text(EXAMPLE))
    return 0


def _check(args: argparse.Namespace) -> int:
    try:
        found = outline(read_district(args.file))
    except DocumentError as error:
        if args.json:
            sys.stdout.write(json.dumps({"valid": False, "problems": error.problems}) + "\n")
        else:
            sys.stderr.write("".join(f"{problem}\n" for problem in error.problems))
        return error.exit_code
    if args.json:
        sys.stdout.write(json.dumps({"valid": True, **found}) + "\n")
    else:
        counts = ", ".join(f"{count} {name}" for name, count in list(found.items())[2:])
        sys.stdout.write(f"{args.file} is a valid district: {document_name(found)}, {counts}.\n")
    return 0


def document_name(found: dict[str, int | str]) -> str:
    """`riverbend, revision 3`."""
    return f"{found['district']}, revision {found['revision']}"


def _resolve(args: argparse.Namespace) -> int:
    published = read_district(args.file).model_dump(mode="json", exclude_defaults=True)
    if args.json:
        sys.stdout.write(json.dumps(published, ensure_ascii=False) + "\n")
    else:
        yaml.safe_dump(published, sys.stdout, sort_keys=False, allow_unicode=True, width=120)
    return 0


def _apply(args: argparse.Namespace) -> int:
    settings = _settings()
    event = configured(read_district(args.file), now(settings))
    with EventProducer(settings) as producer:
        written = producer.publish(*encode(event)).result()
    name = document_name(outline(event.configuration))
    sys.stdout.write(f"Published {name}: partition {written.partition}, offset {written.offset}.\n")
    return 0


def _key(args: argparse.Namespace) -> int:
    try:
        district = _CODE.validate_python(args.district)
    except ValidationError:
        raise UsageError("A district's code has lower-case letters, digits and . _ - only, at most 64.") from None
    key = KeyRing.of(_settings()).issue(district)
    sys.stdout.write(key + "\n")
    sys.stderr.write(f"This is the key of {district}, shown once; an older one is void. Send it as a Bearer token.\n")
    return 0


def _settings() -> Settings:
    return effective_settings(Settings.from_environment(os.environ))


def _configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    example = actions.add_parser("example", help="print a commented document")
    example.set_defaults(work=_example)
    check = actions.add_parser("check", help="say what is wrong with a document, by line and field")
    check.add_argument("file", type=Path, metavar="FILE")
    check.add_argument("--json", action="store_true", help="the answer as one JSON object")
    check.set_defaults(work=_check)
    resolve = actions.add_parser("resolve", help="print what is published of a document: every date in full")
    resolve.add_argument("file", type=Path, metavar="FILE")
    resolve.add_argument("--json", action="store_true", help="one JSON object instead of YAML")
    resolve.set_defaults(work=_resolve)
    apply = actions.add_parser("apply", help="publish a document as the district's configuration")
    apply.add_argument("file", type=Path, metavar="FILE")
    apply.set_defaults(work=_apply)
    key = actions.add_parser("key", help="make the district's key for the intake; prints it once")
    key.add_argument("district", metavar="DISTRICT")
    key.set_defaults(work=_key)


def _run(args: argparse.Namespace) -> int:
    code: int = args.work(args)
    return code


COMMANDS = {"district": Command("A district's document and its key.", _configure, _run)}
