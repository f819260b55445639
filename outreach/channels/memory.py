"""Mails kept in memory: for tests, cases and previews."""

from contextlib import AbstractContextManager, nullcontext

from outreach.channel import Handful
from outreach.mail import Outgoing


class MemoryChannel:
    """Keeps each mail once, in the order in which they came."""

    name = "memory"
    local = True
    handful = Handful(together=25)

    def __init__(self) -> None:
        self._mails: dict[str, Outgoing] = {}

    @property
    def mails(self) -> list[Outgoing]:
        """The mails taken so far."""
        return list(self._mails.values())

    def session(self) -> AbstractContextManager[None]:
        return nullcontext()

    def has(self, mail_id: str) -> bool:
        return mail_id in self._mails

    def deliver(self, mail: Outgoing) -> str | None:
        self._mails.setdefault(mail.mail_id, mail)
        return None
