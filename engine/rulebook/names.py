"""The registry of names: what a condition may say, its kind, whether it moves with the clock or can be unknown."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from engine.rulebook.agreed import DERIVED, GOAL
from engine.rulebook.expressions import ARITHMETIC, COMPARISONS, TRUTHS, Kind, Term
from engine.rulebook.findings import Findings, suggestion
from engine.rulebook.spec import Line, Measure, Score, Segment, Thing
from engine.rulebook.words import HOUR_NAMES, THING_NAMES

ALWAYS_KNOWN = frozenset(
    {
        "count",
        "sum",
        "unique",
        "days_active",
        "opened",
        "answered",
        "closed",
        "open",
        "moved_later",
        "days_since",
        "hours_since",
    }
)
MOVING_VERBS = frozenset({"hours_since", "hours_to"})
COUNTED_DOWN = frozenset({"days_to", "hours_to"})


@dataclass(frozen=True, slots=True)
class Info:
    """What is known of a name before any event is seen."""

    kind: Kind = "any"
    nullable: bool = True
    moves: bool = False
    counts_down: bool = False
    personal: bool = False
    template_only: bool = False
    length: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """Every name of a rulebook. ``thing`` names are without the thing's own name in front."""

    account: Mapping[str, Info]
    things: Mapping[str, Mapping[str, Info]]

    def info(self, name: str, thing: str, *, event: bool = False) -> Info | None:
        """What a dotted name means in a rule for each ``thing`` (or each event); None if nothing."""
        if name in self.account:
            return self.account[name]
        owner, _, rest = name.partition(".")
        if event and owner == "event" and rest:
            return Info("text") if rest == "person" else Info()
        if thing and owner == thing and rest:
            found = self.things[thing].get(rest)
            return found or (None if thing == "person" else Info())
        return None

    def near(self, thing: str, *, event: bool = False) -> list[str]:
        """Names to suggest from."""
        inner = [f"{thing}.{name}" for name in self.things.get(thing, {})] if thing else []
        return [*self.account, *inner, *(["event.person"] if event else [])]


def measure_info(measure: Measure, attributes: Mapping[str, str], dates: Iterable[str] = ()) -> Info:
    """What a measure yields."""
    kind: Kind = "number"
    if measure.verb in {"first", "last"}:
        kind = "any"
    if measure.verb == "attribute":
        declared = attributes.get(measure.prop, "any")
        kind = "number" if measure.as_number else "date" if measure.prop in dates else declared  # type: ignore[assignment]
    known = measure.verb in ALWAYS_KNOWN and not measure.full and not measure.never_unknown
    over_hours = bool(measure.thing) and measure.prop in HOUR_NAMES and measure.verb != "list"
    window = measure.window
    length = f"{window.kind} {window.size or (window.previous, window.unit)}" if window.kind != "ever" else ""
    comparable = length and (measure.per is None or measure.verb == "unique")
    return Info(
        kind,
        nullable=not known,
        moves=measure.verb in MOVING_VERBS or over_hours,
        counts_down=measure.verb in COUNTED_DOWN,
        template_only=measure.verb == "list",
        length=length if comparable else "",
    )


def thing_infos(thing: Thing, person: Mapping[str, str]) -> dict[str, Info]:
    """The names of a thing: its measures before its built-in names before its declared properties."""
    infos: dict[str, Info] = {}
    if thing.name == "person":
        infos.update({name: _attribute(kind) for name, kind in person.items()})
        infos["last_seen"] = Info("date")
    else:
        infos.update({name: Info(kind) for name, kind in thing.declared})  # type: ignore[arg-type]
        infos.update({name: Info("date") for name in thing.dates})
        infos.update({role: Info("text") for role, _ in thing.people})
    if thing.name == GOAL:
        infos.update({name: Info(kind) for name, kind in DERIVED.items()})  # type: ignore[arg-type]
    spells = not thing.each_in
    for name, kind in THING_NAMES.items():
        certain = name in {"id", "open"} or (spells and name in {"answered", "waiting", "opened_at", "open_days"})
        infos[name] = Info(kind, nullable=not certain, moves=name in HOUR_NAMES)  # type: ignore[arg-type]
    declared = person if thing.name == "person" else dict(thing.declared)
    infos.update({m.name: measure_info(m, declared, thing.dates) for m in thing.measures})
    return infos


def account_infos(
    attributes: Mapping[str, str],
    measures: Iterable[Measure],
    segments: Iterable[Segment],
    scores: Iterable[Score],
) -> dict[str, Info]:
    """The names of an account."""
    infos = {name: _attribute(kind) for name, kind in attributes.items()}
    infos["account_age_days"] = Info("number", nullable=False)
    infos.update({measure.name: measure_info(measure, attributes) for measure in measures})
    for score in scores:
        infos[score.name] = Info("number")
        infos[f"{score.name}.worst"] = Info("text")
        infos[f"{score.name}.band"] = Info("text")
        infos[f"{score.name}.coverage"] = Info("number", nullable=False)
    infos.update({segment.name: Info("true/false") for segment in segments})
    return infos


def _attribute(kind: str) -> Info:
    return Info("any" if kind == "personal" else kind, personal=kind == "personal")  # type: ignore[arg-type]


class Conditions:
    """Checks lines of conditions in one scope."""

    def __init__(self, names: Names, findings: Findings, thing: str = "", *, event: bool = False) -> None:
        self._names = names
        self._findings = findings
        self._thing = thing
        self._event = event

    def check(self, line: Line, what: str, wants: str = "true/false") -> None:
        """All that can be said of a line alone; ``wants`` is the kind it should have."""
        before = len(self._findings.errors)
        self._walk(line, line.term, what, None)
        if len(self._findings.errors) > before:
            return
        kind = self._kind(line.term)
        if kind not in {wants, "any"}:
            remedy = "no condition; compare it with something" if wants == "true/false" else f"not {_a(wants)}"
            self._error(line, line.term, f"{what}: this is {_a(kind)}, {remedy}")
        self._lengths(line, what)

    def nullable(self, line: Line) -> bool:
        """Can the line be unknown?"""
        return self._nullable(line.term, frozenset())

    def counted_down_alone(self, lines: Iterable[Line]) -> list[tuple[Line, str]]:
        """Names of days or hours to a date that have a bound from above and none from below."""
        upper: dict[str, Line] = {}
        lower: set[str] = set()
        for line in lines:
            for term in line.term.walk():
                self._bounds(line, term, upper, lower)
        return [(line, name) for name, line in upper.items() if name not in lower]

    def _info(self, name: str) -> Info:
        return self._names.info(name, self._thing, event=self._event) or Info()

    def _error(self, line: Line, term: Term, message: str) -> None:
        self._findings.error(line.place(term.offset), message)

    def _walk(self, line: Line, term: Term, what: str, parent: Term | None) -> None:
        if term.op == "name":
            self._name(line, term, what, parent)
        for arg in term.args:
            self._walk(line, arg, what, term)

    def _name(self, line: Line, term: Term, what: str, parent: Term | None) -> None:
        name = str(term.value)
        info = self._names.info(name, self._thing, event=self._event)
        self._near_miss(line, term, what)
        if info is None:
            self._error(line, term, f"{what}: unknown name '{name[:60]}'{self._hint(name, parent)}")
        elif info.template_only:
            self._error(line, term, f"{what}: '{name}' is a list for templates; count with open: instead")
        elif info.personal and (parent is None or parent.op != "known"):
            self._error(line, term, f"{what}: '{name}' is personal; only known({name}) may ask for it")
        elif info.moves and not _alone(term, parent):
            self._error(
                line,
                term,
                f"{what}: '{name}' moves with the clock; write it alone against a number, such as {name} >= 4",
            )

    def _near_miss(self, line: Line, term: Term, what: str) -> None:
        """A thing's properties are free, so that a misspelt name of its own would be a silent unknown."""
        owner, _, rest = str(term.value).partition(".")
        known = self._names.things.get(owner, {}) if owner == self._thing else {}
        near = get_close_matches(rest, sorted(known), n=1, cutoff=0.85) if rest and rest not in known else []
        if near:
            place = line.place(term.offset)
            message = f"{what}: '{owner}.{rest}' is read as a property; did you mean '{owner}.{near[0]}'?"
            self._findings.warning(place, message)

    def _hint(self, name: str, parent: Term | None) -> str:
        near = suggestion(name, self._names.near(self._thing, event=self._event))
        owner = name.partition(".")[0]
        if not near and "." in name and owner in self._names.things:
            return f"; '{owner}.' is known only in a rule for: each {owner}"
        if owner == "value":
            return "; a report knows the values that it shows; anywhere else name the measure itself"
        quoted = parent is not None and parent.op in {"eq", "ne"} and "." not in name
        text = f', or write "{name[:60]}" in quotes if it is text' if quoted else ""
        return near or f"; declare it under attributes or measures{text}"

    def _kind(self, term: Term) -> str:
        if term.op == "constant":
            return _kind_of(term.value)
        if term.op == "name":
            return self._info(str(term.value)).kind
        if term.op in TRUTHS:
            return "true/false"
        if term.op == "coalesce":
            kinds = {self._kind(arg) for arg in term.args}
            return kinds.pop() if len(kinds) == 1 else "any"
        return "number" if term.op in ARITHMETIC else "any"

    def _lengths(self, line: Line, what: str) -> None:
        for term in line.term.walk():
            self._joined(line, term, what)
            if term.op not in COMPARISONS | {"div", "sub"}:
                continue
            lengths = {self._info(name).length for arg in term.args for name in arg.names()} - {""}
            if len(lengths) > 1:
                self._findings.warning(
                    line.place(term.offset),
                    f"{what}: windows of different length are compared; give both per: day",
                )
            kinds = {self._kind(arg) for arg in term.args} - {"any"}
            if term.op in COMPARISONS and len(kinds) > 1:
                self._findings.warning(
                    line.place(term.offset),
                    f"{what}: compares {' with '.join(sorted(kinds))}; they are never equal",
                )

    def _joined(self, line: Line, term: Term, what: str) -> None:
        """``plan == "a" or "b"``: Python reads it so, and no author means it."""
        for arg in term.args if term.op in {"both", "either", "negate"} else ():
            kind = self._kind(arg)
            if kind not in {"true/false", "any"}:
                word = {"both": "and", "either": "or", "negate": "not"}[term.op]
                message = f"{what}: {_a(kind)} beside '{word}' is always unknown; compare it with something"
                self._findings.warning(line.place(arg.offset), message)

    def _bounds(self, line: Line, term: Term, upper: dict[str, Line], lower: set[str]) -> None:
        if term.op not in COMPARISONS:
            return
        left, right = term.args
        for arg, above in ((left, term.op in {"lt", "le"}), (right, term.op in {"gt", "ge"})):
            if arg.op == "name" and self._info(str(arg.value)).counts_down:
                if above:
                    upper.setdefault(str(arg.value), line)
                elif term.op != "ne":
                    lower.add(str(arg.value))

    def _nullable(self, term: Term, known: frozenset[str]) -> bool:
        if term.op == "constant":
            return False
        if term.op == "name":
            return str(term.value) not in known and self._info(str(term.value)).nullable
        if term.op == "known":
            return False
        if term.op == "coalesce":
            return all(self._nullable(arg, known) for arg in term.args)
        if term.op in {"both", "either"}:
            return self._any_nullable(term, known)
        if term.op == "div" and not (term.args[1].op == "constant" and term.args[1].value):
            return True
        if term.op in {"lt", "le", "gt", "ge"} and len({self._kind(arg) for arg in term.args} | {"any"}) != 2:  # noqa: PLR2004
            return True
        return any(self._nullable(arg, known) for arg in term.args if arg.op != "list")

    def _any_nullable(self, term: Term, known: frozenset[str]) -> bool:
        for arg in term.args:
            if self._nullable(arg, known):
                return True
            known |= _assured(arg, negated=term.op == "either")
        return False


def _assured(term: Term, *, negated: bool) -> frozenset[str]:
    """Names that are known in what follows: after ``known(x) and``, after ``not known(x) or``."""
    if negated:
        return _assured(term.args[0], negated=False) if term.op == "negate" else frozenset()
    if term.op == "known" and term.args[0].op == "name":
        return frozenset({str(term.args[0].value)})
    if term.op == "both":
        return frozenset().union(*(_assured(arg, negated=False) for arg in term.args))
    return frozenset()


def _alone(term: Term, parent: Term | None) -> bool:
    if parent is None:
        return False
    if parent.op == "known":
        return True
    others = [arg for arg in parent.args if arg is not term]
    return parent.op in COMPARISONS and all(arg.op == "constant" for arg in others) and len(others) == 1


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "true/false"
    return "text" if isinstance(value, str) else "number"


def _a(kind: str) -> str:
    return {"number": "a number", "date": "a date", "list": "a list"}.get(kind, kind)
