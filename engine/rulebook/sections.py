"""Reading the sections of a rulebook file: attributes, things, measures, segments, scores and the policy."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Literal

from engine.domains import wire, within
from engine.rulebook.agreed import GOAL, goal_thing
from engine.rulebook.contact import read_breaker, read_contact, read_domains
from engine.rulebook.findings import Place, listed, suggestion
from engine.rulebook.nodes import Node
from engine.rulebook.reading import Reading
from engine.rulebook.spec import (
    EVER,
    Measure,
    Part,
    Policy,
    Score,
    Segment,
    Source,
    Thing,
    Topics,
    Types,
    Window,
)
from engine.rulebook.topics import read_topics
from engine.rulebook.words import (
    ATTRIBUTES,
    MEASURE,
    PART,
    PERSON,
    POLICY,
    SCORE,
    SEGMENT,
    SOURCE,
    SPELL_NAMES,
    STAFF,
    THING,
    VERBS,
    Key,
)
from engine.rulebook.working import read_calendars, read_hours, read_zone

EVENT_VERBS = frozenset({"count", "days_since", "hours_since", "days_since_first", "days_active"})
PROPERTY_VERBS = frozenset({"unique", "sum", "average", "median", "minimum", "maximum", "first", "last"})
THING_VERBS = frozenset({"open", "opened", "answered", "closed"})
TRAIT_VERBS = frozenset({"attribute", "held_days", "days_to", "hours_to", "moved_later"})
OVER_THINGS = frozenset({"sum", "average", "median", "minimum", "maximum"})
NO_WINDOW = TRAIT_VERBS | {"days_since", "hours_since", "days_since_first", "open", "list", "portfolio"}
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_KEYS: dict[str, frozenset[str]] = {
    **dict.fromkeys(("count", "days_active"), frozenset({"where", "over", "ending", "per", "full", "times"})),
    **dict.fromkeys(PROPERTY_VERBS, frozenset({"of", "where", "over", "ending", "per", "full", "times"})),
    "days_since": frozenset({"where", "never", "times"}),
    "hours_since": frozenset({"where", "never"}),
    "days_since_first": frozenset({"where", "times"}),
    **dict.fromkeys(("opened", "answered", "closed"), frozenset({"where", "over", "ending", "per", "full", "times"})),
    "open": frozenset({"where", "times"}),
    "attribute": frozenset({"as"}),
    **dict.fromkeys(("held_days", "days_to", "moved_later"), frozenset({"times"})),
    "hours_to": frozenset(),
    "portfolio": frozenset({"take", "segment"}),
    "list": frozenset({"of", "where", "at_most"}),
}


def read_attributes(reading: Reading, node: Node) -> tuple[dict[str, str], dict[str, str]]:
    """``attributes``: (of accounts, of people), name to declared type."""
    keys = reading.mapping(node, "attributes", ATTRIBUTES)
    account = reading.kinds(keys["account"], "attribute") if "account" in keys else {}
    person = reading.kinds(keys["person"], "attribute") if "person" in keys else {}
    if "personal" in account.values():
        reading.error(keys["account"], "attributes: an account has nothing personal; declare it under person")
    return account, person


def read_measure(reading: Reading, name: str, node: Node, things: frozenset[str], scope: str = "") -> Measure | None:
    """One measure. ``things`` are the declared things, ``scope`` the thing it belongs to."""
    what = f"measure {name}"
    if node.keys is None:
        reading.error(node, f"{what}: should be such as {{count: feature.used, over: 28d}}; found {node.kind}")
        return None
    verbs = [key for key in node.keys if key in VERBS]
    if len(verbs) != 1:
        reading.error(node, f"{what}: {_no_verb(node.keys, verbs)}")
        return None
    verb = verbs[0]
    shape = {verb: Key("", ""), **{key: MEASURE[key] for key in _KEYS[verb]}}
    keys = reading.mapping(node, f"{what} ({verb})", shape)
    return _measure(reading, name, verb, keys, node.at, things, scope)


def _no_verb(keys: Iterable[str], verbs: list[str]) -> str:
    if verbs:
        return f"has {len(verbs)} verbs, {' and '.join(verbs)}; keep one, and make a measure of its own of each other"
    unknown = next((key for key in keys if key not in MEASURE), "")
    near = suggestion(unknown, VERBS) or f"; say what it measures, by one of {listed(VERBS)}"
    return f"'{unknown[:60]}' is no verb{near}" if unknown else f"has no verb{near}"


def _measure(
    reading: Reading,
    name: str,
    verb: str,
    keys: dict[str, Node],
    at: Place,
    things: frozenset[str],
    scope: str,
) -> Measure | None:
    what = f"measure {name}"
    argument = keys[verb]
    types, thing, prop = None, "", ""
    if verb in EVENT_VERBS:
        types = reading.types(argument, what)
    else:
        prop = reading.text(argument, what, 200)
    if verb in PROPERTY_VERBS or verb == "list":
        types, thing = _source(reading, what, verb, keys, things, at)
    if verb in THING_VERBS:
        thing, prop = prop, ""
        _known_thing(reading, argument, what, thing, things)
    if verb in TRAIT_VERBS - {"attribute", "held_days"} and "." in prop and not scope:
        thing, _, prop = prop.partition(".")
        _known_thing(reading, argument, what, thing, things)
    if scope and (thing or verb == "portfolio"):
        reading.error(argument, f"{what}: a thing's measure is over its own events; move this under measures:")
        return None
    window = _window(reading, what, verb, prop, thing, keys)
    return Measure(
        name,
        verb,
        types,
        prop,
        reading.where(keys["where"]) if "where" in keys else (),
        window,
        per=_per(reading, what, keys, window),
        full=reading.flag(keys["full"], f"{what}: full") if "full" in keys else False,
        times=reading.factor(keys["times"]) if "times" in keys else Fraction(1),
        never_unknown="never" in keys and reading.word(keys["never"], "never", ["unknown"]) == "unknown",
        as_number="as" in keys and reading.word(keys["as"], "as", ["number"]) == "number",
        thing=thing,
        take=_take(reading, keys),
        segment=reading.text(keys["segment"], what) if "segment" in keys else "",
        at_most=reading.whole(keys["at_most"], "at_most", 1, 100) if "at_most" in keys else 0,
        scope=scope,
        at=at,
    )


def _source(
    reading: Reading,
    what: str,
    verb: str,
    keys: dict[str, Node],
    things: frozenset[str],
    at: Place,
) -> tuple[Types | None, str]:
    if "of" not in keys:
        reading.error(at, f"{what}: 'of' is missing; name the event type (or the thing) the property is of")
        return Types(), ""
    of = keys["of"]
    if of.text in things and (verb in OVER_THINGS or verb == "list"):
        return None, of.text
    if verb == "list":
        _known_thing(reading, of, what, of.text, things)
        return None, of.text
    return reading.types(of, what), ""


def _known_thing(reading: Reading, node: Node, what: str, thing: str, things: frozenset[str]) -> None:
    if thing not in things:
        reading.error(node, f"{what}: unknown thing '{thing[:60]}'{suggestion(thing, things) or _declare(things)}")


def _declare(things: frozenset[str]) -> str:
    return f"; declared are {listed(things)}"


def _window(reading: Reading, what: str, verb: str, prop: str, thing: str, keys: dict[str, Node]) -> Window:
    if "over" not in keys:
        if "ending" in keys:
            reading.error(keys["ending"], f"{what}: 'ending' needs 'over'")
        return EVER
    if thing and verb in OVER_THINGS and prop not in SPELL_NAMES:
        reading.error(keys["over"], f"{what}: over the open ones there is no window; take 'over' out")
    return reading.window(keys["over"], keys.get("ending"))


def _per(reading: Reading, what: str, keys: dict[str, Node], window: Window) -> Literal["day", "week"] | None:
    if "per" not in keys:
        return None
    if window.kind == "ever":
        reading.error(keys["per"], f"{what}: 'per' needs 'over'; all time has no length")
        return None
    return "day" if reading.word(keys["per"], "per", ["day", "week"]) == "day" else "week"


def _take(reading: Reading, keys: dict[str, Node]) -> str:
    if "take" not in keys:
        return "sum"
    return reading.word(keys["take"], "take", ["sum", "average", "maximum", "minimum", "median"])


def read_thing(reading: Reading, name: str, node: Node, things: frozenset[str]) -> Thing:
    """One thing with its own measures."""
    what = f"thing {name}"
    keys = reading.mapping(node, what, PERSON if name in {"person", GOAL} else THING)
    measures = read_measures(reading, keys["measures"], things, name) if "measures" in keys else ()
    if name == "person":
        return Thing(name, measures=measures, at=node.at)
    if name == GOAL:
        return replace(goal_thing(measures), at=node.at)
    opened = reading.acts(keys["opened_by"], what) if "opened_by" in keys else ()
    each_in = reading.text(keys["each_in"], what) if "each_in" in keys else ""
    if not opened and not each_in:
        reading.error(node, f"{what}: needs opened_by (or each_in); name the events that open it")
    updated = reading.types(keys["updated_by"], what) if "updated_by" in keys else Types()
    beginnings = {exact.rpartition(".")[0] + "." for act in opened for exact in act.types.exact if "." in exact}
    family = Types(updated.exact, tuple(sorted({*updated.beginnings, *beginnings})))
    lone = tuple(exact for act in opened for exact in act.types.exact if "." not in exact)
    family = Types(tuple(sorted({*family.exact, *lone})), family.beginnings)
    acts = [reading.acts(keys[key], what) if key in keys else () for key in ("asked_by", "answered_by", "closed_by")]
    declared = reading.kinds(keys["properties"], "property") if "properties" in keys else {}
    return Thing(
        name,
        reading.text(keys["id"], what) if "id" in keys else "",
        reading.where(keys["where"]) if "where" in keys else (),
        opened,
        asked_by=acts[0],
        answered_by=acts[1],
        closed_by=acts[2],
        family=family,
        people=_people(reading, keys),
        declared=tuple(sorted(declared.items())),
        dates=_dates(declared, measures),
        measures=measures,
        each_in=each_in,
        portfolio="in" in keys and reading.word(keys["in"], "in", ["portfolio"]) == "portfolio",
        at=node.at,
    )


def _dates(declared: dict[str, str], measures: tuple[Measure, ...]) -> tuple[str, ...]:
    named = {measure.prop for measure in measures if measure.verb in {"days_to", "hours_to", "moved_later"}}
    return tuple(sorted({name for name, kind in declared.items() if kind == "date"} | named))


def _people(reading: Reading, keys: dict[str, Node]) -> tuple[tuple[str, str], ...]:
    if "people" not in keys:
        return ()
    return tuple((role, reading.text(inner, role)) for role, _, inner in reading.named(keys["people"], "people"))


def read_measures(reading: Reading, node: Node, things: frozenset[str], scope: str = "") -> tuple[Measure, ...]:
    """All measures of a mapping."""
    read = (read_measure(reading, name, inner, things, scope) for name, _, inner in reading.named(node, "measures"))
    return tuple(measure for measure in read if measure is not None)


def read_segment(reading: Reading, name: str, node: Node) -> Segment:
    """One segment."""
    keys = reading.mapping(node, f"segment {name}", SEGMENT)
    lines = reading.lines(keys["when"], f"segment {name}") if "when" in keys else ()
    return Segment(name, lines, reading.text(keys["owner"], "owner") if "owner" in keys else "", node.at)


def read_score(reading: Reading, name: str, node: Node) -> Score:
    """One score."""
    what = f"score {name}"
    keys = reading.mapping(node, what, SCORE)
    parts = []
    if "parts" in keys:
        parts = [_part(reading, part, inner) for part, _, inner in reading.named(keys["parts"], what)]
    if "parts" in keys and not parts:
        reading.error(keys["parts"], f"{what}: has no parts; name at least one")
    bands = []
    if "bands" in keys:
        bands = [(band, reading.number(inner, f"band {band}")) for band, _, inner in reading.named(keys["bands"], what)]
    return Score(
        name,
        tuple(parts),
        reading.number(keys["cap_above_worst"], what) if "cap_above_worst" in keys else None,
        reading.share(keys["needs"], "needs") if "needs" in keys else 0.0,
        tuple(sorted(bands, key=lambda band: band[1])),
        node.at,
    )


def _part(reading: Reading, name: str, node: Node) -> Part:
    what = f"part {name}"
    keys = reading.mapping(node, what, PART)
    numbers = {key: reading.number(keys[key], f"{what}.{key}") for key in ("from", "to", "weight") if key in keys}
    start, end, weight = numbers.get("from", 0.0), numbers.get("to", 1.0), numbers.get("weight", 1.0)
    if start == end:
        reading.error(node, f"{what}: 'from' and 'to' are equal; they must differ")
    if weight <= 0:
        reading.error(node, f"{what}: 'weight' must be above 0")
    line = reading.line(keys.get("value", node), what) if "value" in keys else reading.line(node, what)
    known = reading.number(keys["if_unknown"], what) if "if_unknown" in keys else None
    return Part(name, line, start, end, weight, known)


def read_policy(reading: Reading, node: Node) -> Policy:
    """The policy: what holds for all rules."""
    keys = reading.mapping(node, "policy", POLICY)
    default = Policy()
    zone = read_zone(reading, keys["timezone"], "timezone") if "timezone" in keys else default.timezone
    staff = reading.mapping(keys["staff"], "staff", STAFF) if "staff" in keys else {}
    domains = read_domains(reading, staff["domains"], "staff.domains") if "domains" in staff else ()
    return Policy(
        zone,
        domains,
        reading.span(keys["settle"], "settle") if "settle" in keys else default.settle,
        read_hours(reading, keys["hours"]) if "hours" in keys else default.hours,
        reading.span(keys["hold_for"], "hold_for") if "hold_for" in keys else default.hold_for,
        read_contact(reading, keys),
        _sources(reading, keys["sources"]) if "sources" in keys else default.sources,
        Topics(read_topics(reading, keys["topics"])) if "topics" in keys else default.topics,
        _staff_names(reading, staff["names"], domains) if "names" in staff else default.staff_names,
        read_breaker(reading, keys["breaker"]) if "breaker" in keys else default.breaker,
        reading.whole(keys["canary"], "canary", 0, 10_000) if "canary" in keys else default.canary,
        calendars=read_calendars(reading, keys["calendars"]) if "calendars" in keys else default.calendars,
    )


def _staff_names(reading: Reading, node: Node, domains: Sequence[str]) -> tuple[tuple[str, str], ...]:
    if node.keys is None:
        reading.error(node, f"staff.names: should be a mapping of address to name; found {node.kind}")
        return ()
    found = []
    for address, (at, inner) in node.keys.items():
        if not is_address(address):
            reading.error(at, f"staff.names: '{address[:60]}' is no address; write mara@acme.example: Mara Lind")
        elif not within(address, domains):
            domain = address.rpartition("@")[2].lower()
            reading.error(at, f"staff.names: '@{domain[:60]}' is no domain of ours; add it to policy.staff.domains")
        else:
            local, _, domain = address.lower().rpartition("@")
            found.append((f"{local}@{wire(domain) or domain}", reading.text(inner, "staff.names", 60)))
    return tuple(found)


def _sources(reading: Reading, node: Node) -> tuple[Source, ...]:
    found = [_stream(reading, name, at, inner) for name, at, inner in reading.named(node, "sources")]
    return tuple(one for one in found if one is not None)


def _stream(reading: Reading, name: str, at: Place, node: Node) -> Source | None:
    what = f"source {name}"
    keys = reading.mapping(node, what, SOURCE)
    if "events" not in keys:
        return None
    types = reading.types(keys["events"], f"{what}: events")
    if not types.exact and not types.beginnings:
        reading.error(keys["events"], f"{what}: 'events' names no event type; write those that come by this stream")
        return None
    default = Source(name, types)
    late_after = reading.span(keys["late_after"], f"{what}: late_after") if "late_after" in keys else default.late_after
    least = reading.share(keys["least"], f"{what}: least") if "least" in keys else default.least
    # What is no span and no share was told already.
    if late_after == 0 and keys["late_after"].text.startswith("0"):
        reading.error(keys["late_after"], f"{what}: 'late_after' should be longer; every record is older; write 2h")
    if least == 0 and keys["least"].text.startswith("0"):
        reading.error(keys["least"], f"{what}: 'least' should be above 0%; no count is below that; write 50%")
    return Source(name, types, late_after, least, at)


def is_address(text: str) -> bool:
    """Does it look like one mail address?

    >>> is_address("a@acme.example"), is_address("rule owner")
    (True, False)
    """
    return _ADDRESS.fullmatch(text) is not None
