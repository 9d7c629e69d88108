"""The section "Measured" of docs/incidents.md, written from one run of `bench.incidents`."""

from collections.abc import Mapping
from pathlib import Path

from bench.section import put

COMMAND = "./cx bench incidents --write docs"
PAGE = "incidents.md"
HEADING = "## Measured"
HEAD = f"""{HEADING}

<!-- From here on made by `{COMMAND}`; edit bench/incidents_page.py. -->

`{COMMAND}` simulates school years of the sample district, {{seeds}} seeds: each year with the incidents of
the simulator, the same year without any, and one day that begins with the breakdown and of which nothing is known
before. It looks every six hours of the simulation: at which instant an incident opens does not depend on it. Figures
are sums over the seeds; found late is counted from the incident's first minute, with how many inquiries (or people)
since then. *At least* is what nobody could undercut: to one who knew when it began, where, about what and the rate that
is usual, so many are no chance if two false answers a year are allowed.
"""
SPANS = {"year": "years with incidents", "first_day": "first days"}
ALL_SPANS = {"quiet_year": "years without incidents", **SPANS}
KINDS = {
    "breakdown": "bus breakdown, hundreds of calls in two hours",
    "post": "people under one social post",
    "snow_day": "snow day",
    "silence": "silent feed",
}
DELAYS = ("minutes_median", "minutes_most", "inquiries_median", "inquiries_most", "fewest_median")
COSTS = {
    "replace_us": "an inquiry noted, µs",
    "sign_us": "a sign of life noted, µs",
    "surges_ms": "one look for surges, ms",
    "silences_ms": "one look for silences, ms",
}


def _found(figures: Mapping[str, float]) -> list[str]:
    lines = [
        "| incident | in | there were | missed | minutes, median | at most | inquiries, median | at most | at least |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for span, said in SPANS.items():
        for kind, of in KINDS.items():
            name = f"{span}_{kind}"
            if figures.get(name):
                late = [str(figures.get(f"{name}_{each}", "–")) for each in DELAYS]
                lines.append(f"| {of} | {said} | {figures[name]} | {figures[f'{name}_missed']} | {' | '.join(late)} |")
    return lines


def _told(figures: Mapping[str, float]) -> list[str]:
    lines = ["| | false | told twice | without an end |", "| --- | --- | --- | --- |"]
    for span, said in ALL_SPANS.items():
        found = [figures.get(f"{span}_{each}", 0) for each in ("false", "repeated", "not_closed")]
        lines.append(f"| {said} | {' | '.join(map(str, found))} |")
    return [*lines, "", f"In one year without incidents at most {figures['quiet_year_false_most']} false."]


def section(figures: Mapping[str, float]) -> str:
    """The section in Markdown."""
    costs = ["| cost | |", "| --- | --- |", *(f"| {said} | {figures[name]} |" for name, said in COSTS.items())]
    return "\n".join([HEAD.format(seeds=figures["seeds"]), *_found(figures), "", *_told(figures), "", *costs, ""])


def write(figures: Mapping[str, float], folder: Path) -> None:
    """Put the section at the end of the page in a folder, in place of the one before."""
    put(folder / PAGE, HEADING, section(figures))
