"""The event union: everything that may enter the log `cx.events`.

A Kafka message is one event or a JSON array of events of one district. `kind` tells the models apart. The kinds are
frozen: a new meaning gets a new optional field or a new kind with a higher `schema_version`, never a changed one.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from schemas.district import District
from schemas.vocabulary import (
    Actor,
    Author,
    Channel,
    Code,
    Contact,
    CriticalCategory,
    Digest,
    Generation,
    Identifier,
    InquiryKind,
    Instant,
    LanguageTag,
    OpenedBy,
    Priority,
    Pseudonym,
    Stakeholder,
    Status,
    Theme,
    Visit,
)

Score = Annotated[int, Field(ge=1, le=10, description="native scale, 1 (worst) to 10 (best)")]
Count = Annotated[int, Field(ge=0, le=1_000_000)]


class _Event(BaseModel):
    """What every event carries."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    event_id: Identifier = Field(description="unique within its conversation; the same id again is the same event")
    district: Code = Field(description="district the event belongs to; decides the partition")
    source: Code = Field(description="system that reports the event")
    occurred_at: Instant = Field(description="when it happened at the source: drives every duration")
    received_at: Instant = Field(description="when the intake received it: drives lateness and admission only")
    # Absent is 1 for ever, also once `SCHEMA_VERSION` is higher: canonical content leaves defaults out.
    schema_version: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    touch_point: Code | None = Field(default=None, description="desk, line, mailbox or form within a unit")


class _ConversationEvent(_Event):
    """An event of one conversation."""

    conversation: Identifier = Field(description="thread with one customer concern")


class Inquiry(_ConversationEvent):
    """A message, call or visit of a customer; the first one opens the conversation."""

    kind: Literal["inquiry"]
    channel: Channel
    platform: Code | None = Field(default=None, description="product under the channel, such as a social network")
    thread: Identifier | None = Field(default=None, description="on social: the post it belongs to")
    unit: Code | None = Field(default=None, description="owning unit; empty: the district's routing decides")
    topic: Code | None = None
    inquiry_kind: InquiryKind = "unknown"
    stakeholder: Stakeholder = "unknown"
    generation: Generation = Field(default="unknown", description="as stated by person or district, never guessed")
    language: LanguageTag | None = None
    person: Pseudonym | None = Field(default=None, description="the customer")
    opened_by: OpenedBy = Field(default="customer", description="`staff`: opened by staff on their own account")
    priority: Priority = "normal"
    critical_category: CriticalCategory = "none"
    needs_reply: bool = Field(default=True, description="false: a bare thanks or a reaction; opens no wait")
    automatic: bool = Field(default=False, description="out of office or bounce; opens no wait")
    reachable: bool = Field(default=True, description="false: withheld number, nameless walk-in")
    contact: Contact = Field(default="message", description="how a call or visit went")
    queue_seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] | None = Field(
        default=None, description="answered live: seconds in the queue, the first response"
    )
    staff: Pseudonym | None = Field(default=None, description="who answered, if it was answered live")
    visit: Visit = Field(default="none", description="campus visit asked for")
    due_at: Instant | Literal["unit"] | None = Field(
        default="unit",
        description="time the source promised; null: it promised none; absent: the unit's",
    )


class Reply(_ConversationEvent):
    """A message, call or visit from the district's side, of a person or a machine."""

    kind: Literal["reply"]
    channel: Channel
    unit: Code | None = Field(default=None, description="unit that sent it; empty: the unit that owns the conversation")
    staff: Pseudonym | None = None
    author: Author = "human"
    public: bool = Field(default=True, description="false: an internal note")
    delivered: bool = True
    visit: Visit = Field(default="none", description="campus visit offered or refused with this reply")


class Pillars(BaseModel):
    """The four pillars of good service, each optional, each 1 to 10."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    courtesy: Score | None = Field(default=None, description="courtesy and respect")
    communication: Score | None = None
    responsiveness: Score | None = None
    environment: Score | None = None


class Rating(_ConversationEvent):
    """A feedback score; the last edit of (conversation, rater, survey) within 14 days counts."""

    kind: Literal["rating"]
    score: Score
    survey: Code = Field(default="default", description="survey the score answers")
    rater: Pseudonym | None = Field(default=None, description="empty: the conversation's one anonymous rater")
    pillars: Pillars = Pillars()
    trust: Score | None = None
    answered: bool | None = Field(default=None, description="was it answered?")
    items: dict[Code, Score] = Field(default={}, max_length=20, description="items the district added")
    original_value: Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        default=None, description="value on the source's own scale"
    )
    original_scale: Code | None = Field(default=None, description="that scale, such as `stars-5` or `percent`")


class SurveyOffered(_ConversationEvent):
    """A survey was offered to the customer."""

    kind: Literal["survey_offered"]
    survey: Code = "default"
    channel: Channel | None = None
    person: Pseudonym | None = None


class Transfer(_ConversationEvent):
    """The conversation got an owner: a unit, a person, or both."""

    kind: Literal["transfer"]
    unit: Code | None = Field(default=None, description="new owning unit; empty: unchanged")
    staff: Pseudonym | None = Field(default=None, description="new owning person; empty: none")
    from_bot: bool = Field(
        default=False, description="true: handed from a bot to a human queue; starts the staff clock"
    )


class StatusChanged(_ConversationEvent):
    """The conversation's status at the source changed."""

    kind: Literal["status_changed"]
    status: Status
    by: Actor = "staff"
    unit: Code | None = None
    staff: Pseudonym | None = Field(default=None, description="who changed it")


class Spam(_ConversationEvent):
    """Everything of the conversation is spam and is retracted."""

    kind: Literal["spam"]


class NotSpam(_ConversationEvent):
    """Takes an earlier `spam` back."""

    kind: Literal["not_spam"]


class Merge(_ConversationEvent):
    """`conversation` and `into` are one concern."""

    kind: Literal["merge"]
    into: Identifier


class Unmerge(_ConversationEvent):
    """Takes an earlier `merge` of the same two back."""

    kind: Literal["unmerge"]
    into: Identifier


class Link(_ConversationEvent):
    """`conversation` continues or concerns another one without being merged."""

    kind: Literal["link"]
    linked_to: Identifier
    relation: Literal["continues", "related"] = "related"


class Correction(_ConversationEvent):
    """Corrects one earlier event, or the conversation where `corrects` is empty; at least one new value."""

    kind: Literal["correction"]
    corrects: Identifier | None = Field(default=None, description="event_id of the corrected event")
    needs_reply: bool | None = None
    unit: Code | None = None
    time: Instant | None = Field(default=None, description="the true `occurred_at` of the corrected event")
    topic: Code | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "Correction":
        if self.needs_reply is None and self.unit is None and self.time is None and self.topic is None:
            raise ValueError("a correction needs at least one of needs_reply, unit, time, topic")
        if self.time is not None and self.corrects is None:
            raise ValueError("a corrected time needs `corrects`, the event whose time it is")
        return self


class DeliveryFailed(_ConversationEvent):
    """A reply never reached the customer."""

    kind: Literal["delivery_failed"]
    reply: Identifier = Field(description="event_id of the reply that failed")


class Deleted(_ConversationEvent):
    """Operational tombstone: the fact stays, without content."""

    kind: Literal["deleted"]


class Erased(_Event):
    """Privacy: the person behind this key is forgotten and refused ever after."""

    kind: Literal["erased"]
    key_digest: Digest = Field(description="SHA-256 of the person's pseudonym")


class Refused(_ConversationEvent):
    """What stands in the log for an event that came of a person erased before: nobody sends it, it counts nowhere."""

    kind: Literal["refused"]


class DistrictConfigured(_Event):
    """The district's configuration as a whole; the highest revision of an event counts, whatever the document says."""

    kind: Literal["district_configured"]
    revision: Annotated[int, Field(ge=1, le=1_000_000)]
    configuration: District

    @model_validator(mode="after")
    def _same_district(self) -> "DistrictConfigured":
        if self.configuration.district != self.district:
            raise ValueError(
                f"configuration is of district {self.configuration.district}, the event of {self.district}"
            )
        return self


class TrainingHeld(_Event):
    """Staff of some units were trained."""

    kind: Literal["training_held"]
    training: Code
    theme: Theme
    units: list[Code] = Field(min_length=1, max_length=1_000)
    participants: Count = 0


class AlertAcknowledged(_Event):
    """A person took an alert on; halts its escalation. Of several about one alert the last one counts."""

    kind: Literal["alert_acknowledged"]
    alert: Identifier = Field(description="key of the alert")
    staff: Pseudonym | None = None
    until: Instant | None = Field(default=None, description="when it escalates after all; empty: never")
    who: Code | None = Field(default=None, description="role of whoever did it")
    why: Code | None = Field(default=None, description="reason, a code")


class AlertSilenced(_Event):
    """One alert, those of a unit and all below it, or all of the district are muted until an instant.

    Of several events about the same alert, unit and clock the last one counts: one with `until` gone by ends it.
    """

    kind: Literal["alert_silenced"]
    until: Instant
    alert: Identifier | None = None
    unit: Code | None = None
    clock: Code | None = Field(default=None, description="promise clock or metric")
    staff: Pseudonym | None = None
    who: Code | None = Field(default=None, description="role of whoever did it")
    why: Code | None = Field(default=None, description="reason, a code")


class Heartbeat(_Event):
    """The source is alive, whether or not anything happened."""

    kind: Literal["heartbeat"]
    healthy: bool = True
    backlog: Count | None = Field(default=None, description="messages the source still holds back")


Admitted = Annotated[
    Inquiry
    | Reply
    | Rating
    | SurveyOffered
    | Transfer
    | StatusChanged
    | Spam
    | NotSpam
    | Merge
    | Unmerge
    | Link
    | Correction
    | DeliveryFailed
    | Deleted
    | Erased
    | DistrictConfigured
    | TrainingHeld
    | AlertAcknowledged
    | AlertSilenced
    | Heartbeat,
    Field(discriminator="kind"),
]
Event = Admitted | Refused

EVENT: TypeAdapter[Admitted] = TypeAdapter(Admitted)
EVENTS: TypeAdapter[list[Admitted]] = TypeAdapter(Annotated[list[Admitted], Field(min_length=1)])
MESSAGE: TypeAdapter[Admitted | list[Admitted]] = TypeAdapter(Admitted | Annotated[list[Admitted], Field(min_length=1)])
LOGGED: TypeAdapter[list[Event]] = TypeAdapter(list[Annotated[Admitted | Refused, Field(discriminator="kind")]])
"""What reading a log back may give."""

KINDS: frozenset[str] = frozenset(EVENT.json_schema()["discriminator"]["mapping"])


def canonical(event: Event) -> bytes:
    """One spelling of an event's content: JSON in field order, defaults and `received_at` left out.

    A repeated delivery of the same event has the same canonical content whenever the intake received it.
    """
    return event.__pydantic_serializer__.to_json(event, exclude_defaults=True, exclude={"received_at"})
