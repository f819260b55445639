"""What contact there was around mails: asked of many at once, and told of each."""

from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa

from engine.instants import Instant
from engine.store import APPOINTMENT, NOTE, OVER, SUBSCRIPTION, Contact
from engine.stores.mails import LEFT, MAIL
from engine.stores.many import Among
from engine.stores.tables import outreach, touches

_c, _t = outreach.c, touches.c
_SINCE: "sa.BindParameter[Any]" = sa.bindparam("since")
_MAILS = (
    sa.select(sa.func.min(_c.state_at).label("at"), _c.rule, _c.account_id, _c.person, _c.to)
    .where(
        sa.or_(Among(_c.account_id, "accounts"), Among(_c.person, "persons")),
        _c.audience == "customer",
        _c.state.in_(LEFT),
        _c.state_at >= _SINCE,
    )
    .group_by(MAIL, _c.rule, _c.account_id, _c.person, _c.to)
)
_TOUCHES = (
    sa.select(*_t["account_id", "user_id", "at", "channel", "kind"])
    .where(Among(_t.account_id, "accounts"), _t.at >= _SINCE, _t.channel != SUBSCRIPTION)
    .order_by(_t.touch)
)
_NOTES = (
    sa.select(
        sa.func.min(_c.state_at).label("at"),
        sa.func.min(_c.rule).label("rule"),
        sa.func.min(_c.account_id).label("account_id"),
        _c.person,
    )
    .where(Among(_c.person, "persons"), _c.audience == "staff", _c.state.in_(LEFT), _c.state_at >= _SINCE)
    .group_by(MAIL, _c.person)
)
_ELSEWHERE = sa.select(_c.state_at, _c.rule, _c.account_id, _c.person).where(
    Among(_c.person, "persons"),
    Among(_c.rule, "rules"),
    _c.state.in_(LEFT),
    _c.state_at >= _SINCE,
)


class Around:
    """Contact with some accounts and people, told again for each mail; what is claimed meanwhile is among it.

    ``persons`` are keys of addresses of customers, ``ours`` those of our own people.
    """

    def __init__(
        self,
        connection: sa.Connection,
        since: Instant,
        *,
        accounts: Collection[str] = (),
        persons: Collection[str] = (),
        ours: Collection[str] = (),
    ) -> None:
        """Ask, in as many questions as there are kinds of contact."""
        self._of_account: dict[str, list[Contact]] = {one: [] for one in accounts}
        self._of_person: dict[str, list[Contact]] = {one: [] for one in persons}
        self._notes: dict[str, list[Contact]] = {one: [] for one in ours}
        if accounts or persons:
            named = {"accounts": list(accounts), "persons": list(persons), "since": since}
            for row in connection.execute(_MAILS, named):
                self.add(Contact(row.at, "mail", row.rule, row.account_id, row.person, row.to))
            self._touched(connection, accounts, since)
        if ours:
            for note in connection.execute(_NOTES, {"persons": list(ours), "since": since}):
                self.add(Contact(note.at, NOTE, note.rule, note.account_id, note.person))

    def add(self, one: Contact) -> None:
        """Tell of this contact too from now on."""
        if one.channel == NOTE:
            self._notes.setdefault(one.person or "", []).append(one)
            return
        for found in (self._of_account.get(one.account_id), self._of_person.get(one.person or "")):
            if found is not None:
                found.append(one)

    def contacts(self, account_id: str, person: str) -> list[Contact]:
        """Contact with an account or a person: each mail once, and what the stream told of human contact."""
        mine = self._of_account[account_id]
        others = [one for one in self._of_person[person] if one.account_id != account_id]
        return sorted([*mine, *others], key=lambda one: (one.at, one.channel, one.kind, one.person or ""))

    def notes(self, person: str) -> list[Contact]:
        """Mails to one of us, each once, however many notes were folded into it."""
        return sorted(self._notes[person], key=lambda one: one.at)

    def _touched(self, connection: sa.Connection, accounts: Collection[str], since: Instant) -> None:
        ahead: dict[tuple[str, str], Contact] = {}
        for account, user, at, channel, kind in connection.execute(
            _TOUCHES, {"accounts": list(accounts), "since": since}
        ):
            if channel == APPOINTMENT:
                ahead[account, kind] = Contact(at, channel, kind, account)  # the last word on a meeting counts
            elif kind != "outreach.sent":  # what was sent the mails tell themselves, and sooner
                self.add(Contact(at, "reply" if channel == "mail" else channel, kind, account, None, user))
        for one in ahead.values():
            if one.at != OVER:
                self.add(one)


class Elsewhere:
    """Mails of rules to people that are out, or may be, for any account; what is claimed meanwhile is among them."""

    def __init__(
        self, connection: sa.Connection, rules: Collection[str], persons: Collection[str], since: Instant
    ) -> None:
        """Ask, in one question."""
        named = {"persons": list(persons), "rules": sorted(rules), "since": since}
        found = connection.execute(_ELSEWHERE, named) if persons else ()
        self._mails = [Contact(row.state_at, "mail", row.rule, row.account_id, row.person) for row in found]

    def add(self, rules: Iterable[str], account_id: str, person: str, at: Instant) -> None:
        """Tell of this mail too from now on."""
        self._mails += [Contact(at, "mail", rule, account_id, person) for rule in rules]

    def of(self, rules: Collection[str], account_id: str, person: str, since: Instant) -> list[Contact]:
        """Mails of these rules to a person for other accounts than this one, oldest first."""
        found = [
            one
            for one in self._mails
            if one.person == person and one.account_id != account_id and one.kind in rules and one.at >= since
        ]
        return sorted(found, key=lambda one: one.at)
