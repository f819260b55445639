"""Reading hours of the week: when customers may be written to, and when we work."""

from collections.abc import Mapping

from engine.holidays import wrong_code
from engine.rulebook.findings import suggestion
from engine.rulebook.nodes import Node
from engine.rulebook.reading import Reading
from engine.rulebook.spec import Calendar, Hours, Policy
from engine.rulebook.words import CALENDAR, HOURS
from engine.zones import zone_names


def read_calendars(reading: Reading, node: Node) -> tuple[Calendar, ...]:
    """``calendars`` of the policy, each with its zone (default UTC)."""
    found = []
    for name, at, inner in reading.named(node, "calendars"):
        keys = reading.mapping(inner, f"calendar {name}", CALENDAR)
        where = read_zone(reading, keys["zone"], f"calendar {name}: zone") if "zone" in keys else Policy().timezone
        found.append(Calendar(name, where, _hours(reading, inner, keys), at))
    return tuple(found)


def read_zone(reading: Reading, node: Node, what: str) -> str:
    """A time zone by its name; UTC in the place of what is none."""
    zone = reading.text(node, what)
    if zone in zone_names():
        return zone
    near = suggestion(zone, zone_names()) or "; write one such as Europe/Berlin"
    reading.error(node, f"{what}: '{zone[:60]}' is no zone{near}")
    return Policy().timezone


def read_hours(reading: Reading, node: Node) -> Hours:
    """``hours`` of the policy."""
    return _hours(reading, node, reading.mapping(node, "hours", HOURS))


def _hours(reading: Reading, node: Node, keys: Mapping[str, Node]) -> Hours:
    default = Hours()
    start = reading.clock(keys["from"], "from") if "from" in keys else default.start
    end = reading.clock(keys["until"], "until") if "until" in keys else default.end
    if start == end:
        reading.error(node, "hours: 'from' and 'until' are equal; a window must have a length")
        end = (start + 60) % 1440
    days = reading.weekdays(keys["days"], "days") if "days" in keys else default.days
    places = _places(reading, keys["holidays"]) if "holidays" in keys else ()
    return Hours(start, end, days, places)


def _places(reading: Reading, node: Node) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for item in node.items if node.items is not None else [node]:
        code = reading.text(item, "holidays", 40)
        wrong = wrong_code(code) if code else None
        if wrong:
            reading.error(item, f"holidays: {wrong}")
        elif code:
            found[code] = None
    return tuple(found)
