"""Every name's value at one instant: measures, windows, ages, scores, segments, things and recipients."""

import datetime as dt
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

from tests.judge import expression
from tests.judge.days import HOUR, Date, Window, day_of, period_start, start_of, window_of
from tests.judge.kinds import as_text, dig, is_number, kind_of, matches, number_text, scalar, there, typed
from tests.judge.picture import SPELL_NAMES, Happening, Picture, Thing, act_types, is_type, property_matches

OF_EVENTS = ("sum", "average", "median", "minimum", "maximum", "first", "last")
OF_THINGS = ("sum", "average", "median", "minimum", "maximum")
SPELL_HOURS = {"answer_hours": "answered_at", "solve_hours": "closed_at"}
VERBS = (
    *("open", "opened", "answered", "closed", "count", "unique", "days_active", "attribute", "held_days"),
    *("days_to", "hours_to", "moved_later", "days_since", "hours_since", "days_since_first", *OF_EVENTS),
)
PERIODS = {"this_week": "week", "this_month": "month", "today": "day"}


def aggregate(verb: str, numbers: list[Fraction]) -> Fraction | None:
    """Sum, average, median, minimum or maximum; the sum of nothing is 0, everything else of nothing is unknown."""
    if verb == "sum":
        return sum(numbers, Fraction(0))
    if not numbers:
        return None
    if verb == "average":
        return sum(numbers, Fraction(0)) / len(numbers)
    if verb == "median":
        ordered = sorted(numbers)
        middle = len(ordered) // 2
        return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return min(numbers) if verb == "minimum" else max(numbers)


def verb_of(spec: dict) -> str:
    """The verb of a measure."""
    return next(key for key in spec if key in VERBS)


class View:
    """A picture at an instant."""

    def __init__(self, picture: Picture, at: int) -> None:
        """Look at a picture as of ``at``."""
        self.picture = picture
        self.at = at
        self.zone = picture.zone
        self._known: dict[Any, Any] = {}

    def _once(self, key: Any, compute: Callable[[], Any]) -> Any:
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]

    # names

    def lookup(self, subject: Thing | Happening | None) -> expression.Lookup:
        """The names of a rule for a subject."""
        return lambda name: self.name(name, subject)

    def name(self, name: str, subject: Thing | Happening | None) -> Any:
        """The value of a name as written in a rule."""
        head, _, rest = name.partition(".")
        if rest and isinstance(subject, Thing) and head == subject.kind:
            return self.of_thing(subject, rest)
        if rest and isinstance(subject, Happening) and head == "event":
            return subject.user_id if rest == "person" else scalar(dig(subject.properties, rest))
        return self.of_account(name)

    def of_account(self, name: str) -> Any:
        """A measure, score, segment or attribute of the account."""
        return self._once(("account", name), lambda: self._of_account(name))

    def _of_account(self, name: str) -> Any:
        books = self.picture.books
        if name in self.picture.measures:
            return self.measure(self.picture.measures[name], None)
        if name.partition(".")[0] in (books.get("scores") or {}):
            return self._score(name)
        if name in (books.get("segments") or {}):
            return self.holds(books["segments"][name]["when"], None)
        if name == "account_age_days":
            return self._days_from(self.picture.first_seen)
        if name in PERIODS:
            return self._period(PERIODS[name])
        return self.picture.attribute(None, name)

    def _period(self, unit: str) -> Date:
        today = day_of(self.at, self.zone)
        first = today if unit == "day" else period_start(unit, today)
        return Date(start_of(first, self.zone), first.isoformat())

    def holds(self, lines: object, subject: Thing | Happening | None) -> bool | None:
        """Whether all lines hold, three-valued."""
        lines = lines if isinstance(lines, list) else [lines]
        return expression.both([expression.evaluate(line, self.lookup(subject)) for line in lines])

    # things

    def of_thing(self, thing: Thing, name: str) -> Any:
        """A thing's measure, else its built-in name, else its property."""
        return self._once((thing.kind, thing.id, name), lambda: self._of_thing(thing, name))

    def _of_thing(self, thing: Thing, name: str) -> Any:
        measures = self.picture.thing_measures(thing.kind)
        if name in measures:
            return self.measure(measures[name], thing)
        if name == "last_seen" and thing.kind == "person":
            return Date(thing.living[-1].at) if thing.living else None
        if name in SPELL_NAMES:
            return self._built_in(thing, name)
        return self.picture.attribute(thing, name)

    def _built_in(self, thing: Thing, name: str) -> Any:
        if name in ("id", "open"):
            return getattr(thing, name)
        if name == "closed_at":
            ended = thing.spells[-1].closed_at if thing.spells else None
            return None if ended is None else Date(ended)
        spell = thing.spell
        if spell is None:
            return None
        opened, since = spell.opening.at, spell.waiting_since
        return {
            "opened_at": Date(opened),
            "open_days": self._days_from(opened),
            "open_hours": self._hours_from(opened),
            "answered": spell.answered_at is not None,
            "waiting": since is not None,
            "waiting_since": None if since is None else Date(since),
            "waiting_hours": None if since is None else self._hours_from(since),
        }[name]

    def select_things(self, kind: str, where: dict | None, only_open: bool) -> list[Thing]:
        """The things of a kind that satisfy a ``where`` over their names."""
        things = [thing for thing in self.picture.things(kind).values() if thing.open or not only_open]
        return [thing for thing in things if self._thing_matches(thing, where or {})]

    def _thing_matches(self, thing: Thing, where: dict) -> bool:
        return all(
            matches(self.of_thing(thing, name), self._is_there(thing, name), wanted, self.zone)
            for name, wanted in where.items()
        )

    def _is_there(self, thing: Thing, name: str) -> bool:
        if name in SPELL_NAMES or name == "last_seen" or name in self.picture.thing_measures(thing.kind):
            return self.of_thing(thing, name) is not None
        return self.picture.has_property(thing, name)

    # measures

    def measure(self, spec: dict, scope: Thing | None) -> Any:
        """The exact value of a measure; ``per`` and ``times`` are applied last, once."""
        window = window_of(spec, self.at, self.zone)
        if spec.get("full") and window and self._begins_unseen(window, scope):
            return None
        value = self._verb(spec, scope, window)
        if not is_number(value):
            return value
        if spec.get("per") and window:
            value /= window.days / (7 if spec["per"] == "week" else 1)
        return value * Fraction(str(spec["times"])) if "times" in spec else value

    def _begins_unseen(self, window: Window, scope: Thing | None) -> bool:
        since = scope.first_seen if scope else self.picture.told_since
        return since is None or window.begins < since

    def _first_seen(self, scope: Thing | None) -> int | None:
        return scope.first_seen if scope else self.picture.first_seen

    def _verb(self, spec: dict, scope: Thing | None, window: Window | None) -> Any:
        verb = verb_of(spec)
        if verb in ("open", "opened", "answered", "closed"):
            return Fraction(self._count_things(verb, spec, window))
        if verb in OF_THINGS and self.picture.is_kind(spec["of"]):
            return self._over_things(verb, spec, window)
        if verb in ("attribute", "held_days", "days_to", "hours_to", "moved_later"):
            return self._of_attribute(verb, spec, scope)
        events = self._events(spec, spec.get("of", spec[verb]), scope, window)
        if verb in ("days_since", "hours_since", "days_since_first"):
            return self._since(verb, spec, scope, events)
        if verb == "count":
            return Fraction(len(events))
        if verb == "days_active":
            return Fraction(len({day_of(event.at, self.zone) for event in events}))
        if verb == "unique":
            return Fraction(len(self._distinct(spec["unique"], events)))
        return self._of_property(verb, spec[verb], events)

    def _events(self, spec: dict, types: object, scope: Thing | None, window: Window | None) -> list[Happening]:
        pool = scope.events if scope else self.picture.events
        return [
            event
            for event in pool
            if is_type(event.type, list(act_types(types)))
            and (window is None or window.has(event.at))
            and property_matches(event, spec.get("where"), self.zone)
        ]

    def _distinct(self, path: str, events: list[Happening]) -> set:
        if path == "user_id":
            return {event.user_id for event in events if event.user_id is not None}
        values = [scalar(dig(event.properties, path)) for event in events]
        return {(kind_of(value), value) for value in values if value is not None}

    def _of_property(self, verb: str, path: str, events: list[Happening]) -> Any:
        values = [scalar(dig(event.properties, path)) for event in events]
        values = [value for value in values if value is not None]
        if verb in ("first", "last"):
            return values[0 if verb == "first" else -1] if values else None
        return aggregate(verb, [value for value in values if is_number(value)])

    def _since(self, verb: str, spec: dict, scope: Thing | None, events: list[Happening]) -> Fraction | None:
        first = verb == "days_since_first"
        start = events[0 if first else -1].at if events else None
        if start is None and not first and spec.get("never") != "unknown":
            start = self._first_seen(scope)
        if start is None:
            return None
        return self._hours_from(start) if verb == "hours_since" else self._days_from(start)

    def _days_from(self, start: int) -> Fraction:
        return Fraction((day_of(self.at, self.zone) - day_of(start, self.zone)).days)

    def _hours_from(self, start: int) -> Fraction:
        return Fraction(self.at - start, HOUR)

    # attributes and dates

    def _of_attribute(self, verb: str, spec: dict, scope: Thing | None) -> Any:
        path = spec[verb]
        if verb == "attribute":
            raw = self.picture.raw(scope, path)
            if spec.get("as") == "number":
                return number_text(raw) if isinstance(raw, str) else scalar(raw) if is_number(raw) else None
            return self.picture.attribute(scope, path)
        if verb == "held_days":
            return self._held_days(scope, path)
        kind, _, inner = path.partition(".")
        over_things = scope is None and inner and self.picture.is_kind(kind)
        if verb == "moved_later":
            subjects = [*self.picture.things(kind).values()] if over_things else [scope]
            return Fraction(sum(self._moved_later(subject, inner if over_things else path) for subject in subjects))
        if over_things:
            things = self.select_things(kind, spec.get("where"), only_open=True)
            dates = [self.picture.attribute(thing, inner) for thing in things]
            return self._nearest(verb, [date for date in dates if isinstance(date, Date)])
        date = self.picture.attribute(scope, path)
        return self._until(verb, date) if isinstance(date, Date) else None

    def _until(self, verb: str, date: Date) -> Fraction:
        if verb == "hours_to":
            return -self._hours_from(date.at)
        # A date without a time is that day, also one that its zone never had (Apia, 30 December 2011).
        day = day_of(date.at, self.zone) if date.day is None else dt.date.fromisoformat(date.day)
        return Fraction((day - day_of(self.at, self.zone)).days)

    def _nearest(self, verb: str, dates: list[Date]) -> Fraction | None:
        spans = [self._until(verb, date) for date in dates]
        ahead = [span for span in spans if span >= 0]
        return min(ahead) if ahead else max(spans, default=None)

    def _values_in_turn(self, scope: Thing | None, path: str, nulls: bool) -> list[tuple[Happening, Any]]:
        top, _, rest = path.partition(".")
        found = []
        for event in self.picture.trait_history(scope):
            if top in event.properties and (nulls or there(event.properties[top])):
                raw = dig(event.properties[top], rest) if rest else event.properties[top]
                found.append((event, typed(raw, self.picture.declared(scope, path), self.zone)))
        return found

    def _held_days(self, scope: Thing | None, path: str) -> Fraction | None:
        start, present = 0, None
        traits = scope is None or scope.kind == "person"
        for event, value in self._values_in_turn(scope, path, nulls=traits):
            if value is None or (kind_of(value), value) != (kind_of(present), present):
                start, present = event.at, value
        return None if present is None else self._days_from(start)

    def _moved_later(self, scope: Thing | None, path: str) -> int:
        dates = [value for _, value in self._values_in_turn(scope, path, nulls=False) if isinstance(value, Date)]
        return sum(later.at > earlier.at for earlier, later in pairwise(dates))

    # over things

    def _count_things(self, verb: str, spec: dict, window: Window | None) -> int:
        things = self.select_things(spec[verb], spec.get("where"), only_open=verb == "open")
        if verb == "open":
            return len(things)
        instants = [self._act_at(spell, verb) for thing in things for spell in thing.spells]
        return sum(at is not None and (window is None or window.has(at)) for at in instants)

    @staticmethod
    def _act_at(spell: Any, verb: str) -> int | None:
        return spell.opening.at if verb == "opened" else getattr(spell, f"{verb}_at")

    def _over_things(self, verb: str, spec: dict, window: Window | None) -> Fraction | None:
        name = spec[verb]
        if name in SPELL_HOURS:
            things = self.select_things(spec["of"], spec.get("where"), only_open=False)
            ends = [(spell, getattr(spell, SPELL_HOURS[name])) for thing in things for spell in thing.spells]
            inside = [(spell, at) for spell, at in ends if at is not None and (window is None or window.has(at))]
            return aggregate(verb, [Fraction(at - spell.opening.at, HOUR) for spell, at in inside])
        things = self.select_things(spec["of"], spec.get("where"), only_open=True)
        values = [self.of_thing(thing, name) for thing in things]
        return aggregate(verb, [value for value in values if is_number(value)])

    # scores

    def _score(self, name: str) -> Any:
        score, _, which = name.partition(".")
        spec = self.picture.books["scores"][score]
        shares = {part: self._part(how) for part, how in spec["parts"].items()}
        known = {part: share for part, share in shares.items() if share is not None}
        weights = {part: float(how["weight"]) for part, how in spec["parts"].items()}
        known_weight = sum(weights[part] for part in known)
        coverage = known_weight / sum(weights.values())
        if which == "coverage":
            return coverage
        if not known or coverage < float(str(spec.get("needs", "0%")).rstrip("%")) / 100:
            return None
        worst = min(known, key=lambda part: known[part])
        if which == "worst":
            return worst
        value = sum(weights[part] * share for part, share in known.items()) / known_weight
        if "cap_above_worst" in spec:
            value = min(value, known[worst] + float(spec["cap_above_worst"]))
        value = round(value * 1e6) / 1e6
        return self._band(spec, value) if which == "band" else value

    def _part(self, how: dict) -> float | None:
        value = expression.evaluate(how["value"], self.lookup(None))
        if not is_number(value):
            return None if how.get("if_unknown") is None else float(how["if_unknown"])
        begin, end = float(how["from"]), float(how["to"])
        return min(100.0, max(0.0, (value - begin) / (end - begin) * 100))

    @staticmethod
    def _band(spec: dict, value: float) -> str | None:
        reached = [(bound, band) for band, bound in (spec.get("bands") or {}).items() if bound <= value]
        return max(reached)[1] if reached else None

    # recipients

    def recipients(self, rule: dict, subject: Thing | Happening | None) -> list[str]:
        """The people (``send``) or addresses (``notify``) to whom a rule writes, as far as they are known."""
        if "send" in rule:
            forms = rule["send"]["to"]
            found = [one for form in _listed(forms) for one in self._first_known(form, subject)]
        else:
            forms = (rule.get("notify") or {}).get("to", [])
            found = [one for form in _listed(forms) for one in self._staff(form, rule)]
        return list(dict.fromkeys(found))

    def _first_known(self, form: str, subject: Thing | Happening | None) -> list[str]:
        for choice in form.split(" or "):
            if found := self._people(choice.strip(), subject):
                return found
        return []

    def _people(self, form: str, subject: Thing | Happening | None) -> list[str]:
        if form == "event.person" and isinstance(subject, Happening):
            return [subject.user_id] if subject.user_id is not None else []
        if isinstance(subject, Thing) and form == "person" == subject.kind:
            return [subject.id]
        kind, _, role = form.partition(".")
        if role and isinstance(subject, Thing) and kind == subject.kind:
            person = self.picture.role_of(subject, role)
            return [person] if person is not None else []
        if form.startswith("each "):
            return [person.id for person in self.picture.in_role(form.removeprefix("each ").strip())]
        return [person.id for person in self.picture.in_role(form)[:1]]

    def _staff(self, form: str, rule: dict) -> list[str]:
        segment = (self.picture.books.get("segments") or {}).get(rule.get("audience")) or {}
        named = [e for e in self.picture.events if e.type in ("owner.changed", "account.updated")]
        owners = [event.properties["owner"] for event in named if "owner" in event.properties]
        fallen = [segment.get("owner"), rule.get("owner")]
        if form == "account owner":
            fallen = [owners[-1] if owners and isinstance(owners[-1], str) else None, *fallen]
        if form == "rule owner":
            fallen = fallen[1:]
        domains = ((self.picture.books.get("policy") or {}).get("staff") or {}).get("domains") or []
        found = next((one for one in fallen[:-1] if _is_ours(one, domains)), fallen[-1])
        found = found if form.endswith(" owner") else form
        return [found] if isinstance(found, str) else []

    def occasion_value(self, name: str, subject: Thing | Happening | None) -> str | None:
        """The value of ``once_per`` as an occasion; None if unknown."""
        return as_text(self.name(name, subject))


def _is_ours(text: str | None, domains: list[str]) -> bool:
    name, at, domain = (text or "").rpartition("@")
    good = bool(name and at and "." in domain and " " not in (text or ""))
    return good and (not domains or any(("." + domain).endswith("." + one) for one in domains))


def _listed(forms: str | list[str]) -> list[str]:
    return forms if isinstance(forms, list) else [forms]
