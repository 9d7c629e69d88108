"""Transactions of alerts that do not end by themselves: ended by what their coordinator decided. Blocks.

A broker that died in the middle of an end may hold a transaction for decided while a partition never got the marker
that says so. Its last stable offset stays there for ever: a recovery waits, and so does every reader of committed
messages.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from enum import Enum
from typing import Any

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.admin._transactions import (
    AbortTransactionSpec,
    PartitionProducerState,
    ProducerState,
    TransactionDescription,
    TransactionState,
)
from kafka.errors import AuthorizationError, KafkaError

from schemas.errors import Unavailable
from schemas.settings import Settings
from streams.present import wall_ms

log = logging.getLogger("cx.hanging")

# Well above what a transaction may take (`streams.outlet.TRANSACTION_SECONDS`) and what clocks differ by.
HANGING_SECONDS = 30.0

_COMMITTED = (TransactionState.PREPARE_COMMIT, TransactionState.COMPLETE_COMMIT)


class Verdict(Enum):
    """How a transaction that is not decided on its partition ends there."""

    WAIT = "wait"
    COMMIT = "commit"
    ABORT = "abort"


def verdict(hung: ProducerState, known: TransactionDescription | None) -> Verdict:
    """What the coordinator holds true of a transaction; `known`: the state of its producer's newest one, if any.

    Whoever may have been told that it is committed may have landed its alerts: then it is committed here as well. An
    end by time-out makes the epoch greater by one, and so may each transaction. Nobody was ever told that one is
    committed of which the coordinator knows nothing.
    """
    if known is None:
        return Verdict.ABORT
    ahead = known.producer_epoch - hung.producer_epoch
    if known.state is TransactionState.ONGOING and ahead == 0:
        return Verdict.WAIT
    is_followed = ahead > 1 or (ahead > 0 and known.state is TransactionState.ONGOING)
    return Verdict.COMMIT if is_followed or known.state in _COMMITTED else Verdict.ABORT


class _Admin(KafkaAdminClient):  # type: ignore[misc]
    """The client's own has markers of abortions only."""

    def end(self, partition: TopicPartition, hung: ProducerState, is_committed: bool) -> None:
        """Write the marker that decides a transaction on a partition. Raises `KafkaError` if the leader refuses."""
        self._manager.run(self._end, AbortTransactionSpec(partition, *hung[:2], hung.coordinator_epoch), is_committed)

    async def _end(self, spec: AbortTransactionSpec, is_committed: bool) -> None:
        (leader,) = await self._async_get_leader_for_partitions([spec.topic_partition])
        request: Any = self._abort_transaction_request(spec)
        request.markers[0].transaction_result = is_committed
        response = await self._manager.send(request, node_id=leader)
        self._abort_transaction_process_response(response, spec)

    def newest(self, producers: Iterable[int]) -> dict[int, TransactionDescription]:
        """What coordinators know of these producers, by id."""
        listed = self.list_transactions(producer_id_filters=sorted(set(producers)))
        names = [each.transactional_id for some in listed.values() for each in some]
        return {each.producer_id: each for each in self.describe_transactions(names).values()}


def end_hanging(settings: Settings, partitions: Sequence[TopicPartition], ended: Callable[[str], None]) -> None:
    """End what has been undecided on these partitions for `HANGING_SECONDS`; `ended` hears `commit` or `abort` of each.

    Only for the owner of the partitions. Raises `Unavailable`, with what an operator does, where it is not let.
    """
    try:
        with closing(_Admin(bootstrap_servers=settings.kafka_address)) as admin:
            hanging = list(_hanging(admin.describe_producers(partitions), wall_ms()))
            if hanging:
                _end_all(admin, hanging, ended)
    except (KafkaError, OSError) as error:
        raise _not_let(settings, partitions, error) from None


def _hanging(
    found: Mapping[TopicPartition, PartitionProducerState], now_ms: int
) -> Iterator[tuple[TopicPartition, ProducerState]]:
    for partition, state in found.items():
        for producer in state.active_producers:
            is_open = producer.current_transaction_start_offset >= 0
            if is_open and now_ms - producer.last_timestamp > HANGING_SECONDS * 1_000:
                yield partition, producer


def _end_all(
    admin: _Admin, hanging: Sequence[tuple[TopicPartition, ProducerState]], ended: Callable[[str], None]
) -> None:
    newest = admin.newest(producer.producer_id for _, producer in hanging)
    for partition, producer in hanging:
        known = newest.get(producer.producer_id)
        decided = verdict(producer, known)
        said = "nothing" if known is None else f"{known.state.value} at epoch {known.producer_epoch}"
        log.warning(
            "on %s-%d a transaction of producer %d, epoch %d, from offset %d hangs; its coordinator says %s: %s",
            *partition,
            *producer[:2],
            producer.current_transaction_start_offset,
            said,
            decided.value,
        )
        if decided is not Verdict.WAIT:
            admin.end(partition, producer, decided is Verdict.COMMIT)
            ended(decided.value)


def _not_let(settings: Settings, partitions: Sequence[TopicPartition], error: Exception) -> Unavailable:
    where = ", ".join(f"{topic}-{number}" for topic, number in partitions)
    what = f"a transaction on {where} is not decided, and Kafka at {settings.kafka_address} did not let it be ended"
    if isinstance(error, AuthorizationError):
        return Unavailable(f"{what} ({type(error).__name__}): allow the workers Alter on the cluster", 5.0)
    return Unavailable(f"{what}: {type(error).__name__}", 5.0)
