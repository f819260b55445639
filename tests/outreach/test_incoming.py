"""Mails that come back, as real servers and people write them: what each of them is taken for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.instants import DAY, HOUR, parse_instant
from outreach.incoming import read_mail

NOW = parse_instant("2026-03-12T12:00:00Z") or 0
OURS = "<0123456789abcdef@ringfirst.example>"
HEADERS = """Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mx.acme.example>
To: hello@ringfirst.example
Subject: Undelivered Mail Returned to Sender
Date: Thu, 12 Mar 2026 10:00:00 +0000
Auto-Submitted: auto-replied
MIME-Version: 1.0
"""


def dsn(status: str, action: str = "failed", said: str = "550 no", *, original: str = f"Message-ID: {OURS}") -> bytes:
    """A bounce as Postfix writes it (RFC 3464), with the headers of the mail that came back."""
    return (
        (
            HEADERS
            + f"""Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered to ada@acme.example.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.acme.example
Arrival-Date: Thu, 12 Mar 2026 09:59:58 +0000

Final-Recipient: rfc822; ada@acme.example
Original-Recipient: rfc822;ada@acme.example
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {said}

--b
Content-Type: text/rfc822-headers

From: Ringfirst <hello@ringfirst.example>
To: Ada <ada@acme.example>
{original}
Subject: Is something in your way?

--b--
"""
        )
        .replace("\n", "\r\n")
        .encode()
    )


def mail(subject: str, body: str, **headers: str) -> bytes:
    """An answer of a person, or of a machine with more headers."""
    lines = {
        "From": "Ada Lindqvist <ada@acme.example>",
        "To": "people@ringfirst.example",
        "Date": "Thu, 12 Mar 2026 11:00:00 +0100",
        "Subject": subject,
        "Message-ID": "<answer@acme.example>",
        "In-Reply-To": OURS,
        "References": OURS,
        **{name.replace("_", "-"): text for name, text in headers.items()},
    }
    head = "".join(f"{name}: {text}\r\n" for name, text in lines.items() if text)
    return f"{head}Content-Type: text/plain; charset=utf-8\r\n\r\n{body}\r\n".encode()


@pytest.mark.parametrize(
    ("status", "action", "said", "kind"),
    [
        pytest.param("5.1.1", "failed", "550 5.1.1 <ada@acme.example>: user unknown", "bounced", id="no such mailbox"),
        pytest.param("5.1.2", "failed", "Host not found", "bounced", id="no such domain"),
        pytest.param("5.1.10", "failed", "null MX", "bounced", id="a domain without mail"),
        pytest.param("5.2.1", "failed", "550 5.2.1 account disabled", "bounced", id="disabled"),
        pytest.param("5.4.4", "failed", "Unable to route", "bounced", id="no way there"),
        pytest.param("5.2.2", "failed", "552 5.2.2 mailbox full", "blocked", id="full"),
        pytest.param("5.7.1", "failed", "550 5.7.1 looks like spam", "blocked", id="spam"),
        pytest.param("5.7.515", "failed", "550 5.7.515 not authenticated", "blocked", id="not authenticated"),
        pytest.param("5.3.4", "failed", "552 5.3.4 too large", "blocked", id="too large"),
        pytest.param("4.4.7", "failed", "451 4.4.7 delivery time expired", "blocked", id="given up"),
        pytest.param("5.0.0", "failed", "550 No such user here", "bounced", id="a vague code and plain words"),
        pytest.param("5.0.0", "failed", "550 5.1.1 rejected", "bounced", id="a vague code and a good one beside it"),
        pytest.param("5.0.0", "failed", "554 rejected", "blocked", id="a vague code and nothing else"),
        pytest.param("", "failed", "no reason", "blocked", id="no code at all"),
        pytest.param("4.4.1", "delayed", "will retry", "deferred", id="delayed"),
        pytest.param("2.0.0", "delivered", "250 ok", "delivered", id="delivered"),
        pytest.param("2.0.0", "relayed", "250 ok", "unknown", id="passed on"),
    ],
)
def test_a_report_is_taken_for_what_it_says(status, action, said, kind):
    came = read_mail(dsn(status, action, said), at=NOW)
    assert (came.kind, came.message_ids[0]) == (kind, OURS)
    assert came.status == (status or None)
    assert came.at == parse_instant("2026-03-12T10:00:00Z")


def test_a_report_with_the_whole_mail_in_it_is_joined_too():
    whole = dsn("5.1.1").replace(b"text/rfc822-headers", b"message/rfc822")
    assert read_mail(whole, at=NOW).message_ids[0] == OURS


def test_an_old_daemon_without_a_report_is_read_by_its_words():
    raw = (
        b"Return-Path: <>\r\nFrom: MAILER-DAEMON@acme.example\r\nSubject: failure notice\r\n\r\n"
        b"Hi. This is the qmail-send program.\r\n<ada@acme.example>:\r\n"
        b"Remote host said: 550 5.1.1 no such user\r\n--- Below this line is a copy of the message.\r\n"
        b"Message-ID: " + OURS.encode() + b"\r\n"
    )
    came = read_mail(raw, at=NOW)
    assert (came.kind, came.status) == ("bounced", "5.1.1")
    assert OURS in came.message_ids
    assert read_mail(raw.replace(b"550 5.1.1 no such user", b"try later"), at=NOW).kind == "blocked"


THEIRS = "<answer-of-a-colleague@ringfirst.example>"


def test_a_colleagues_mail_that_did_not_arrive_says_nothing_of_the_reader_whose_mail_it_holds():
    """Support passes our mail on to an address with a typing error, or goes on with its thread."""
    held = (
        f"Message-ID: {THEIRS}\nContent-Type: multipart/mixed; boundary=c\n\n--c\nContent-Type: message/rfc822\n\n"
        f"Message-ID: {OURS}\nSubject: Is something in your way?\n\nWords.\n--c--\n"
    )
    whole = dsn("5.1.1", original=held).replace(b"text/rfc822-headers\r\n\r\n", b"message/rfc822\r\n\r\n")
    thread = dsn("5.1.1", original=f"Message-ID: {THEIRS}\nReferences: {OURS}")
    told = thread.replace(b"MIME-Version", f"References: {OURS} {THEIRS}\r\nMIME-Version".encode())
    daemon = (
        b"From: MAILER-DAEMON@acme.example\r\nSubject: failure notice\r\n\r\nHost said: 550 5.1.1 no such user\r\n"
        b"--- Below this line is a copy of the message.\r\n"
        b"Message-ID: " + THEIRS.encode() + b"\r\nReferences: " + OURS.encode() + b"\r\n"
    )
    for raw in (whole, thread, told, daemon):
        came = read_mail(raw, at=NOW)
        assert (came.kind, came.message_ids) == ("bounced", (THEIRS,))


@pytest.mark.parametrize(
    "said",
    [
        "user is over quota.\r\n--- Below this line is a copy of the message.",
        "host mx.acme.example[5.1.1.20] said: 552 mailbox is full",
    ],
)
def test_neither_our_own_words_nor_the_address_of_a_server_make_an_address_a_dead_one(said):
    raw = (
        f"From: MAILER-DAEMON@acme.example\r\nSubject: failure notice\r\n\r\n<ada@acme.example>: {said}\r\n"
        f"Message-ID: {OURS}\r\nSubject: Hello\r\n\r\nAn automation that does not exist saves nobody any time.\r\n"
    )
    came = read_mail(raw.encode(), at=NOW)
    assert (came.kind, came.status, came.message_ids) == ("blocked", None, (OURS,))
    assert read_mail(dsn("5.0.0", said="550 your server 5.1.1.20 is on our list"), at=NOW).kind == "blocked"


def test_a_complaint_is_one():
    raw = dsn("").replace(b"report-type=delivery-status", b"report-type=feedback-report")
    raw = raw.replace(b"message/delivery-status", b"message/feedback-report")
    came = read_mail(raw, at=NOW)
    assert (came.kind, came.message_ids[0]) == ("complained", OURS)


def test_a_receipt_of_having_been_opened_is_nothing():
    raw = dsn("").replace(b"report-type=delivery-status", b"report-type=disposition-notification")
    assert read_mail(raw, at=NOW).kind == "unknown"


@pytest.mark.parametrize("subject", ["Re: Is something in your way?", "AW: Ist etwas im Weg?", "no subject", "Office"])
def test_an_answer_of_a_person_is_a_reply(subject):
    came = read_mail(mail(subject, "Yes: the export. I am no longer with you in this matter."), at=NOW)
    assert (came.kind, came.message_ids, came.sender) == ("replied", (OURS,), "ada@acme.example")
    assert came.at == parse_instant("2026-03-12T10:00:00Z")


def test_an_answer_further_down_the_thread_is_joined_by_its_references():
    later = mail("Re: Re:", "And?", In_Reply_To="<else@x.example>", References=f"{OURS} <else@x.example>")
    assert read_mail(later, at=NOW).message_ids == ("<else@x.example>", OURS)


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "auto-replied"},
        {"Auto_Submitted": "auto-generated; owner-email=x"},
        {"X_Autoreply": "yes"},
        {"X_Autorespond": "Out"},
        {"Precedence": "auto_reply"},
        {"Precedence": "bulk"},
        {"Return_Path": "<>"},
        {"List_Id": "<all.acme.example>"},
    ],
)
def test_a_header_tells_a_machine(headers):
    assert read_mail(mail("Re: hello", "I will be back soon.", **headers), at=NOW).kind == "away"


@pytest.mark.parametrize(
    "subject",
    [
        "Automatic reply: Is something in your way?",
        "Out of Office: Is something",
        "Automatische Antwort: Ist etwas",
        "Abwesenheitsnotiz: Ist etwas",
        "Réponse automatique : Quelque chose",
        "Respuesta automática: Algo",
        "Risposta automatica: Qualcosa",
        "Automatisch antwoord: Iets",
        "Autosvar: Något",
        "=?utf-8?q?R=C3=A9ponse_automatique?=",
    ],
)
def test_a_subject_tells_a_machine_that_sets_no_header(subject):
    assert read_mail(mail(subject, "Back on Monday.", Auto_Submitted="no"), at=NOW).kind == "away"


@pytest.mark.parametrize(
    "words",
    [
        "Ada Lindqvist is no longer with Acme. Please write to Jo.",
        "Ada has left the company.",
        "Ich bin nicht mehr im Unternehmen beschäftigt. Bitte wenden Sie sich an Jo.",
        "Frau Lindqvist hat das Unternehmen verlassen.",
        "Ich bin zum 1. März ausgeschieden.",
        "Ada ne travaille plus chez Acme.",
        "Elle a quitté l\u2019entreprise.",
        "Ada ya no trabaja aquí.",
        "Ada non lavora più qui.",
        "Ada is niet langer werkzaam bij Acme.",
    ],
)
def test_who_has_left_is_told_from_who_is_away(words):
    assert read_mail(mail("Automatic reply", words, Auto_Submitted="auto-replied"), at=NOW).kind == "left"


@pytest.mark.parametrize(
    "words",
    ["I am on leave until Monday.", "I left early today; back tomorrow.", "Ich bin bis Montag nicht im Büro.", ""],
)
def test_who_is_on_leave_has_not_left(words):
    assert read_mail(mail("Automatic reply", words, Auto_Submitted="auto-replied"), at=NOW).kind == "away"


def test_a_mail_to_unsubscribe_carries_its_token():
    token = "A-_z" * 25
    came = read_mail(mail(f"unsubscribe {token}", "", In_Reply_To="", References=""), at=NOW)
    assert (came.kind, came.token) == ("stop", token)
    assert read_mail(mail("unsubscribe", "please"), at=NOW).kind == "replied", "a person reads it"


@pytest.mark.parametrize(
    "date", ["", "yesterday", "Thu, 12 Mar 2099 10:00:00 +0000", "Thu, 12 Mar 1970 10:00:00 +0000"]
)
def test_a_date_that_cannot_be_is_as_of_now(date):
    assert read_mail(mail("Re: hello", "Hi", Date=date), at=NOW).at == NOW


def test_the_same_mail_has_one_id_and_another_one_another():
    one, two = mail("Re: a", "b"), mail("Re: a", "c")
    assert read_mail(one, at=NOW).event_id == read_mail(one, at=NOW + HOUR + DAY).event_id
    assert read_mail(one, at=NOW).event_id != read_mail(two, at=NOW).event_id


PIECES = st.sampled_from(
    [
        b"\r\n",
        b"--b",
        b"--b--",
        b"Content-Type: ",
        b"multipart/report; report-type=delivery-status; boundary=b",
        b"message/delivery-status",
        b"message/rfc822",
        b"Action: failed",
        b"Status: 5.1.1",
        b"From: ",
        b"=?utf-8?q?=",
        b"<",
        b"\xff\xfe",
        b"Message-ID: <a@b>",
        b"In-Reply-To: <",
        b"Subject: ",
        b"Date: ",
        b";charset=nope",
        b"\x00",
        b": ",
    ]
)


@given(st.lists(st.one_of(PIECES, st.binary(max_size=8)), max_size=40))
def test_whatever_comes_is_read(pieces):
    assert read_mail(b"".join(pieces), at=NOW).at <= NOW


@given(st.integers(0, 1_500), st.binary(min_size=1, max_size=4))
def test_a_damaged_report_is_read(at, damage):
    raw = dsn("5.1.1")
    assert read_mail(raw[:at] + damage + raw[at + len(damage) :], at=NOW).event_id
