"""A worker that acknowledges what it has read before it has landed; otherwise it is the real one."""

import sys

from deploy.cli.main import main
from streams.cuts import Delivery
from streams.worker import Worker

_receive = Worker.receive


async def _hasty(worker: Worker, delivery: Delivery) -> None:
    await _receive(worker, delivery)
    await worker._around.acknowledge([delivery])  # noqa: SLF001 -- it is this worker's own way to Kafka


setattr(Worker, "receive", _hasty)  # noqa: B010 -- a method is not declared to be assigned to

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
