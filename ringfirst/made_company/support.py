"""Stories of questions: tickets that burn, wait and pile up, calls that nobody takes, and one bad day for all."""

from ringfirst.made_company.calendar import workday
from ringfirst.made_company.cooling import cancels
from ringfirst.made_company.customers import Customer, Plot
from ringfirst.made_company.habits import question
from ringfirst.made_company.pen import Pen
from ringfirst.made_company.words import TROUBLES

LATE = 15
"""A ticket of this hour or later is answered the next day."""


def _ask(pen: Pen, one: Customer, day: int, hour: float, *, number: int, trouble: bool = False) -> str:
    ticket, at = f"{one.id}-q{number}", one.turn + number
    about = {"subject": TROUBLES[at % len(TROUBLES)], "question_type": "bug"} if trouble else question(at)
    pen.note(day, hour, "ticket.opened", one.people[number % len(one.people)].id, ticket_id=ticket, **about)
    return ticket


def _burn(pen: Pen, one: Customer, day: int, hour: float, *, number: int) -> None:
    """A red ticket: it waits overnight, when it came late, or for two and a half hours, and is solved the next day."""
    ticket = _ask(pen, one, day, hour, number=number, trouble=True)
    pen.note(day, hour + 0.4, "ticket.escalated", None, ticket_id=ticket, grade="red")
    answered = (workday(day + 1, one.zone), 8.5) if hour > LATE else (day, hour + 2.6)
    pen.note(*answered, "ticket.replied", None, ticket_id=ticket, by="agent")
    pen.note(workday(day + 1, one.zone), 15, "ticket.solved", None, ticket_id=ticket)


def red(pen: Pen, one: Customer) -> Plot:
    """One red ticket that waits for more than an hour."""
    _burn(pen, one, workday(one.turn, one.zone), 15.5, number=1)
    return Plot()


def red_again(pen: Pen, one: Customer) -> Plot:
    """Two red tickets within a fortnight."""
    for number, after in enumerate((0, 12), 1):
        _burn(pen, one, workday(one.turn + after, one.zone), 10, number=number)
    return Plot()


def piles_up(pen: Pen, one: Customer) -> Plot:
    """Three questions on one Monday, and nobody answers before Wednesday afternoon."""
    day = one.turn + -one.turn % 7
    for number in (1, 2, 3):
        ticket = _ask(pen, one, day, 9 + number, number=number)
        pen.note(day + 2, 13 + number / 2, "ticket.replied", None, ticket_id=ticket, by="agent")
        pen.note(day + 3, 10 + number, "ticket.solved", None, ticket_id=ticket)
    return Plot()


def waits(pen: Pen, one: Customer) -> Plot:
    """A question that is forgotten for four days."""
    day = workday(one.turn, one.zone)
    ticket = _ask(pen, one, day, 10, number=1)
    pen.note(workday(day + 4, one.zone), 15, "ticket.replied", None, ticket_id=ticket, by="agent")
    pen.note(workday(day + 5, one.zone), 10, "ticket.solved", None, ticket_id=ticket)
    return Plot()


def nobody_takes_the_call(pen: Pen, one: Customer) -> Plot:
    """Two calls in one day that nobody takes."""
    day, who = workday(one.turn, one.zone), one.with_role("champion").id
    for at, hour in enumerate((9.5, 14.2), 1):
        facts = {"call_id": f"{one.id}-missed-{at}", "direction": "inbound", "caller": who}
        pen.note(day, hour, "call.received", who, **facts)
        pen.note(day, hour + 0.2, "call.missed", who, **facts)
    return Plot()


def detractor(pen: Pen, one: Customer) -> Plot:
    """They use it much and would not recommend it; one of them goes in the end."""
    day = workday(one.turn, one.zone)
    pen.note(day, 15, "survey.answered", one.with_role("champion").id, kind="nps", score=2 + pen.chance.randrange(4))
    return Plot(ends=cancels(pen, one, day + 45, "missed a feature")) if one.turn % 3 == 1 else Plot()


def outage(pen: Pen, one: Customer) -> Plot:
    """The bad day: exports fail for many at once; everybody is answered within hours and helped within two days."""
    begin = 10 + 3 * pen.chance.random()
    ticket = _ask(pen, one, one.turn, begin, number=1, trouble=True)
    pen.note(one.turn, begin + 1 + 2 * pen.chance.random(), "ticket.replied", None, ticket_id=ticket, by="agent")
    pen.note(
        one.turn + 1 + pen.chance.randrange(2), 10 + 5 * pen.chance.random(), "ticket.solved", None, ticket_id=ticket
    )
    return Plot()
