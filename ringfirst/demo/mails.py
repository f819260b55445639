"""The demo's mails: each as it would have left, and why the others did not."""

from collections.abc import Sequence

from engine.instants import Instant
from engine.store import ALL_TOPICS, OutreachRow, Store
from outreach.addresses import address_key
from outreach.channel import Channel
from outreach.context import reader_address
from outreach.gate import Post
from outreach.joining import write_mail
from outreach.mail import Outgoing
from outreach.policy import No
from outreach.simulation import rehearsed

Walked = Sequence[tuple[Sequence[OutreachRow], Outgoing | No]]
"""Mails with the rows that are joined in them, or why the rows made none."""
ALL = "*"
"""The account of what is decided over all customers together."""
BOUNCED = "bounced"
UNREAD = "nobody has said yes so far"


def tell_of_readers(store: Store, at: Instant) -> None:
    """Let the store know something of two readers, as it would have from the web and from a provider.

    One has asked for nothing but transactional mails, the address of the other is gone. Who they are follows from the
    ids of mails alone, so it is the same two every time.
    """
    keys: dict[str, None] = {}
    for row in sorted(store.outreach(states=["past"]), key=lambda row: row.outreach_id):
        address = reader_address(row, store.people(row.account_id))
        if row.audience == "customer" and row.mode == "auto" and address is not None:
            keys[address_key(store.key, address)] = None
    for key in list(keys)[:1]:
        store.choose(key, {ALL_TOPICS: "out"}, at=at, by="demo")
    for key in list(keys)[1:2]:
        store.suppress(key, reason=BOUNCED, at=at)


def write_mails(store: Store, post: Post, channel: Channel) -> Walked:
    """Do what ``send --simulate`` does, and remember each mail; no mail in the store changes.

    Mails in review leave as if a person had read them and said yes; the newest waits for that.
    """

    def written(group: Sequence[OutreachRow]) -> Outgoing:
        return write_mail(group, post, mail_id=group[0].outreach_id)

    rows = store.outreach()
    reviewed = [row for row in rows if row.mode == "review" and row.state == "past"]
    newest = max(reviewed, key=lambda row: (row.due_at, row.outreach_id), default=None)
    walked: list[tuple[Sequence[OutreachRow], Outgoing | No]]
    walked = list(rehearsed((row for row in rows if row is not newest), post, written))
    with channel.session():
        for _, mail in walked:
            if not isinstance(mail, No):
                channel.deliver(mail)
    if newest is not None:
        walked.append(([newest], No("held", UNREAD)))
    return walked
