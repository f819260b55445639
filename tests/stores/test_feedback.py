"""What providers tell, in the store: kept once, found again by its mail, learned from once, gone with an account."""

import threading
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from engine.feedback import Feedback, Learned, MailFact, Step
from engine.instants import DAY
from engine.store import Note, Sent, Stop, Store
from engine.stores.tables import outreach
from tests.stores.made import ACME, MINUTE, OTHER, T0, account_in, claim_mail, claimed, committed, decision, move_mail


def told(event: str = "e1", **more: Any) -> Feedback:
    known: dict[str, Any] = {"provider": "sendgrid", "kind": "delivered", "at": T0, "heard_at": T0 + 5, **more}
    return Feedback(event_id=event, **known)


def mail_out(store: Store, rule: str = "r", *, channel: str = "sendgrid", at: int = T0, state: Any = "accepted") -> str:
    """A mail that left, with the ids by which feedback finds it."""
    plan = decision(rule, due_at=T0)
    committed(store, claimed(store, take_over=True), facts=[plan])
    name = plan.mails[0].outreach_id
    known: dict[str, Any] = {"account_id": ACME, "person": "ada", "since": T0, "at": T0, "by": "s"}
    claim_mail(store, [name], may=lambda _: None, **known)
    assert move_mail(
        store,
        [Step(outreach_id=name, before=("claimed",), after=state)],
        at=at,
        by="s",
        known={"channel": channel, "message_id": f"<{rule}@x>", "provider_id": f"p-{rule}"},
    )
    if store.url.startswith("postgresql"):  # it says by its own clock when a step was written down
        engine = sa.create_engine(store.url)
        with engine.begin() as connection:
            connection.execute(sa.update(outreach).where(outreach.c.outreach_id == name).values(stored_at=at))
        engine.dispose()
    return name


def test_what_is_told_twice_is_kept_once_and_waits_in_the_order_it_came(store: Store) -> None:
    assert store.put_feedback([told("b"), told("a"), told("b", kind="opened")]) == 2
    assert store.put_feedback([told("a"), told("a", provider="smtp")]) == 1
    assert [(one.provider, one.event_id, one.kind) for one in store.feedback(limit=9)] == [
        ("sendgrid", "b", "delivered"),
        ("sendgrid", "a", "delivered"),
        ("smtp", "a", "delivered"),
    ]
    assert len(store.feedback(limit=1)) == 1


def test_it_comes_back_as_it_was_told(store: Store) -> None:
    one = told(mail_id="m", provider_id="p", message_id="<é>", person="k", body=b'{"x":1}')
    store.put_feedback([one])
    (found,) = store.feedback(limit=9)
    assert (found.mail_id, found.provider_id, found.message_id, found.person, found.body, found.at, found.heard_at) == (
        "m",
        "p",
        "<é>",
        "k",
        b'{"x":1}',
        T0,
        T0 + 5,
    )


def test_an_address_is_not_written_to_any_more_from_the_moment_it_is_told(store: Store) -> None:
    store.put_feedback([told("a", person="ada"), told("b", person="bob")], suppress={"a": "bounced"})
    assert (store.suppressed("ada"), store.suppressed("bob")) == ("bounced", None)
    store.put_feedback([told("c", person="ada")], suppress={"c": "complained"})
    assert store.suppressed("ada") == "bounced", "the first reason stays"


def test_what_is_told_again_does_not_undo_what_was_taken_back_by_hand(store: Store) -> None:
    """A provider that had no answer tells again for a day, and whoever has a signed batch may."""
    bounce = told("a", person="ada", kind="bounced")
    store.put_feedback([bounce], suppress={"a": "bounced"})
    assert store.unsuppress("ada", note=Note(T0, "ann", "unsuppress", {}))
    assert store.put_feedback([bounce, told("b", person="bob")], suppress={"a": "bounced", "b": "bounced"}) == 1
    assert (store.suppressed("ada"), store.suppressed("bob")) == (None, "bounced")


@pytest.mark.parametrize("by", ["mail_id", "provider_id", "message_id"])
def test_a_mail_is_found_by_each_of_its_ids(store: Store, by: str) -> None:
    name = mail_out(store)
    ids = {"mail_id": name, "provider_id": "p-r", "message_id": "<r@x>"}
    store.put_feedback([told("a", **{by: ids[by]}), told("b", **{by: "another"}), told("c")])
    first = store.feedback(limit=9)[0]
    assert {
        seq: [row.outreach_id for row in rows] for seq, rows in store.mails_of(store.feedback(limit=9)).items()
    } == {first.seq: [name]}


def test_our_own_id_is_believed_before_any_other(store: Store) -> None:
    mine, other = mail_out(store, "mine"), mail_out(store, "other")
    store.put_feedback([told(mail_id=mine, provider_id="p-other", message_id="<other@x>")])
    ((found,),) = store.mails_of(store.feedback(limit=9)).values()
    assert (found.outreach_id, found.outreach_id == other) == (mine, False)


def test_it_is_learned_from_once_and_the_first_fact_stays(store: Store) -> None:
    name = mail_out(store, state="in_doubt")
    store.put_feedback([told("a"), told("b")])
    first, second = store.feedback(limit=9)

    def learned(seq: int, at: int) -> Learned:
        fact = MailFact(outreach_id=name, kind="delivered", at=at, inbox=((ACME, "event", b"fact"),))
        step = Step(outreach_id=name, before=("in_doubt",), after="accepted", inbox=((ACME, "event", b"step"),))
        return Learned(seq=seq, account_id=ACME, facts=(fact,), steps=(step,))

    store.learn([learned(first.seq, T0)], at=T0 + 9, by="w")
    store.learn([learned(first.seq, T0 + 1), learned(second.seq, T0 + 2)], at=T0 + 10, by="w")
    assert store.feedback(limit=9) == []
    assert store.facts([name]) == {name: {"delivered": T0}}
    assert [one.body for one in store.inbox(0, after=0)] == [b"step", b"fact"]
    assert [(one.after, one.by) for one in store.changes(name)][-1] == ("accepted", "w")


def test_two_who_learn_at_once_learn_once(durable: Store) -> None:
    store = durable
    names = [mail_out(store, f"r{n}") for n in range(8)]
    store.put_feedback([told(f"e{n}", mail_id=name) for n, name in enumerate(names)])
    start = threading.Barrier(2)

    def learn() -> None:
        rows = store.feedback(limit=99)
        start.wait()
        for one in rows:
            fact = MailFact(outreach_id=str(one.mail_id), kind="delivered", at=T0, inbox=((ACME, "event", b"{}"),))
            store.learn([Learned(seq=one.seq, account_id=ACME, facts=(fact,))], at=T0, by="w")

    threads = [threading.Thread(target=learn) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.inbox(0, after=0)) == len(names)


def test_rows_of_one_mail_move_together_or_not_at_all(store: Store) -> None:
    one, two = mail_out(store, "one", state="posting"), mail_out(store, "two", state="claimed")
    steps = [Step(outreach_id=name, before=("posting",), after="accepted") for name in (one, two)]
    assert not move_mail(store, steps, at=T0, by="s", known={"provider_id": "p"})
    assert {row.state for row in store.outreach()} == {"posting", "claimed"}
    assert move_mail(store, steps[:1], at=T0, by="s", known={"provider_id": "p"})
    assert [(row.state, row.provider_id) for row in store.outreach(outreach_id=one)] == [("accepted", "p")]


def test_a_mail_that_somebody_stopped_does_not_move_to_where_it_is_handed_over(store: Store) -> None:
    name = mail_out(store, state="claimed")
    step = Step(outreach_id=name, before=("claimed",), after="posting")
    store.stop(Stop("rule", "r", T0, "ann", "wrong words"))
    assert not move_mail(store, [step], at=T0, by="s", unless_stopped="sendgrid")
    assert store.outreach()[0].state == "claimed"
    store.go(Stop("rule", "r", T0, "ann", "right words"))
    assert move_mail(store, [step], at=T0, by="s", unless_stopped="sendgrid")


def test_how_well_a_provider_tells_is_counted_for_its_own_mails_since_then(store: Store) -> None:
    told_of = [mail_out(store, f"told{n}", at=T0 + n) for n in range(3)]
    mail_out(store, "untold", at=T0 + 1)
    mail_out(store, "fresh", at=T0 + 9)
    mail_out(store, "elsewhere", channel="smtp", at=T0 + 1)
    facts = tuple(MailFact(outreach_id=name, kind="processed", at=T0) for name in told_of)
    store.put_feedback([told()])
    store.learn([Learned(seq=store.feedback(limit=1)[0].seq, facts=facts)], at=T0, by="w")
    heard = store.heard("sendgrid", since=T0 + 1, until=T0 + 8)
    assert (heard.told, heard.untold, heard.last_at) == (2, 1, T0 + 2)
    assert store.heard("sendgrid", since=T0, until=T0 + 9).untold == 2
    assert store.heard("other", since=T0, until=T0 + 9).last_at is None


def test_what_was_told_goes_with_its_account_and_what_is_old_when_it_is_learned(store: Store) -> None:
    store.put_feedback([told("a"), told("b"), told("c", heard_at=T0 + MINUTE), told("new")])
    accounts = [ACME, OTHER, OTHER]
    learned = [
        Learned(seq=one.seq, account_id=account) for one, account in zip(store.feedback(limit=3), accounts, strict=True)
    ]
    store.learn(learned, at=T0, by="w")
    store.forget_account(claimed(store, take_over=True), ACME, at=T0)
    assert store.put_feedback([told("a")]) == 1, "it is gone, so it is new"
    assert store.clear_feedback(before=T0 + MINUTE) == 1
    assert [one.event_id for one in store.feedback(limit=9)] == ["new", "a"]


def test_facts_go_with_their_mail(store: Store) -> None:
    name = mail_out(store)
    store.put_feedback([told()])
    fact = MailFact(outreach_id=name, kind="delivered", at=T0)
    store.learn([Learned(seq=store.feedback(limit=1)[0].seq, account_id=ACME, facts=(fact,))], at=T0, by="w")
    store.forget_account(claimed(store, take_over=True), ACME, at=T0)
    assert store.facts([name]) == {}
    assert account_in(0) == ACME


# What was sent


def test_the_bytes_of_a_mail_are_kept_as_it_is_handed_over_and_go_when_they_are_old(store: Store) -> None:
    about = decision(to=("u1", "u2"))
    committed(store, claimed(store), facts=[about])
    one, other = (mail.outreach_id for mail in about.mails)
    assert store.sent(one) is None
    sent = Sent(mail_id=one, account_id=about.account_id, user_id="u1", raw=b"To: a\r\n\r\n\x00\xff" * 50)
    step = Step(outreach_id=one, before=("queued",), after="posting")
    assert move_mail(store, [step], at=T0, by="s", sent=sent)
    assert store.sent(one) == sent.raw
    assert store.sent(other) is None
    assert not move_mail(store, [step], at=T0, by="s", sent=msgspec.structs.replace(sent, raw=b"another"))
    assert store.sent(one) == sent.raw, "what was not handed over is not kept"
    back = Step(outreach_id=one, before=("posting",), after="posting")
    assert move_mail(store, [back], at=T0 + DAY, by="s", sent=msgspec.structs.replace(sent, raw=b"again"))
    assert store.sent(one) == b"again"
    assert store.drop_sent(before=T0 + DAY) == 0
    assert store.drop_sent(before=T0 + DAY + 1) == 1
    assert store.sent(one) is None


def test_the_rows_of_one_mail_have_one_set_of_bytes(store: Store) -> None:
    abouts = [decision(rule="r", occasion=name) for name in ("a", "b")]
    committed(store, claimed(store), facts=abouts)
    ids = [about.mails[0].outreach_id for about in abouts]
    found, _ = claim_mail(
        store, ids, account_id=abouts[0].account_id, person="p", since=0, at=T0 + DAY, by="s", may=lambda _: None
    )
    steps = [Step(outreach_id=name, before=("claimed",), after="posting") for name in found]
    sent = Sent(mail_id=found[0], account_id=abouts[0].account_id, user_id="u1", raw=b"both")
    assert move_mail(store, steps, at=T0, by="s", sent=sent)
    assert [store.sent(name) for name in ids] == [b"both", b"both"]
