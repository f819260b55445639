"""The contract of a channel: how one mail leaves."""

from contextlib import AbstractContextManager
from typing import Literal, Protocol

import msgspec

from engine.errors import RingfirstError
from outreach.mail import Outgoing

Verdict = Literal["later", "failed", "in_doubt", "down"]


class DeliveryError(RingfirstError):
    """A channel did not take a mail. The message says why, without an address.

    ``verdict`` is what is known: ``later`` = surely not taken, try again; ``failed`` = refused for good, look at the
    mail; ``in_doubt`` = it may have been taken, so nobody tries again until that is settled; ``down`` = surely not
    taken, and the channel takes no other mail now either. ``over_it``: it went down over this very mail, which must not
    stand before all others when it is up again. ``wait_seconds``: how long the channel wants to be left alone, when it
    says so. ``ours``: our settings are wrong, so no waiting mends it, and somebody must act.
    """

    def __init__(
        self,
        message: str,
        verdict: Verdict,
        *,
        over_it: bool = False,
        wait_seconds: float | None = None,
        ours: bool = False,
    ) -> None:
        super().__init__(message)
        self.verdict = verdict
        self.over_it = over_it
        self.wait_seconds = wait_seconds
        self.ours = ours


class Handful(msgspec.Struct, frozen=True):
    """How a channel likes its mails.

    ``together`` is how many are written down as on their way before the first of them is handed over: so many are in
    doubt after a crash, so only a channel that can tell what became of them says more than a few. ``at_once`` is how
    many calls of ``deliver`` it takes at a time, each from a thread of its own.
    """

    together: int = 1
    at_once: int = 1


def handful_of(channel: "Channel") -> Handful:
    """How a channel likes its mails: as its attribute ``handful`` says, if it has one, else one after the other."""
    found: Handful = getattr(channel, "handful", Handful())
    return found


class Channel(Protocol):
    """One way for mails to go.

    ``local`` is true when mails stay on this machine and the same id twice leaves one mail: such a channel may be used
    to rehearse (``send --simulate``) and to try again after a crash.
    """

    @property
    def name(self) -> str:
        """One word for reports."""
        ...

    @property
    def local(self) -> bool:
        """Whether mails stay here, and the same id twice is one mail."""
        ...

    def session(self) -> AbstractContextManager[None]:
        """Held for one run of the sender.

        A local channel lets in one run at a time, so that what an earlier run left half done is known to be abandoned;
        raises ``DeliveryError`` while another run is in.
        """
        ...

    def has(self, mail_id: str) -> bool:
        """Whether a mail of this id is known to have been taken; False when the channel cannot know."""
        ...

    def deliver(self, mail: Outgoing) -> str | None:
        """Hand one mail over; returns once it has surely been taken, with the id under which the other side knows it.

        None: it gave none. Raises ``DeliveryError``.
        """
        ...
