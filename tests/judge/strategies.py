"""Random rulebooks and histories for the property tests: valid, small, and made to meet each other.

``rulebooks()`` gives plain data in the shape of the YAML; ``histories(rulebook)`` a log in the shape that ``judge``
takes, its first entry the activation of that rulebook. What the language leaves open is not generated.
"""

from copy import deepcopy
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tests.judge.days import DAY, HOUR, MINUTE, iso, local, utc
from tests.judge.turning import hour_names
from tests.judge.view import verb_of

Draw = Any
OWNER = "owner@ringfirst.example"
ROLES = ("champion", "admin")
USERS = ("u1", "u2", "u3")
PLANS = ("pro", "free", "trial")
TICKETS = ("t1", "t2")
MEETINGS = ("m1", "m2")
FEATURES = ("reports", "automations")
SOURCES = {"product": ["feature.used", "session.started"], "support": ["ticket.*"], "contract": ["account.updated"]}
SOME_SOURCES = (("product",), ("product", "support"), ("support",), ("product", "contract"))
SCENES = (
    ("UTC", "2026-03-27T00:00Z"),
    ("Europe/Berlin", "2026-03-25T12:00Z"),
    ("Europe/Berlin", "2026-10-22T12:00Z"),
    ("America/New_York", "2026-03-05T12:00Z"),
    ("America/New_York", "2026-10-29T12:00Z"),
    ("Asia/Kathmandu", "2026-03-01T00:00Z"),
    ("Australia/Lord_Howe", "2026-04-01T12:00Z"),
    ("Australia/Lord_Howe", "2026-09-30T12:00Z"),
    ("Pacific/Apia", "2011-12-26T12:00Z"),
    ("America/Sao_Paulo", "2018-02-14T12:00Z"),
    ("America/Sao_Paulo", "2018-10-31T12:00Z"),
)
ZONES = tuple(dict.fromkeys(zone for zone, _ in SCENES))
COUNTED = ("feature.used", "session.started", "survey.answered", "ticket.replied")
ALWAYS_KNOWN = ("count", "unique", "sum", "days_active", "open", "opened", "answered", "closed", "moved_later")

THINGS: dict[str, dict] = {
    "ticket": {
        "id": "ticket_id",
        "opened_by": ["ticket.opened", "ticket.reopened"],
        "asked_by": {"event": "ticket.replied", "where": {"by": "customer"}},
        "answered_by": {"event": "ticket.replied", "where": {"by": "agent"}},
        "closed_by": ["ticket.solved", "ticket.closed"],
        "people": {"requester": "user_id", "contact": "contact"},
        "measures": {
            "replies": {"count": "ticket.replied", "over": "2d"},
            "hours_quiet": {"hours_since": "ticket.replied"},
        },
    },
    "orientation": {
        "id": "meeting_id",
        "where": {"kind": "orientation"},
        "opened_by": ["meeting.scheduled", "meeting.rescheduled"],
        "closed_by": ["meeting.cancelled", "meeting.held"],
        "people": {"host": "user_id"},
        "measures": {
            "days_to_start": {"days_to": "starts_at"},
            "hours_to_start": {"hours_to": "starts_at"},
            "put_off": {"moved_later": "starts_at"},
        },
    },
    "module": {
        "id": "feature",
        "each_in": "modules",
        "measures": {"uses": {"count": "feature.used", "over": "2d"}, "quiet": {"days_since": "feature.used"}},
    },
    "person": {
        "measures": {
            "days_quiet": {"days_since": "session.started"},
            "acts": {"count": "any", "over": "3d"},
            "hours_away": {"hours_since": "session.started", "never": "unknown"},
        },
    },
}


def one_of(*values: Any) -> st.SearchStrategy:
    """One of some values."""
    return st.sampled_from(values)


def seldom(draw: Draw) -> bool:
    """True one time in six or so."""
    return draw(st.integers(0, 5)) == 5


# measures


@st.composite
def windows(draw: Draw) -> dict:
    """Some window, with ``ending`` now and then."""
    kind = draw(one_of("days", "days", "exact", "calendar", "all"))
    if kind == "all":
        return {}
    if kind == "calendar":
        return {"over": f"{draw(one_of('this', 'previous'))} {draw(one_of('week', 'month', 'quarter', 'year'))}"}
    if kind == "days":
        ending = {"ending": draw(one_of("1d ago", "2d ago", "1w ago"))} if seldom(draw) else {}
        return {"over": draw(one_of("1d", "2d", "3d", "1w"))} | ending
    ending = {"ending": draw(one_of("2h ago", "90m ago"))} if seldom(draw) else {}
    return {"over": draw(one_of("36h", "6h", "90m", "30s"))} | ending


@st.composite
def event_wheres(draw: Draw, types: Any) -> dict:
    """A ``where`` that fits the events asked for."""
    if not draw(st.booleans()):
        return {}
    if types == "feature.used":
        feature = draw(one_of("reports", ["reports", "automations"], {"not": "reports"}, {"known": False}))
        return {"where": {"feature": feature}}
    if types == "survey.answered":
        bound = draw(one_of("at_least", "more_than", "at_most", "less_than"))
        return {"where": {"score": {bound: draw(one_of(3, 6))}, "kind": {"known": True}}}
    if types == "ticket.replied":
        return {"where": {"by": draw(one_of("agent", "customer"))}}
    return {}


@st.composite
def event_measures(draw: Draw) -> dict:
    """Counts and properties of events."""
    types = draw(one_of(*COUNTED, ["feature.used", "session.started"], "ticket.*"))
    verb = draw(one_of("count", "count", "unique", "days_active", "property"))
    if verb == "unique":
        spec = {"unique": draw(one_of("user_id", "feature")), "of": types}
    elif verb == "property":
        verb = draw(one_of("sum", "average", "median", "minimum", "maximum", "first", "last"))
        path, types = draw(one_of(("minutes", "feature.used"), ("score", "survey.answered")))
        spec = {verb: path, "of": types}
    else:
        spec = {verb: types}
    spec |= draw(event_wheres(types)) | draw(windows())
    if verb not in ("first", "last"):
        if "over" in spec and seldom(draw):
            spec["per"] = draw(one_of("day", "week"))
        if seldom(draw):
            spec["times"] = draw(one_of("1/60", 2, "3/7"))
    if "over" in spec and seldom(draw):
        spec["full"] = True
    return spec


@st.composite
def age_measures(draw: Draw) -> dict:
    """Ages of events, in days or hours."""
    verb = draw(one_of("days_since", "hours_since", "days_since_first"))
    types = draw(one_of(*COUNTED, "any"))
    spec = {verb: types}
    if verb != "days_since_first" and seldom(draw):
        spec["never"] = "unknown"
    return spec


@st.composite
def attribute_measures(draw: Draw) -> dict:
    """What the account carries, and its dates."""
    return draw(
        one_of(
            {"attribute": "limits.calls"},
            {"attribute": "seats", "as": "number"},
            {"held_days": "plan"},
            {"days_to": "renewal"},
            {"hours_to": "renewal"},
            {"moved_later": "renewal"},
            {"days_to": "orientation.starts_at"},
            {"hours_to": "orientation.starts_at"},
            {"moved_later": "orientation.starts_at"},
        ),
    )


@st.composite
def thing_measures(draw: Draw) -> dict:
    """Measures over things."""
    kind = draw(one_of("open", "acts", "names", "spells"))
    ticket_where = draw(
        one_of(
            {},
            {},
            {"waiting": True},
            {"grade": "red"},
            {"grade": {"not": "red"}},
            {"priority": {"at_least": 3}},
            {"waiting_hours": {"at_least": 4}},
            {"open_hours": {"more_than": 36}},
            {"replies": 0},
        ),
    )
    where = {"where": deepcopy(ticket_where)} if ticket_where else {}
    if kind == "open":
        people = one_of({}, {"role": "admin"}, {"days_quiet": {"less_than": 2}}, {"hours_away": {"at_most": 6}})
        if draw(st.booleans()):
            person_where = draw(people)
            return {"open": "person"} | ({"where": deepcopy(person_where)} if person_where else {})
        return {"open": draw(one_of("orientation", "module"))} if seldom(draw) else {"open": "ticket"} | where
    if kind == "acts":
        return {draw(one_of("opened", "answered", "closed")): "ticket"} | draw(windows())
    verb = draw(one_of("sum", "average", "median", "minimum", "maximum"))
    if kind == "spells":
        return {verb: draw(one_of("answer_hours", "solve_hours")), "of": "ticket"} | draw(windows())
    name = draw(one_of("open_days", "priority", "replies", "waiting_hours", "open_hours"))
    return {verb: name, "of": "ticket"} | where


@st.composite
def measure_sets(draw: Draw) -> dict[str, dict]:
    """Three to eight measures of the account."""
    anything = st.one_of(event_measures(), event_measures(), age_measures(), attribute_measures(), thing_measures())
    specs = draw(st.lists(anything, min_size=3, max_size=8))
    return {f"m{index}_{verb_of(spec)}": spec for index, spec in enumerate(specs)}


# conditions


def flavour(books: dict, name: str) -> str:
    """How a measure may stand in a condition: count (always known), maybe, date (days or hours to), hours, mixed."""
    spec = books["measures"][name]
    verb = verb_of(spec)
    if verb in ("days_to", "hours_to"):
        return "date"
    if name in hour_names(books):
        return "hours"
    if verb in ("first", "last", "attribute"):
        return "mixed"
    always = verb in ALWAYS_KNOWN or (verb == "days_since" and "never" not in spec)
    return "count" if always and "full" not in spec else "maybe"


@st.composite
def comparisons(draw: Draw, name: str, how: str) -> str:
    """One comparison of a name."""
    if how == "text":
        return draw(one_of(f'{name} == "red"', f'{name} != "red"', f'{name} in ["red", "green"]'))
    if how == "plan":
        return draw(one_of(f'{name} == "pro"', f'{name} in ["pro", "trial"]', f'{name} not in ["free"]'))
    if how == "bool":
        return draw(one_of(name, f"not {name}"))
    if how == "date":
        return draw(one_of(f"{name} == 1", f"0 <= {name} <= 2", f"0 <= {name} <= 4", f"{name} >= 1"))
    if how == "hours":
        bound = draw(one_of("1", "4", "0.5", "36", "2.75"))
        return draw(one_of(f"{name} >= {bound}", f"{name} > {bound}", f"{name} < {bound}", f"1 <= {name} < 24"))
    if how == "mixed":
        return draw(one_of(f"{name} >= 3", f'{name} == "pro"', f"{name} != 5", f"{name} == 5"))
    bound = draw(one_of(0, 1, 2, 3))
    operator = draw(one_of(">=", ">=", ">", "<", "<", "==", "!="))
    return draw(
        one_of(f"{name} {operator} {bound}", f"{name} {operator} {bound}", f"{name} * 2 - 1 {operator} {bound}")
    )


def subject_names(kind: str) -> list[tuple[str, str]]:
    """The names of a subject and how they may stand."""
    return {
        "ticket": [
            ("ticket.waiting_hours", "hours"),
            ("ticket.open_hours", "hours"),
            ("ticket.hours_quiet", "hours"),
            ("ticket.open_days", "maybe"),
            ("ticket.grade", "text"),
            ("ticket.priority", "maybe"),
            ("ticket.waiting", "bool"),
            ("ticket.answered", "bool"),
            ("ticket.replies", "maybe"),
        ],
        "orientation": [
            ("orientation.days_to_start", "date"),
            ("orientation.hours_to_start", "date"),
            ("orientation.put_off", "maybe"),
            ("orientation.open_days", "maybe"),
        ],
        "module": [("module.uses", "maybe"), ("module.quiet", "maybe")],
        "person": [
            ("person.days_quiet", "maybe"),
            ("person.acts", "maybe"),
            ("person.hours_away", "hours"),
            ("person.role", "text"),
        ],
        "survey.answered": [("event.score", "mixed"), ("event.kind", "text")],
        "feature.used": [("event.minutes", "mixed"), ("event.feature", "text")],
    }.get(kind, [])


def account_names(books: dict) -> list[tuple[str, str]]:
    """The plain names and how they may stand."""
    found = [(name, flavour(books, name)) for name in books["measures"]]
    found += [("plan", "plan"), ("seats", "maybe"), ("account_age_days", "count")]
    found += [(segment, "bool") for segment in books.get("segments") or {}]
    if books.get("scores"):
        found += [("health", "score"), ("health.band", "text"), ("health.coverage", "coverage")]
    return found


@st.composite
def conditions(draw: Draw, names: list[tuple[str, str]]) -> str:
    """A line of ``when``."""
    name, how = draw(st.sampled_from(names))
    if how == "score":
        return draw(one_of("health < 50", "health >= 20", "not known(health)"))
    if how == "coverage":
        return "health.coverage > 0.5"
    line = draw(comparisons(name, how))
    if how in ("hours", "date"):
        return line
    wrapped = draw(st.integers(0, 9))
    if wrapped == 0:
        other, other_how = draw(st.sampled_from(names))
        return f"({line}) or not known({other})" if other_how != "score" else line
    if wrapped in (1, 2) and how in ("count", "maybe"):
        return draw(sums(name, [other for other, its in names if its in ("count", "maybe")]))
    return line


@st.composite
def sums(draw: Draw, name: str, others: list[str]) -> str:
    """Arithmetic and functions over one or two numbers."""
    other = draw(st.sampled_from(others))
    return draw(
        one_of(
            f"coalesce({name}, 1) >= 1",
            f"{name} / {other} > 0.5",
            f"{name} + {other} >= 3",
            f"abs({name} - {other}) <= 1",
            f"max({name}, {other}, 1) == 1",
            f"1 <= round({name} / 3) < 4",
        ),
    )


@st.composite
def exceptions(draw: Draw, names: list[tuple[str, str]]) -> str:
    """A line of ``unless`` that is never unknown."""
    name, how = draw(st.sampled_from(names))
    if how == "count":
        return draw(comparisons(name, how))
    if how in ("score", "coverage"):
        return "known(health) and health < 30"
    return f"known({name}) and {_bracketed(draw(comparisons(name, how)))}"


def _bracketed(line: str) -> str:
    return f"({line})" if " " in line else line


# rules


SUBJECTS = ("account", "account", "ticket", "orientation", "module", "person", "survey.answered", "feature.used")
OCCASIONS = {
    "account": ("plan", "renewal", "today", "this_week", "this_month"),
    "ticket": ("ticket.waiting_since", "ticket.opened_at", "ticket.grade", "today"),
    "orientation": ("orientation.starts_at",),
    "module": ("today", "plan"),
    "person": ("person.role", "this_week", "today"),
    "survey.answered": ("event.kind", "event.score", "today"),
    "feature.used": ("event.feature", "this_week"),
}
RECIPIENTS = {
    "ticket": ("ticket.requester", "ticket.contact", "ticket.contact or champion", ["ticket.requester", "champion"]),
    "orientation": ("orientation.host", "orientation.host or champion"),
    "person": ("person", ["person", "champion"]),
    "survey.answered": ("event.person", "event.person or champion", ["event.person", "each admin"]),
    "feature.used": ("event.person", "admin or event.person"),
}


@st.composite
def addresses(draw: Draw, kind: str, audience: bool) -> dict:
    """``send`` or ``notify``."""
    if draw(st.integers(0, 3)) == 0:
        staff: list[Any] = ["rule owner", "ops@ringfirst.example", ["rule owner", "ops@ringfirst.example"]]
        staff += ["segment owner"] if audience else []
        return {"notify": {"template": "note", "to": draw(st.sampled_from(staff))}}
    of_all = ("champion", "champion or admin", ["champion", "admin"], "each admin", ["each admin", "champion"])
    to = draw(st.sampled_from((*of_all, *RECIPIENTS.get(kind, ()), *RECIPIENTS.get(kind, ()))))
    kind_of_mail = draw(one_of("relationship", "relationship", "relationship", "marketing", "transactional"))
    return {"send": {"template": "mail", "to": deepcopy(to), "class": kind_of_mail, "mode": "auto"}}


@st.composite
def again(draw: Draw, kind: str) -> dict:
    """What makes two decisions different."""
    choice = draw(one_of("default", "every", "time", "once_per", "once_per"))
    if choice == "every":
        return {"re_entry": draw(one_of("every 1d", "every 2d", "every 1w"))}
    if choice == "time":
        return {"re_entry": "every time"}
    return {"once_per": draw(st.sampled_from(OCCASIONS[kind]))} if choice == "once_per" else {}


@st.composite
def rules_of(draw: Draw, books: dict, id_: str) -> dict:
    """A rule over the names of a rulebook."""
    kind = draw(st.sampled_from(SUBJECTS))
    own, plain_names = subject_names(kind), account_names(books)
    names = own * 3 + plain_names if own else plain_names
    rule: dict[str, Any] = {"id": id_, "title": id_, "kind": "internal", "why": "Because.", "owner": OWNER}
    if kind != "account":
        rule |= {"for": f"each {kind}", "each_alone": True}
    if books.get("segments") and draw(st.integers(0, 2)) == 0:
        rule["audience"] = draw(st.sampled_from(sorted(books["segments"])))
    rule["when"] = draw(st.lists(conditions(names), min_size=1, max_size=draw(one_of(1, 1, 2))))
    if draw(st.integers(0, 2)) == 0:
        rule["unless"] = draw(st.lists(exceptions(names), min_size=1, max_size=2))
    if "." not in kind:
        if draw(st.integers(0, 3)) == 0:
            rule["holds_for"] = draw(one_of("6h", "2d", "90m"))
        if draw(st.integers(0, 3)) == 0:
            rule["clear_when"] = draw(conditions(names))
    rule |= draw(again(kind)) | draw(addresses(kind, "audience" in rule))
    return rule | draw(extras(kind))


@st.composite
def extras(draw: Draw, kind: str) -> dict:
    """What a rule says seldom."""
    found: dict[str, Any] = {}
    if seldom(draw):
        found["holdout"] = draw(one_of("30%", "50%"))
    if seldom(draw):
        found["status"] = "draft"
    if seldom(draw):
        found["withdraw"] = "never"
    if seldom(draw):
        found["max_age"] = draw(one_of("2h", "3d", "30m"))
    if seldom(draw):
        found["backfill"] = True
    return found


# rulebooks


@st.composite
def policies(draw: Draw) -> dict:
    """A policy: zone, settling time and hours."""
    policy: dict[str, Any] = {"timezone": draw(st.sampled_from(ZONES)), "staff": {"domains": ["ringfirst.example"]}}
    if draw(st.booleans()):
        policy["settle"] = draw(one_of("0m", "1h", "6h", "1d", "2d"))
    if draw(st.booleans()):
        begins, ends = draw(one_of(("08:00", "18:00"), ("09:30", "12:00"), ("22:00", "06:00"), ("02:15", "02:45")))
        policy["hours"] = {"from": begins, "until": ends}
        if draw(st.booleans()):
            policy["hours"]["days"] = draw(one_of("mon-fri", "sat", ["mon", "thu"], "mon-sun"))
        if seldom(draw):
            policy["hours"]["holidays"] = draw(one_of("DE", "DE-BY", ["US-NY", "JP"]))
    if draw(st.booleans()):
        policy["sources"] = {name: {"events": SOURCES[name]} for name in draw(one_of(*SOME_SOURCES))}
        if seldom(draw):
            policy["hold_for"] = draw(one_of("0h", "1h", "1d"))
    return policy


@st.composite
def segment_sets(draw: Draw, books: dict) -> dict:
    """None, one or two segments; one of them asks a measure."""
    found = {}
    if draw(st.booleans()):
        found["paying"] = {"when": 'plan in ["pro", "trial"]', "owner": "paying@ringfirst.example"}
    if draw(st.booleans()):
        names = [(name, flavour(books, name)) for name in books["measures"]]
        found["watched"] = {"when": draw(conditions(names)), "owner": "watch@ringfirst.example"}
    return found


@st.composite
def score_sets(draw: Draw, books: dict) -> dict:
    """None or one score, over measures without hours."""
    names = [name for name in books["measures"] if flavour(books, name) in ("count", "maybe")]
    if not names or draw(st.booleans()):
        return {}
    parts: dict[str, Any] = {}
    for index, name in enumerate(draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))):
        begins, ends = draw(one_of((0, 4), (3, 0), (1, 7)))
        parts[f"p{index}"] = {"value": name, "from": begins, "to": ends, "weight": draw(one_of(50, 20, 30))}
        if seldom(draw):
            parts[f"p{index}"]["if_unknown"] = draw(one_of(100, 0))
    score: dict[str, Any] = {"parts": parts, "bands": {"red": 0, "amber": 40, "green": 70}}
    if draw(st.booleans()):
        score["cap_above_worst"] = 30
    if draw(st.booleans()):
        score["needs"] = draw(one_of("60%", "100%"))
    return {"health": score}


@st.composite
def rulebooks(draw: Draw) -> dict:
    """A random valid rulebook (without cases)."""
    books: dict[str, Any] = {
        "attributes": {"account": {"modules": "list", "renewal": "date"}, "person": {}},
        "things": deepcopy(THINGS),
        "measures": draw(measure_sets()),
    }
    books["segments"] = draw(segment_sets(books))
    books["scores"] = draw(score_sets(books))
    books["rules"] = [draw(rules_of(books, f"rule-{index}")) for index in range(draw(st.integers(2, 4)))]
    books["policy"] = draw(policies())
    return {section: content for section, content in books.items() if content}


@st.composite
def mutations(draw: Draw, books: dict) -> dict:
    """The same rulebook after some edits: rules dropped, added, changed; a window, a segment, a status changed."""
    books = deepcopy(books)
    rules = books["rules"]
    for _ in range(draw(st.integers(1, 3))):
        edit = draw(one_of("drop", "add", "change", "window", "live", "words", "policy", "segment"))
        if edit == "add":
            rules.append(draw(rules_of(books, f"added-{len(rules)}-{draw(st.integers(0, 99))}")))
        elif edit == "window":
            _change_window(draw, books)
        elif edit == "policy":
            books["policy"] |= {"settle": draw(one_of("15m", "2h"))}
            if draw(st.booleans()) and books["policy"].pop("sources", None) is None:
                books["policy"]["sources"] = {"product": {"events": SOURCES["product"]}}
        elif edit == "segment" and "paying" in books.get("segments", {}):
            books["segments"]["paying"]["when"] = draw(one_of('plan in ["pro"]', 'known(plan) and plan != "pro"'))
        elif rules and edit != "segment":
            _change_rule(draw, edit, books, draw(st.sampled_from(range(len(rules)))))
    ids = [rule["id"] for rule in rules]
    books["rules"] = [rule for index, rule in enumerate(rules) if rule["id"] not in ids[:index]]
    return books


def _change_window(draw: Draw, books: dict) -> None:
    windowed = [name for name, spec in books["measures"].items() if "over" in spec and "ending" not in spec]
    if windowed:
        spec = books["measures"][draw(st.sampled_from(windowed))]
        spec["over"] = draw(one_of("1d", "3d", "2w", "6h"))


def _change_rule(draw: Draw, edit: str, books: dict, index: int) -> None:
    rule = books["rules"][index]
    if edit == "drop":
        del books["rules"][index]
    elif edit == "live":
        rule.pop("status", None) or rule.update(status="draft")
    elif edit == "words":
        rule |= {"why": "Because it is so.", "priority": 7}
    else:
        kind = rule.get("for", "account").removeprefix("each ")
        names = subject_names(kind) + account_names(books)
        rule["when"] = [*rule["when"][:1], draw(conditions(names))]
        rule |= {"backfill": True} if draw(st.booleans()) else {}


# histories


def numbers() -> st.SearchStrategy:
    """Ordinary and tricky numbers, sometimes not numbers at all."""
    ordinary = one_of(0, 1, 2, 3, 5, 5, 7, Decimal("2.5"), Decimal("5.0"), -3)
    tricky = one_of(Decimal("0.0000015"), Decimal("0.0000025"), Decimal("0.1"), 10**13, Decimal("9000000000.5"))
    return st.one_of(ordinary, ordinary, ordinary, tricky, one_of("5", "many", None, True))


@st.composite
def dates(draw: Draw, start: int) -> Any:
    """Dates around a history, in all spellings, sometimes none at all."""
    at = start + draw(st.integers(-3 * 24, 15 * 24)) * HOUR + draw(one_of(0, 0, 30 * MINUTE, 1))
    spelling = draw(one_of("utc", "utc", "utc", "offset", "local", "day", "day", "wrong"))
    if spelling == "wrong":
        return draw(one_of(None, "soon", 7, "2026-13-01", True))
    if spelling == "utc":
        return iso(at)
    wall = (local(at, "UTC") + timedelta(hours=2)).replace(tzinfo=None).isoformat(timespec="milliseconds")
    return {"offset": f"{wall}+02:00", "local": wall[:16], "day": wall[:10]}[spelling]


@st.composite
def account_traits(draw: Draw, start: int) -> dict:
    """Traits of an account, one to three at a time."""
    pool = {
        "plan": one_of(*PLANS, *PLANS, None, 5),
        "seats": one_of(3, 10, "12", "12 seats", None, Decimal("2.5"), 10**13),
        "renewal": dates(start),
        "modules": one_of(["reports"], ["reports", "automations"], [], None, "reports"),
        "timezone": one_of(*ZONES, "Mars/Base", None),
        "limits": one_of({"calls": 5}, {"calls": "pro"}, {}, None, 5),
        "created_at": dates(start),
    }
    names = draw(st.lists(st.sampled_from(sorted(pool)), min_size=1, max_size=3, unique=True))
    return {name: draw(pool[name]) for name in names}


@st.composite
def bodies(draw: Draw, families: list[str], start: int) -> tuple[str, str | None, dict]:
    """Type, person and properties of an event."""
    family = draw(st.sampled_from(families))
    user = draw(st.sampled_from((*USERS, *USERS, None)))
    if family == "account":
        return "account.updated", None, draw(account_traits(start))
    if family == "user":
        return draw(user_bodies())
    if family == "ticket":
        return draw(ticket_bodies(user))
    if family == "meeting":
        return draw(meeting_bodies(user, start))
    if family == "survey":
        kind = draw(one_of("red", "red", "green", None))
        return "survey.answered", user, {"kind": kind, "score": draw(numbers())}
    if family == "feature":
        feature = draw(one_of(*FEATURES, *FEATURES, "red", "red", None))
        return "feature.used", user, {"feature": feature, "minutes": draw(numbers())}
    if family == "session":
        return "session.started", user, {}
    return draw(one_of("outreach.sent", "outreach.opened", "other.thing", "subscription.created")), user, {}


@st.composite
def user_bodies(draw: Draw) -> tuple[str, str | None, dict]:
    """A person's traits, or the end of a person."""
    user = draw(st.sampled_from(USERS))
    if seldom(draw):
        return "user.removed", user, {}
    traits: dict[str, Any] = {"role": draw(one_of(*ROLES, *ROLES, "red", None, 5))}
    if seldom(draw):
        traits["timezone"] = draw(one_of(*ZONES, "nowhere"))
    return "user.updated", user, traits


@st.composite
def ticket_bodies(draw: Draw, user: str | None) -> tuple[str, str | None, dict]:
    """Something that happens to a ticket."""
    kinds = ("opened", "opened", "opened", "replied", "replied", "replied", "reopened", "solved", "closed", "escalated")
    kind = draw(st.sampled_from(kinds))
    properties: dict[str, Any] = {"ticket_id": draw(one_of(*TICKETS, 7))}
    if kind == "replied":
        properties["by"] = draw(one_of("agent", "customer"))
    if draw(st.booleans()):
        properties["grade"] = draw(one_of("red", "red", "red", "green", None, 3))
    if draw(st.integers(0, 2)) == 0:
        properties["priority"] = draw(one_of(1, 3, 5, Decimal("3.5"), "high"))
    if draw(st.integers(0, 2)) == 0:
        properties["contact"] = draw(one_of("u1", "u9", None))
    return f"ticket.{kind}", user, properties


@st.composite
def meeting_bodies(draw: Draw, user: str | None, start: int) -> tuple[str, str | None, dict]:
    """Something that happens to a meeting."""
    kind = draw(one_of("scheduled", "scheduled", "rescheduled", "rescheduled", "cancelled", "held"))
    properties: dict[str, Any] = {"meeting_id": draw(st.sampled_from(MEETINGS))}
    if kind in ("scheduled", "rescheduled"):
        properties["starts_at"] = draw(dates(start))
        if kind == "scheduled" or seldom(draw):
            properties["kind"] = draw(one_of("orientation", "orientation", "orientation", "kickoff"))
    return f"meeting.{kind}", user, properties


@st.composite
def moments(draw: Draw, days: int) -> int:
    """An offset into some days: often on a half hour, so that ties and exact boundaries happen."""
    coarse = st.integers(0, days * 4).map(lambda step: step * 6 * HOUR)
    half_hours = st.integers(0, days * 48).map(lambda step: step * 30 * MINUTE)
    return draw(st.one_of(coarse, half_hours, half_hours, st.integers(0, days * DAY)))


@st.composite
def lateness(draw: Draw) -> int:
    """How long before its record an event happened; below zero: it is dated ahead."""
    kind = draw(one_of("none", "none", "none", "none", "none", "late", "very late", "ahead"))
    if kind == "late":
        return draw(st.integers(0, 8)) * 30 * MINUTE + draw(one_of(0, 1))
    if kind == "very late":
        return draw(st.integers(0, 5 * 24)) * HOUR + draw(one_of(0, 777))
    return -draw(st.integers(1, 20)) * HOUR if kind == "ahead" else 0


def families_of(books: dict) -> list[str]:
    """The families of events that a rulebook asks about, and a little of the rest."""
    text = repr([books.get("measures"), books.get("rules"), books.get("segments")])
    wanted = {
        "ticket": "ticket",
        "meeting": "orientation",
        "survey": "survey",
        "feature": "feature",
        "session": "session",
    }
    asked = [family for family, word in wanted.items() if word in text]
    asked += ["feature"] if "module" in text and "feature" not in asked else []
    subjects = {"ticket": "ticket", "orientation": "meeting", "module": "feature", "person": "session"}
    subjects |= {"survey.answered": "survey", "feature.used": "feature"}
    about = [rule.get("for", "account").removeprefix("each ") for rule in books["rules"]]
    return ["account", "user", "other", *asked, *asked, *[subjects[kind] for kind in about if kind in subjects] * 4]


@st.composite
def events(draw: Draw, families: list[str], accounts: list[str], start: int, days: int) -> tuple[int, dict]:
    """(recorded_at, event without its id)."""
    recorded = start + draw(moments(days))
    type_, user, properties = draw(bodies(families, start))
    account = draw(st.sampled_from(accounts))
    event = {"type": type_, "account_id": account, "user_id": user, "properties": properties}
    return recorded, event | {"time": recorded - draw(lateness())}


def _prelude(accounts: list[str], zone: str, start: int) -> list[tuple[int, dict]]:
    found = []
    for account in accounts:
        for type_, user, properties in (
            ("account.updated", None, {"timezone": zone, "plan": "pro", "modules": ["reports"]}),
            ("user.updated", "u1", {"role": "champion"}),
            ("user.updated", "u2", {"role": "admin"}),
        ):
            event = {"type": type_, "account_id": account, "user_id": user, "properties": properties}
            found.append((start, event | {"time": start}))
    return found


@st.composite
def histories(draw: Draw, rulebook: dict) -> list[dict]:
    """A log of one lane: the activation, events of one to three accounts, sometimes a switch in the middle."""
    zone, text = draw(st.sampled_from(SCENES))
    start = utc(text)
    accounts = ["acme", "bolt", "cone"][: draw(st.sampled_from((1, 1, 1, 2, 3)))]
    found: list[tuple[int, dict]] = _prelude(accounts, zone, start) if draw(st.integers(0, 7)) else []
    more = events(families_of(rulebook), accounts, start, draw(one_of(10, 10, 5, 2)))
    found += draw(st.lists(more, min_size=draw(st.sampled_from((2, 12, 20, 28))), max_size=40 - len(found)))
    found = sorted(found, key=lambda pair: pair[0])
    entries: list[dict] = [{"recorded_at": start - HOUR, "rulebook": rulebook}]
    for index, (recorded, event) in enumerate(found):
        entries.append({"recorded_at": recorded, "event": {"id": f"e{index}"} | event})
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 2)))):
        _switch(draw, entries)
    if any("sources" in entry["rulebook"].get("policy", {}) for entry in entries if "rulebook" in entry):
        for _ in range(draw(st.integers(1, 4))):
            _stream(draw, entries)
    return [{"position": position} | entry for position, entry in enumerate(entries)]


def _stream(draw: Draw, entries: list[dict]) -> None:
    """Put the word that a source is late somewhere into the log, and mostly that it is well again some time later."""
    source = draw(one_of("product", "product", "support"))
    at = _put(draw, entries, draw(st.integers(1, len(entries))), {"kind": "late", "source": source})
    well = at + draw(one_of(0, HOUR, 6 * HOUR, 30 * HOUR))
    if draw(st.integers(0, 3)):
        later = [place for place, entry in enumerate(entries) if entry["recorded_at"] > well]
        place = later[0] if later else len(entries)
        entries.insert(place, {"recorded_at": well, "stream": {"kind": "well", "source": source}})


def _put(draw: Draw, entries: list[dict], place: int, stream: dict) -> int:
    before = entries[place - 1]["recorded_at"]
    after = entries[place]["recorded_at"] if place < len(entries) else before + DAY
    at: int = draw(st.sampled_from((before, after, (before + after) // 2)))
    entries.insert(place, {"recorded_at": at, "stream": stream})
    return at


def _switch(draw: Draw, entries: list[dict]) -> None:
    """Put a mutated rulebook somewhere into the log, at the time of its neighbour before, after, or between."""
    place = draw(st.integers(1, len(entries)))
    before = entries[place - 1]["recorded_at"]
    after = entries[place]["recorded_at"] if place < len(entries) else before + DAY
    active = [entry["rulebook"] for entry in entries[:place] if "rulebook" in entry][-1]
    at = draw(st.sampled_from((before, after, (before + after) // 2)))
    back = seldom(draw)  # to the first rulebook, as after a failed release
    entries.insert(place, {"recorded_at": at, "rulebook": entries[0]["rulebook"] if back else draw(mutations(active))})


def end_of(log: list[dict]) -> int:
    """A good instant up to which to judge a log: some days after its last entry."""
    return log[-1]["recorded_at"] + 5 * DAY
