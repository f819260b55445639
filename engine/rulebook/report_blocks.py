"""Reading and checking the blocks of a report that are made of more than values: support."""

from collections.abc import Iterable, Mapping

from engine.rulebook.findings import Findings, suggestion
from engine.rulebook.nodes import Node
from engine.rulebook.reading import Reading
from engine.rulebook.spec import Calendar, Report, Support, Thing
from engine.rulebook.words import SUPPORT


def read_support(reading: Reading, what: str, node: Node) -> Support | None:
    """``support`` of a report."""
    keys = reading.mapping(node, f"{what}: support", SUPPORT)
    if "of" not in keys:
        return None
    hours = reading.text(keys["hours"], f"{what}: support: hours", 60) if "hours" in keys else ""
    return Support(reading.text(keys["of"], f"{what}: support: of", 60), hours)


def check_support(
    report: Report, things: Mapping[str, Thing], calendars: Iterable[Calendar], findings: Findings
) -> None:
    """Is there such a thing, and such a calendar?"""
    spec = report.support
    if spec is None:
        return
    what, thing = f"report {report.id}: support", things.get(spec.of)
    if thing is None:
        near = suggestion(spec.of, things) or "; declare it under things"
        findings.error(report.at, f"{what}: unknown thing '{spec.of[:60]}'{near}")
    elif not thing.answered_by or not thing.closed_by or thing.portfolio:
        message = f"'{thing.name}' has no events that answer and close it in an account; name a thing that has both"
        findings.error(report.at, f"{what}: {message}")
    names = [one.name for one in calendars]
    if spec.hours and spec.hours not in names:
        near = suggestion(spec.hours, names) or "; declare it under policy: calendars"
        findings.error(report.at, f"{what}: unknown calendar '{spec.hours[:60]}'{near}")
