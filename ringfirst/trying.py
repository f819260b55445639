"""Mails sent by hand to try them: a template with a real account's values, and a mail that tests the way."""

from typing import TYPE_CHECKING

from engine.errors import UsageError

if TYPE_CHECKING:
    from engine.store import Store
    from outreach.channel import Channel
    from outreach.context import Sender
    from outreach.gate import Post
    from outreach.links import Links
    from outreach.mail import Outgoing
    from outreach.rendering import Rendered
    from outreach.template import Template
    from ringfirst.settings import Settings

WORDS = (
    "If you can read this, the way works. To see who vouches for the mail, save it as a file (in most programs: show "
    "original, download) and run: ringfirst doctor --read-test FILE.eml\n"
)


def address_for(text: str, found: "Settings") -> str:
    """The address to try. Raises ``UsageError`` for none, and for one that RINGFIRST_ONLY_TO leaves out."""
    from outreach.addresses import clean_address, is_staff
    from ringfirst.leaving import only_to

    address = clean_address(text)
    if address is None:
        raise UsageError(f"--to: is no address; found {text[:60]!r}; write name@example.com")
    allowed = only_to(found)
    if allowed and not is_staff(address, allowed):
        names = ", ".join(allowed)
        raise UsageError(f"--to: RINGFIRST_ONLY_TO names {names} alone; found another domain; take an address there")
    return address


def words_for(store: "Store", template: "Template", post: "Post", account_id: str, links: "Links | None") -> "Rendered":
    """A template with the values of the newest decision of an account that used it. Raises ``UsageError`` for none."""
    from outreach.joining import render_rows
    from outreach.simulation import example_links

    rows = [row for row in store.outreach(account_id=account_id) if row.template == template.name]
    if not rows:
        known = sorted({row.account_id for row in store.outreach() if row.template == template.name})
        some = f"it was for {', '.join(known[:3])}" if known else "leave --account out to see it with its example"
        raise UsageError(f"--account {account_id[:64]}: no decision of it used {template.name}; found none; {some}")
    newest = max(rows, key=lambda row: (row.at, row.outreach_id))
    return render_rows([newest], post, links or example_links(newest, newest.outreach_id))


def hand_over(channel: "Channel", mail: "Outgoing") -> None:
    """Let one mail leave, beside the store: nothing counts it. Raises ``DeliveryError``."""
    with channel.session():
        channel.deliver(mail)


def way_mail(store: "Store", sender: "Sender", *, to: str, at: int) -> "Outgoing":
    """A mail that says nothing and carries all that a customer's mail carries; its links work."""
    from outreach.rendering import Rendered
    from outreach.trial import trial_mail

    foot = f"\n{sender.name}, {sender.postal_address}"
    html = f'<!doctype html><html lang="en"><body><p>{WORDS}</p></body></html>'
    words = Rendered("The way mails take", WORDS + foot, html)
    links = trial_links(store, sender, to)
    return trial_mail(words, sender, what="the way mails take", to=to, at=at, links=links)


def trial_links(store: "Store", sender: "Sender", to: str) -> "Links | None":
    """Links that lead to a page which says that they came with a test, and change nothing; None without an address."""
    import hashlib

    from outreach.addresses import address_key
    from outreach.links import TRIAL_TOPIC, Token, links_of

    if sender.public_url is None:
        return None
    name = hashlib.sha256(f"trial\0{to}".encode()).hexdigest()[:32]
    token = Token(name, address_key(store.key, to), TRIAL_TOPIC)
    return links_of(token, store.key, public_url=sender.public_url, mailto=sender.unsubscribe_to)
