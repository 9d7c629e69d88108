"""The release after this one, as a command line: schema 2, with a kind `visit_planned` and a field `mood` of replies.

Its definitions are raised by one, as every change of facts raises them.
"""

import sys
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, TypeAdapter

import schemas.facts
import schemas.vocabulary

schemas.vocabulary.SCHEMA_VERSION = 2
schemas.facts.DEFINITION_VERSION += 1

import schemas.events as known  # noqa: E402 -- what everything else imports is set above and below
from schemas.vocabulary import Code, Pseudonym  # noqa: E402


class Reply(known.Reply):
    """A reply that also says how it was meant."""

    mood: Code | None = None


class VisitPlanned(known._ConversationEvent):  # noqa: SLF001 -- made of what every kind is made of
    """A visit was planned."""

    kind: Literal["visit_planned"]
    room: Code | None = None
    guardian: Pseudonym | None = None


kinds = [*(Reply if kind is known.Reply else kind for kind in get_args(get_args(known.Admitted)[0])), VisitPlanned]
Admitted: Any = Annotated[reduce(or_, kinds), Field(discriminator="kind")]
Logged: Any = Annotated[reduce(or_, [*kinds, known.Refused]), Field(discriminator="kind")]
learned = {
    "Reply": Reply,
    "Admitted": Admitted,
    "Event": Admitted | known.Refused,
    "EVENT": TypeAdapter(Admitted),
    "EVENTS": TypeAdapter(Annotated[list[Admitted], Field(min_length=1)]),
    "LOGGED": TypeAdapter(list[Logged]),
}
for name, value in learned.items():
    setattr(known, name, value)
known.KINDS = known.KINDS | {"visit_planned"}

from deploy.cli.main import main  # noqa: E402 -- it imports what was learned

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
