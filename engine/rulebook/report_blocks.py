"""Reading and checking the blocks of a report that are made of more than values: support, adoption and next steps."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from engine.rulebook.findings import Findings, suggestion
from engine.rulebook.nodes import Node
from engine.rulebook.reading import Reading
from engine.rulebook.spec import Adoption, Calendar, Measure, NextSteps, Report, Rule, Support, Thing
from engine.rulebook.words import ADOPTION, NEXT_STEPS, SUPPORT

MOST_STEPS = 10


class Blocks(NamedTuple):
    """The parts of a rulebook that blocks speak of."""

    things: Mapping[str, Thing]
    measures: Mapping[str, Measure]
    attributes: Mapping[str, str]
    rules: Sequence[Rule]
    calendars: Sequence[Calendar]


def read_support(reading: Reading, what: str, node: Node) -> Support | None:
    """``support`` of a report."""
    keys = reading.mapping(node, f"{what}: support", SUPPORT)
    if "of" not in keys:
        return None
    hours = reading.text(keys["hours"], f"{what}: support: hours", 60) if "hours" in keys else ""
    return Support(reading.text(keys["of"], f"{what}: support: of", 60), hours)


def read_adoption(reading: Reading, what: str, node: Node) -> Adoption | None:
    """``adoption`` of a report."""
    keys = reading.mapping(node, f"{what}: adoption", ADOPTION)
    found = {key: reading.text(inner, f"{what}: adoption: {key}", 200) for key, inner in keys.items()}
    if keys and not found.keys() & {"people", "features"}:
        reading.error(node, f"{what}: adoption: says nothing without people or features; name at least one of them")
    return Adoption(**found)


def read_next_steps(reading: Reading, what: str, node: Node) -> NextSteps | None:
    """``next_steps`` of a report."""
    keys = reading.mapping(node, f"{what}: next_steps", NEXT_STEPS)
    if "from_rules" not in keys:
        return None
    most = reading.whole(keys["at_most"], f"{what}: at_most", 1, MOST_STEPS) if "at_most" in keys else 3
    return NextSteps(tuple(dict.fromkeys(reading.texts(keys["from_rules"], f"{what}: from_rules"))), most)


def check_blocks(report: Report, around: Blocks, findings: Findings) -> None:
    """What can only be said of blocks beside the rest of the rulebook."""
    if report.support is not None:
        _support(report, report.support, around, findings)
    if report.adoption is not None:
        _adoption(report, report.adoption, around, findings)
    for name in report.next_steps.from_rules if report.next_steps else ():
        _step(report, name, around, findings)


def _support(report: Report, spec: Support, around: Blocks, findings: Findings) -> None:
    what, thing = f"report {report.id}: support", around.things.get(spec.of)
    if thing is None:
        near = suggestion(spec.of, around.things) or "; declare it under things"
        findings.error(report.at, f"{what}: unknown thing '{spec.of[:60]}'{near}")
    elif not thing.answered_by or not thing.closed_by or thing.portfolio:
        message = f"'{thing.name}' has no events that answer and close it in an account; name a thing that has both"
        findings.error(report.at, f"{what}: {message}")
    names = [one.name for one in around.calendars]
    if spec.hours and spec.hours not in names:
        near = suggestion(spec.hours, names) or "; declare it under policy: calendars"
        findings.error(report.at, f"{what}: unknown calendar '{spec.hours[:60]}'{near}")


def _adoption(report: Report, spec: Adoption, around: Blocks, findings: Findings) -> None:
    what = f"report {report.id}: adoption"
    measure = around.measures.get(spec.people)
    if spec.people and measure is None:
        near = suggestion(spec.people, around.measures) or "; declare it under measures"
        findings.error(report.at, f"{what}: unknown measure '{spec.people[:60]}'{near}")
    elif measure is not None and (measure.verb != "unique" or measure.prop != "user_id" or measure.thing):
        message = f"'{measure.name}' counts no people; name one such as {{unique: user_id, of: session.started}}"
        findings.error(report.at, f"{what}: {message}")
    if spec.people and around.attributes.get(spec.seats) != "number":
        numbers = [one for one, kind in around.attributes.items() if kind == "number"]
        near = suggestion(spec.seats, numbers) or "; declare it number under attributes"
        findings.error(report.at, f"{what}: seats: '{spec.seats[:60]}' is no attribute that is a number{near}")
    if spec.features:
        kind, _, name = spec.features.partition(".")
        thing = around.things.get(kind)
        counts = [one.name for one in thing.measures if one.verb == "count"] if thing and thing.each_in else []
        if name not in counts:
            near = suggestion(spec.features, [f"{kind}.{one}" for one in counts])
            message = f"features: '{spec.features[:60]}' is no count of each thing of a list"
            findings.error(report.at, f"{what}: {message}{near or '; name one such as module.uses_28d'}")


def _step(report: Report, name: str, around: Blocks, findings: Findings) -> None:
    what = f"report {report.id}: next_steps"
    rule = next((one for one in around.rules if one.id == name), None)
    if rule is None:
        near = suggestion(name, [one.id for one in around.rules]) or "; name one of the rulebook"
        findings.error(report.at, f"{what}: unknown rule '{name[:60]}'{near}")
    elif rule.subject not in {"account", "thing"} or (rule.thing and around.things[rule.thing].portfolio):
        message = f"rule {name} is not about the account or a thing in it; name one whose conditions lasted till then"
        findings.error(report.at, f"{what}: {message}")
    elif not rule.next_step:
        message = f"rule {name} does not say next_step: what the customer could do; title and why are words of ours"
        findings.error(report.at, f"{what}: {message}")
