"""Forgetting: nothing that names an account or a person is left in any table, nor in the file."""

import re
from collections.abc import Iterator
from decimal import Decimal
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from engine.decision import Subject
from engine.errors import Fenced
from engine.feedback import Step
from engine.store import Claim, Forgotten, Reader, Sent, Snapshot, Stop, Store, Touch, Trait, Wishes
from engine.stores import open_store, tables
from engine.stores.sql import SqlStore
from engine.stores.tables import metadata
from tests.stores.made import (
    OTHER,
    OWNER,
    T0,
    account_in,
    claim_mail,
    claimed,
    committed,
    decision,
    entry,
    event,
    letter,
    mail,
    move_mail,
)

GONE = account_in(0, name="Zoë & Söhne/")
PERSON = "zoë/q-7421"
ADDRESS = "zoe.private@example.org"


def _cells(store: Store) -> Iterator[tuple[str, Any]]:
    assert isinstance(store, SqlStore)
    with store._driver.reading() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(sa.select(table)):
                for cell in row:
                    yield table.name, cell


def _holding(store: Store, *names: str) -> set[str]:
    """The tables in which a name still stands, as text, as bytes or escaped as JSON may."""
    spellings = [re.escape(one).encode() for name in names for one in (name, name.encode("unicode-escape").decode())]
    spellings += [rb"zo\\u00eb\\?/q-7421"] if PERSON in names else []
    pattern = re.compile(b"|".join(spellings), re.IGNORECASE)
    found = set()
    for table, cell in _cells(store):
        raw = cell if isinstance(cell, bytes) else str(cell).encode()
        if pattern.search(raw):
            found.add(table)
    return found


def _fill(store: Store, account: str) -> Claim:
    """Put the account and the person into every table that could hold them."""
    about = decision(
        account=account,
        subject=Subject("person", PERSON),
        to=(PERSON, "u2"),
        values={"who": PERSON, "n": 1},
        frozen={"you": {PERSON: {"role": "owner"}}, "people": [PERSON, "u2"]},
    )
    claim = claimed(store)
    last = claim.position
    store.put_inbox([(account, "event", f'{{"user_id":"{PERSON}"}}'.encode()), (account, "entry", b"{}")], at=T0)
    claim = committed(
        store,
        claim,
        events=[
            event(last + 1, account, user=PERSON, body=b'{"minutes": 1.50}'),
            event(last + 2, account, user="u2", body=f'{{"owner_id":"{PERSON}","n":2.0,"by":["{PERSON}"]}}'.encode()),
            event(last + 3, account, user="u2", body=b'{"owner_id":"zo\\u00EB\\/q-7421"}'),
            event(last + 4, account, user=None, body=b'{ "n":  1.0e5 }'),
        ],
        entries=[entry(last + 5, "outreach.withdrawn", account, decision_id=about.decision_id, person=PERSON)],
        facts=[about],
        traits=[Trait(account, PERSON, "email", ADDRESS, T0, 1), Trait(account, "u2", "email", "b@c.d", T0, 1)],
        touches=[Touch(account, PERSON, T0, "mail", "sent")],
        dead_letters=[
            letter(last + 1, raw=f'{{"user_id": "{PERSON}", "x": "{ADDRESS}"'.encode(), account=account),
            letter(last + 2, raw=b'{"fine": 1', account=account),
        ],
    )
    store.put_snapshots(claim, [Snapshot(0, account, last + 4, "f", f"state {PERSON} {account}".encode())])
    store.audit(at=T0, who="ann", what="approve", detail={"account": account, "people": [PERSON]})
    return claim


def test_a_forgotten_account_is_nowhere_and_its_neighbour_untouched(store: Store) -> None:
    claim = _fill(store, OTHER)
    before = (store.account_entries(OTHER), store.decisions(), store.outreach(), store.people(OTHER))
    _fill(store, GONE)
    store.put_dead_letters(
        [
            letter(90, raw=f'{{"account_id": "{GONE}", '.encode()),
            letter(91, raw=b'{"account_id": 1}'),
        ]
    )
    claim = claimed(store, take_over=True)
    store.suppress(store.key(ADDRESS), reason="complained", at=T0)
    store.choose(store.key(ADDRESS), {"tips": "out"}, at=T0, by="page")
    assert _holding(store, GONE), "the test would see it"
    done = store.forget_account(claim, GONE, at=T0)
    assert done == Forgotten(events=4, decisions=1, outreach=2, dead_letters=2, snapshots=1, people=2)
    assert _holding(store, GONE) == set()
    assert (store.account_entries(OTHER), store.decisions(), store.outreach(), store.people(OTHER)) == before
    assert store.accounts() == [OTHER]
    assert store.tombstones([GONE, OTHER]) == frozenset([GONE])
    assert store.wishes(store.key(ADDRESS)) == Wishes("complained", {"tips": "out"}), "nobody is written to again"
    assert [one.dead_letter_id for one in store.dead_letters() if one.account_id is None] == ["d91"]
    assert claimed(store, take_over=True).position == claim.position, "positions are never used again"


def test_a_forgotten_person_is_a_pseudonym_everywhere(store: Store) -> None:
    claim = _fill(store, GONE)
    of_nobody = f'{{"account_id": "{GONE}", "user_id": "{PERSON}", "x": "{ADDRESS}"'.encode()
    store.put_dead_letters([letter(90, raw=of_nobody), letter(91, raw=f'{{"account_id": "{GONE}"'.encode())])
    done = store.forget_person(claim, GONE, PERSON, properties=["owner_id", "by"], at=T0)
    assert done == Forgotten(events=3, decisions=1, outreach=2, dead_letters=2, snapshots=1, people=1)
    assert [one.dead_letter_id for one in store.dead_letters() if one.account_id is None] == ["d91"]
    assert _holding(store, PERSON, ADDRESS) == set()
    pseudonym = store.pseudonyms([(GONE, PERSON), (OTHER, PERSON)])[GONE, PERSON]
    assert re.fullmatch(r"p-[0-9a-f]{16}", pseudonym)
    events = [one.event for one in store.account_entries(GONE) if hasattr(one, "event")]
    assert [one.user_id for one in events] == [pseudonym, "u2", "u2", None]
    assert events[1].properties == {"owner_id": pseudonym, "n": Decimal("2.0"), "by": [pseudonym]}
    assert str(events[1].properties["n"]) == "2.0"
    (about,) = store.decisions()
    assert about.subject == Subject("person", pseudonym)
    assert (about.values, about.frozen["you"]) == ({"who": pseudonym, "n": 1}, {pseudonym: {"role": "owner"}})
    assert {one.to for one in about.mails} == {row.to for row in store.outreach()} == {pseudonym, "u2"}
    assert store.people(GONE) == {"u2": {"email": "b@c.d"}}
    assert store.touches(GONE) == [Touch(GONE, pseudonym, T0, "mail", "sent")], "caps still count it"
    assert [one.body for one in store.inbox(0, after=0)] == [f'{{"user_id":"{pseudonym}"}}'.encode(), b"{}"]
    assert store.altered_accounts() == frozenset([GONE])
    assert store.tombstones([GONE]) == frozenset()


def test_only_what_names_the_person_is_rewritten(store: Store) -> None:
    claim = _fill(store, GONE)
    store.forget_person(claim, GONE, PERSON, properties=[], at=T0)
    assert isinstance(store, SqlStore)
    with store._driver.reading() as connection:
        bodies = connection.execute(sa.text("SELECT body FROM events ORDER BY position")).scalars().all()
    assert bytes(bodies[3]) == b'{ "n":  1.0e5 }'
    assert PERSON.encode() in bytes(bodies[1]), "a property nobody declared stays"


def _sent(name: str, user: str | None, said: str, account: str = GONE) -> Sent:
    mail = EmailMessage(policy=SMTP)
    mail["To"] = f"somebody <{user or 'us'}@example.org>".replace("/", "-").replace("ë", "e")
    mail["Subject"] = "Für alle"
    mail.set_content(said, cte="quoted-printable")
    mail.add_alternative(f"<p>{said}</p>", subtype="html", cte="quoted-printable")
    return Sent(mail_id=name, account_id=account, user_id=user, raw=mail.as_bytes())


def test_what_was_sent_goes_with_the_account_its_reader_and_whoever_stands_in_it(store: Store) -> None:
    claim = _fill(store, GONE)
    mails = {
        "reader": _sent("reader", PERSON, "Hello."),
        "id": _sent("id", "u2", f"They are: {PERSON}."),
        "name": _sent("name", "u2", "Since Monday we have not seen Zoë Größenwahnsinnig-Oberhuber, of all " + "x" * 50),
        "first": _sent("first", None, "Call ZOË today"),
        "address": _sent("address", None, f"Write to <b>{ADDRESS}</b>"),
        "other": _sent("other", "u2", "Hello Zoey, nobody else is meant."),
        "ours": _sent("ours", None, "Nobody is meant here at all."),
    }
    (row, *_) = store.outreach()
    for one in mails.values():
        _hand_over(store, row.outreach_id, one)
    named = Trait(GONE, PERSON, "name", "Zoë Größenwahnsinnig-Oberhuber", T0, 2)
    claim = committed(store, claim, traits=[named])
    store.forget_person(claim, GONE, PERSON, properties=[], at=T0)
    assert _kept(store) == {"other", "ours"}
    _hand_over(store, row.outreach_id, _sent("elsewhere", "u2", "x", account=OTHER))
    store.forget_account(claim, GONE, at=T0)
    assert _kept(store) == {"elsewhere"}


def _hand_over(store: Store, outreach_id: str, mail: Sent) -> None:
    (row,) = store.outreach(outreach_id=outreach_id)
    step = Step(outreach_id=outreach_id, before=(row.state,), after="posting")
    assert move_mail(store, [step], at=T0, by="test", sent=mail)


def _kept(store: Store) -> set[str]:
    assert isinstance(store, SqlStore)
    with store._driver.reading() as connection:
        return set(connection.execute(sa.text("SELECT mail_id FROM sent")).scalars())


def test_a_person_forgotten_again_keeps_the_pseudonym(store: Store) -> None:
    claim = _fill(store, GONE)
    store.forget_person(claim, GONE, PERSON, properties=[], at=T0)
    first = store.pseudonyms([(GONE, PERSON)])
    claim = committed(store, claim, events=[event(claim.position + 1, GONE, user=PERSON)])
    assert store.forget_person(claim, GONE, PERSON, properties=[], at=T0).events == 1
    assert store.pseudonyms([(GONE, PERSON)]) == first
    users = {one.event.user_id for one in store.account_entries(GONE) if hasattr(one, "event")}
    assert users == {first[GONE, PERSON], "u2", None}


def test_an_account_forgotten_after_one_of_its_people_leaves_no_name_either(store: Store) -> None:
    claim = _fill(store, GONE)
    store.forget_person(claim, GONE, PERSON, properties=["owner_id", "by"], at=T0)
    store.forget_account(claim, GONE, at=T0)
    store.forget_account(claim, GONE, at=T0)
    assert _holding(store, GONE, PERSON, ADDRESS) == set()
    assert store.altered_accounts() == frozenset()
    assert store.pseudonyms([(GONE, PERSON)])


def test_only_the_owner_forgets(store: Store) -> None:
    claim = _fill(store, GONE)
    claimed(store, owner="desk:2:b", take_over=True)
    with pytest.raises(Fenced):
        store.forget_account(claim, GONE, at=T0)
    with pytest.raises(Fenced):
        store.forget_person(claim, GONE, PERSON, properties=[], at=T0)
    assert store.pseudonyms([(GONE, PERSON)]) == {}


def test_what_was_forgotten_cannot_be_read_from_the_files(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    claim = _fill(store, GONE)
    claim = committed(
        store,
        claim,
        events=[
            event(claim.position + n, GONE, user=PERSON, body=b'{"x":"' + b"y" * 9_000 + b'"}') for n in range(1, 40)
        ],
    )
    _fill(store, OTHER)
    claim = store.claim([0], OWNER, at=T0)[0]
    assert PERSON.encode() in _bytes(tmp_path)
    for account in (GONE, OTHER):
        store.forget_person(claim, account, PERSON, properties=["owner_id", "by"], at=T0)
    assert PERSON.encode() not in _bytes(tmp_path)
    assert ADDRESS.encode() not in _bytes(tmp_path)
    store.forget_account(claim, GONE, at=T0)
    assert GONE.encode() not in _bytes(tmp_path)
    store.close()


def test_a_mail_to_staff_keeps_its_reader(store: Store) -> None:
    staff = decision("staff", GONE, to=())
    letter_to_us = msgspec.structs.replace(mail(staff.decision_id, "ann@us.example"), audience="staff")
    claim = committed(store, claimed(store), facts=[msgspec.structs.replace(staff, mails=(letter_to_us,))])
    store.forget_person(claim, GONE, PERSON, properties=[], at=T0)
    assert [row.to for row in store.outreach()] == ["ann@us.example"]


def _bytes(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def test_a_mail_is_not_handed_over_to_whom_it_was_not_written(store: Store) -> None:
    about = decision(account=GONE, to=(PERSON,), due_at=T0)
    claim = committed(store, claimed(store), facts=[about], traits=[Trait(GONE, PERSON, "email", ADDRESS, T0, 1)])
    name = about.mails[0].outreach_id
    claim_mail(store, [name], account_id=GONE, person="k", since=T0, at=T0, by="s", may=lambda _: None)

    def handed_over(email: str) -> bool:
        step = Step(outreach_id=name, before=("claimed",), after="posting")
        kept = Sent(mail_id=name, account_id=GONE, user_id=PERSON, raw=ADDRESS.encode())
        return move_mail(store, [step], at=T0, by="s", sent=kept, reader=Reader(GONE, PERSON, email))

    assert not handed_over("zoe.before@example.org")
    store.forget_person(claim, GONE, PERSON, properties=(), at=T0)
    assert not handed_over(ADDRESS)
    assert (store.outreach()[0].state, store.sent(name)) == ("claimed", None)
    assert _holding(store, ADDRESS, PERSON) == set()


FIRST, FULL = "Zoë", "Zoë Quist"


def _typed(store: Store) -> dict[str, str]:
    """What people typed about mails, stops and the audit, by where they typed it."""
    mails = {f"mail of {row.account_id == GONE}": row.why or "" for row in store.outreach() if row.state == "rejected"}
    changes = [one.why or "" for row in store.outreach() for one in store.changes(row.outreach_id)]
    stops = {f"{one.scope} {one.name == GONE}": one.why for one in store.stops()}
    assert isinstance(store, SqlStore)
    with store._driver.reading() as connection:
        notes = connection.execute(sa.select(*tables.audit.c["what", "detail"]).order_by(tables.audit.c.seq)).all()
    audit = {f"{number} {row.what}": msgspec.json.decode(row.detail)["why"] for number, row in enumerate(notes)}
    return {**mails, "changes": " | ".join(one for one in changes if one), **stops, **audit}


def _type(store: Store) -> dict[str, str]:
    """People give reasons that name the person, and one that names somebody of the same first name."""
    whys = f"{FIRST} rang", f"{FULL} <{ADDRESS}> rang", f"ask zoë, not Zoës aunt, nor {PERSON}"
    claim = claimed(store)
    plans = [decision("a", GONE), decision("b", OTHER)]
    traits = [Trait(GONE, PERSON, name, value, T0, 1) for name, value in (("name", FULL), ("email", ADDRESS))]
    committed(store, claim, facts=plans, traits=traits)
    for plan, why in zip(plans, (whys[2], whys[0]), strict=True):
        (row,) = store.outreach(decision_id=plan.decision_id)
        store.move(row.outreach_id, ["queued"], "rejected", at=T0, by="ann", why=why)
        store.audit(at=T0, who="ann", what="rejected", detail={"mails": [row.outreach_id], "why": why})
    store.stop(Stop("rule", "zoë", T0, "ann", whys[1]))
    store.stop(Stop("account", GONE, T0, "ann", whys[0]))
    return _typed(store)


def test_words_that_people_typed_name_a_forgotten_person_no_more(store: Store) -> None:
    before = _type(store)
    (claim,) = [claimed(store, take_over=True)]
    store.forget_person(claim, GONE, PERSON, properties=[], at=T0)
    name, after = store.pseudonyms([(GONE, PERSON)])[GONE, PERSON], _typed(store)
    mine, other = f"ask {name}, not Zoës aunt, nor {name}", f"{FIRST} rang"
    rule, account = f"{name} <{name}> rang", f"{name} rang"
    assert after == {
        "mail of True": mine,
        "mail of False": other,  # another account's: its Zoë is somebody else
        "changes": " | ".join(after[one] for one in before if one.startswith("mail")),
        "rule False": rule,
        "account True": account,
        "0 rejected": mine,
        "1 rejected": other,
        "2 stop": rule,
        "3 stop": account,
    }
    assert [one.name for one in store.stops()].count("zoë") == 1, "a rule of that name keeps it"


def test_words_that_people_typed_name_nobody_of_a_forgotten_account(store: Store) -> None:
    _type(store)
    store.forget_account(claimed(store, take_over=True), GONE, at=T0)
    assert _holding(store, GONE, PERSON, FULL, ADDRESS) == set()
    assert _typed(store)["mail of False"] == f"{FIRST} rang"
