"""A worker whose fold raises for every event whose id starts with `poison`; otherwise it is the real one."""

import sys
from collections.abc import Sequence

import streams.core.together
from deploy.cli.main import main
from schemas.facts import Row
from streams.core.configuration import Configuration
from streams.core.conversation import Whole, fold
from streams.core.packed import Packed


def _poisoned(key: tuple[str, str], events: Sequence[Packed], configuration: Configuration, whole: Whole) -> list[Row]:
    if any(event.event_id.startswith("poison") for event in events):
        raise ZeroDivisionError("a defect that only this event meets")
    return fold(key, events, configuration, whole)


setattr(streams.core.together, "fold", _poisoned)  # noqa: B010 -- the name is imported there, not declared

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
