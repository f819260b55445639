"""Everyday life at a customer: who comes when and uses what, asks what, and signs the next contract."""

from itertools import count

from ringfirst.made_company.calendar import DAYS, date_text, is_workday, workday
from ringfirst.made_company.customers import Customer, Person, Plot
from ringfirst.made_company.pen import Pen
from ringfirst.made_company.words import BASICS, QUESTIONS

COMES = 0.93
"""How often somebody comes on a usual day."""
LONGEST = 6
"""Whoever comes every week makes up for a missed day after so many days."""
WEEKEND = 0.01
"""How often somebody who comes every week comes on a day off."""
NPS_EVERY = 90


def live(pen: Pen, one: Customer, plot: Plot) -> None:
    """Write down the everyday life of a customer from the first day to the last."""
    turns = {person.id: count(at) for at, person in enumerate(one.people)}
    seen = dict.fromkeys(turns, one.first_day)
    for day in range(one.first_day, min(plot.ends, DAYS)):
        for person in one.people:
            if day > plot.gone.get(person.id, DAYS) or not _comes(pen, one, person, day, day - seen[person.id]):
                continue
            seen[person.id] = day
            if pen.chance.random() < plot.share(day):
                _visit(pen, one, person, day, plot, turns[person.id])
        _everyday_questions(pen, one, plot, day)
    _surveys(pen, one, plot)
    _renewal(pen, one, plot)


def _comes(pen: Pen, one: Customer, person: Person, day: int, away: int) -> bool:
    if not is_workday(day, one.zone):
        return person.weeks == 1 and person.is_here(day) and pen.chance.random() < WEEKEND
    overdue = person.weeks == 1 and away >= LONGEST and person.is_here(day)
    return overdue or (person.means_to_come(day) and pen.chance.random() < COMES)


def _visit(pen: Pen, one: Customer, person: Person, day: int, plot: Plot, turns: "count[int]") -> None:
    """A session and what is used in it; everybody goes through what they know in turn, reports twice as often."""
    hour = 7.5 + pen.chance.random() * 7
    pen.note(day, hour, "session.started", person.id)
    known = plot.open_to(person, day, ("reports", *BASICS, *one.modules))
    for at in range(person.uses + (pen.chance.random() < 0.2)):
        feature = known[next(turns) % len(known)]
        saved = {"minutes_saved": 4 * pen.chance.randrange(5, 40)} if feature == "automations" else {}
        pen.note(day, hour + 0.3 + 0.4 * at, "feature.used", person.id, feature=feature, **saved)


def _everyday_questions(pen: Pen, one: Customer, plot: Plot, day: int) -> None:
    """Now and then a ticket that is answered within hours, or a call that somebody takes."""
    if not is_workday(day, one.zone):
        return
    luck = pen.chance.random() * {"small": 2.0, "middle": 1.0, "busy": 1.0, "large": 0.5}[one.size]
    here = [person for person in one.people if person.since <= day < plot.gone.get(person.id, DAYS)]
    person = here[pen.chance.randrange(len(here))]
    if luck < 0.01:
        _question(pen, one, person, day)
    elif luck < 0.015:
        call(pen, one, person, day, 10 + 5 * pen.chance.random())


def _question(pen: Pen, one: Customer, person: Person, day: int) -> None:
    ticket = f"{one.id}-t{day}"
    pen.note(day, 10, "ticket.opened", person.id, ticket_id=ticket, **question(pen.chance.randrange(len(QUESTIONS))))
    pen.note(day, 11 + 5 * pen.chance.random(), "ticket.replied", None, ticket_id=ticket, by="agent")
    if pen.chance.random() < 0.3:
        pen.note(day, 17, "ticket.replied", person.id, ticket_id=ticket, by="customer")
        pen.note(workday(day + 1, one.zone), 9, "ticket.replied", None, ticket_id=ticket, by="agent")
    pen.note(workday(day + 1, one.zone), 10 + 4 * pen.chance.random(), "ticket.solved", None, ticket_id=ticket)


def question(number: int) -> dict[str, str]:
    """What stands in an everyday ticket.

    >>> question(1)["question_type"]
    'how_to'
    """
    subject, kind, area = QUESTIONS[number % len(QUESTIONS)]
    return {"subject": subject, "question_type": kind, "product_area": area}


def call(pen: Pen, one: Customer, person: Person, day: int, hour: float, *, inbound: bool = True) -> None:
    """A call that is taken: from a person of the customer to us, or from us to the person."""
    number = f"{one.id}-c{day}-{int(hour * 60)}"
    direction = "inbound" if inbound else "outbound"
    facts = {"call_id": number, "direction": direction, "caller": person.id if inbound else one.owner}
    pen.note(day, hour, "call.received", person.id if inbound else None, **facts)
    pen.note(day, hour + 0.2, "call.answered", None if inbound else person.id, **facts)
    pen.note(day, hour + 0.5, "call.ended", None, **facts, minutes=5 + pen.chance.randrange(25))


def _surveys(pen: Pen, one: Customer, plot: Plot) -> None:
    """A question every quarter, which a third answer: seven and better."""
    begin = one.first_day + 20 + pen.chance.randrange(60)
    for day in range(begin, min(plot.ends, DAYS), NPS_EVERY):
        if pen.chance.random() < 0.35:
            score = (7, 8, 8, 9, 9, 10)[pen.chance.randrange(6)]
            pen.note(workday(day, one.zone), 15, "survey.answered", one.with_role("admin").id, kind="nps", score=score)


def _renewal(pen: Pen, one: Customer, plot: Plot) -> None:
    """A contract three weeks before the renewal; it is read the next day and signed within a week."""
    sent = workday(one.renewal - 21, one.zone)
    if not 0 < sent < min(plot.ends, DAYS) or one.plan == "free":
        return
    who, contract = one.with_role("admin").id, f"{one.id}-renewal"
    facts = {"contract_id": contract, "signer": who, "sign_by": date_text(one.renewal - 2), "mrr": one.monthly}
    signed = workday(sent + 2 + pen.chance.randrange(5), one.zone)
    pen.note(sent, 10, "contract.sent", None, **facts)
    pen.note(workday(sent + 1, one.zone), 9, "contract.viewed", who, contract_id=contract)
    if signed < plot.ends:
        pen.note(signed, 14, "contract.signed", who, contract_id=contract)
    if one.renewal < plot.ends:
        pen.note(one.renewal, 6, "subscription.renewed", None, plan=one.plan, seats=one.seats)
        pen.note(one.renewal, 6.2, "account.updated", renewal=date_text(one.renewal + 365))
