"""Cells of local days: what one unit of its own, without those below it, saw by one channel on one day.

Lengths are milliseconds, histograms as in `schemas.rolling`. A day is a local date of the calendar of the unit. Each
measure adds up: over days, over channels, and over the units of a tree.
"""

from schemas.facts import CODE, COUNT, INSTANT, Column
from schemas.rolling import PILLARS, histogram

DAILY_CELLS: tuple[Column, ...] = (
    Column("district", CODE, "district"),
    Column("unit", CODE, "unit as the facts name it, without those below"),
    Column("channel", CODE, "phone, email, web, social, in_person; empty: unknown"),
    Column("day", "Date32", "local date in the unit's calendar"),
    Column("inquiries", COUNT, "conversations that a customer opened, by owning unit"),
    Column("waits_opened", COUNT, "waits that opened; nobody to answer: not counted"),
    Column("waits_ended", COUNT, "waits that ended, however; open ones at a day's end: all opened by then but these"),
    *histogram("first_response", "first responses sent by the unit, without calls answered live"),
    *histogram("first_response_business", "the same in the owners' calendars"),
    *histogram("reply", "waits ended by a reply, by the unit that owned them, not live"),
    *histogram("reply_business", "the same in the owners' calendars"),
    Column("decided", COUNT, "waits whose school day ended on the day, not live; withdrawn by then: not counted"),
    Column("within", COUNT, "of these, answered within it"),
    Column("ratings", f"Array({COUNT})", "ratings given, late ones left out: how many 1s, 2s, … 10s"),
    *(Column(pillar, f"Array({COUNT})", "of these, the scores of this pillar: 1s, 2s, … 10s") for pillar in PILLARS),
    Column("promises_met", COUNT, "promises due on the day and kept"),
    Column("promises_missed", COUNT, "promises due on the day and kept late"),
    Column("promises_open", COUNT, "promises due on the day and not kept yet; a cell does not know the present"),
    Column("handoffs", COUNT, "changes of department, by the unit that got it"),
    Column("bounces", COUNT, "of these, back to where it was before"),
    Column("rebuilt_at", INSTANT, "everything that landed by then is in it; the latest counts"),
)
CELL = DAILY_CELLS[:-1]
"""What a cell says; a row of it is a plain tuple in this order."""
