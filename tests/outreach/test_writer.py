"""In whose name a customer's mail goes out: the account's owner, else the segment's, else the rule's, else ours."""

from email import message_from_bytes
from email.policy import default
from typing import Any

import msgspec
import pytest

from engine.events import Arrived, decode
from engine.instants import iso, parse_instant
from engine.keeper import Keeper
from engine.replay import verify
from engine.rulebook.book import load_rulebook
from engine.rulebook.spec import Policy
from outreach.channels.memory import MemoryChannel
from outreach.channels.sendgrid import payload
from outreach.sender import send_due
from tests.outreach.given import DUE, SENDER, STAFF, keep, part_of, planned

MARA = "mara@ringfirst.example"
START = parse_instant("2026-03-02T09:00:00Z") or 0
POLICY = Policy(staff_domains=STAFF, staff_names=((MARA, "Mara Lind"),))


def left(store, templates, **frozen):
    keep(store, planned(frozen=frozen))
    channel = MemoryChannel()
    send_due(store, templates, channel, sender=SENDER, at=DUE, by="test", policy=POLICY)
    (mail,) = channel.mails
    return mail


def heads(mail):
    found = message_from_bytes(mail.raw, policy=default)
    return str(found["From"]), str(found["Reply-To"])


def test_a_mail_goes_out_in_the_name_of_the_owner_and_from_our_own_address(store, templates):
    mail = left(store, templates, writer=MARA)
    assert heads(mail) == (
        '"Mara Lind (Ringfirst)" <hello@ringfirst.example>',
        "mara@ringfirst.example, people@ringfirst.example",
    )
    assert "\n\nMara Lind\nRingfirst\n\n-- \n" in part_of(mail.raw)
    assert "<bdi>Mara Lind</bdi>" in part_of(mail.raw, "html")
    assert payload(mail)["reply_to_list"] == [{"email": MARA}, {"email": "people@ringfirst.example"}]


def test_an_owner_without_a_name_gets_the_answers_and_signs_nothing(store, templates):
    mail = left(store, templates, writer="bo@ringfirst.example")
    assert heads(mail) == (
        "Ringfirst <hello@ringfirst.example>",
        "bo@ringfirst.example, people@ringfirst.example",
    )
    assert "\nRingfirst\n\n-- \n" not in part_of(mail.raw)


def test_without_an_owner_answers_go_where_the_settings_say(store, templates):
    assert heads(left(store, templates)) == ("Ringfirst <hello@ringfirst.example>", "people@ringfirst.example")


RULES = """
policy: {{staff: {{domains: [ringfirst.example]}}}}
segments: {{paying: {{when: 'plan == "pro"'{segment}}}}}
rules:
  - id: r
    owner: {rule}
    audience: paying
    when: [seats > 3]
    send: {{template: t, to: champion, class: relationship, mode: auto}}
  - id: n
    owner: {rule}
    audience: paying
    when: [seats > 3]
    notify: {{template: n, to: account owner}}
"""


@pytest.mark.parametrize(
    ("account", "segment", "rule", "expected"),
    [
        pytest.param(MARA, "s@ringfirst.example", "r@ringfirst.example", MARA, id="the account's"),
        pytest.param(None, "s@ringfirst.example", "r@ringfirst.example", "s@ringfirst.example", id="the segment's"),
        pytest.param("Mara", "s@ringfirst.example", "r@ringfirst.example", "s@ringfirst.example", id="a name alone"),
        pytest.param("m@partner.example", None, "r@ringfirst.example", "r@ringfirst.example", id="somebody elsewhere"),
        pytest.param(None, None, "r@ringfirst.example", "r@ringfirst.example", id="the rule's"),
        pytest.param(None, None, "nobody", None, id="nobody's"),
    ],
)
def test_the_owner_falls_back_for_mails_and_for_notes(store, account, segment, rule, expected):
    text = RULES.format(segment=f", owner: {segment}" if segment else "", rule=rule)
    templates = {"templates/t/template.yml": "for: customer\n", "templates/n/template.yml": "for: staff\n"}
    book, findings = load_rulebook({"rules/a.yml": text, **templates}, duties=False)
    assert book is not None, findings
    keeper = Keeper(store, book, "worker", at=START, history=False)
    traits = {"plan": "pro", "seats": 5, **({"owner": account} if account else {})}
    keeper.take(
        [
            event("user.updated", "u1", {"role": "champion", "email": "ada@acme.example"}),
            event("account.updated", None, traits),
        ],
        at=START,
    )
    keeper.stop()
    rows = {row.rule: row for row in store.outreach()}
    assert rows["r"].frozen.get("writer") == expected
    assert rows["n"].to == (expected or rule)
    assert "writer" not in rows["n"].frozen
    assert verify(store)["different"] == 0


def test_what_was_decided_before_writers_were_frozen_is_no_different_decision(store):
    test_the_owner_falls_back_for_mails_and_for_notes(store, MARA, None, "r@ringfirst.example", MARA)
    assert [one.rule for one in store.decisions() if "writer" in one.frozen] == ["r"]

    class Older:
        def __getattr__(self, name):
            return getattr(store, name)

        def decisions(self):
            return [msgspec.structs.replace(one, frozen=_without(one.frozen)) for one in store.decisions()]

    older: Any = Older()
    assert verify(older)["different"] == 0


def _without(frozen):
    return {name: value for name, value in frozen.items() if name != "writer"}


def event(kind: str, user: str | None, properties: dict) -> Arrived:
    wire = {"id": kind, "type": kind, "account_id": "acme", "user_id": user, "properties": properties}
    found = decode(msgspec.json.encode({**wire, "time": iso(START)}), wall=START)
    assert isinstance(found, Arrived)
    return found


def test_the_names_of_our_people_are_checked():
    names = "{mara: Mara, bo@else.example: Bo, a@ringfirst.example: 3}"
    text = f"policy: {{staff: {{domains: [ringfirst.example], names: {names}}}}}\n"
    _, findings = load_rulebook({"rules/a.yml": text}, duties=False)
    assert [one.message for one in findings] == [
        "staff.names: 'mara' is no address; write mara@acme.example: Mara Lind",
        "staff.names: '@else.example' is no domain of ours; add it to policy.staff.domains",
        "staff.names: should be text; found a number; put it in quotes",
    ]
