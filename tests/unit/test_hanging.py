"""How a transaction that hangs on a partition is to end, by every state that its coordinator may say."""

from collections.abc import Iterator
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.admin import PartitionProducerState, ProducerState, TransactionDescription, TransactionState
from kafka.errors import ClusterAuthorizationFailedError

import streams.hanging
from schemas.errors import Unavailable
from schemas.settings import Settings
from streams.hanging import HANGING_SECONDS, Verdict, end_hanging, verdict

ABORT, COMMIT, WAIT = Verdict.ABORT, Verdict.COMMIT, Verdict.WAIT
NOW_MS = 1_790_000_000_000
OLD_MS = NOW_MS - int(HANGING_SECONDS * 1_000) - 1
HUNG = ProducerState(7, 3, 0, OLD_MS, -1, 40)
PARTITION = TopicPartition("cx.alerts", 3)
# At the same epoch, one later (an end by time-out, or the next transaction), two later.
VERDICTS = {
    TransactionState.EMPTY: (ABORT, ABORT, COMMIT),
    TransactionState.ONGOING: (WAIT, COMMIT, COMMIT),
    TransactionState.PREPARE_COMMIT: (COMMIT, COMMIT, COMMIT),
    TransactionState.COMPLETE_COMMIT: (COMMIT, COMMIT, COMMIT),
    TransactionState.PREPARE_ABORT: (ABORT, ABORT, COMMIT),
    TransactionState.COMPLETE_ABORT: (ABORT, ABORT, COMMIT),
    TransactionState.PREPARE_EPOCH_FENCE: (ABORT, ABORT, COMMIT),
    TransactionState.DEAD: (ABORT, ABORT, COMMIT),
    TransactionState.UNKNOWN: (ABORT, ABORT, COMMIT),
}


def _known(state: TransactionState, epoch: int) -> TransactionDescription:
    return TransactionDescription(1, state, HUNG.producer_id, epoch, 10_000, OLD_MS, set())


@pytest.mark.parametrize("state", list(TransactionState))
def test_the_coordinator_decides(state: TransactionState) -> None:
    found = tuple(verdict(HUNG, _known(state, HUNG.producer_epoch + ahead)) for ahead in range(3))
    assert found == VERDICTS[state]


def test_what_no_coordinator_knows_was_never_committed() -> None:
    assert verdict(HUNG, None) is ABORT


class FakeAdmin:
    """Kafka as far as hanging transactions go."""

    def __init__(self, producer: ProducerState, known: TransactionDescription | None) -> None:
        self._producer = producer
        self._known = known
        self.refusal: Exception | None = None
        self.markers: list[tuple[TopicPartition, int, bool]] = []

    def describe_producers(self, partitions: list[TopicPartition]) -> dict[TopicPartition, PartitionProducerState]:
        """The same producer on each."""
        return {each: PartitionProducerState([self._producer]) for each in partitions}

    def newest(self, producers: Iterator[int]) -> dict[int, TransactionDescription]:
        """The one known."""
        assert list(producers) == [self._producer.producer_id]
        return {} if self._known is None else {self._producer.producer_id: self._known}

    def end(self, partition: TopicPartition, hung: ProducerState, is_committed: bool) -> None:
        """Note the marker, or refuse it."""
        if self.refusal is not None:
            raise self.refusal
        self.markers.append((partition, hung.producer_id, is_committed))

    def close(self) -> None:
        """Nothing is held."""


def _ended(admin: FakeAdmin, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    def made(**_: Any) -> FakeAdmin:
        return admin

    monkeypatch.setattr(streams.hanging, "_Admin", made)
    monkeypatch.setattr(streams.hanging, "wall_ms", lambda: NOW_MS)
    counted: list[str] = []
    end_hanging(Settings(), [PARTITION], counted.append)
    return counted


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (_known(TransactionState.COMPLETE_COMMIT, 3), ["commit"]),
        (_known(TransactionState.COMPLETE_ABORT, 4), ["abort"]),
        (None, ["abort"]),
        (_known(TransactionState.ONGOING, 3), []),
    ],
)
def test_the_marker_is_written_and_counted(
    known: TransactionDescription | None, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = FakeAdmin(HUNG, known)
    assert _ended(admin, monkeypatch) == expected
    assert admin.markers == [(PARTITION, HUNG.producer_id, each == "commit") for each in expected]


@pytest.mark.parametrize(
    "producer", [HUNG._replace(last_timestamp=OLD_MS + 1), HUNG._replace(current_transaction_start_offset=-1)]
)
def test_what_is_young_or_decided_is_let_be(producer: ProducerState, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = FakeAdmin(producer, None)
    assert not _ended(admin, monkeypatch)
    assert not admin.markers


def test_who_may_not_end_it_is_told_what_to_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    admin = FakeAdmin(HUNG, None)
    admin.refusal = ClusterAuthorizationFailedError()
    with pytest.raises(Unavailable, match=r"cx\.alerts-3 .* allow the workers Alter on the cluster"):
        _ended(admin, monkeypatch)
