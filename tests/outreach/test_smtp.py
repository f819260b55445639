"""Mails over SMTP, to a real server: what is known of a mail after every answer, and that none leaves twice."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiosmtpd.smtp import SMTP, AuthResult

from engine.instants import MINUTE
from outreach.backoff import AGAIN
from outreach.channel import DeliveryError
from outreach.channels.smtp import SmtpChannel
from outreach.channels.smtp_server import SmtpServer
from outreach.mail import Outgoing, build_mail
from outreach.rendering import Rendered
from outreach.sender import send_due
from tests.mailbox import Box, serving
from tests.outreach.given import DUE, POLICY, SENDER, keep, made_template, only, planned


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture
def server(box: Box) -> Iterator[SmtpServer]:
    with serving(lambda: SMTP(box, hostname="mx.test")) as port:
        yield SmtpServer(host="127.0.0.1", port=port, security="none")


def a_mail(number: int = 1, to: str = "ada@acme.example") -> Outgoing:
    words = Rendered(f"Mail {number}", "Words.\n.\nA dot before.\n", "<p>Words.</p>\n")
    return build_mail(words, SENDER, mail_id=f"{number:032x}", rule="r", due_at=DUE, to=to)


def delivered(server: SmtpServer, *mails: Outgoing) -> None:
    channel = SmtpChannel(server, SENDER.address)
    with channel.session():
        for mail in mails:
            channel.deliver(mail)


def refused(server: SmtpServer, mail: Outgoing | None = None) -> tuple[str, str]:
    with pytest.raises(DeliveryError) as caught:
        delivered(server, mail or a_mail())
    assert "ada@" not in str(caught.value)
    return caught.value.verdict, str(caught.value)


def test_a_mail_arrives_byte_for_byte(server: SmtpServer, box: Box) -> None:
    delivered(server, a_mail())
    (found,) = box.mails
    assert (found.mail_from, found.rcpt_tos, found.content) == (SENDER.address, ["ada@acme.example"], a_mail().raw)


def test_the_mails_of_a_run_share_a_connection(server: SmtpServer, box: Box) -> None:
    delivered(server, *(a_mail(number) for number in range(5)))
    assert (len(box.mails), len(box.sessions)) == (5, 1)


def test_a_connection_that_the_server_closed_between_two_mails_is_made_anew(server: SmtpServer, box: Box) -> None:
    box.drop = "after"
    delivered(server, a_mail(1), a_mail(2))
    assert (len(box.mails), len(box.sessions)) == (2, 2)


@pytest.mark.parametrize(
    ("when", "answer", "verdict", "told"),
    [
        ("RCPT", "550 5.1.1 <{address}>: nobody here", "failed", "smtp: the server refused the reader (550 5.1.1)"),
        ("RCPT", "452 4.2.2 {address} is full", "later", "smtp: the server refused the reader (452 4.2.2)"),
        ("RCPT", "451 come again", "later", "smtp: the server refused the reader (451)"),
        ("RCPT", "421 4.3.2 going down", "down", "smtp: the server closes the connection (421 4.3.2)"),
        ("DATA", "554 5.7.1 looks like spam", "failed", "smtp: the server refused the mail (554 5.7.1)"),
        ("DATA", "451 4.3.0 later", "later", "smtp: the server refused the mail (451 4.3.0)"),
    ],
)
def test_what_the_server_answers_is_what_is_known(
    server: SmtpServer, box: Box, when: str, answer: str, verdict: str, told: str
) -> None:
    box.answers[when] = answer
    assert refused(server) == (verdict, told)
    assert box.mails == []


def test_after_a_refusal_the_next_mail_goes_through(server: SmtpServer, box: Box) -> None:
    channel = SmtpChannel(server, SENDER.address)
    with channel.session():
        box.answers["RCPT"] = "550 5.1.1 no"
        with pytest.raises(DeliveryError):
            channel.deliver(a_mail(1))
        box.answers.clear()
        channel.deliver(a_mail(2, "bob@acme.example"))
    assert [one.rcpt_tos for one in box.mails] == [["bob@acme.example"]]


def test_no_answer_to_a_whole_mail_leaves_it_in_doubt(server: SmtpServer, box: Box) -> None:
    box.drop = "DATA"
    verdict, told = refused(server)
    assert (verdict, told) == ("in_doubt", "smtp: no answer to the mail; SMTPServerDisconnected")
    assert len(box.mails) == 1


def test_an_answer_to_a_whole_mail_that_means_nothing_leaves_it_in_doubt(server: SmtpServer, box: Box) -> None:
    for answer in ("well, yes", "354 go on"):
        box.answers["DATA"] = answer
        assert refused(server) == ("in_doubt", "smtp: the server's answer to the mail cannot be understood")


def test_a_yes_before_the_text_of_a_mail_is_not_taken_for_one(box: Box) -> None:
    class Hasty(SMTP):
        async def smtp_DATA(self, arg: str) -> None:
            await self.push("250 fine")

    with serving(lambda: Hasty(box, hostname="mx.test")) as port:
        assert refused(SmtpServer(host="127.0.0.1", port=port, security="none"))[0] == "down"


def test_a_connection_that_breaks_before_the_mail_has_sent_none(server: SmtpServer, box: Box) -> None:
    box.drop = "RCPT"
    assert refused(server)[0] == "down"
    assert box.mails == []


def test_a_server_that_is_not_there_is_said() -> None:
    verdict, told = refused(SmtpServer(host="127.0.0.1", port=1, security="none"))
    assert (verdict, told) == ("down", "smtp: 127.0.0.1:1 cannot be reached; Connection refused")


def test_without_tls_on_offer_nothing_is_sent(server: SmtpServer, box: Box) -> None:
    verdict, told = refused(at_security(server, "starttls"))
    assert verdict == "down"
    assert told.endswith("; RINGFIRST_SMTP_SECURITY can be tls, or none in a network of your own")


def at_security(server: SmtpServer, security: Any) -> SmtpServer:
    return SmtpServer(host=server.host, port=server.port, security=security)


# -- TLS and passwords -------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    made = ["-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-nodes", "-subj", "/CN=127.0.0.1"]
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", *made, "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


def _let_in(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"mailer", b"secret word"), handled=False)


@pytest.fixture
def context(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*certificate)
    return made


@pytest.fixture
def guarded(box: Box, certificate: tuple[Path, Path], context: ssl.SSLContext) -> Iterator[SmtpServer]:
    def factory() -> SMTP:
        return SMTP(
            box,
            hostname="mx.test",
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=_let_in,
        )

    with serving(factory) as port:
        yield SmtpServer(host="127.0.0.1", port=port, user="mailer", password="secret word", ca=certificate[0])


def test_with_starttls_and_a_password_mails_get_in(guarded: SmtpServer, box: Box) -> None:
    delivered(guarded, a_mail())
    assert len(box.mails) == 1


def test_a_wrong_password_is_said_without_it(guarded: SmtpServer) -> None:
    wrong = SmtpServer(
        host=guarded.host, port=guarded.port, security="starttls", user="mailer", password="guess", ca=guarded.ca
    )
    verdict, told = refused(wrong)
    assert verdict == "down"
    assert "does not let us in (535 5.7.8); look at RINGFIRST_SMTP_USER" in told
    assert "guess" not in told


def test_a_password_that_smtp_cannot_carry_costs_no_mail(
    guarded: SmtpServer, box: Box, store: Any, templates: Any
) -> None:
    keep(store, planned())
    with pytest.raises(DeliveryError, match="RINGFIRST_SMTP_USER or its password has a letter") as caught:
        sent(store, templates, msgspec.structs.replace(guarded, password="gehe\xefm"))
    assert "gehe" not in str(caught.value)
    assert only(store).state == "queued"
    assert sent(store, templates, guarded).mails == 1


@pytest.mark.parametrize(
    ("change", "ours"),
    [
        ({"password": "guess"}, True),
        ({"password": "gehe\xefm"}, True),
        ({"ca": None}, True),
        ({"security": "tls"}, False),
        ({"port": 9}, False),
    ],
)
def test_settings_that_no_waiting_mends_are_told_from_a_server_that_is_away(
    guarded: SmtpServer, store: Any, templates: Any, change: dict[str, Any], ours: bool
) -> None:
    keep(store, planned())
    with pytest.raises(DeliveryError) as caught:
        sent(store, templates, msgspec.structs.replace(guarded, **change))
    (outage,) = store.outages()
    assert (caught.value.ours, outage.ours) == (ours, ours)
    assert (caught.value.wait_seconds or 0) >= (300 if ours else 30)


def test_a_certificate_of_nobody_is_not_trusted(guarded: SmtpServer, box: Box) -> None:
    stranger = SmtpServer(host=guarded.host, port=guarded.port, user="mailer", password="secret word")
    verdict, told = refused(stranger)
    assert verdict == "down"
    assert told.endswith("look at RINGFIRST_SMTP_CA")
    assert box.mails == []


def test_tls_from_the_first_byte(box: Box, certificate: tuple[Path, Path], context: ssl.SSLContext) -> None:
    with serving(lambda: SMTP(box, hostname="mx.test"), context) as port:
        delivered(SmtpServer(host="127.0.0.1", port=port, security="tls", ca=certificate[0]), a_mail())
    assert len(box.mails) == 1


# -- the sender on it --------------------------------------------------------------------------------------------------
def sent(store: Any, templates: Any, server: SmtpServer, *, at: int = DUE, **more: Any) -> Any:
    channel = SmtpChannel(server, SENDER.address)
    return send_due(store, templates, channel, sender=SENDER, at=at, by="test", policy=POLICY, **more)


def test_a_decision_becomes_a_mail_in_a_real_mailbox(store: Any, templates: Any, server: SmtpServer, box: Box) -> None:
    keep(store, planned())
    assert sent(store, templates, server).mails == 1
    assert sent(store, templates, server, at=DUE + MINUTE).mails == 0
    (found,) = box.mails
    message = message_from_bytes(found.content)
    assert message["To"] == "Ada Lindqvist <ada@acme.example>"
    assert (only(store).state, only(store).why) == ("accepted", f"by smtp as {only(store).outreach_id}")


def test_a_server_that_is_away_costs_no_mail_and_no_second_one(
    store: Any, templates: Any, server: SmtpServer, box: Box
) -> None:
    keep(store, planned(rule="one"), planned(rule="two"))
    with pytest.raises(DeliveryError, match="cannot be reached"):
        sent(store, templates, SmtpServer(host="127.0.0.1", port=1, security="none"))
    assert {(row.state, row.why) for row in store.outreach()} == {("queued", None)}
    assert sent(store, templates, server, at=DUE + MINUTE).mails == 2
    assert len(box.mails) == 2


@pytest.mark.parametrize("how", ["421", "drop"])
def test_a_mail_over_which_the_server_hangs_up_does_not_hold_up_the_others(
    store: Any, templates: Any, server: SmtpServer, box: Box, how: str
) -> None:
    keep(store, planned(rule="one", account="acme"), planned(rule="two", account="bolt"))
    box.drop, box.answers = ("RCPT", {}) if how == "drop" else ("", {"RCPT": "421 4.7.0 not him"})
    with pytest.raises(DeliveryError, match="the connection"):
        sent(store, templates, server)
    box.drop, box.answers = "", {}
    report = sent(store, templates, server, at=DUE + MINUTE)
    assert (report.mails, report.waiting) == (1, 1)
    assert {row.state for row in store.outreach()} == {"accepted", "queued"}
    assert sent(store, templates, server, at=DUE + 6 * MINUTE).mails == 1


def test_a_mail_that_was_put_off_is_tried_again_after_a_while(
    store: Any, templates: Any, server: SmtpServer, box: Box
) -> None:
    keep(store, planned())
    box.answers["RCPT"] = "451 4.7.1 come again"
    report = sent(store, templates, server)
    assert (report.later, report.reasons) == (1, {"smtp: the server refused the reader (451 4.7.1)": 1})
    box.answers.clear()
    assert sent(store, templates, server, at=DUE + AGAIN - 1).waiting == 1
    assert sent(store, templates, server, at=DUE + 6 * MINUTE).mails == 1


def test_a_mail_in_doubt_is_not_sent_again(store: Any, templates: Any, server: SmtpServer, box: Box) -> None:
    keep(store, planned())
    box.drop = "DATA"
    assert sent(store, templates, server).in_doubt == 1
    box.drop = ""
    assert sent(store, templates, server, at=DUE + 60 * MINUTE).mails == 0
    assert len(box.mails) == 1


def test_mails_go_to_no_other_domain_than_those_that_are_named(
    store: Any, templates: Any, server: SmtpServer, box: Box
) -> None:
    keep(store, planned())
    report = sent(store, templates, server, only_to=["ringfirst.example"])
    assert (report.mails, report.held) == (0, 1)
    assert "RINGFIRST_ONLY_TO" in str(only(store).why)
    assert sent(store, templates, server, only_to=["acme.example"]).mails == 1


def test_a_marketing_mail_does_not_leave_without_a_link_to_unsubscribe(
    store: Any, server: SmtpServer, box: Box
) -> None:
    fact = planned(template="made")
    (letter,) = fact.mails
    keep(store, msgspec.structs.replace(fact, mails=(msgspec.structs.replace(letter, mail_class="marketing"),)))
    made = {"made": made_template("Words.", manifest="for: customer\nclass: marketing\nexample: {you: {name: Ada}}\n")}
    assert sent(store, made, server).held == 1
    assert box.mails == []
