"""A report behind its reader's link: the figures that were sent, for ninety days, until somebody takes it back."""

import http.client
import re
from typing import Any

import msgspec
import pytest

from engine.instants import DAY, Instant
from engine.lanes import lane_of
from engine.store import Note, OutreachRow, Store
from engine.stores import open_store
from outreach.gate import Post
from outreach.joining import context_of, render_rows
from outreach.lookups import Lookups
from outreach.report_links import KEEP_DAYS, report_path
from outreach.sender import _links
from ringfirst.hosted import hosted, reports_sent
from ringfirst.web.reports import Reports
from tests.outreach.given import SENDER, starter_templates
from tests.reports.given import WALL, book_of, customer, event, instant, issue, run, take
from tests.web.given import Outside

SENT = instant("2026-04-02T07:00:00Z")


@pytest.fixture
def store():
    made = open_store("sqlite://")
    rows = [*customer(), run("r1", "2026-03-10T09:00:00Z", 150), *customer("<b>beta</b>")]
    take(made, [*rows, run("r2", "2026-03-11T09:00:00Z", 120, "<b>beta</b>")], until="2026-04-02T01:00:00Z")
    issue(made)
    take(made, [], until="2026-04-02T06:00:00Z")
    yield made
    made.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    def at(instant: Instant) -> None:
        monkeypatch.setattr("ringfirst.web.reports.now", lambda: instant)

    at(SENT)
    return at


@pytest.fixture
def outside(store: Store, clock: Any):
    with Outside(Reports(store, SENDER).routes()) as started:
        yield started


def mail_to(store: Store, person: str = "u1", account: str = "acme") -> OutreachRow:
    (row,) = [row for row in store.outreach(account_id=account) if row.to == person]
    return row


def path_of(store: Store, person: str = "u1", account: str = "acme") -> str:
    return report_path(mail_to(store, person, account), store.key)


def test_the_page_shows_what_was_sent_and_nobody_keeps_or_finds_it(store: Store, outside: Outside):
    said = outside.ask("GET", path_of(store))
    assert said.status == 200
    for words in (
        "What you got",
        "March 2026",
        "€112.50",
        "2.5 hours",
        "Hours saved: €45 for one hour, our assumption",
    ):
        assert words in said.text, words
    assert said.headers["cache-control"] == "private, no-store"
    assert "noindex" in said.headers["x-robots-tag"]
    assert "noindex" in said.text
    assert said.headers["referrer-policy"] == "no-referrer"
    assert "script" not in said.text
    assert "style=" not in said.text, "the policy of the page forbids it"
    for secret in ("r1", "automation.run", "ann@", "u1"):
        assert secret not in said.text, f"{secret}: no event and no person stands on a page that is forwarded"


def test_what_a_customer_is_called_is_text(store: Store, outside: Outside):
    said = outside.ask("GET", path_of(store, account="<b>beta</b>"))
    assert "&lt;b&gt;beta&lt;/b&gt;" in said.text
    assert "<b>beta" not in said.text


def test_the_page_links_to_itself_as_pdf_and_nowhere_else(store: Store, outside: Outside):
    path = path_of(store)
    assert re.findall(r'(?:href|src|action)="([^"]+)"', outside.ask("GET", path).text) == [f"{path}/report.pdf"]
    connection = http.client.HTTPConnection("127.0.0.1", outside.port)
    connection.request("GET", f"{path}/report.pdf")
    found = connection.getresponse()
    assert (found.status, found.getheader("content-type")) == (200, "application/pdf")
    assert found.getheader("cache-control") == "private, no-store"
    assert found.getheader("content-disposition") == 'inline; filename="report-2026-03.pdf"'
    assert found.read().startswith(b"%PDF-")
    connection.close()


@pytest.mark.parametrize("ending", ["", "/report.pdf"])
def test_a_link_works_for_ninety_days(store: Store, outside: Outside, clock: Any, ending: str):
    path = path_of(store) + ending
    midnight = mail_to(store).at // DAY * DAY
    clock(midnight + (KEEP_DAYS + 1) * DAY - 1)
    assert get(outside, path) == 200
    clock(midnight + (KEEP_DAYS + 1) * DAY)
    assert get(outside, path) == 404


def get(outside: Outside, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", outside.port)
    connection.request("GET", path)
    status = connection.getresponse().status
    connection.close()
    return status


def test_no_other_text_opens_anything(store: Store, outside: Outside):
    path = path_of(store)
    other_sign = "A" if path[10] != "A" else "B"
    wrong = [path[:-1], path + "A", path[:10] + other_sign + path[11:], "/r/x", "/r/" + "A" * 500]
    assert {get(outside, one) for one in wrong} == {404}
    other = open_store("sqlite://")
    assert get(outside, report_path(mail_to(store), other.key)) == 404, "signed by another store"
    other.close()
    assert outside.ask("POST", path).status == 404, "a page that only shows takes nothing"


def test_links_that_were_taken_back_open_nothing_for_any_reader(store: Store, outside: Outside):
    paths = [path_of(store, one) for one in ("u1", "u2")]
    assert {get(outside, one) for one in paths} == {200}
    assert store.revoked("acme", "monthly", "2026-03") is None
    assert store.revoke("acme", "monthly", "2026-03", note=Note(SENT, "ann", "revoke report", {}))
    assert not store.revoke("acme", "monthly", "2026-03", note=Note(SENT, "ann", "revoke report", {})), "already"
    assert {get(outside, one) for one in paths} == {404}
    assert get(outside, path_of(store, account="<b>beta</b>")) == 200, "of that account alone"


def test_a_report_that_is_sent_after_the_links_were_taken_back_has_good_ones(store: Store):
    row = mail_to(store)
    store.revoke("acme", "monthly", "2026-03", note=Note(row.at - 1, "ann", "revoke report", {}))
    assert hosted(store, SENDER, path_of(store).removeprefix("/r/"), at=SENT) is not None


def test_whoever_is_forgotten_has_no_link_any_more(store: Store, outside: Outside):
    ann, bill = path_of(store, "u1"), path_of(store, "u2")
    (claim,) = store.claim([lane_of("acme", store.lanes)], "test", at=WALL, take_over=True)
    store.forget_person(claim, "acme", "u1", properties=[], at=WALL)
    assert (get(outside, ann), get(outside, bill)) == (404, 200)
    store.revoke("acme", "monthly", "2026-03", note=Note(0, "ann", "revoke report", {}))
    store.forget_account(claim, "acme", at=WALL)
    assert get(outside, bill) == 404
    assert store.revoked("acme", "monthly", "2026-03") is None, "what was taken back is forgotten too"


def test_an_old_report_says_that_it_was_corrected(store: Store, outside: Outside):
    path = path_of(store)
    assert "corrected" not in outside.ask("GET", path).text
    as_sent = pdf(outside, path)
    again = event("outreach.reported:monthly:2026-03:2", "note", "2026-04-02T06:00:00Z")
    take(store, [again], until="2026-04-02T07:00:00Z")
    assert "A corrected report was made for this period since." in outside.ask("GET", path).text
    assert pdf(outside, path) != as_sent, "the PDF says so too"


def pdf(outside: Outside, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", outside.port)
    connection.request("GET", f"{path}/report.pdf")
    pages = connection.getresponse().read()
    connection.close()
    return pages


def test_the_figures_stay_as_they_were_sent(store: Store, outside: Outside):
    before = outside.ask("GET", path_of(store)).text
    take(store, [run("late", "2026-03-12T09:00:00Z", 600)], until="2026-04-02T08:00:00Z")
    assert outside.ask("GET", path_of(store)).text == before


def test_the_mail_holds_the_link(store: Store):
    row, sender = mail_to(store), msgspec.structs.replace(SENDER, public_url="https://m.example")
    links = _links(store, sender, book_of().policy, Lookups(store))(row, row.outreach_id)
    post = Post(templates=starter_templates(), sender=sender, policy=book_of().policy, people=store.people)
    assert context_of([row], post, links)["report"]["link"] == "https://m.example" + path_of(store)
    assert "https://m.example" + path_of(store) in render_rows([row], post, links).text
    assert context_of([row], post)["report"].get("link") is None, "where nothing is served there is none"


def test_what_was_sent_is_counted_by_report(store: Store):
    assert reports_sent(store, "acme", "2026-03") == {"monthly": (2, mail_to(store).at)}
    assert reports_sent(store, "acme", "2026-02") == {}
