"""Stories of customers who cool off: some are asked in time and stay, some go, and some go without a sign."""

from ringfirst.made_company.calendar import workday
from ringfirst.made_company.customers import Customer, Plot
from ringfirst.made_company.habits import call, question
from ringfirst.made_company.pen import Pen


def cancels(pen: Pen, one: Customer, day: int, reason: str) -> int:
    """The customer cancels on that day or the next working one, which is given back."""
    ends = workday(day, one.zone)
    pen.note(ends, 16, "subscription.cancelled", None, reason=reason, plan=one.plan, seats=one.seats)
    return ends


def fades(pen: Pen, one: Customer) -> Plot:
    """They come less and less, and most of them cancel a month later."""
    ends = one.turn + 24 + pen.chance.randrange(16)
    plot = Plot(shares=[(one.turn - 7, 0.7), (one.turn, 0.15), (one.turn + 12, 0.05)])
    if one.turn % 4:
        plot.ends = cancels(pen, one, ends, "no longer used")
    return plot


def saved(pen: Pen, one: Customer) -> Plot:
    """They come less; one of us rings them two weeks later, and they come back."""
    asked = workday(one.turn + 15, one.zone)
    call(pen, one, one.with_role("champion"), asked, 10.5, inbound=False)
    return Plot(shares=[(one.turn, 0.12), (asked, 1.0)])


def champion_leaves(pen: Pen, one: Customer) -> Plot:
    """The champion's account is removed; the others go on, in every other place a little less."""
    who, day = one.with_role("champion"), workday(one.turn, one.zone)
    pen.note(day, 14, "user.removed", who.id)
    plot = Plot(gone={who.id: day - 1})
    if one.turn % 2:
        plot.shares.append((day + 5, 0.6))
        plot.ends = cancels(pen, one, day + 40, "changed to another product")
    return plot


def champion_silent(pen: Pen, one: Customer) -> Plot:
    """The champion is not seen any more, and nobody has said why."""
    return Plot(gone={one.with_role("champion").id: one.turn})


def person_stops(pen: Pen, one: Customer) -> Plot:
    """One of the diligent people stays away; every other one of them comes back after a month."""
    who = one.people[2]
    if one.turn % 2:
        for day in range(one.turn + 30, one.turn + 120):
            if who.means_to_come(day):
                pen.note(day, 9, "session.started", who.id)
    return Plot(gone={who.id: one.turn})


def back_in_the_morning(pen: Pen, one: Customer) -> Plot:
    """One of the diligent people is back on the very morning on which we would have written."""
    who, other = one.people[2], one.people[3]
    day = workday(one.turn, one.zone)
    pen.note(day, 9, "session.started", who.id)
    pen.note(day + 14, 6.5, "session.started", who.id)
    for later in range(day + 15, day + 150):
        if other.means_to_come(later):
            pen.note(later, 9, "session.started", who.id)
    return Plot(gone={who.id: day - 1})


def in_trouble(pen: Pen, one: Customer) -> Plot:
    """They ask and ask, wait long, come less, and go in the end."""
    for at in range(4):
        day = workday(one.turn + 2 * at, one.zone)
        ticket, who = f"{one.id}-h{at + 1}", one.people[at % 2].id
        pen.note(day, 9, "ticket.opened", who, ticket_id=ticket, **question(one.turn + at))
        pen.note(workday(day + 2, one.zone), 14, "ticket.replied", None, ticket_id=ticket, by="agent")
        pen.note(workday(day + 6, one.zone), 10, "ticket.replied", who, ticket_id=ticket, by="customer")
        pen.note(workday(day + 8, one.zone), 16, "ticket.replied", None, ticket_id=ticket, by="agent")
        pen.note(workday(day + 26 + at, one.zone), 12, "ticket.solved", None, ticket_id=ticket)
    pen.note(workday(one.turn + 9, one.zone), 15, "survey.answered", one.with_role("admin").id, kind="nps", score=3)
    ends = cancels(pen, one, one.turn + 34, "too many problems")
    return Plot(shares=[(one.turn + 4, 0.4), (one.turn + 14, 0.15)], ends=ends)


def bought_out(pen: Pen, one: Customer) -> Plot:
    """They cancel out of the blue: nothing that they did before could have told."""
    return Plot(ends=cancels(pen, one, one.turn + 3, "the new parent company has its own"))
