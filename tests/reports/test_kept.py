"""What was issued stays as it was: later events, other prices and corrections come beside it."""

from contextlib import AbstractContextManager, nullcontext

import msgspec
import pytest

from engine import replay
from engine.errors import UsageError
from engine.feedback import Feedback
from engine.lanes import lane_of
from engine.questions import events_of
from engine.reports import kept, made
from engine.reports.issuing import Issuer, walk
from engine.reports.past import Accounts
from engine.reports.periods import read_period
from engine.store import Store
from outreach.channel import DeliveryError, Verdict
from outreach.doubts import Doubts
from outreach.feedback import settle
from outreach.gate import CORRECTED
from outreach.mail import Outgoing
from outreach.round import SendReport
from outreach.sender import send_due
from ringfirst.reports_issued import take_back
from tests.outreach.given import SENDER, starter_templates
from tests.reports.given import BOOK, MARCH, WALL, book_of, customer, event, instant, issue, run, take

APRIL = "2026-04-02T06:30:00Z"
MAY = "2026-05-02T06:30:00Z"
LATE = run("late", "2026-03-30T09:00:00Z", 60)


def march(store: Store) -> None:
    """March is issued: two and a half hours."""
    take(store, [*customer(), run("r1", "2026-03-10T09:00:00Z", 150)], until=APRIL)
    issue(store)
    take(store, [], until="2026-04-02T06:45:00Z")


def shown(store: Store) -> kept.Kept:
    """The last report of March that was issued."""
    found = kept.newest(kept.issued_in(events_of(store, "acme", WALL)), "monthly", "2026-03")
    assert found is not None
    return found


def april(store: Store, book: str = BOOK) -> list[dict[str, object]]:
    """What April's report says of earlier periods."""
    take(store, [run("r2", "2026-04-20T09:00:00Z", 90)], until=MAY, book=book_of(book))
    issuer = Issuer(store, book_of(book))
    report = book_of(book).reports[0]
    (one,) = walk(issuer, report, read_period("2026-04"), ["acme"], clock=instant(MAY))
    issuer.put([one], at=WALL)
    take(store, [], until="2026-05-02T06:45:00Z", book=book_of(book))
    found = kept.newest(kept.issued_in(events_of(store, "acme", WALL)), "monthly", "2026-04")
    assert found is not None
    changes: list[dict[str, object]] = found.figures["changes"]
    return changes


def test_a_late_event_leaves_what_was_issued_and_stands_in_the_next_report(store: Store):
    march(store)
    take(store, [event("n", "tick", "2026-04-03T09:00:00Z"), LATE], until="2026-04-03T09:00:00Z")
    before = shown(store).figures["values"][0]["amount"]
    now = made.preview(Accounts(store, book_of(), None), "acme", book_of().reports[0], MARCH)
    assert (before, now["values"][0]["amount"]) == (2.5, 3.5)
    (change,) = april(store)
    assert {key: change[key] for key in ("period", "value", "was", "is", "why")} == {
        "period": "2026-03",
        "value": "hours",
        "was": 2.5,
        "is": 3.5,
        "why": "events that came late",
    }
    assert shown(store).figures["values"][0]["amount"] == 2.5


def test_what_nothing_came_for_is_not_mentioned(store: Store):
    march(store)
    assert april(store) == []


def test_another_way_of_counting_leaves_what_was_issued_and_is_said_in_the_next_report(store: Store):
    march(store)
    (change,) = april(store, BOOK.replace("times: 1/60", "times: 1/30"))
    assert (change["was"], change["is"], change["why"]) == (2.5, 5, "it is counted otherwise now")
    assert shown(store).figures["values"][0]["amount"] == 2.5


def test_a_change_is_told_once(store: Store):
    march(store)
    take(store, [event("n", "tick", "2026-04-03T09:00:00Z"), LATE], until="2026-04-03T09:00:00Z")
    assert len(april(store)) == 1
    take(store, [run("r3", "2026-05-20T09:00:00Z", 90)], until="2026-06-02T06:30:00Z")
    issuer = Issuer(store, book_of())
    clock = instant("2026-06-02T06:30:00Z")
    (one,) = walk(issuer, book_of().reports[0], read_period("2026-05"), ["acme"], clock=clock)
    assert b'"changes":[]' in one.body


def test_a_correction_is_issued_beside_what_it_corrects(store: Store):
    march(store)
    take(store, [event("n", "tick", "2026-04-03T09:00:00Z"), LATE], until="2026-04-03T09:00:00Z")
    issuer, clock = Issuer(store, book_of()), instant("2026-04-03T09:00:00Z")
    one = issuer.correct(book_of().reports[0], MARCH, "acme", clock=clock, why="stuck")
    issuer.put([one], at=WALL)
    take(store, [], until="2026-04-03T09:10:00Z")
    first, second = kept.issued_in(events_of(store, "acme", WALL))
    assert [one.number for one in (first, second)] == [1, 2]
    assert kept.answer(first, second)["issued"]["corrected_by"] == 2
    assert kept.answer(second, second)["issued"]["why"] == "stuck"
    assert (first.figures["value_total"], second.figures["value_total"]) == (112.5, 157.5)
    assert len({one.occasion for one in store.decisions() if one.rule == "monthly"}) == 2
    assert replay.verify(store)["different"] == 0
    with pytest.raises(UsageError, match="are those that were issued"):
        Issuer(store, book_of()).correct(book_of().reports[0], MARCH, "acme", clock=clock, why="again")


def test_two_who_correct_at_once_do_not_take_the_correction_back(store: Store):
    march(store)
    take(store, [event("n", "tick", "2026-04-03T09:00:00Z"), LATE], until="2026-04-03T09:00:00Z")
    clock, report = instant("2026-04-03T09:00:00Z"), book_of().reports[0]
    one, two = (Issuer(store, book_of()).correct(report, MARCH, "acme", clock=clock, why=why) for why in ("a", "b"))
    take_back(store, one, at=WALL, who="ann")
    Issuer(store, book_of()).put([one], at=WALL)
    with pytest.raises(UsageError, match="number 2 of 2026-03 waits for its lane"):
        Issuer(store, book_of()).correct(report, MARCH, "acme", clock=clock, why="c")
    take(store, [], until="2026-04-03T09:10:00Z")
    assert take_back(store, two, at=WALL, who="bob") == []
    Issuer(store, book_of()).put([two], at=WALL)
    take(store, [], until="2026-04-03T09:20:00Z")
    assert sorted(row.state for row in store.outreach(rule="monthly")) == ["queued", "queued", "withdrawn", "withdrawn"]


def test_a_report_that_was_weekly_says_nothing_of_its_weeks_once_it_is_monthly(store: Store):
    weekly = BOOK.replace("previous month", "previous week").replace("every: month", "every: week")
    book = book_of(weekly.replace("    price: mrr\n", "").replace("    review_if: value_to_price < 1\n", ""))
    take(store, [*customer(), run("r0", "2025-12-23T09:00:00Z")], until="2026-01-02T09:00:00Z", book=book)
    issuer, clock = Issuer(store, book), instant("2026-01-02T09:00:00Z")
    made = list(walk(issuer, book.reports[0], read_period("2025-W52"), ["acme"], clock=clock))
    assert issuer.put(made, at=WALL) == 1
    rows = [run("late", "2025-12-24T09:00:00Z", 30), run("r2", "2026-03-10T09:00:00Z", 150)]
    take(store, [event("n", "tick", "2026-01-02T10:00:00Z")], until="2026-01-02T10:00:00Z", book=book)
    take(store, rows, until=APRIL)
    issue(store)
    take(store, [], until="2026-04-02T06:45:00Z")
    assert (shown(store).period, shown(store).figures["changes"]) == ("2026-03", [])


@pytest.mark.parametrize("waits", [False, True], ids=["taken in", "in the inbox"])
def test_why_a_report_was_corrected_names_nobody_who_was_forgotten(store: Store, waits: bool):
    march(store)
    who = event("n", "user.updated", "2026-04-03T09:00:00Z", "acme", "u1", first_name="Ann")
    take(store, [who, LATE], until="2026-04-03T09:00:00Z")
    clock, report = instant("2026-04-03T09:00:00Z"), book_of().reports[0]
    why = "Ann (ann@acme.example) asked; Annabel agreed"
    issuer = Issuer(store, book_of())
    issuer.put([issuer.correct(report, MARCH, "acme", clock=clock, why=why)], at=WALL)
    if not waits:
        take(store, [], until="2026-04-03T09:10:00Z")
    (claim,) = [one for one in store.claim([0, 1], "test", at=WALL) if one.lane == lane_of("acme", 2)]
    store.forget_person(claim, "acme", "u1", properties=[], at=WALL)
    store.release([claim])
    if waits:
        take(store, [], until="2026-04-03T09:10:00Z")
    told, name = shown(store), store.pseudonyms([("acme", "u1")])["acme", "u1"]
    assert (told.number, told.properties["correction"]) == (2, f"{name} ({name}) asked; Annabel agreed")


def test_what_was_not_issued_cannot_be_corrected(store: Store):
    take(store, [*customer(), run("r1", "2026-03-10T09:00:00Z", 150)], until=APRIL)
    with pytest.raises(UsageError, match="was not issued to acme"):
        Issuer(store, book_of()).correct(book_of().reports[0], MARCH, "acme", clock=instant(APRIL), why="x")


# -- mails of what was corrected ---------------------------------------------------------------------------------------
def correct(store: Store, at: str = "2026-04-03T09:00:00Z", *, taken_in: bool = True, back: bool = True) -> None:
    """Somebody corrects March, and its lane takes that in."""
    take(store, [event("n", "tick", at), LATE], until=at)
    one = Issuer(store, book_of()).correct(book_of().reports[0], MARCH, "acme", clock=instant(at), why="stuck")
    if back:
        take_back(store, one, at=WALL, who="ann")
    Issuer(store, book_of()).put([one], at=WALL)
    if taken_in:
        take(store, [], until="2026-04-03T09:10:00Z")


class Lost:
    """A channel on which the answer to the first mails is lost; mails are kept as they came."""

    name, local = "lost", False

    def __init__(self, verdict: Verdict = "in_doubt") -> None:
        self.verdict: Verdict | None = verdict
        self.mails: list[str] = []

    def session(self) -> AbstractContextManager[None]:
        """Nothing is opened."""
        return nullcontext()

    def deliver(self, mail: Outgoing) -> str:
        """Lose the answer, or take it."""
        if self.verdict is not None:
            raise DeliveryError("no answer", self.verdict)
        self.mails.append(mail.raw.decode())
        return mail.mail_id

    def has(self, mail_id: str) -> bool:
        """Nobody can tell."""
        return False


def leave(store: Store, channel: Lost, at: str) -> SendReport:
    """What is due leaves, and what is in doubt is sent again at once: the age of a doubt is by the store's clock."""
    sender = msgspec.structs.replace(SENDER, address="bo@ours.example")
    again = Doubts(rules={"monthly": "resend"}, wait=0)
    templates, policy = starter_templates(), book_of().policy
    return send_due(store, templates, channel, sender=sender, at=instant(at), by="test", policy=policy, doubts=again)


def states(store: Store) -> list[tuple[str, str]]:
    """The mails of the first report and of its correction, by state."""
    return sorted((str((row.subject_id or "").endswith(":2")), row.state) for row in store.outreach(rule="monthly"))


@pytest.mark.parametrize("back", [True, False], ids=["in doubt by then", "in doubt only later"])
def test_a_mail_in_doubt_is_not_sent_again_with_figures_that_were_corrected(store: Store, *, back: bool):
    march(store)
    channel = Lost()
    assert leave(store, channel, "2026-04-02T07:00:00Z").in_doubt == 2
    correct(store, back=back)
    assert len(store.outreach(states=["suppressed"])) == (2 if back else 0), "settled by whoever corrects"
    channel.verdict = None
    leave(store, channel, "2026-04-03T10:00:00Z")
    assert states(store) == [*[("False", "suppressed")] * 2, *[("True", "accepted")] * 2]
    assert {row.why for row in store.outreach(states=["suppressed"])} == {CORRECTED}
    assert len(channel.mails) == 2
    assert all("157" in mail and "112" not in mail for mail in channel.mails), "the figures of the correction alone"


def test_a_mail_that_was_corrected_in_doubt_and_arrived_all_the_same_counts(store: Store):
    """Its provider tells of it only after it was settled: it left, so it is contact, and a recall lists its reader."""
    march(store)
    assert leave(store, Lost(), "2026-04-02T07:00:00Z").in_doubt == 2
    correct(store)
    row = store.outreach(states=["suppressed"])[0]
    at = instant("2026-04-03T09:30:00Z")
    told = Feedback(provider="p", event_id="e", kind="delivered", at=at, heard_at=at, mail_id=row.mail_id, body=b"{}")
    store.put_feedback([told], suppress={}, stop={})
    assert settle(store, at=at, by="test") == 1
    assert [one.outreach_id for one in store.outreach(states=["accepted"])] == [row.outreach_id]
    assert row.person is not None
    assert [one.person for one in store.contacts("acme", row.person, since=0)] == [row.person]
    take(store, [], until="2026-04-03T10:00:00Z")
    assert replay.verify(store)["different"] == 0


def test_a_mail_that_comes_back_while_it_was_corrected_does_not_leave_any_more(store: Store):
    march(store)
    channel = Lost("later")
    assert leave(store, channel, "2026-04-02T07:00:00Z").later == 2
    correct(store, back=False)
    channel.verdict = None
    leave(store, channel, "2026-04-03T10:00:00Z")
    assert states(store) == [*[("False", "suppressed")] * 2, *[("True", "accepted")] * 2]


def test_a_mail_in_doubt_of_a_report_that_counts_is_sent_again(store: Store):
    march(store)
    channel = Lost()
    assert leave(store, channel, "2026-04-02T07:00:00Z").in_doubt == 2
    channel.verdict = None
    assert leave(store, channel, "2026-04-02T08:00:00Z").mails == 2
