"""The slow reference, written from the text of the definitions, agrees with the core on random histories."""

import os
from pathlib import Path

from hypothesis import HealthCheck, given, settings

from schemas.events import Event
from tests.golden import fold_all
from tests.reference.histories import DISTRICT, histories
from tests.reference.rows import facts

# A longer run: CX_REFERENCE_CASES=50000 ./cx test tests/reference
CASES = int(os.environ.get("CX_REFERENCE_CASES", "500"))
HERE = Path(__file__).parent
MODULES = (
    "hours",
    "measuring",
    "setting",
    "reading",
    "owners",
    "grouping",
    "story",
    "promises",
    "ratings",
    "rows",
    "histories",
)


@settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
@given(events=histories())
def test_every_fact_is_what_the_slow_reference_says(events: list[Event]) -> None:
    assert fold_all(events) == facts(DISTRICT, events)


def test_the_reference_shares_nothing_with_the_core() -> None:
    assert {path.stem for path in HERE.glob("*.py")} == {"__init__", "test_agreement", *MODULES}
    for module in MODULES:
        source = (HERE / f"{module}.py").read_text(encoding="utf-8")
        imported = [line.split()[1] for line in source.splitlines() if line.startswith(("import ", "from "))]
        ours = [
            name for name in imported if name.split(".")[0] in ("streams", "sinks", "dashboards", "deploy", "tests")
        ]
        assert all(name.startswith("tests.reference.") for name in ours), module
