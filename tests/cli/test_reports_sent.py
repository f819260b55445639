"""Reports that are sent, as somebody types it: issued, decided, written, looked at."""

import email
import json
from email import policy
from pathlib import Path

import pytest

from engine.events import encode_event
from engine.stores import open_store
from outreach.report_links import report_path, unseal_report
from ringfirst.hosted import hosted
from tests.outreach.given import SENDER
from tests.reports.given import BOOK, customer, event, instant
from tests.reports.given import run as saved


@pytest.fixture(autouse=True)
def imported(ask, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "rules").mkdir()
    (place / "rules" / "all.yml").write_text(BOOK)
    monkeypatch.setenv("RINGFIRST_RULES", str(place))
    rows = [*customer(), *customer("poor"), *customer("zero"), saved("r1", "2026-03-10T09:00:00Z", 150)]
    rows += [saved("r2", "2026-03-10T09:00:00Z", 60, "poor"), event("t", "tick", "2026-04-02T06:30:00Z", "clock")]
    rows.sort(key=lambda one: one.event.time)
    (place / "events.jsonl").write_bytes(b"".join(encode_event(one.event) + b"\n" for one in rows))
    ask("import", "events.jsonl")


def test_reports_are_issued_once_and_their_mails_show_what_was_decided(ask, run, place):
    assert ask("reports", "send", "--dry-run")["issued"] == 2
    assert ask("outreach", "list") == []
    found = ask("reports", "send")
    assert {key: found[key] for key in ("issued", "kept_back", "waits", "taken_in")} == {
        "issued": 2,
        "kept_back": 1,
        "waits": 0,
        "taken_in": True,
    }
    assert ask("reports", "send")["issued"] == 0, "typed again, nothing comes of it"
    run("send", "--simulate", "--outbox", "out")
    files = sorted((place / "out").glob("*.eml"))
    mails = [email.message_from_bytes(path.read_bytes(), policy=policy.default) for path in files]
    assert sorted((mail["to"], mail["subject"]) for mail in mails) == [
        ("ann@acme.example", "March 2026: €112.50 of value"),
        ("ann@poor.example", "March 2026: €45 of value"),
        ("bill@acme.example", "March 2026: €112.50 of value"),
        ("bill@poor.example", "March 2026: €45 of value"),
        ("bo@ours.example", "zero: no report for March 2026"),
    ]
    ours = next(mail for mail in mails if mail["to"] == "bo@ours.example")
    assert b"each of its values is 0 or unknown" in ours.as_bytes()


def test_all_periods_are_those_since_the_log_began(ask):
    found = ask("reports", "send", "--since", "1990-01-01", "--account", "acme", "--dry-run")
    assert {one["period"] for one in found["reports"]} == {"2026-01", "2026-02", "2026-03"}


def test_a_report_that_must_be_looked_at_waits_for_a_person(ask):
    ask("reports", "send", "monthly", "--account", "poor")
    rows = ask("outreach", "list", "--state", "in_review")
    assert "review_if value_to_price < 1" in json.dumps(rows)


def test_the_figures_of_what_was_issued_do_not_fill_the_timeline(ask):
    ask("reports", "send")
    timeline = ask("accounts", "show", "acme")["timeline"]
    (issued,) = [row for row in timeline if row["what"] == "outreach.reported"]
    assert issued["detail"]["period"] == "2026-03"
    assert "figures" not in issued["detail"]


def late(ask, place: Path) -> None:
    rows = [event("n", "tick", "2026-04-02T06:40:00Z"), saved("late", "2026-03-30T09:00:00Z", 60)]
    (place / "late.jsonl").write_bytes(b"".join(encode_event(one.event) + b"\n" for one in rows))
    ask("import", "late.jsonl")


def test_the_owner_talks_of_the_figures_that_went_out(ask, run, place):
    ask("reports", "send")
    late(ask, place)
    found = ask("reports", "brief", "acme", "--period", "2026-03")
    assert found["total"][0]["amount"] == 112.5
    assert [(one["measure"], one["amount"]) for one in found["changes"]] == [("hours", 2.5)]
    assert "is worth 112.5" in run("reports", "brief", "acme", "--period", "2026-03").stdout


def test_what_was_issued_is_shown_and_traced_as_it_was(ask, place):
    ask("reports", "send")
    late(ask, place)
    found = ask("reports", "preview", "acme", "--period", "2026-03")
    assert (found["total"][0]["amount"], found["issued"]["number"]) == (112.5, 1)
    assert ask("reports", "preview", "acme", "--period", "2026-03", "--anew")["total"][0]["amount"] == 157.5
    assert [one["id"] for one in ask("reports", "trace", "acme", "2026-03", "hours")["events"]] == ["r1"]
    assert ask("reports", "trace", "acme", "2026-03", "hours", "--anew")["amount"] == 3.5


def test_the_trace_of_what_was_issued_counts_as_it_was_counted_then(ask, place):
    ask("reports", "send")
    (place / "rules" / "all.yml").write_text(BOOK.replace("times: 1/60", "times: 1/30"))
    late(ask, place)
    assert ask("reports", "trace", "acme", "2026-03", "hours")["amount"] == 2.5
    assert ask("reports", "trace", "acme", "2026-03", "hours", "--anew")["amount"] == 7


def test_a_correction_takes_back_what_has_not_left_and_says_who_and_why(ask, run, place):
    ask("reports", "send")
    run("reports", "preview", "acme", "--period", "2026-03", "--pdf", "old.pdf")
    as_issued = (place / "old.pdf").read_bytes()
    late(ask, place)
    found = ask("reports", "correct", "acme", "2026-03", "--why", "an event was stuck", "--who", "bo@ours.example")
    assert (found["outcome"], len(found["taken_back"]), found["taken_in"]) == ("issued", 2, True)
    listed = {(one["number"], one["outcome"]): one["mails"] for one in ask("reports", "list")["issued"]}
    assert listed[2, "planned"] == {"queued": 2}
    assert listed[1, "planned"] == {"in_review": 2, "withdrawn": 2}
    first = ("reports", "preview", "acme", "--period", "2026-03", "--number", 1, "--pdf", "old.pdf")
    assert ask(*first)["issued"]["corrected_by"] == 2
    assert (place / "old.pdf").read_bytes() != as_issued, "the PDF says that it was corrected"
    assert "number 2 corrects what was issued before: an event was stuck" in (
        run("reports", "preview", "acme", "--period", "2026-03").stderr
    )
    run("send", "--simulate", "--outbox", "out")
    texts = [path.read_text() for path in (place / "out").glob("*.eml")]
    assert sum("This corrects the figures that you got before." in text for text in texts) == 2
    assert ask("replay", "--verify")["different"] == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("monthyl",), "did you mean 'monthly'"),
        (("--account", "acne"), "did you mean 'acme'"),
        (("--period", "March"), "write a month as 2026-10"),
        (("--period", "2026-03", "--since", "2026-01-01"), "leave one of them out"),
    ],
)
def test_wrong_words_are_said(run, words, expected):
    assert expected in run("reports", "send", *words, code=2).stderr


def test_the_links_of_what_was_sent_are_taken_back_once(ask, run):
    ask("reports", "send", "--account", "acme")
    assert "no report was sent for 2026-02" in run("reports", "revoke", "acme", "2026-02", code=2).stderr
    assert "no report other was sent" in run("reports", "revoke", "acme", "2026-03", "other", code=2).stderr
    found = ask("reports", "revoke", "acme", "2026-03", "--by", "ann")
    assert found == {"account_id": "acme", "period": "2026-03", "reports": ["monthly"], "revoked": 2}
    assert "the links in 2 mails open nothing" in run("reports", "revoke", "acme", "2026-03").stderr


def test_links_of_a_mail_that_was_decided_by_a_clock_ahead_of_ours_end_too(ask, monkeypatch, place):
    ask("reports", "send", "--account", "acme")
    monkeypatch.setattr("ringfirst.intake.now", lambda: instant("2026-04-01T23:00:00Z"))
    assert ask("reports", "revoke", "acme", "2026-03")["revoked"] == 2
    (store,) = [open_store(f"sqlite:///{path}") for path in place.glob("*.db")]
    (one, *_) = [row for row in store.outreach(account_id="acme") if row.audience == "customer"]
    token = report_path(one, store.key).rpartition("/")[2]
    at = instant("2026-04-02T09:00:00Z")
    assert unseal_report(token, store.key, at=at) is not None
    assert hosted(store, SENDER, token, at=at) is None
    store.close()
