"""Every error this project raises on purpose.

    CxError                      one sentence for a person, an exit code for a script
    ├── UsageError         (2)   the command line or a document is wrong; nothing was changed
    │   └── DocumentError  (2)   a district, calendar or event document is wrong: says line and field
    ├── EnvironmentProblem (3)   the machine: a port taken, a disk full, a registry out of reach
    ├── Unavailable        (4)   Kafka, ClickHouse or Grafana cannot be reached now; trying again may help
    │   └── DiskFull       (4)   it answers and has no room to write; trying again helps once somebody made some
    ├── Refused            (5)   the other side answered and said no (password, query, record)
    ├── Fenced             (1)   a worker's group gave its partitions to others: what it has to say is theirs to say
    └── DifferenceFound    (6)   a check ran to its end and found a difference

The number in brackets is the process's exit code. Foreign errors are mapped to these once, at the edge.
"""


class CxError(Exception):
    """Base of all expected errors: `str()` is one sentence saying what, where, and what to do."""

    exit_code = 1


class UsageError(CxError):
    """The request itself is wrong; repeating it unchanged fails again."""

    exit_code = 2


class DocumentError(UsageError):
    """A document does not hold what it must; `problems` lists each place and reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class EnvironmentProblem(CxError):
    """Something about this machine stands in the way."""

    exit_code = 3


class Unavailable(CxError):
    """A server cannot be reached now; `retry_after` is in seconds."""

    exit_code = 4

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DiskFull(Unavailable):
    """A server has no room left for what it should write."""


class Refused(CxError):
    """A server was reached and refused the request."""

    exit_code = 5


class Fenced(CxError):
    """The broker knows a later assignment than the one in whose name something was to be told."""


class DifferenceFound(CxError):
    """A comparison ran to its end and did not find equality."""

    exit_code = 6
