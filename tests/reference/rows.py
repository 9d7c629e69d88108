"""All facts of a district's events, as objects with the columns of `schemas.facts`."""

from dataclasses import replace
from typing import Any

from schemas.events import DistrictConfigured, Event, Inquiry, Link, Rating
from schemas.facts import CONVERSATION, DEFINITION_VERSION, row_version
from schemas.vocabulary import UNROUTED, from_ms
from tests.reference.grouping import counts_nowhere, ever_named_together, merged, parts
from tests.reference.hours import reached
from tests.reference.promises import clocks, first_owned, verdict
from tests.reference.ratings import ratings, sender
from tests.reference.reading import Item, Thread, counting, in_order, is_machine, is_message, is_reply, threads
from tests.reference.setting import Setting
from tests.reference.story import Resolution, Story, Wait

LINKING = ("inquiry", "reply", "transfer", "status_changed")
SCHOOL_DAY = 8 * 3_600_000
Fact = dict[str, Any]


def facts(district: str, events: list[Event]) -> list[Fact]:
    """The facts of every conversation of one district, by name; nothing is kept from one question to the next."""
    configured, conflicts = counting(event for event in events if isinstance(event, DistrictConfigured))
    known = [event for event in configured if isinstance(event, DistrictConfigured)]
    setting = Setting(district, known)
    found = threads(events)
    groups = merged(found)
    rows: list[Fact] = []
    for name, thread in found.items():
        group = groups.get(name)
        together = group is not None and group.primary == name
        members = group.members if group is not None and together else [name]
        items = _together(found, members)
        for number, part in enumerate(parts(items, setting), 1):
            fact = _fact(Story(part, setting))
            fact |= _identity(name, number, [found[member] for member in members], part)
            fact["deleted"] = int(any(item.event.kind == "deleted" for item in items))
            fact["retracted"] = int(counts_nowhere(thread) or not together)
            fact["merged_into"] = group.primary if group is not None and not together else ""
            known_too = [found[each] for each in ever_named_together(name, found)]
            fact["events"] = sum(each.contents for each in known_too)
            refused = sum(each.refused for each in known_too)
            fact["version"] = row_version(len(known) + conflicts, fact["events"], refused)
            rows.append(_shown(fact | {"district": district, "configurations": len(known) + conflicts}))
    return sorted(rows, key=lambda row: str(row["conversation"]))


def _together(found: dict[str, Thread], members: list[str]) -> list[Item]:
    """All items of merged conversations as they read under the first one's name."""
    all_items: list[Item] = []
    for name in members:
        items = _concerning(found[name].items, name, members)
        seen = {item.event.event_id for item in all_items}
        all_items += items if name == members[0] else [_under(item, name, seen) for item in items]
    return in_order(all_items)


def _concerning(items: list[Item], name: str, members: list[str]) -> list[Item]:
    """Without what closed or deleted a conversation that had been merged away."""
    merges = [item.at for item in items if item.event.kind == "merge" and item.event.into in set(members) - {name}]
    over = ("status_changed", "deleted")
    return [item for item in items if not merges or item.at < merges[0] or item.event.kind not in over]


def _under(item: Item, name: str, seen: set[str]) -> Item:
    """An item of a merged conversation: its anonymous raters and repeated ids stay its own."""
    event = item.event
    if isinstance(event, Rating) and event.rater is None:
        event = event.model_copy(update={"rater": f"~{name}"})
    if event.event_id in seen:
        event = event.model_copy(update={"event_id": f"{name}/{event.event_id}"})
    return replace(item, event=event)


def _identity(name: str, number: int, members: list[Thread], part: list[Item]) -> Fact:
    links = [item.event.linked_to for item in part if isinstance(item.event, Link) and item.event.relation != "related"]
    before = "" if number == 1 else _part(name, number - 1)
    return {
        "conversation": _part(name, number),
        "definition_version": DEFINITION_VERSION,
        "conflicts": sum(thread.conflicts for thread in members),
        "merged": len(members) - 1,
        "continues": before or (links[-1] if links else ""),
    }


def _part(name: str, number: int) -> str:
    return name if number == 1 else f"{name}~{number}"


def _shown(fact: Fact) -> Fact:
    """Instants in ISO 8601, the columns in the order of the table."""
    kinds: dict[str, dict[str, str]] = {}
    for column in CONVERSATION:
        group, _, name = column.name.partition(".")
        kinds.setdefault(group, {})[name] = column.type
    shown: Fact = {}
    for group, columns in kinds.items():
        if "" in columns:
            shown[group] = _value(fact.pop(group), columns[""])
            continue
        shown[group] = [{name: _value(entry.pop(name), columns[name]) for name in columns} for entry in fact[group]]
        assert not any(fact.pop(group))
    assert not fact
    return shown


def _value(value: Any, kind: str) -> Any:
    if "DateTime64" in kind and value is not None:
        return from_ms(value).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value


def _fact(story: Story) -> Fact:
    return {
        **_about(story),
        **_owned(story),
        **_responses(story),
        **_resolved(story),
        **_counts(story),
        "waits": [_wait(wait, story) for wait in story.waits],
        "segments": [segment for index, wait in enumerate(story.waits) for segment in _segments(index, wait, story)],
        "ratings": [{name: value for name, value in entry.items() if name != "items"} for entry in ratings(story)],
        "items": _items(story),
        "verdicts": [made for clock in clocks(story) if (made := verdict(clock, story)) is not None],
    }


def _about(story: Story) -> Fact:
    """What the opening says."""
    first = story.opening
    event: Inquiry | None = first.event if first else None
    source = first.event if first else story.items[0].event
    return {
        "opened_at": story.started,
        "opened_by": event.opened_by if event and not story.outbound else "staff",
        "inquiries": int(story.asked),
        "outbound": int(story.outbound),
        "linked": int(any(item.event.kind in LINKING for item in story.items)),
        "source": source.source,
        "touch_point": (event.touch_point or "") if event else "",
        "status": story.status(),
        "skew": int(story.skew),
    } | _dimensions(event, story)


def _dimensions(event: Inquiry | None, story: Story) -> Fact:
    words = ("platform", "thread", "topic", "language", "person", "channel")
    given = {name: (getattr(event, name) or "") if event else "" for name in words}
    if event is None:
        given["channel"] = getattr(story.items[0].event, "channel", None) or ""
    unknown = ("inquiry_kind", "stakeholder", "generation")
    given |= {name: getattr(event, name) if event else "unknown" for name in unknown}
    return given | {
        "priority": event.priority if event else "normal",
        "critical_category": event.critical_category if event else "none",
        "contact": event.contact if event else "message",
    }


def _owned(story: Story) -> Fact:
    owners, setting = story.owners, story.setting
    line = [setting.department(unit) for _, unit in owners.changes]
    transfers: list[Fact] = []
    been = line[:1]
    for (at, unit), department in zip(owners.changes, line, strict=True):
        if been == [UNROUTED]:
            # Nobody had it before: the first assignment is no hand-off.
            been = [department]
        elif department != been[-1]:
            bounce = len(been) > 1 and been[-2] == department
            transfers.append(
                {
                    "at": at,
                    "from_department": been[-1],
                    "to_department": department,
                    "unit": unit,
                    "bounce": int(bounce),
                }
            )
            been.append(department)
    owned = first_owned(story)
    return {
        "unit": owners.last,
        "first_unit": owners.first,
        "department": setting.department(owners.last),
        "first_owned_at": owned,
        "time_to_owner_ms": None if owned is None or story.opening is None else owned - story.opening.at,
        "handoffs": len(transfers),
        "bounces": sum(transfer["bounce"] for transfer in transfers),
        "first_route_correct": int(not transfers),
        "transfers": transfers,
    }


def _responses(story: Story) -> Fact:
    names = ("at", "ms", "business_ms", "last_owner_ms", "last_bot_ms")
    empty: Fact = {f"first_response_{name}": None for name in names}
    empty |= {"staff_first_response_ms": None, "staff_first_response_business_ms": None}
    empty |= {"first_response_unit": "", "first_response_staff": ""}
    found = story.first_response()
    if found is None:
        return empty
    item, at = found
    handed = story.handed_over(item, at) or [story.started]
    queue = handed[0]
    return {
        "first_response_at": at,
        "first_response_ms": at - story.started,
        "first_response_business_ms": story.owners.business(story.started, at),
        "staff_first_response_ms": at - queue,
        "staff_first_response_business_ms": story.owners.business(queue, at),
        "first_response_last_owner_ms": story.setting.hours(story.owners.last).elapsed(story.started, at),
        "first_response_last_bot_ms": at - handed[-1],
        "first_response_unit": sender(item, story),
        "first_response_staff": item.event.staff or "",
    }


def _resolved(story: Story) -> Fact:
    found = story.resolutions
    # Only what is known to have begun has a length, and none that ended before it began.
    known = [each for each in found if (story.opening or story.outbound) and each.item.at >= story.started]
    first = known[0].item.at if known else None
    full = known[-1].item.at if known and found[-1].reopened_at is None else None
    fact: Fact = {"first_resolved_at": first, "full_resolved_at": full}
    for name, at in (("first_resolution", first), ("full_resolution", full)):
        fact[f"{name}_ms"] = None if at is None else at - story.started
        fact[f"{name}_business_ms"] = None if at is None else story.owners.business(story.started, at)
    untils = [(each.reopened_at, story.watched_until(each)) for each in found]
    soon = any(at is not None and until is not None and at < until for at, until in untils)
    entries = [_resolution(each, story) for each in found]
    return fact | {"resolutions": entries, "reopened": story.reopened(), "reopened_soon": int(soon)}


def _resolution(resolution: Resolution, story: Story) -> Fact:
    return {
        "resolved_at": resolution.item.at,
        "unit": story.owners.at(resolution.item.at),
        "watched_until": story.watched_until(resolution),
        "reopened_at": resolution.reopened_at,
    }


def _counts(story: Story) -> Fact:
    said = [item for item in story.items if item.event.kind == "inquiry" or is_reply(item)]
    visits = [item for item in said if item.event.visit != "none"]
    asked = [item.at for item in visits if item.event.visit == "requested"]
    offered = [item.at for item in visits if item.event.visit == "offered"]
    counted = [entry["score"] for entry in ratings(story) if not entry["late"]]
    critical = any(getattr(item.event, "critical_category", "none") != "none" for item in story.items)
    hard = critical or any(wait.messages >= 3 for wait in story.waits) or story.reopened() >= 2
    return {
        "visit": visits[-1].event.visit if visits else "none",
        "visit_requested_at": asked[0] if asked else None,
        "visit_offered_at": offered[0] if offered else None,
        "turned_away": sum(getattr(item.event, "contact", "") == "turned_away" for item in story.items),
        "extra_replies": _extra_replies(story),
        "bot_replies": sum(is_machine(item) for item in story.items),
        "surveys_offered": sum(item.event.kind == "survey_offered" for item in story.items),
        "difficult": int(hard or any(score <= 3 for score in counted)),
    }


def _extra_replies(story: Story) -> int:
    """Replies while nobody waited: all that ended no wait."""
    ended = [wait.ended for wait in story.waits]
    first = next((item.order for item in story.items if is_message(item)), None)
    replies = [item for item in story.items if is_reply(item) and first is not None and item.order > first]
    return sum(not any(item is end for end in ended) for item in replies)


def _wait(wait: Wait, story: Story) -> Fact:
    end = wait.ended_at
    replied = wait.ended if wait.outcome == "answered" else None
    owners = story.owners
    return {
        "opened_at": wait.at,
        "ended_at": end,
        "outcome": wait.outcome,
        "unit": owners.pieces(wait.at, until(wait))[-1][2],
        "replied_by": sender(replied, story) if replied and is_reply(replied) else "",
        "wait_ms": None if end is None else end - wait.at,
        "business_ms": None if end is None else owners.business(wait.at, end),
        "school_day_at": reached(wait.at, SCHOOL_DAY, owners.minutes),
        "messages": wait.messages,
        "redials": wait.redials,
        "live": int(wait.live),
        "opened_by_event": wait.opened.event.event_id,
        "ended_by_event": wait.ended.event.event_id if wait.ended else "",
    }


def _segments(index: int, wait: Wait, story: Story) -> list[Fact]:
    return [
        {
            "wait": index,
            "unit": unit,
            "started_at": start,
            "ended_at": end,
            "segment_ms": None if end is None else end - start,
            "business_ms": None if end is None else story.setting.hours(unit).elapsed(start, end),
        }
        for start, end, unit in story.owners.pieces(wait.at, until(wait))
    ]


def until(wait: Wait) -> int | None:
    """Where a wait's segments end: nobody is waited for who cannot be answered."""
    return wait.at if wait.outcome == "unreachable" else wait.ended_at


def _items(story: Story) -> list[Fact]:
    return [
        {"rating": index, "item": item, "score": score, "unit": entry["unit"]}
        for index, entry in enumerate(ratings(story))
        for item, score in sorted(entry["items"].items())
    ]
