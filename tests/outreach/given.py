"""A store with decisions in it, and the starter templates, for the tests of the sending side."""

from collections.abc import Callable, Sequence
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

from engine.decision import Decision, Mail, Subject, decision_id, outreach_id
from engine.instants import DAY, HOUR, Instant, parse_instant
from engine.lanes import lane_of
from engine.rulebook.spec import Policy
from engine.store import Batch, OutreachRow, Store, Trait
from outreach.context import Sender
from outreach.templates import Template, load_templates, read_template

ROOT = Path(__file__).resolve().parents[2]
NOON: Instant = parse_instant("2026-03-11T12:00:00Z") or 0
DUE = NOON + HOUR
STAFF = ("ringfirst.example",)
POLICY = Policy(staff_domains=STAFF)
SENDER = Sender(
    address="hello@ringfirst.example",
    name="Ringfirst",
    postal_address="Beispielweg 12, 10115 Berlin, Germany",
    reply_to=("people@ringfirst.example",),
    timezone="Europe/Berlin",
)
ADA = {"email": "ada@acme.example", "name": "Ada Lindqvist"}


def starter_templates() -> dict[str, Template]:
    """The templates we ship."""
    return load_templates(ROOT / "templates")[0]


def made_template(body: str, **parts: str) -> Template:
    """A template of a few words, with the parts of ``read_made``; fails when it has errors."""
    template, findings = read_made(body, **parts)
    assert template is not None, findings
    return template


def read_made(
    body: str,
    *,
    subject: str = "A subject",
    html: str = "",
    manifest: str = "",
    name: str = "made",
    layout: str = "",
) -> Any:
    """The same, with its findings."""
    html = html or "<mj-section><mj-column><mj-text>Words.</mj-text></mj-column></mj-section>"
    manifest = manifest or "for: customer\nclass: relationship\nexample: {you: {name: Ada}}\n"
    parts = {"template.yml": manifest, "subject.txt": subject, "body.txt": body, "body.mjml": html}
    base = {"customer.mjml": layout or "<mjml><mj-body>[[ body ]]</mj-body></mjml>"}
    base["staff.mjml"] = base["customer.mjml"]
    return read_template(name, parts, base, path="templates")


def planned(
    *,
    rule: str = "orientation-tomorrow",
    account: str = "acme",
    to: str = "u1",
    subject: Subject | None = None,
    occasion: str = "once",
    template: str = "orientation-tomorrow",
    values: dict[str, Any] | None = None,
    frozen: dict[str, Any] | None = None,
    audience: Any = "customer",
    mode: Any = "auto",
    mail_class: Any = None,
    at: Instant = NOON,
    due_at: Instant = DUE,
    expires_at: Instant = NOON + DAY,
) -> Decision:
    """A planned decision with one mail."""
    about = Subject("orientation", "m1") if subject is None else subject
    name = decision_id(rule, account, about, occasion)
    mail = Mail(
        outreach_id=outreach_id(name, to),
        to=to,
        audience=audience,
        template=template,
        mail_class=mail_class or ("relationship" if audience == "customer" else "internal"),
        mode=mode,
        due_at=due_at,
        expires_at=expires_at,
        priority=0,
    )
    return Decision(
        decision_id=name,
        rule=rule,
        kind="nervous_moment",
        account_id=account,
        subject=about,
        occasion=occasion,
        at=at,
        outcome="planned",
        values={"orientation.starts_at": "2026-03-12T09:00:00Z"} if values is None else values,
        frozen={"account": {"plan": "pro"}, "people": {to: {"role": "champion"}}, "with": {}, **(frozen or {})},
        mails=(mail,),
    )


def keep(
    store: Store,
    *decisions: Decision,
    people: dict[str, dict[str, Any]] | None = None,
    clock: Instant = NOON,
    accounts: Sequence[str] = (),
) -> None:
    """Commit decisions and people's traits as a lane's owner does, and move the clocks of their lanes."""
    people = {"u1": ADA} if people is None else people
    accounts = sorted({decision.account_id for decision in decisions} | set(accounts))
    for lane in sorted({lane_of(account, store.lanes) for account in accounts}):
        (claim,) = store.claim([lane], "given", at=NOON, take_over=True)
        here = [account for account in accounts if lane_of(account, store.lanes) == lane]
        traits = [
            Trait(account, person, name, value, NOON, 1)
            for account in here
            for person, own in people.items()
            for name, value in own.items()
        ]
        store.commit(
            [
                Batch(
                    claim=claim,
                    position=claim.position,
                    clock_at=clock,
                    first_at=NOON,
                    traits=traits,
                    facts=[decision for decision in decisions if decision.account_id in here],
                )
            ]
        )


class Deciding:
    """A store in which a person does something right before the n-th step of a sender."""

    def __init__(self, store: Store, step: int, act: Callable[[], object]) -> None:
        self._store, self._left, self._act = store, step, act

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _step(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._act()

    def claim_mails(self, *args: Any, **kwargs: Any) -> Any:
        self._step()
        return self._store.claim_mails(*args, **kwargs)

    def move(self, *args: Any, **kwargs: Any) -> bool:
        self._step()
        return self._store.move(*args, **kwargs)

    def move_mails(self, *args: Any, **kwargs: Any) -> Any:
        self._step()
        return self._store.move_mails(*args, **kwargs)


def part_of(raw: bytes, kind: str = "plain") -> str:
    """The text (or "html") part of a mail, lines ended by LF."""
    part = message_from_bytes(raw, policy=default).get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def only(store: Store) -> OutreachRow:
    """The one mail in the store."""
    (row,) = store.outreach()
    return row
