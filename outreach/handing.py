"""Handing mails over: written down as on their way, given to the channel, and settled by what it answers."""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import NamedTuple

import msgspec

from engine.decision import MailState
from engine.errors import StoreError
from engine.feedback import Step
from engine.instants import Instant
from engine.store import Move, OutreachRow, Reader, Wishes
from outreach.channel import DeliveryError, Verdict, handful_of
from outreach.gate import person_of
from outreach.mail import Outgoing
from outreach.round import Round
from outreach.telling import kept
from outreach.wishes import unwanted

MOST_DOUBTS = 3
"""After so many mails in doubt one after the other a run ends, before they all are."""
TRIES, PAUSE_SECONDS = 3, 0.5
"""How often what came of mails is written down before the run gives up, and how long it waits in between."""
_AFTER: dict[Verdict, MailState] = {"later": "queued", "failed": "failed", "in_doubt": "in_doubt", "down": "queued"}
_log = logging.getLogger("outreach.sender")


class Ready(NamedTuple):
    """A mail, and the rows that are in it."""

    rows: Sequence[OutreachRow]
    mail: Outgoing


class Wanted(NamedTuple):
    """Rows that would leave as one mail; it is written already where it may be that it cannot be written."""

    rows: Sequence[OutreachRow]
    mail: Outgoing | None


class Answer(NamedTuple):
    """What came of handing a mail over, and when: the other side's id of it, or why it is not known to have left."""

    at: Instant
    provider_id: str | None = None
    failure: Exception | None = None


class Hand:
    """Gives mails to the channel of a run, as many at once as that takes; ``stop`` is asked before each of them."""

    def __init__(self, run: Round, stop: Callable[[], bool]) -> None:
        self._run, self._stop = run, stop
        self._handful, self._lock, self._doubts = handful_of(run.channel), Lock(), 0
        self._threads = ThreadPoolExecutor(self._handful.at_once, "hand") if self._handful.at_once > 1 else None

    @property
    def together(self) -> int:
        """How many mails are handed over in one group."""
        return self._handful.together

    def close(self) -> None:
        """End its threads."""
        if self._threads is not None:
            self._threads.shutdown()

    def dated(self, mails: Sequence[Ready]) -> list[Ready]:
        """The mails with the instant at which they are handed over, which their rows keep: the same bytes again."""
        at = self._run.at
        return [Ready(rows, msgspec.structs.replace(mail, dated=at)) for rows, mail in mails]

    def posting(self, mails: Sequence[Ready], before: MailState) -> list[bool]:
        """Write down that mails are about to be handed over, each whole or not at all; False: one must not be.

        Asked in the same transaction: the stop switch, whether the reader is still the one whom the mail was written
        to, what the reader of the address wishes by now, and whether the decisions are still those that it tells of.
        """
        try:
            return self._run.flush([self._posting(*one, before) for one in mails])
        except StoreError:
            self.write_down()  # what came of the mails before these must not be lost with them
            raise

    def over(self, mails: Sequence[Ready], until: float = float("inf")) -> int:
        """Hand over what is ``posting``; gives how many were begun. What is not begun by ``until`` goes back.

        What came of them is written down with the next ones that are ``posting``, or by ``write_down``.
        """

        def begin(one: Ready) -> Answer | None:
            late = time.monotonic() >= until and one is not mails[0]  # a clock that jumped must not keep all of them
            return None if self._run.down is not None or late or self._stop() else self._given(one.mail)

        answers = [begin(one) for one in mails] if self._threads is None else list(self._threads.map(begin, mails))
        with self._run.gathering():  # a store that fails between two of them must not cost what is known of the rest
            for one, answer in zip(mails, answers, strict=True):
                self._settle(one, answer)
        self._well(answers)
        return sum(answer is not None for answer in answers)

    def write_down(self) -> None:
        """Write down what came of mails. They are out: a store that fails once must not leave them in doubt.

        To write it twice changes nothing, should only the answer have been lost.
        """
        for left in reversed(range(TRIES)):
            try:
                self._run.flush()
                return
            except StoreError as err:
                if not left:
                    raise
                _log.warning("what came of mails could not be written down; it is tried again: %s", err)
                time.sleep(PAUSE_SECONDS)

    def _posting(self, rows: Sequence[OutreachRow], mail: Outgoing, before: MailState) -> Move:
        run, first = self._run, rows[0]
        note = f"by {run.channel.name} as {mail.mail_id}"
        # By what was known as the mail was written: a moment ago, or long before.
        traits = {} if first.audience == "staff" else run.post.people(first.account_id).get(first.to, {})

        def wanted(wishes: Wishes) -> bool:
            return unwanted(first, wishes, run.post.policy, traits) is None

        return Move(
            steps=tuple(
                Step(outreach_id=row.outreach_id, before=(before,), after="posting", why=note, planned_at=row.at)
                for row in rows
            ),
            at=run.at if mail.dated is None else mail.dated,
            known={"channel": run.channel.name, "message_id": mail.message_id},
            sent=kept(rows, mail) if run.post.sender.keep_sent_days else None,
            reader=None if first.audience == "staff" else Reader(first.account_id, first.to, traits.get("email")),
            person=person_of(first, run.post),
            may=wanted,
            still=before == "in_doubt",
        )

    def _given(self, mail: Outgoing) -> Answer:
        """Hand one mail over; several at once, so all that is shared is changed under a lock."""
        run = self._run
        try:
            provider_id = run.channel.deliver(mail)
        except DeliveryError as err:
            with self._lock:
                run.down = err if err.verdict == "down" else run.down
                self._count_doubts(err)
            return Answer(run.at, failure=err)
        except Exception as err:  # noqa: BLE001, the outermost loop: whatever it was, the mail may have left
            _log.error("mail %s is in doubt: %s", mail.mail_id, type(err).__name__)  # a traceback may hold an address
            return Answer(run.at, failure=err)
        with self._lock:
            self._doubts = 0
        return Answer(run.at, provider_id)

    def _count_doubts(self, err: DeliveryError) -> None:
        """Where one mail after the other is in doubt, something is wrong with the way and not with the mails."""
        self._doubts = self._doubts + 1 if err.verdict == "in_doubt" else 0
        if self._doubts >= (1 if self._run.circuit.trying else MOST_DOUBTS):
            some = f"{self._doubts} mails one after the other" if self._doubts > 1 else "the mail that tried the way"
            self._run.down = DeliveryError(f"{err}; so it was for {some}; the others wait", "down")

    def _well(self, answers: Sequence[Answer | None]) -> None:
        """Close the circuit where the channel has said of a mail what becomes of it."""
        if not any(answer is not None and _is_told(answer.failure) for answer in answers):
            return
        try:
            self._run.circuit.answered()
        except StoreError as err:  # the next mail tries it again
            _log.warning("that the channel takes mails again could not be written down: %s", err)

    def _settle(self, one: Ready, answer: Answer | None) -> None:
        run = self._run
        if answer is None:
            for row in one.rows:  # surely not handed over, so it is as if nobody had tried
                run.move(row, "posting", "queued")
            return
        failure = answer.failure
        if failure is None:
            run.accept(one.rows, one.mail.mail_id, answer.provider_id, answer.at)
        elif isinstance(failure, DeliveryError):
            silent = failure.verdict == "down" and not failure.over_it
            for row in one.rows:
                run.give_up(row, _AFTER[failure.verdict], None if silent else str(failure), answer.at)
        else:
            for row in one.rows:
                run.give_up(row, "in_doubt", f"the channel failed with {type(failure).__name__}", answer.at)


def _is_told(failure: Exception | None) -> bool:
    return failure is None or (isinstance(failure, DeliveryError) and failure.verdict in {"later", "failed"})
