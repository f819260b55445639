"""Stories of what was bought and is not used."""

from ringfirst.made_company.calendar import DAYS, workday
from ringfirst.made_company.customers import Customer, Plot
from ringfirst.made_company.pen import Pen
from ringfirst.made_company.words import BASICS, OWNERS


def no_automations(pen: Pen, one: Customer) -> Plot:
    """They build reports every week and stop starting automations; every other one begins again when asked."""
    tried = one.turn + 35 + pen.chance.randrange(6)
    if one.turn % 2:
        for at in range(0, DAYS - tried, 4):
            who = one.people[at % len(one.people)].id
            pen.note(tried + at, 11, "feature.used", who, feature="automations", minutes_saved=60)
    return Plot(until={"automations": one.turn})


def asked_first(pen: Pen, one: Customer) -> Plot:
    """The same, but they wait for us to mend something: whoever waits does not want advice."""
    day, ticket = workday(one.turn + 20, one.zone), f"{one.id}-mend"
    who = one.with_role("admin").id
    pen.note(
        day, 10, "ticket.opened", who, ticket_id=ticket, subject="The export has an empty column", question_type="bug"
    )
    pen.note(day, 12, "ticket.replied", None, ticket_id=ticket, by="agent")
    return Plot(until={"automations": one.turn})


def never_opened(pen: Pen, one: Customer) -> Plot:
    """A module that somebody bought and nobody opens."""
    return Plot(unused=frozenset({one.modules[1]}))


def one_hand(pen: Pen, one: Customer) -> Plot:
    """A module that the champion uses nearly every time and nobody else ever."""
    module, who = one.modules[1], one.with_role("champion")
    for day in range(DAYS):
        if who.means_to_come(day):
            pen.note(day, 15, "feature.used", who.id, feature=module)
    return Plot(only={module: who.id})


def dropped(pen: Pen, one: Customer) -> Plot:
    """A module that three people used much and then left lying, while all the rest goes on."""
    module = one.modules[1]
    for day in range(one.turn):
        for who in one.people[:3]:
            if who.means_to_come(day) and day % 2:
                pen.note(day, 15, "feature.used", who.id, feature=module)
    return Plot(until={module: one.turn})


def narrow(pen: Pen, one: Customer) -> Plot:
    """From some day on they use two features only, though much."""
    left = {name: one.turn for name in (*BASICS[2:], *one.modules) if name != "automations"}
    return Plot(until={**left, "charts": one.turn})


def idle_seats(pen: Pen, one: Customer) -> Plot:
    """Four times the seats that they need, and on the way somebody else of us looks after them."""
    owner = OWNERS[(OWNERS.index(one.owner) + 1) % len(OWNERS)]
    pen.note(60, 9, "owner.changed", None, owner=owner, before=one.owner)
    pen.note(60, 9.2, "account.updated", owner=owner)
    return Plot()
