"""Makes `kafka.lock.toml` anew, for maintainers: `python -m deploy.local.relock [KAFKA_VERSION]`."""

import sys
import tempfile
from pathlib import Path

import jgo
from jgo.env import LockedDependency, LockFile
from jgo.maven import MavenContext

from deploy.local.jars import LOCK, cache_folder

KAFKA_VERSION = "4.4.0"
HEADER = (
    "# Kafka and what it needs, pinned by SHA-256; made by `python -m deploy.local.relock`.\n"
    "# Holds no address: jgo finds the repository.\n\n"
)


def resolve(kafka_version: str) -> list[LockedDependency]:
    """What the broker needs at run time, and the bridge that sends Kafka's logging to log4j."""
    with tempfile.TemporaryDirectory() as folder:
        environment = jgo.build(f"org.apache.kafka:kafka_2.13:{kafka_version}", cache_dir=Path(folder))
        locked: list[LockedDependency] = environment.lockfile.dependencies
    log4j = next(each.version for each in locked if each.artifactId == "log4j-core")
    # Resolved apart: together, the bridge's own dependency management would replace Kafka's client library.
    context = MavenContext(repo_cache=cache_folder())
    bridge = context.create_dependency(f"org.apache.logging.log4j:log4j-slf4j-impl:{log4j}")
    return [*locked, LockedDependency.from_dependency(bridge)]


def main(arguments: list[str]) -> None:
    """Resolve (downloads) and write the lock."""
    locked = resolve(arguments[0] if arguments else KAFKA_VERSION)
    lock = LockFile(sorted(locked, key=lambda each: (each.groupId, each.artifactId)), min_java_version=17)
    lock.save(LOCK)
    lines = [line for line in LOCK.read_text().splitlines(keepends=True) if not line.startswith("generated")]
    LOCK.write_text(HEADER + "".join(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
