"""Reading rules: subject, conditions, occasions and whom to write to."""

import re
from typing import Literal

from engine.instants import HOUR
from engine.rulebook.findings import suggestion
from engine.rulebook.nodes import Node
from engine.rulebook.reading import Reading
from engine.rulebook.sections import is_address
from engine.rulebook.spec import GOAL_WITHIN, NO_TERM, OPENED, OPENS, Line, Outreach, Reader, ReEntry, Rule
from engine.rulebook.words import GOAL, NOTIFY, RULE, RULE_KINDS, SEND

Kind = Literal["account", "thing", "event", "portfolio"]
MIN_EVERY = 5 * 60_000
OWNERS = ("account owner", "segment owner", "rule owner")


def read_rule(reading: Reading, node: Node, things: frozenset[str]) -> Rule | None:
    """One rule; None when it has no usable id."""
    keys = reading.mapping(node, "rule", RULE)
    if "id" not in keys:
        return None
    rule_id = reading.slug(keys["id"], "id")
    what = f"rule {rule_id}"
    subject, each = _subject(reading, keys, things)
    audience = reading.text(keys["audience"], "audience") if "audience" in keys else ""
    texts = {key: reading.text(keys[key], key) for key in ("title", "why", "false_alarms", "owner") if key in keys}
    when = reading.lines(keys["when"], f"{what} when") if "when" in keys else (Line("true", NO_TERM, node.at),)
    every = reading.span(keys["every"], "every") if "every" in keys else HOUR
    if every < MIN_EVERY:
        reading.error(keys["every"], f"every: should be at least 5m; found {keys['every'].text}")
    goal, goal_within = read_goal(reading, keys)
    across = (
        reading.word(keys["across_accounts"], "across_accounts", ["one", "each"]) if "across_accounts" in keys else ""
    )
    return Rule(
        rule_id,
        node.at,
        kind=reading.word(keys["kind"], "kind", RULE_KINDS) if "kind" in keys else "internal",
        subject=subject,
        each=each,
        audience=audience,
        when=when,
        **texts,
        unless=reading.lines(keys["unless"], f"{what} unless") if "unless" in keys else (),
        clear_when=reading.line(keys["clear_when"], "clear_when") if "clear_when" in keys else None,
        holds_for=reading.span(keys["holds_for"], "holds_for") if "holds_for" in keys else 0,
        re_entry=_re_entry(reading, keys),
        outreach=_outreach(reading, keys, node),
        status=_status(reading, keys),
        holdout=reading.share(keys["holdout"], "holdout") if "holdout" in keys else 0.0,
        backfill="backfill" in keys and reading.flag(keys["backfill"], "backfill"),
        withdraw=not ("withdraw" in keys and reading.word(keys["withdraw"], "withdraw", ["never"])),
        priority=reading.whole(keys["priority"], "priority", 0, 1000) if "priority" in keys else 50,
        in_doubt=reading.word(keys["in_doubt"], "in_doubt", ["hold", "resend"]) if "in_doubt" in keys else None,  # type: ignore[arg-type]
        max_age=reading.span(keys["max_age"], "max_age") if "max_age" in keys else 86_400_000,
        each_alone="each_alone" in keys and reading.flag(keys["each_alone"], "each_alone"),
        every=every,
        goal=goal,
        goal_within=goal_within,
        next_step=reading.text(keys["next_step"], "next_step", 300) if "next_step" in keys else "",
        across_accounts="one" if across == "one" else "each" if across == "each" else "",
    )


def _subject(reading: Reading, keys: dict[str, Node], things: frozenset[str]) -> tuple[Kind, str]:
    if "for" not in keys:
        return "account", ""
    node = keys["for"]
    text = reading.text(node, "for", 200)
    if text in {"account", "portfolio"}:
        return ("account" if text == "account" else "portfolio"), ""
    found = re.fullmatch(r"each (\S+)", text)
    if not found:
        reading.error(node, f"for: should be account, each THING, each EVENT.TYPE or portfolio; found '{text[:60]}'")
        return "account", ""
    if found[1] in things:
        return "thing", found[1]
    if "." not in found[1]:
        near = (
            suggestion(found[1], things) or "; declare it under things, or name an event type such as survey.answered"
        )
        reading.error(node, f"for: unknown thing '{found[1][:60]}'{near}")
    if found[1] == OPENED:
        reading.error(node, f"for: {OPENS}; found '{text}'; name what you mean, such as outreach.clicked")
    return "event", found[1]


def _re_entry(reading: Reading, keys: dict[str, Node]) -> ReEntry:
    if "once_per" in keys:
        if "re_entry" in keys:
            reading.error(keys["once_per"], "once_per: stands instead of re_entry; keep one of them")
        return ReEntry("once_per", name=reading.text(keys["once_per"], "once_per", 200))
    if "re_entry" not in keys:
        return ReEntry()
    node = keys["re_entry"]
    text = reading.text(node, "re_entry", 100)
    if text == "never":
        return ReEntry()
    if text == "every time":
        return ReEntry("every_time")
    if not re.fullmatch(r"every \d+[hdw]", text):
        reading.error(node, f"re_entry: should be never, every 30d or every time; found '{text[:60]}'")
        return ReEntry()
    number, unit = int(text[6:-1]), text[-1]
    if not 0 < number <= 3660:  # noqa: PLR2004 - ten years
        reading.error(node, f"re_entry: should be from every 1{unit} to every 3660{unit}; found '{text}'")
    return ReEntry("every", min(number, 3660) * {"h": 3_600_000, "d": 86_400_000, "w": 604_800_000}[unit], unit)


def _status(reading: Reading, keys: dict[str, Node]) -> Literal["live", "draft"]:
    drafted = "status" in keys and reading.word(keys["status"], "status", ["live", "draft"]) == "draft"
    return "draft" if drafted else "live"


def read_goal(reading: Reading, keys: dict[str, Node]) -> tuple[Line | None, int]:
    """What a rule or report is for, and within which time, in milliseconds."""
    goal = reading.mapping(keys["goal"], "goal", GOAL) if "goal" in keys else {}
    within = reading.span(goal["within"], "within") if "within" in goal else GOAL_WITHIN
    if "within" in goal and goal["within"].text.startswith("0"):
        reading.error(goal["within"], "goal: 'within' is no time at all; write how long after the decision, as 14d")
    return reading.line(goal["when"], "goal") if "when" in goal else None, within


def _outreach(reading: Reading, keys: dict[str, Node], rule: Node) -> Outreach | None:
    if "send" in keys and "notify" in keys:
        reading.error(keys["notify"], "rule: has both send and notify; keep one of them")
    if "send" in keys:
        node = keys["send"]
        send = reading.mapping(node, "send", SEND)
        mail_class = (
            reading.word(send["class"], "class", ["transactional", "relationship", "marketing"])
            if "class" in send
            else "relationship"
        )
        mode = reading.word(send["mode"], "mode", ["auto", "review"]) if "mode" in send else "review"
        topic = reading.text(send["topic"], "topic") if "topic" in send else ""
        extra = _extra(reading, send)
        return Outreach("customer", *_to(reading, send), mail_class, mode, extra, node.at, topic)  # type: ignore[arg-type]
    if "notify" in keys:
        node = keys["notify"]
        notify = reading.mapping(node, "notify", NOTIFY)
        mode = reading.word(notify["mode"], "mode", ["auto", "review"]) if "mode" in notify else "auto"
        return Outreach("staff", *_to(reading, notify), "internal", mode, _extra(reading, notify), node.at)  # type: ignore[arg-type]
    if "status" not in keys or keys["status"].text != "draft":
        reading.error(rule, "rule: has neither send nor notify; say whom to write to, or make it status: draft")
    return None


def _to(reading: Reading, keys: dict[str, Node]) -> tuple[str, tuple[Reader, ...]]:
    template = reading.slug(keys["template"], "template") if "template" in keys else ""
    return template, read_to(reading, keys["to"]) if "to" in keys else ()


def read_to(reading: Reading, node: Node) -> tuple[Reader, ...]:
    """Whom to write to: one mail to each, of alternatives to the first that is known."""
    readers = []
    for text in reading.texts(node, "to"):
        alternatives = tuple(part.strip() for part in text.split(" or "))
        if not all(alternatives):
            reading.error(node, f"to: '{text[:60]}' names nobody; write a role, or A or B")
        readers.append(Reader(alternatives, text))
    return tuple(readers)


def _extra(reading: Reading, keys: dict[str, Node]) -> tuple[tuple[str, object], ...]:
    return reading.literals(keys["with"], "with") if "with" in keys else ()


def staff_reader(text: str) -> bool:
    """Does an entry of ``to`` name one of us?"""
    return text in OWNERS or is_address(text)
