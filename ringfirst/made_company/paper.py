"""Stories of contracts: unread, read again and again, put off, and renewals that come too early."""

from ringfirst.made_company.calendar import date_text, workday
from ringfirst.made_company.cooling import cancels
from ringfirst.made_company.customers import Customer, Plot
from ringfirst.made_company.pen import Pen


def _send(pen: Pen, one: Customer, day: int, hour: float, signer: str) -> str:
    contract = f"{one.id}-seats"
    more = 2 * one.seats
    pen.note(
        day, hour, "contract.sent", None, contract_id=contract, signer=signer, sign_by=date_text(day + 14), seats=more
    )
    return contract


def unread(pen: Pen, one: Customer) -> Plot:
    """A contract for more seats lies unopened for four days, and is signed when it is found."""
    day, who = workday(one.turn, one.zone), one.with_role("admin").id
    contract = _send(pen, one, day, 10, who)
    found = workday(day + 4, one.zone)
    pen.note(found, 11, "contract.viewed", who, contract_id=contract)
    pen.note(workday(found + 1, one.zone), 9, "contract.signed", who, contract_id=contract)
    return Plot()


def unread_in_the_evening(pen: Pen, one: Customer) -> Plot:
    """A contract sent in the evening is opened two days later in the night, before a mail could go out."""
    day, who = workday(one.turn, one.zone), one.with_role("admin").id
    contract = _send(pen, one, day, 19, who)
    pen.note(day + 2, 21, "contract.viewed", who, contract_id=contract)
    pen.note(workday(day + 3, one.zone), 9, "contract.signed", who, contract_id=contract)
    return Plot()


def unread_without_address(pen: Pen, one: Customer) -> Plot:
    """Who shall sign is named, but nobody has told us the address; it is declined in the end."""
    day = workday(one.turn, one.zone)
    pen.note(day, 8, "user.updated", "the-notary", role="signer", name="The Notary")
    contract = _send(pen, one, day, 10, "the-notary")
    pen.note(workday(day + 12, one.zone), 11, "contract.declined", None, contract_id=contract)
    return Plot()


def read_again(pen: Pen, one: Customer) -> Plot:
    """A contract is opened again and again by two people, and signed only days later."""
    last = workday(one.turn, one.zone)
    who, other = one.with_role("admin").id, one.with_role("champion").id
    contract = _send(pen, one, workday(last - 6, one.zone), 10, who)
    for at, hour in ((-5, 9), (-2, 16), (-1, 11), (-1, 17)):
        day = workday(last + at, one.zone)
        pen.note(min(day, last), hour, "contract.viewed", (who, other)[at % 2], contract_id=contract)
    pen.note(last, 9.5, "contract.viewed", other, contract_id=contract)
    pen.note(last, 14, "contract.viewed", who, contract_id=contract)
    pen.note(workday(last + 6, one.zone), 9, "contract.signed", who, contract_id=contract)
    return Plot()


def put_off(pen: Pen, one: Customer) -> Plot:
    """The day of signing is moved twice; every other contract is declined in the end."""
    day, who = workday(one.turn, one.zone), one.with_role("admin").id
    contract = _send(pen, one, day, 10, who)
    pen.note(workday(day + 1, one.zone), 9, "contract.viewed", who, contract_id=contract)
    for at in (1, 2):
        moved = workday(day + 11 * at, one.zone)
        pen.note(moved, 13, "contract.updated", None, contract_id=contract, sign_by=date_text(day + 14 + 14 * at))
    end = "contract.signed" if one.turn % 2 else "contract.declined"
    pen.note(workday(day + 30, one.zone), 11, end, who, contract_id=contract)
    return Plot()


def renewal_near(pen: Pen, one: Customer) -> Plot:
    """The renewal is near and hardly anybody comes; every other one does not renew."""
    plot = Plot(shares=[(one.turn - 30, 0.35)])
    if one.turn % 2:
        plot.ends = cancels(pen, one, one.turn + 40, "not renewed")
    return plot
