"""What a rulebook says, as frozen values: the language after reading, before it is compiled."""

import hashlib
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from engine.instants import DAY, HOUR, MINUTE
from engine.rulebook.expressions import Term
from engine.rulebook.findings import Place

OURS = "outreach."
"""The family of events that Ringfirst writes itself."""
OPENED = f"{OURS}opened"
OPENS = "mail programs and scanners open mails by themselves, so no rule rests on opens"
GOAL_WITHIN = 14 * DAY
CLOSE_AFTER = 24 * HOUR
"""How far every lane's clock is past a period's end when the period is closed, if its report says nothing else."""
NO_TERM = Term("constant", value=True)


def means_opens(text: str) -> bool:
    """Does an event type, or one ending in ``*``, name the opening of a mail?

    >>> [means_opens(one) for one in ("outreach.opened", "outreach.*", "outreach.o*", "outreach.sent", "*")]
    [True, True, True, False, False]
    """
    begin = text.removesuffix("*")
    return text == OPENED or (text != begin and begin.startswith(OURS) and OPENED.startswith(begin))


@dataclass(frozen=True, slots=True)
class Types:
    """Event types: exact names and beginnings (``ticket.*``; ``*`` is any)."""

    exact: tuple[str, ...] = ()
    beginnings: tuple[str, ...] = ()

    def match(self, event_type: str) -> bool:
        """Is the type one of these?

        ``outreach.*`` is meant only where it is named: a mail of ours is no sign of life from a customer.

        >>> Types(beginnings=("",)).match("outreach.sent"), Types(beginnings=("outreach.",)).match("outreach.sent")
        (False, True)
        """
        if event_type in self.exact or not self.beginnings:
            return event_type in self.exact
        ours = event_type.startswith(OURS)
        return any(event_type.startswith(start) and ours <= start.startswith(OURS) for start in self.beginnings)


@dataclass(frozen=True, slots=True)
class Test:
    """One key of a ``where``: the value at ``path`` against ``operands`` (several: any one of them)."""

    path: tuple[str, ...]
    op: Literal["is", "not", "at_least", "more_than", "at_most", "less_than", "known"]
    operands: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Act:
    """Events of these types that pass the tests."""

    types: Types = Types()
    where: tuple[Test, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of time a measure looks at.

    ``ever``; ``days``: ``size`` calendar days ending ``shift`` days ago; ``exact``: ``size`` milliseconds ending
    ``shift`` milliseconds ago; ``calendar``: this or the previous ``unit``.
    """

    kind: Literal["ever", "days", "exact", "calendar"] = "ever"
    size: int = 0
    shift: int = 0
    unit: str = ""
    previous: bool = False


EVER = Window()


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure as written. ``thing`` is what it is over; ``scope`` the thing it belongs to (None: the account)."""

    name: str
    verb: str
    types: Types | None = None
    prop: str = ""
    where: tuple[Test, ...] = ()
    window: Window = EVER
    per: Literal["day", "week"] | None = None
    full: bool = False
    times: Fraction = Fraction(1)
    never_unknown: bool = False
    as_number: bool = False
    thing: str = ""
    take: str = "sum"
    segment: str = ""
    at_most: int = 0
    scope: str = ""
    at: Place = field(default=Place(""), compare=False)

    @property
    def fingerprint(self) -> str:
        """Tells one definition from another; the name is not part of it."""
        parts = (
            self.verb,
            self.types,
            self.prop,
            self.where,
            self.window,
            self.per,
            self.full,
            self.times,
            self.never_unknown,
            self.as_number,
            self.thing,
            self.take,
            self.segment,
            self.at_most,
            self.scope,
        )
        return fingerprint(repr(parts))


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing inside an account: how it opens, waits and closes. The built-in person has ``name`` "person"."""

    name: str
    id: str = ""
    where: tuple[Test, ...] = ()
    opened_by: tuple[Act, ...] = ()
    asked_by: tuple[Act, ...] = ()
    answered_by: tuple[Act, ...] = ()
    closed_by: tuple[Act, ...] = ()
    family: Types = Types()
    people: tuple[tuple[str, str], ...] = ()
    dates: tuple[str, ...] = ()
    declared: tuple[tuple[str, str], ...] = ()
    measures: tuple[Measure, ...] = ()
    each_in: str = ""
    portfolio: bool = False
    at: Place = field(default=Place(""), compare=False)

    @property
    def fingerprint(self) -> str:
        """Tells one definition from another, its measures included."""
        own = (
            self.name,
            self.id,
            self.where,
            self.opened_by,
            self.asked_by,
            self.answered_by,
            self.closed_by,
            self.family,
            self.people,
            self.dates,
            self.declared,
            self.each_in,
            self.portfolio,
        )
        return fingerprint(repr(own) + "".join(m.name + m.fingerprint for m in self.measures))


@dataclass(frozen=True, slots=True)
class Line:
    """One condition with its text and place."""

    text: str
    term: Term
    at: Place = field(default=Place(""), compare=False)
    quoted: bool = field(default=False, compare=False)

    def place(self, offset: int) -> Place:
        """The place of a character of the text."""
        return Place(self.at.path, self.at.line, self.at.column + self.quoted + offset)


@dataclass(frozen=True, slots=True)
class Segment:
    """A named group of accounts."""

    name: str
    when: tuple[Line, ...]
    owner: str = ""
    at: Place = field(default=Place(""), compare=False)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a score: linear between ``start`` (0) and ``end`` (100)."""

    name: str
    value: Line
    start: float
    end: float
    weight: float
    if_unknown: float | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """A weighted mean of parts, held down by its worst one."""

    name: str
    parts: tuple[Part, ...]
    cap_above_worst: float | None = None
    needs: float = 0.0
    bands: tuple[tuple[str, float], ...] = ()
    at: Place = field(default=Place(""), compare=False)


@dataclass(frozen=True, slots=True)
class Hours:
    """When a customer may be written to: [from, until) in minutes of the local day, on these weekdays (0 = Monday).

    Not on public holidays of these places (``DE``, ``DE-BY``).
    """

    start: int = 8 * 60
    end: int = 18 * 60
    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    holidays: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so many contacts in any stretch of ``span`` milliseconds; ``text`` is how it was written."""

    most: int
    span: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class ContactPolicy:
    """How often, and when not, customers are written to, over all rules; spans in milliseconds.

    ``gap`` lies between two mails to one person. ``pause_after`` has event types of contact, and how long no mail goes
    to the account after one. ``exclude_domains`` and ``exclude_accounts`` (trait, value) are never written to, with
    ``exclude_cancelled`` also who has cancelled. ``near_meeting``: so long before and after a meeting begins.
    """

    caps_person: tuple[Cap, ...] = ()
    caps_account: tuple[Cap, ...] = ()
    gap: int = 0
    pause_after: tuple[tuple[str, int], ...] = ()
    exclude_domains: tuple[str, ...] = ()
    exclude_accounts: tuple[tuple[str, object], ...] = ()
    exclude_cancelled: bool = False
    near_meeting: int = 0

    @property
    def longest(self) -> int:
        """How far back anything may count."""
        spans = [cap.span for cap in (*self.caps_person, *self.caps_account)]
        return max([self.gap, self.near_meeting, *spans, *(span for _, span in self.pause_after)], default=0)


@dataclass(frozen=True, slots=True)
class Source:
    """A stream of events whose silence must not be read as silent customers; ``late_after`` in milliseconds.

    ``mark`` is the name under which its events are counted: one that has other types begins anew.
    """

    name: str
    types: Types
    late_after: int = 2 * HOUR
    least: float = 0.5
    at: Place = field(default=Place(""), compare=False)
    mark: str = field(init=False)

    def __post_init__(self) -> None:
        """Compute the mark once: it is asked for at every hour of history."""
        object.__setattr__(self, "mark", fingerprint(repr(self.types)))


@dataclass(frozen=True, slots=True)
class Topic:
    """What a reader can stop mails by. With ``needs_consent`` only those get them who asked for them.

    ``trait`` is the trait of a person that says so too, when it is true.
    """

    name: str
    title: str
    needs_consent: bool = False
    trait: str = ""


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics there are, and (rule id, topic, class) of every rule that writes to customers."""

    known: tuple[Topic, ...] = ()
    of_rules: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Breaker:
    """What trips a rule to review: more mails of it than ``rule``, or more than a share.

    ``base`` is the share of all accounts that it may write to in 24 hours; ``bounces`` and ``complaints`` are a share
    and of how many mails it is, (0, 0) for none.
    """

    rule: Cap | None = None
    base: float | None = None
    bounces: tuple[float, int] = (0.0, 0)
    complaints: tuple[float, int] = (0.0, 0)


@dataclass(frozen=True, slots=True)
class Calendar:
    """Working hours of ours: ``hours`` of local days in ``zone``."""

    name: str
    zone: str = "UTC"
    hours: Hours = Hours()
    at: Place = field(default=Place(""), compare=False)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """A monthly report of which a reader may have one for the quarter instead: the ids of both."""

    monthly: str
    quarterly: str
    title: str


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for all rules; spans in milliseconds. ``staff_names`` are our people: (address, name).

    ``once_across`` has the rules whose mail a person gets for one account only, and for how long (0: for ever).
    ``rhythms`` are the reports of which a reader may choose how often they come.
    """

    timezone: str = "UTC"
    staff_domains: tuple[str, ...] = ()
    settle: int = 15 * MINUTE
    hours: Hours = Hours()
    hold_for: int = 3 * DAY
    contact: ContactPolicy = ContactPolicy()
    sources: tuple[Source, ...] = ()
    topics: Topics = Topics()
    staff_names: tuple[tuple[str, str], ...] = ()
    breaker: Breaker = Breaker()
    canary: int = 0
    once_across: tuple[tuple[str, int], ...] = ()
    rhythms: tuple[Rhythm, ...] = ()
    calendars: tuple[Calendar, ...] = ()


@dataclass(frozen=True, slots=True)
class Reader:
    """One entry of ``to``: alternatives in order, of which the first that is known is written to."""

    alternatives: tuple[str, ...]
    text: str = ""


InDoubt = Literal["hold", "resend"]
"""What a rule says of a mail that may have left: never send it again, or send it again though it may arrive twice."""


@dataclass(frozen=True, slots=True)
class Outreach:
    """``send`` (to a customer's people) or ``notify`` (to us)."""

    audience: Literal["customer", "staff"]
    template: str
    to: tuple[Reader, ...]
    mail_class: Literal["transactional", "relationship", "marketing", "internal"]
    mode: Literal["auto", "review"]
    extra: tuple[tuple[str, object], ...] = ()
    at: Place = field(default=Place(""), compare=False)
    topic: str = ""


@dataclass(frozen=True, slots=True)
class ReEntry:
    """``never``, ``every_time``, ``every`` (``span`` milliseconds) or ``once_per`` (``name``)."""

    kind: Literal["never", "every", "every_time", "once_per"] = "never"
    span: int = 0
    unit: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as written. ``subject`` is ``account``, ``thing``, ``event`` or ``portfolio``; ``each`` names which.

    ``report`` is the report that it was made of; empty for what stands under ``rules``.
    """

    id: str
    at: Place = field(default=Place(""), compare=False)
    title: str = ""
    kind: str = ""
    why: str = ""
    false_alarms: str = ""
    owner: str = ""
    subject: Literal["account", "thing", "event", "portfolio"] = "account"
    each: str = ""
    audience: str = ""
    when: tuple[Line, ...] = ()
    unless: tuple[Line, ...] = ()
    clear_when: Line | None = None
    holds_for: int = 0
    re_entry: ReEntry = ReEntry()
    outreach: Outreach | None = None
    status: Literal["live", "draft"] = "live"
    holdout: float = 0.0
    backfill: bool = False
    withdraw: bool = True
    priority: int = 50
    max_age: int = DAY
    each_alone: bool = False
    every: int = HOUR
    goal: Line | None = None
    goal_within: int = GOAL_WITHIN
    in_doubt: InDoubt | None = None
    across_accounts: Literal["", "one", "each"] = ""
    next_step: str = ""
    report: str = ""

    @property
    def once_across(self) -> int | None:
        """How long one person gets the rule's mail for one account only, in milliseconds; None: for each of them.

        As long as the account itself would get no second one: 0 is for ever; where nothing says how long, ``max_age``.
        """
        if self.outreach is None or self.outreach.audience == "staff":
            return None
        each = bool(self.thing) or self.outreach.mail_class == "transactional"
        if (self.across_accounts or ("each" if each else "one")) == "each":
            return None
        if self.re_entry.kind == "every":
            return self.re_entry.span
        return 0 if self.re_entry.kind == "never" and self.subject == "account" else self.max_age

    @property
    def thing(self) -> str:
        """The thing it is for each of, or nothing."""
        return self.each if self.subject == "thing" else ""


@dataclass(frozen=True, slots=True)
class Worth:
    """What a value is worth: ``rate`` of ``currency`` for one unit, or the sum of ``prop`` over its events.

    Without a ``currency`` the amounts of a sum are in the event's own or, where it names none, the account's.
    """

    currency: str = ""
    rate: Fraction | None = None
    prop: str = ""


@dataclass(frozen=True, slots=True)
class NamedValue:
    """Something a customer got: a measure, asked of a report's period, and what that is worth."""

    name: str
    measure: str
    label: str
    unit: str = ""
    worth: Worth | None = None
    at: Place = field(default=Place(""), compare=False)


@dataclass(frozen=True, slots=True)
class Support:
    """What a report says of support: of which thing, and in which calendar of the policy besides (empty: none)."""

    of: str
    hours: str = ""


@dataclass(frozen=True, slots=True)
class Adoption:
    """What a report says of use: a measure of people, the attribute with their seats, a measure of bought things."""

    people: str = ""
    seats: str = "seats"
    features: str = ""


@dataclass(frozen=True, slots=True)
class NextSteps:
    """Rules whose next steps a report shows, and how many of them at most."""

    from_rules: tuple[str, ...]
    at_most: int = 3


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a report goes out: on which day of the period after its own (1 is the first), and when in minutes.

    Both are in the account's zone; where nobody may be written to on that day, it is the next on which one may.
    """

    every: Literal["week", "month", "quarter"]
    on_day: int
    minute: int


@dataclass(frozen=True, slots=True)
class Sending:
    """How a report is sent: when, to whom, and what somebody must look at first."""

    schedule: Schedule
    to: tuple[Reader, ...]
    template: str
    mail_class: Literal["relationship", "marketing"]
    mode: Literal["auto", "review"]
    topic: str = ""
    owner: str = ""
    review_if: tuple[Line, ...] = ()
    holdout: float = 0.0
    priority: int = 50
    goal: Line | None = None
    goal_within: int = GOAL_WITHIN
    at: Place = field(default=Place(""), compare=False)


@dataclass(frozen=True, slots=True)
class Report:
    """A recurring report as written. ``unit`` is its period: ``week``, ``month`` or ``quarter``.

    Without ``sending`` it is computed and looked at, and never leaves. Its period is closed when every lane's clock is
    past its end by ``close_after`` milliseconds; until then its figures may still move. ``may_choose``: a reader may
    have one for the quarter instead; ``instead_of`` is the id of the report that such a one stands for. With
    ``gathers`` accounts that name a parent are parts of its report.
    """

    id: str
    unit: str
    values: tuple[str, ...]
    title: str = ""
    audience: str = ""
    price: str = ""
    compare: tuple[str, ...] = ()
    send_if: tuple[Line, ...] = ()
    unless: tuple[Line, ...] = ()
    at: Place = field(default=Place(""), compare=False)
    lead_with: str = ""
    support: Support | None = None
    adoption: Adoption | None = None
    next_steps: NextSteps | None = None
    sending: Sending | None = None
    close_after: int = CLOSE_AFTER
    may_choose: bool = False
    instead_of: str = ""
    gathers: bool = False


def fingerprint(text: str) -> str:
    """Sixteen hexadecimal digits that stand for a definition."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
