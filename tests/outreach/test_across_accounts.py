"""One person in several accounts: the mail of a rule for one of them, or for each."""

from typing import Any

import pytest

from engine.instants import DAY, HOUR
from engine.rulebook.book import load_rulebook
from engine.rulebook.spec import Hours, Policy
from outreach.channels.memory import MemoryChannel
from outreach.sender import send_due
from outreach.simulation import simulate
from tests.outreach.given import ADA, DUE, NOON, SENDER, STAFF, keep, planned

ALWAYS = Hours(0, 24 * 60)
WHY = "they got it for another account"


def policy(*once: tuple[str, int]) -> Policy:
    return Policy(staff_domains=STAFF, hours=ALWAYS, once_across=once)


def sent(store, templates, strict, *, at=DUE):
    return send_due(store, templates, MemoryChannel(), sender=SENDER, at=at, by="test", policy=strict)


def test_somebody_in_two_accounts_gets_the_mail_of_a_rule_once(store, templates):
    keep(store, planned(rule="r"), planned(rule="r", account="zenith"), planned(rule="other", account="zenith"))
    report = sent(store, templates, policy(("r", 0), ("other", 0)))
    assert (report.mails, report.suppressed, report.reasons) == (2, 1, {WHY: 1})


def test_a_rule_that_says_each_writes_for_each(store, templates):
    keep(store, planned(rule="r"), planned(rule="r", account="zenith"))
    assert sent(store, templates, policy()).mails == 2


def test_two_people_are_two_people(store, templates):
    bob = {"email": "bob@acme.example", "name": "Bob"}
    keep(store, planned(rule="r"), planned(rule="r", account="zenith", to="u2"), people={"u1": ADA, "u2": bob})
    assert sent(store, templates, policy(("r", 0))).mails == 2


def test_it_holds_for_as_long_as_the_rule_says(store, templates):
    late: Any = {"due_at": DUE + 30 * DAY, "expires_at": DUE + 40 * DAY}
    keep(store, planned(rule="r"), planned(rule="r", account="zenith", **late), clock=NOON + 31 * DAY)
    strict = policy(("r", 30 * DAY))
    assert sent(store, templates, strict).mails == 1
    assert sent(store, templates, strict, at=DUE + 30 * DAY).reasons == {WHY: 1}
    keep(store, planned(rule="r", account="yonder", **late), clock=NOON + 31 * DAY)
    assert sent(store, templates, strict, at=DUE + 30 * DAY + HOUR).mails == 1


def test_what_failed_stands_against_nothing(store, templates):
    keep(store, planned(rule="r"), planned(rule="r", account="zenith"))
    (first, _) = store.outreach()
    store.move(first.outreach_id, ["queued"], "failed", at=DUE, by="test")
    assert sent(store, templates, policy(("r", 0))).mails == 1


def test_a_rehearsal_does_the_same(store, templates):
    keep(store, planned(rule="r"), planned(rule="r", account="zenith"))
    walk = {"sender": SENDER, "people": store.people, "policy": policy(("r", 0))}
    report = simulate(store.outreach(), templates, MemoryChannel(), **walk)
    assert (report.mails, report.suppressed, report.reasons) == (1, 1, {WHY: 1})


BOOK = """
things:
  ticket: {{id: ticket_id, opened_by: ticket.opened}}
rules:
  - id: r
    owner: o@ringfirst.example
    {words}
    send: {{template: t, to: champion, class: {kind}}}
"""


@pytest.mark.parametrize(
    ("words", "kind", "expected"),
    [
        pytest.param("when: [seats > 3]", "relationship", 0, id="for ever"),
        pytest.param("when: [seats > 3]\n    re_entry: every 30d", "marketing", 30 * DAY, id="as long as re_entry"),
        pytest.param("when: [seats > 3]\n    re_entry: every time", "relationship", DAY, id="max_age"),
        pytest.param("when: [seats > 3]\n    once_per: plan\n    max_age: 2d", "relationship", 2 * DAY, id="once per"),
        pytest.param("for: each survey.answered\n    when: [seats > 3]", "relationship", DAY, id="of an event"),
        pytest.param("when: [seats > 3]", "transactional", None, id="transactional"),
        pytest.param("for: each ticket\n    when: [seats > 3]", "relationship", None, id="of a thing"),
        pytest.param("when: [seats > 3]\n    across_accounts: each", "relationship", None, id="each"),
        pytest.param("when: [seats > 3]\n    across_accounts: one", "transactional", 0, id="one"),
    ],
)
def test_what_a_rule_means(words, kind, expected):
    files = {"rules/a.yml": BOOK.format(words=words, kind=kind), "templates/t/template.yml": "for: customer\n"}
    book, findings = load_rulebook(files, duties=False)
    assert book is not None, findings
    assert dict(book.policy.once_across).get("r") == expected
