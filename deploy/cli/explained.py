"""An explanation for a person: a timeline in the district's local time, readable at any width and without colours."""

import re
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.calendar import zone_of
from streams.explaining import told
from streams.explaining.words import length

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
NARROW = 96
MOST_SLICES = 40


class Page:
    """Writes one explanation to a console."""

    def __init__(self, console: Console, explanation: told.Explanation) -> None:
        self._console = console
        self._told = explanation
        self._zone: ZoneInfo = zone_of(explanation.time_zone)

    def write(self) -> None:
        """The whole of it."""
        told_ = self._told
        newest = next((each for each in told_.revisions if each.newest), None)
        self._say(f"{told_.district} / {told_.conversation}", style="bold")
        counts = f"units and calendars of revision {newest.revision}" if newest else "no configuration: always open"
        self._say(
            f"Local times of {told_.time_zone}. Definitions {told_.definition_version}; "
            f"{told_.configurations} configurations known, {counts}."
        )
        for part in told_.parts:
            self._part(part)
        self._restatements()

    def _say(self, text: str, indent: int = 0, style: str = "") -> None:
        safe = "".join(char if char.isprintable() else "�" for char in text)
        lines = Text(safe, style=style).wrap(self._console, max(20, self._console.width - indent))
        for line in lines:
            line.pad_left(indent)
            self._console.print(line, highlight=False, soft_wrap=True)

    def _head(self, text: str) -> None:
        self._console.print()
        self._say(text, style="bold")

    def _at(self, at: datetime | None) -> str:
        if at is None:
            return "never"
        local = at.astimezone(self._zone)
        rest = f".{local.microsecond // 1000:03d}" if local.microsecond else ""
        return f"{local:%a %Y-%m-%d %H:%M:%S}{rest}"

    def _table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table where there is room for one; on a narrow screen each row as lines."""
        if self._console.width < NARROW:
            for row in rows:
                self._say(" · ".join(filter(None, row)), 2)
            return
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("", width=0)
        for name in columns:
            fixed = name in ("when", "from", "to", "length")
            table.add_column(
                Text(name), no_wrap=fixed, overflow="fold", justify="right" if name == "length" else "left"
            )
        for row in rows:
            table.add_row("", *(Text("".join(c if c.isprintable() else "�" for c in cell)) for cell in row))
        self._console.print(table)

    def _part(self, part: told.Part) -> None:
        self._head(f"Conversation {part.conversation}" + ("" if part.counts else ": counts nowhere"))
        about = " · ".join(each for each in (part.channel, part.topic, f"opened by {part.opened_by}") if each)
        self._say(f"{about}; {part.status}; owner {part.unit} of {part.department}", 2)
        conflicts = f", {part.conflicts} of them lost against another content of their id" if part.conflicts else ""
        self._say(f"row version {part.version}: {part.events} events{conflicts}", 2)
        for number in part.numbers:
            self._say(f"{number.name.removesuffix('_ms').replace('_', ' ')}: {length(number.value_ms)}", 2)
        for note in part.notes:
            self._say(f"note: {note}", 2)
        self._head("Events")
        self._table(("when", "event", "kind", "what it did"), [self._step(step) for step in part.steps])
        for wait in part.waits:
            self._wait(wait)
        for clock in part.clocks:
            self._clock(clock)
        self._rest(part)

    def _step(self, step: told.Step) -> tuple[str, str, str, str]:
        did = [*step.did, *([f"ignored: {step.ignored}"] if step.ignored else [])]
        did += [f"{each.field} corrected by {each.by_event}: {each.before} → {each.after}" for each in step.changes]
        if step.merged_from:
            did.append(f"merged from {step.merged_from}")
        late = step.received_at - step.at
        if late.total_seconds() >= 60:
            did.append(f"received {length(round(late.total_seconds() * 1000))} later")
        return self._at(step.at), step.event, step.kind, self._local("; ".join(did))

    def _local(self, text: str) -> str:
        """Instants in a text in local time."""
        return _INSTANT.sub(lambda found: self._at(datetime.fromisoformat(found[0])), text)

    def _wait(self, wait: told.Wait) -> None:
        self._head(f"Wait {wait.number}: {wait.outcome}")
        if wait.wait_ms is not None and wait.business_ms is not None:
            text = f"{length(wait.wait_ms)} of calendar time, {length(wait.business_ms)} of business time"
        elif wait.until_at is not None:
            counted = sum(each.length_ms for each in wait.slices if each.counted)
            whole = sum(each.length_ms for each in wait.slices)
            until = self._at(wait.until_at)
            text = f"by {until}: {length(whole)} of calendar time, {length(counted)} of business time"
        else:
            text = "no end: it has no length"
        self._say(f"{text}; opened by {wait.opened_by_event}, ended by {wait.ended_by_event or 'nothing yet'}", 2)
        hidden = max(0, len(wait.slices) - MOST_SLICES)
        shown = wait.slices[: MOST_SLICES // 2] + wait.slices[MOST_SLICES // 2 + hidden :] if hidden else wait.slices
        rows = [
            (
                self._at(each.started_at),
                self._at(each.ended_at),
                length(each.length_ms),
                each.unit,
                each.calendar,
                "counted" if each.counted else f"not counted: {each.why}{self._since(each, wait)}",
            )
            for each in shown
        ]
        self._table(("from", "to", "length", "owner", "calendar", "business time"), rows)
        if hidden:
            self._say(f"{hidden} slices in the middle are left out here; --json has all", 2)

    def _since(self, piece: told.Slice, wait: told.Wait) -> str:
        if piece.since_at is None:
            return ""
        known = f", by revision {piece.since_revision}"
        late = piece.since_at > wait.opened_at
        return f"{known}, declared only on {self._at(piece.since_at)}" if late else known

    def _clock(self, clock: told.Clock) -> None:
        self._head(f"Promise {clock.promise}, {clock.clock}: {clock.outcome}")
        instants = (
            ("started", clock.started_at),
            ("at risk", clock.at_risk_at),
            ("due", clock.due_at),
            ("kept until", clock.breach_at),
        )
        said = [f"{name} {self._at(at)}" for name, at in instants]
        late = (("half over", clock.escalated_50_at), ("twice over", clock.escalated_100_at))
        said.extend(f"{name} {self._at(at)}" for name, at in late if at is not None)
        said.append(f"ended {self._at(clock.ended_at)}" if clock.ended_at else "not ended")
        self._say("; ".join(said), 2)
        for pause in clock.pauses:
            end = self._at(pause.ended_at) if pause.ended_at else "now"
            self._say(f"paused from {self._at(pause.started_at)} to {end}", 2)
        for reason in clock.why:
            self._say(f"why: {reason}", 2)
        for policy in clock.policies[1:]:
            self._say(f"revision {policy.revision} is in force from {self._at(policy.from_at)}", 2)

    def _rest(self, part: told.Part) -> None:
        if part.ratings:
            self._head("Ratings")
        for rating in part.ratings:
            state = "late: counted, not averaged" if rating.late else f"counts for {rating.unit}"
            edits = f"; replaces {rating.edits} earlier" if rating.edits else ""
            self._say(f"{self._at(rating.rated_at)}: {rating.score} of 10 ({rating.survey}), {state}{edits}", 2)
        if part.handoffs:
            self._head("Hand-offs")
        for each in part.handoffs:
            back = ", back to where it was: a bounce" if each.bounce else ""
            self._say(f"{self._at(each.at)}: {each.from_department} → {each.to_department} ({each.unit}){back}", 2)

    def _restatements(self) -> None:
        if self._told.restatements:
            self._head("Numbers that had been told and changed")
        for each in self._told.restatements:
            by = ", ".join(each.by_events + [f"configuration {name}" for name in each.by_configurations])
            why = by or ("new definitions" if each.redefined else "an event of another conversation")
            before, after = (self._number(each.number, text) for text in (each.before, each.after))
            name = self._local(each.number).replace("_ms", "").replace("_", " ").strip()
            self._say(f"{self._at(each.at)}: {each.conversation} {name}: {before} → {after}, by {why}", 2)

    def _number(self, name: str, text: str) -> str:
        if text.lstrip("-").isdigit() and "_ms" in name:
            return length(int(text))
        return self._local(text) if text else "none"
