"""Reports that are sent: their schedule and readers as written, and the rules that decide over what was issued.

A report is issued as an event in its account's own lane; from there on it is decided like anything else. So each report
with a schedule becomes two rules about that event: one that sends it, and one that tells us where it does not go.
"""

from collections.abc import Mapping
from dataclasses import replace

from engine.instants import DAY, HOUR, MINUTE
from engine.rulebook.expressions import Term
from engine.rulebook.findings import Findings, Place
from engine.rulebook.nodes import Node
from engine.rulebook.reading import Reading
from engine.rulebook.rules import read_goal, read_to, staff_reader
from engine.rulebook.spec import OURS, Line, Outreach, Reader, Report, Rule, Schedule, Segment, Sending
from engine.rulebook.words import SCHEDULE, TOPIC_OF_KIND

REPORTED = f"{OURS}reported"
"""The event by which a report is issued; nobody but Ringfirst writes it."""
NOTE = "-not-sent"
"""What stands behind a report's id in that of the rule which tells us where it does not go."""
TEMPLATE, NOTE_TEMPLATE = "monthly-value", "report-not-sent"
"""What is written with where nothing else is named; a rulebook without them takes those that come with Ringfirst."""
LATE_BY = 7 * DAY
"""A report that comes so long after it was due leaves no more: nobody wants last quarter's in a heap."""
DAYS = {"week": 7, "month": 28, "quarter": 28}
"""The last ``on_day`` of each period: every one of them has it."""
_OWN = frozenset({"value", "value_total", "value_to_price"})
_OWNER = (Reader(("account owner",), "account owner"),)


def read_sending(reading: Reading, what: str, keys: dict[str, Node], at: Place) -> Sending | None:
    """When and to whom a report goes; None for one that is only looked at."""
    for key, other in (("schedule", "to"), ("to", "schedule")):
        if key in keys and other not in keys:
            reading.error(keys[key], f"{what}: '{key}' goes with {other}; add it, or take both out")
    if "schedule" not in keys or "to" not in keys:
        apart = [key for key in ("template", "class", "mode", "topic", "review_if", "holdout", "goal") if key in keys]
        for key in apart if "schedule" not in keys and "to" not in keys else ():
            reading.error(keys[key], f"{what}: '{key}' is for a report that is sent; add schedule and to")
        return None
    kind = reading.word(keys["class"], "class", ["relationship", "marketing"]) if "class" in keys else "relationship"
    goal, within = read_goal(reading, keys)
    return Sending(
        _schedule(reading, what, keys["schedule"]),
        read_to(reading, keys["to"]),
        template=reading.slug(keys["template"], "template") if "template" in keys else TEMPLATE,
        mail_class=kind,  # type: ignore[arg-type]  # one of the words
        mode=reading.word(keys["mode"], "mode", ["auto", "review"]) if "mode" in keys else "review",  # type: ignore[arg-type]
        topic=reading.text(keys["topic"], "topic") if "topic" in keys else TOPIC_OF_KIND["value"],
        owner=reading.text(keys["owner"], "owner") if "owner" in keys else "",
        review_if=reading.lines(keys["review_if"], f"{what} review_if") if "review_if" in keys else (),
        holdout=reading.share(keys["holdout"], "holdout") if "holdout" in keys else 0.0,
        priority=reading.whole(keys["priority"], "priority", 0, 1000) if "priority" in keys else 50,
        goal=goal,
        goal_within=within,
        at=at,
    )


def _schedule(reading: Reading, what: str, node: Node) -> Schedule:
    keys = reading.mapping(node, f"{what}: schedule", SCHEDULE)
    every = reading.word(keys["every"], "every", list(DAYS)) if "every" in keys else "month"
    on_day = reading.whole(keys["on_day"], "on_day", 1, DAYS[every]) if "on_day" in keys else 1
    return Schedule(every, on_day, reading.clock(keys["at"], "at") if "at" in keys else 0)  # type: ignore[arg-type]


def check_sending(report: Report, rules: frozenset[str], findings: Findings) -> None:
    """What can only be said of a report's sending beside the rest of the rulebook."""
    sending = report.sending
    if sending is None:
        return
    what = f"report {report.id}"
    if sending.schedule.every != report.unit:
        message = (
            f"schedule: every {sending.schedule.every}, and its period is the previous {report.unit}; use one unit"
        )
        findings.error(report.at, f"{what}: {message}")
    for one in (report.id, report.id + NOTE):
        if one in rules:
            findings.error(
                report.at, f"{what}: a rule is called '{one}' too; rename one, for decisions go by that name"
            )
    _too_early(report, sending.schedule, findings)
    for reader in sending.to:
        for text in reader.alternatives:
            if staff_reader(text):
                findings.error(sending.at, f"{what}: to: a report goes to a customer's people; found '{text[:60]}'")
            elif text == "person" or "." in text:
                message = f"to: '{text[:60]}' is known only in a rule for each thing or event; name a role"
                findings.error(sending.at, f"{what}: {message}")


def _too_early(report: Report, schedule: Schedule, findings: Findings) -> None:
    """Warn of a schedule that comes before what it sends; a day that is an hour short is no reason to."""
    due, hours = (schedule.on_day - 1) * DAY + schedule.minute * MINUTE, report.close_after // HOUR
    if due < report.close_after:
        first = -(-(report.close_after - schedule.minute * MINUTE) // DAY) + 1
        message = (
            f"schedule: on_day {schedule.on_day} lies before the period is closed ({hours} hours after its end), so it "
            f"leaves later; write {first}"
        )
        findings.warning(report.at, f"report {report.id}: {message}")


def rules_of(report: Report, segments: Mapping[str, Segment]) -> tuple[Rule, ...]:
    """The rules that a report is: none for one that is only looked at."""
    sending = report.sending
    if sending is None:
        return ()
    segment = segments.get(report.audience)
    owner = sending.owner or (segment.owner if segment else "")
    outreach = Outreach(
        "customer", sending.template, sending.to, sending.mail_class, sending.mode, at=sending.at, topic=sending.topic
    )
    ours = Line(f'event.report == "{report.id}"', _is("report", report.id), report.at)
    goes = Line("event.goes", _name("event.goes"), report.at)
    left = (Line(f"not {report.audience}", _not(_name(report.audience)), report.at),) if report.audience else ()
    unless = tuple(replace(line, term=_of_event(line.term)) for line in report.unless) + left
    sends = Rule(
        report.id,
        report.at,
        title=report.title or report.id,
        kind="value",
        why="the report of a period that is closed",
        owner=owner,
        subject="event",
        each=REPORTED,
        audience=report.audience,
        when=(ours, goes),
        unless=unless,
        outreach=outreach,
        holdout=sending.holdout,
        priority=sending.priority,
        max_age=LATE_BY,
        each_alone=True,
        goal=sending.goal,
        goal_within=sending.goal_within,
        across_accounts="each",
        report=report.id,
    )
    against = _not(goes.term)
    for line in unless:
        against = Term("either", (against, line.term))
    note = Outreach("staff", NOTE_TEMPLATE, _OWNER, "internal", "auto", at=sending.at)
    tells = Rule(
        report.id + NOTE,
        report.at,
        title=f"{report.title or report.id}: not sent",
        kind="internal",
        why="a report that shows nothing, or comes at a bad time, stays with us",
        owner=owner,
        subject="event",
        each=REPORTED,
        when=(ours, Line("the report does not go", against, report.at)),
        outreach=note,
        max_age=LATE_BY,
        each_alone=True,
        report=report.id,
    )
    return sends, tells


def _name(name: str) -> Term:
    return Term("name", value=name)


def _not(term: Term) -> Term:
    return Term("negate", (term,))


def _is(prop: str, text: str) -> Term:
    return Term("eq", (_name(f"event.{prop}"), Term("constant", value=text)))


def _of_event(term: Term) -> Term:
    """A condition of the report, with the report's own figures read from what was issued."""
    if term.op == "name":
        own = str(term.value).partition(".")[0] in _OWN
        return replace(term, value=f"event.{term.value}") if own else term
    return replace(term, args=tuple(_of_event(arg) for arg in term.args))
