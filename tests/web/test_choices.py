"""Unsubscribing: from a mail that left, by a machine's POST and by a person's page, until nothing leaves any more."""

import re
from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from html import unescape
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
import pytest

from engine.instants import DAY, HOUR
from engine.lanes import lane_of
from engine.rulebook.spec import Policy, Rhythm, Topic, Topics
from engine.store import ALL_TOPICS, Wishes
from engine.stores import open_store
from outreach.addresses import address_key
from outreach.channels.memory import MemoryChannel
from outreach.links import TRIAL_TOPIC, Token, seal, unseal
from outreach.sender import send_due
from ringfirst.web.choices import Choices
from ringfirst.web.wording import _known, words_in
from tests.outreach.given import ADA, DUE, SENDER, STAFF, keep, part_of, planned, starter_templates
from tests.web.given import Outside

BASE = "https://mail.ringfirst.example"
OURS = msgspec.structs.replace(SENDER, public_url=BASE)
TOPICS = Topics(
    (Topic("moments", "Help around appointments"), Topic("tips", "Tips & <tricks>"), Topic("news", "News", True)),
    (("orientation-tomorrow", "moments", "relationship"), ("a", "tips", "relationship"), ("b", "news", "marketing")),
)
POLICY = Policy(staff_domains=STAFF, topics=TOPICS)
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def store():
    made = open_store("sqlite://")
    yield made
    made.close()


@pytest.fixture(scope="module")
def templates():
    return starter_templates()


@pytest.fixture
def outside(store):
    with Outside(Choices(store, OURS, lambda: POLICY).routes()) as started:
        yield started


def leaves(store, templates, *, at=DUE, **more):
    """What leaves at that time."""
    channel = MemoryChannel()
    given = {"sender": OURS, "policy": POLICY, **more}
    send_due(store, templates, channel, at=at, by="test", **given)
    return channel.mails


def one_click(mail) -> str:
    (url,) = re.findall(r"<(https://[^>]*)>", message_from_bytes(mail.raw, policy=default)["List-Unsubscribe"])
    assert url.startswith(BASE)
    return urlsplit(url).path


def page_link(mail) -> str:
    (url,) = re.findall(rf"{BASE}/p/\S+", part_of(mail.raw))
    return urlsplit(url).path


def wishes(store, address="ada@acme.example") -> Wishes:
    return store.wishes(address_key(store.key, address))


def tokened(store, mail) -> Token:
    token = unseal(one_click(mail).rpartition("/")[2], store.key)
    assert token is not None
    return token


def told(store, account="acme"):
    rows = store.inbox(lane_of(account, store.lanes), after=0)
    return [msgspec.json.decode(row.body) for row in rows if b"outreach.sent" not in row.body]


def pressed(outside, path, **fields):
    return outside.ask("POST", path, urlencode(fields, doseq=True).encode(), content_type=FORM)


def words(said) -> str:
    return unescape(" ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", said.text, flags=re.DOTALL).split()))


def test_one_click_from_a_mail_that_left_stops_the_next_one(store, templates, outside):
    keep(store, planned(), planned(occasion="next", due_at=DUE + HOUR), planned(account="other", due_at=DUE + HOUR))
    (mail,) = leaves(store, templates)
    said = outside.ask("POST", one_click(mail), b"List-Unsubscribe=One-Click", content_type=FORM)
    assert (said.status, "location" in said.headers, "set-cookie" in said.headers) == (200, False, False)
    assert wishes(store).choices == {"moments": "out"}
    assert leaves(store, templates, at=DUE + HOUR) == []
    later = [row for row in store.outreach() if row.due_at > DUE]
    assert [(row.state, row.why) for row in later] == [("suppressed", "unsubscribed from moments")] * 2


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"List-Unsubscribe=One-Click", FORM),
        (
            b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
        ),
        (b"", ""),
    ],
)
def test_a_provider_may_post_what_it_likes_and_twice(store, templates, outside, body, kind):
    keep(store, planned())
    path = one_click(leaves(store, templates)[0])
    for _ in range(2):
        assert outside.ask("POST", path, body, content_type=kind).status == 200
    (word,) = told(store)
    assert (word["type"], word["user_id"]) == ("outreach.unsubscribed", "u1")
    assert word["properties"]["topics"] == ["moments"]
    assert word["properties"]["by"] == "one-click"
    assert (word["properties"]["rule"], word["properties"]["all"]) == ("orientation-tomorrow", False)


@pytest.mark.parametrize(
    ("ada", "account", "sender", "said"),
    [
        ({"locale": "de-AT"}, {}, "en", ("de", "E-Mails dieser Art abbestellen", "Erledigt. ")),
        ({}, {"language": "fr"}, "en", ("fr", "Ne plus recevoir ce type", "C'est fait. ")),
        ({}, {}, "es-MX", ("es", "No recibir más correos de este tipo", "Hecho. ")),
        ({"locale": "is"}, {"language": "fr"}, "es", ("en", "Stop mails of this kind", "Done. ")),
    ],
)
def test_the_page_speaks_the_language_of_its_reader(store, templates, ada, account, sender, said):
    ours = msgspec.structs.replace(OURS, locale=sender)
    keep(store, planned(frozen={"account": {"plan": "pro", **account}}), people={"u1": {**ADA, **ada}})
    (mail,) = leaves(store, templates, sender=ours)
    with Outside(Choices(store, ours, lambda: POLICY).routes()) as outside:
        page = outside.ask("GET", one_click(mail).replace("/u/", "/p/"))
        done = pressed(outside, one_click(mail).replace("/u/", "/p/"), act="stop")
        lost = outside.ask("GET", "/p/cut")
    assert f'<html lang="{said[0]}" dir="ltr">' in page.text
    assert said[1] in words(page)
    assert f"{said[2]}" in words(done)
    assert "Help around appointments" in words(done)
    assert f'lang="{words_in(sender).locale}"' in lost.text
    assert wishes(store).choices == {"moments": "out"}


def test_a_page_of_a_mail_that_is_gone_speaks_the_language_of_the_sender(store):
    ours = msgspec.structs.replace(OURS, locale="de")
    token = seal(Token("0" * 32, "f" * 64, "moments"), store.key)
    with Outside(Choices(store, ours, lambda: POLICY).routes()) as outside:
        assert "E-Mails dieser Art abbestellen" in words(outside.ask("GET", f"/p/{token}"))


def test_every_language_has_every_word():
    known = _known()
    for locale, by_name in known.items():
        assert list(by_name) == list(known["en"]), locale
        assert all(("{title}" in text) == ("{title}" in known["en"][name]) for name, text in by_name.items()), locale


@pytest.mark.parametrize(("method", "kind"), [("GET", "p"), ("POST", "p"), ("GET", "u"), ("POST", "u")])
def test_a_link_of_a_test_mail_says_so_and_changes_nothing(store, outside, method, kind):
    token = Token("0" * 32, address_key(store.key, "ada@acme.example"), TRIAL_TOPIC)
    said = outside.ask(method, f"/{kind}/{seal(token, store.key)}", b"act=stop_all", content_type=FORM)
    assert said.status == 200
    assert "It came with a mail that was sent as a test" in words(said)
    assert "<form" not in said.text
    assert wishes(store) == Wishes()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_to_look_never_unsubscribes(store, templates, outside, method):
    keep(store, planned())
    (mail,) = leaves(store, templates)
    for path in (one_click(mail), page_link(mail)):
        assert outside.ask(method, path).status == 200
    assert wishes(store) == Wishes()
    assert told(store) == []


def test_a_mail_holds_its_links_unfolded_and_nobodys_address(store, templates):
    keep(store, planned())
    (mail,) = leaves(store, templates, sender=msgspec.structs.replace(OURS, unsubscribe_to="stop@ringfirst.example"))
    head = mail.raw.partition(b"\r\n\r\n")[0].decode()
    (line,) = [line for line in head.split("\r\n") if line.startswith("List-Unsubscribe:")]
    assert re.fullmatch(
        rf"List-Unsubscribe: <{BASE}/u/([\w-]+)>, <mailto:stop@ringfirst\.example\?subject=unsubscribe%20\1>", line
    )
    assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in head
    assert "List-Id: <moments.ringfirst.example>" in head
    assert tokened(store, mail) == Token(mail.mail_id, address_key(store.key, ADA["email"]), "moments")
    assert len(line.partition(">")[0]) < 170
    assert "ada" not in line.lower()


def test_without_a_public_url_there_are_no_links(store, templates):
    keep(store, planned())
    (mail,) = leaves(store, templates, sender=SENDER)
    assert b"List-Unsubscribe" not in mail.raw
    assert "reply and say so" in part_of(mail.raw)


def test_a_note_to_us_has_no_links(store, templates):
    keep(
        store,
        planned(
            audience="staff",
            to="us@ringfirst.example",
            template="orientation-brief",
            values={"orientation.starts_at": "2026-03-12T09:00:00Z"},
        ),
    )
    for mail in leaves(store, templates):
        assert b"List-Unsubscribe" not in mail.raw


def test_a_transactional_mail_still_comes_and_its_link_stops_all_others(store, templates, outside):
    keep(store, planned(mail_class="transactional"), planned(occasion="n", mail_class="transactional", due_at=DUE + 1))
    keep(store, planned(occasion="other"))
    (mail,) = [one for one in leaves(store, templates) if tokened(store, one).topic == ALL_TOPICS]
    store.choose(address_key(store.key, ADA["email"]), {"tips": "in"}, at=DUE, by="page")
    assert "no more mails, but those" in words(outside.ask("POST", one_click(mail)))
    assert wishes(store).choices == {ALL_TOPICS: "out"}
    assert len(leaves(store, templates, at=DUE + 1)) == 1


@pytest.mark.parametrize("path", ["/u/{}", "/p/{}"])
@pytest.mark.parametrize("bad", ["guessed", "A" * 98, "%00", "x" * 5_000, "\u00e9".encode().hex(), "cut"])
def test_a_link_that_is_cut_or_guessed_gets_a_friendly_page_and_does_nothing(store, outside, path, bad):
    token = seal(Token("0" * 32, address_key(store.key, ADA["email"]), "tips"), store.key)
    bad = token[:-1] if bad == "cut" else bad
    for method in ("GET", "POST"):
        said = outside.ask(method, path.format(bad), b"act=stop_all" if method == "POST" else b"", content_type=FORM)
        assert said.status == 404
        assert "It may be cut off" in said.text
    assert store.choices() == []


def test_no_letter_of_a_link_can_be_changed(store):
    token = Token("0" * 32, "f" * 64, "tips")
    sealed = seal(token, store.key)
    assert unseal(sealed, store.key) == token
    for at, letter in enumerate(sealed):
        for other in {"A", "B", "z"} - {letter}:
            found = unseal(sealed[:at] + other + sealed[at + 1 :], store.key)
            assert found is None or (found == token and at == len(sealed) - 1), "the last one has bits to spare"


def test_a_link_works_when_mail_and_account_are_forgotten(store, templates, outside):
    keep(store, planned())
    (mail,) = leaves(store, templates)
    (claim,) = store.claim([lane_of("acme", store.lanes)], "me", at=DUE, take_over=True)
    store.forget_account(claim, "acme", at=DUE)
    assert outside.ask("POST", one_click(mail)).status == 200
    assert wishes(store).choices == {"moments": "out"}
    assert told(store) == []


def test_the_page_shows_every_kind_and_stops_and_starts_this_one(store, templates, outside):
    keep(store, planned())
    path = page_link(leaves(store, templates)[0])
    said = outside.ask("GET", path)
    assert "of this kind: Help around appointments" in words(said)
    assert "Tips & <tricks>" in words(said)
    assert "Tips &amp; &lt;tricks&gt;" in said.text
    assert pressed(outside, path, act="stop").status == 200
    assert wishes(store).choices == {"moments": "out"}
    assert "Get them again" in words(outside.ask("GET", path))
    assert "again: Help around appointments" in words(pressed(outside, path, act="start"))
    assert wishes(store).choices == {"moments": "in"}
    assert [one["type"] for one in told(store)] == ["outreach.unsubscribed", "outreach.resubscribed"]


def test_save_changes_what_was_ticked_or_unticked_and_leaves_the_rest(store, templates, outside):
    keep(store, planned())
    path = page_link(leaves(store, templates)[0])
    shown = ["moments", "tips", "news"]
    pressed(outside, path, act="save", shown=shown, was=["moments", "tips"], topic=["moments", "tips"])
    assert wishes(store) == Wishes(), "nothing was changed"
    pressed(outside, path, act="save", shown=shown, was=["moments", "tips"], topic=["moments", "news"])
    assert wishes(store).choices == {"news": "in", "tips": "out"}
    pressed(outside, path, act="save", shown=["moments", "made-up"], was=["moments", "made-up"])
    assert wishes(store).choices == {"moments": "out", "news": "in", "tips": "out"}


def test_all_can_be_stopped_and_got_again(store, templates, outside):
    keep(store, planned())
    path = page_link(leaves(store, templates)[0])
    assert "Get all kinds again" in words(pressed(outside, path, act="stop_all"))
    assert wishes(store).choices == {ALL_TOPICS: "out"}
    pressed(outside, path, act="save", shown=["moments", "tips"], topic=["tips"])
    assert wishes(store).choices == {ALL_TOPICS: "out", "tips": "in"}
    pressed(outside, path, act="start_all")
    assert wishes(store).choices == {ALL_TOPICS: "in"}


@pytest.mark.parametrize("form", [b"", b"act=explode", b"\xff\xfe", b"act=save&topic=" + b"x" * 1_000, b"&" * 500])
def test_a_form_that_nobody_sent_changes_nothing(store, templates, outside, form):
    keep(store, planned())
    path = page_link(leaves(store, templates)[0])
    assert outside.ask("POST", path, form, content_type=FORM).status == 200
    assert wishes(store) == Wishes()


def test_who_is_never_written_to_cannot_be_written_to_again_by_the_page(store, templates, outside):
    keep(store, planned())
    path = page_link(leaves(store, templates)[0])
    store.suppress(address_key(store.key, ADA["email"]), reason="complained", at=DUE)
    assert "not write to this address at all" in words(outside.ask("GET", path))
    pressed(outside, path, act="start_all")
    assert wishes(store) == Wishes("complained", {})


def test_consent_is_asked_for_and_can_be_given_on_the_page(store, templates, outside):
    keep(store, planned())
    path = page_link(leaves(store, templates)[0])
    news: Any = {"rule": "b", "mail_class": "marketing", "due_at": DUE + HOUR, "expires_at": DUE + 9 * DAY}
    keep(store, planned(**news))
    assert leaves(store, templates, at=DUE + HOUR) == []
    (row,) = store.outreach(rule="b")
    assert (row.state, row.why) == ("suppressed", "no consent to news")
    pressed(outside, path, act="save", shown=["news"], topic=["news"])
    keep(store, planned(occasion="again", **news))
    assert len(leaves(store, templates, at=DUE + HOUR)) == 1


@pytest.mark.parametrize(("value", "count"), [(True, 1), (False, 0), ("yes", 0), (None, 0)])
@pytest.mark.parametrize("where", ["frozen", "people"])
def test_a_trait_can_say_that_somebody_consented(store, templates, where, value, count):
    policy = Policy(topics=Topics((Topic("news", "News", True, "likes_news"),), (("b", "news", "marketing"),)))
    people = {"u1": {**ADA, "likes_news": value}} if where == "people" and value is not None else None
    frozen = {"people": {"u1": {"likes_news": value}}} if where == "frozen" else {}
    keep(store, planned(rule="b", mail_class="marketing", frozen=frozen), people=people)
    assert len(leaves(store, templates, policy=policy)) == count


def test_a_reader_who_stops_while_the_mail_is_written_does_not_get_it(store, templates):
    keep(store, planned())

    class Late:
        """A store in which the reader unsubscribes just before the claim."""

        def __getattr__(self, name):
            return getattr(store, name)

        def claim_mails(self, *args, **more):
            store.choose(address_key(store.key, ADA["email"]), {"moments": "out"}, at=DUE, by="one-click")
            return store.claim_mails(*args, **more)

    assert leaves(Late(), templates) == []
    (row,) = store.outreach()
    assert (row.state, row.why) == ("suppressed", "unsubscribed from moments")


def test_the_page_stands_without_anything_from_elsewhere(store, templates, outside):
    keep(store, planned())
    said = outside.ask("GET", page_link(leaves(store, templates)[0]))
    assert not re.search(r"<script|src=|href=|http", said.text)
    assert "style-src 'sha256-" in said.headers["content-security-policy"]
    assert "ada" not in said.text.lower(), "who was led here is not told whose mails they are"


class Away(MemoryChannel):
    """A channel that leaves this machine."""

    name = "smtp"
    local = False


@pytest.mark.parametrize(("sender", "state"), [(SENDER, "held"), (OURS, "accepted")], ids=["no link", "a link"])
def test_a_marketing_mail_leaves_this_machine_with_a_way_out_alone(store, templates, sender, state):
    keep(store, planned(mail_class="marketing"))
    channel = Away()
    send_due(store, templates, channel, sender=sender, at=DUE, by="test", policy=POLICY)
    (row,) = store.outreach()
    assert row.state == state
    if state == "held":
        assert row.why == "a marketing mail needs a link to unsubscribe: set RINGFIRST_PUBLIC_URL"
    else:
        assert "List-Unsubscribe: <https://" in channel.mails[0].raw.decode()


class TestHowOften:
    """A report for each month, or one for the quarter."""

    @pytest.fixture
    def mail(self, store, templates):
        keep(store, planned())
        (mail,) = leaves(store, templates)
        return mail

    @pytest.fixture
    def offering(self, store):
        pair = (Rhythm("orientation-tomorrow", "orientation-tomorrow-quarterly", "What <you> got"),)
        policy = replace(POLICY, rhythms=pair)
        with Outside(Choices(store, OURS, lambda: policy).routes()) as started:
            yield started

    def test_a_reader_of_a_report_chooses_once_for_each_quarter_and_back(self, store, offering, mail):
        path = page_link(mail)
        assert checked(offering.ask("GET", path)) == "month"
        assert "What <you> got" in words(offering.ask("GET", path))
        done = pressed(offering, path, act="rhythm", report="orientation-tomorrow", every="quarter")
        assert "Saved." in words(done)
        assert checked(done) == checked(offering.ask("GET", path)) == "quarter"
        pressed(offering, path, act="rhythm", report="orientation-tomorrow", every="quarter")
        pressed(offering, path, act="rhythm", report="orientation-tomorrow", every="month")
        assert [every for _, every in wishes(store).rhythms["orientation-tomorrow"]] == ["quarter", "month"]
        assert [word["type"] for word in told(store)] == ["outreach.rhythm"] * 2
        assert wishes(store).choices == {}, "the kinds of mails are as they were"

    @pytest.mark.parametrize("fields", [{"report": "secret"}, {"every": "day"}, {"report": ""}, {"every": ""}])
    def test_nothing_else_can_be_chosen(self, store, offering, mail, fields):
        given = {"act": "rhythm", "report": "orientation-tomorrow", "every": "quarter", **fields}
        assert pressed(offering, page_link(mail), **given).status == 200
        assert wishes(store).rhythms == {}

    def test_who_gets_no_report_is_asked_nothing(self, store, outside, mail):
        assert checked(outside.ask("GET", page_link(mail))) is None

    def test_an_address_that_is_never_written_to_chooses_nothing(self, store, offering, mail):
        store.suppress(address_key(store.key, ADA["email"]), reason="bounced", at=DUE)
        pressed(offering, page_link(mail), act="rhythm", report="orientation-tomorrow", every="quarter")
        assert wishes(store).rhythms == {}


def checked(said) -> str | None:
    """Which of the two is chosen on the page."""
    found = re.findall(r'name="every" value="(\w+)" checked', said.text)
    return found[0] if found else None
