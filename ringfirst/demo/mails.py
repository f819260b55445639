"""The demo's mails: each as it would have left, and why the others did not."""

from collections.abc import Sequence

from engine.store import OutreachRow, Store
from outreach.channel import Channel
from outreach.gate import Post
from outreach.joining import write_mail
from outreach.mail import Outgoing
from outreach.policy import No
from outreach.simulation import rehearsed

Walked = Sequence[tuple[Sequence[OutreachRow], Outgoing | No]]
"""Mails with the rows that are joined in them, or why the rows made none."""
ALL = "*"
"""The account of what is decided over all customers together."""


def write_mails(store: Store, post: Post, channel: Channel) -> Walked:
    """Do what ``send --simulate`` does, and remember each mail; the store stays as it is."""

    def written(group: Sequence[OutreachRow]) -> Outgoing:
        return write_mail(group, post, mail_id=group[0].outreach_id)

    walked = list(rehearsed(store.outreach(), post, written))
    with channel.session():
        for _, mail in walked:
            if not isinstance(mail, No):
                channel.deliver(mail)
    return walked
