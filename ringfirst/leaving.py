"""How mails leave: the channel that the settings name, and a sender that goes on until it is stopped."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import RingfirstError, StoreError
from engine.instants import HOUR, MINUTE
from ringfirst.intake import now
from ringfirst.settings import Settings

if TYPE_CHECKING:
    from engine.instants import Instant
    from engine.program import Program
    from engine.rulebook.book import Rulebook
    from engine.store import OutreachRow, Store
    from outreach.breaker import Guard
    from outreach.channel import Channel
    from outreach.channels.dkim_signing import Signer
    from outreach.context import Sender
    from outreach.doubts import Doubts
    from outreach.limits import Limits
    from outreach.round import SendReport

EVERY_SECONDS = 2.0
"""How often somebody looks for mails that are due."""
RESTS = 9
"""How many times as long as it took the sender rests: thousands of held mails are asked anew in each round."""
REST_SECONDS = 60.0
"""How long it rests at most."""
ROUND_SECONDS = 30.0
"""How long mails are handed over before somebody looks anew for what is due, and for what should wait by now."""
AFTER_FAILURE_SECONDS = 30.0
LOOK_SECONDS = 60.0
"""How often a sender looks whether what its provider tells still comes."""
_counted: "dict[tuple[str, str, int], tuple[Mapping[str, int], int]]" = {}
_programs: "dict[str, Program]" = {}
"""What was counted, and the program that was made, of the rulebook that is active: the next round needs it again."""
_log = logging.getLogger("ringfirst.leaving")


def channel_of(found: Settings, sender: "Sender", outbox: Path | None) -> "Channel":
    """SendGrid or the SMTP server, as the settings say, else the outbox folder; ``outbox`` asks for a folder anyway."""
    if outbox is None and found.sendgrid_key is not None:
        from outreach.channels.sendgrid import SendGridChannel
        from outreach.channels.sendgrid_account import HOSTS, SendGridAccount

        host = found.sendgrid_url or HOSTS[found.sendgrid_region]
        return SendGridChannel(SendGridAccount(key=found.sendgrid_key.get_secret_value(), host=host))
    if outbox is None and found.smtp is not None:
        from outreach.channels.smtp import SmtpChannel
        from outreach.channels.smtp_server import SmtpServer

        host, _, port = found.smtp.rpartition(":")
        server = SmtpServer(
            host=host.strip("[]"),
            port=int(port),
            security=found.smtp_security,
            user=found.smtp_user,
            password=found.smtp_password.get_secret_value() if found.smtp_password is not None else None,
            ca=found.smtp_ca,
        )
        return SmtpChannel(server, sender.address, sign=_signer(found, sender))
    from outreach.channels.file import FileChannel

    return FileChannel(outbox or found.outbox)


def _signer(found: Settings, sender: "Sender") -> "Signer | None":
    if found.dkim_key is None or found.dkim_selector is None:
        return None
    from outreach.channels.dkim_signing import DkimKey, signer_of

    domain = sender.address.rpartition("@")[2]
    return signer_of(DkimKey(domain=domain, selector=found.dkim_selector, pem=found.dkim_key.get_secret_value()))


def way(found: Settings, outbox: Path | None) -> str:
    """How mails leave, in a few words for whoever sends."""
    if outbox is None and found.sendgrid_key is not None:
        return "by SendGrid"
    return "by SMTP" if outbox is None and found.smtp is not None else f"in {outbox or found.outbox}/"


def doubts_of(book: "Rulebook | None") -> "Doubts":
    """What the rules say of mails in doubt."""
    from outreach.doubts import Doubts

    rules = book.rules if book is not None else ()
    return Doubts(rules={rule.id: rule.in_doubt for rule in rules if rule.in_doubt is not None})


def only_to(found: Settings) -> tuple[str, ...]:
    """The domains that mails may go to; empty: all."""
    return tuple(name.strip().lower() for name in found.only_to.split(",") if name.strip())


def limits_of(found: Settings) -> "Limits":
    """How many mails may leave, as the settings say it."""
    from outreach.limits import Limits, read_per_domain, read_rate, read_warm_up

    return Limits(
        rate=read_rate(found.rate) if found.rate is not None else (),
        per_domain=read_per_domain(found.per_domain) if found.per_domain is not None else (),
        warm_up=read_warm_up(found.warm_up) if found.warm_up is not None else (),
    )


def guard_of(store: "Store", book: "Rulebook | None", at: "Instant") -> "Guard | None":
    """What a sender asks of the rules of a rulebook; what has to be counted is, at most once an hour."""
    from outreach.breaker import Guard

    if book is None:
        return None
    known = (store.url, book.fingerprint, at // HOUR)
    if known not in _counted:
        from engine.versions import rule_versions

        versions = rule_versions(store, book) if book.policy.canary else {}
        base = store.count_accounts() if book.policy.breaker.base is not None else 0
        _counted.clear()
        _counted[known] = versions, base
    return Guard(*_counted[known], lambda row, moment: _gone(store, book, row, moment))


def _gone(store: "Store", book: "Rulebook", row: "OutreachRow", at: "Instant") -> str | None:
    """Why a mail that has waited is not true any more, or None."""
    from engine.asking_again import no_longer
    from engine.program import Program

    if book.fingerprint not in _programs:
        _programs.clear()
        _programs[book.fingerprint] = Program(book)
    planned = store.decisions(account_id=row.account_id, rule=row.rule)
    decision = next((one for one in planned if one.decision_id == row.decision_id), None)
    return no_longer(store, _programs[book.fingerprint], decision, at) if decision is not None else None


def rest(took: float, mails: int) -> float:
    """How long to rest, in seconds, after a round that took so long; one that ended with mails left goes on.

    >>> rest(0.1, 0), rest(3.0, 5), rest(600.0, 0), rest(31.0, 400)
    (2.0, 27.0, 60.0, 2.0)
    """
    full = mails > 0 and took >= ROUND_SECONDS
    return EVERY_SECONDS if full else min(max(EVERY_SECONDS, RESTS * took), REST_SECONDS)


def pause_after(err: Exception) -> float:
    """How long to rest, in seconds, after a failure: as long as the channel asks for, when it does."""
    asked: float | None = getattr(err, "wait_seconds", None)
    return AFTER_FAILURE_SECONDS if asked is None else asked


def keep_sending(
    once: Callable[[], int], failed: Callable[[Exception], float], stopping: threading.Event, log: logging.Logger
) -> None:
    """Let ``once`` send what is due, which gives how many mails left, again and again until told to stop.

    ``failed`` gets what went wrong, and gives how many seconds to wait until it is tried again; it may raise it.
    """
    first = True
    while not stopping.is_set():
        began = time.monotonic()
        try:
            mails = once()
            # The first round also loads what sending needs, which says nothing about how long the next one takes.
            pause = EVERY_SECONDS if first else rest(time.monotonic() - began, mails)
            first = False
            if mails:
                log.info("%s left", "1 mail" if mails == 1 else f"{mails} mails")
        except Exception as err:  # noqa: BLE001, the outermost loop: whoever runs it says what becomes of a failure
            pause = failed(err)
        stopping.wait(pause)


def watch(
    once: "Callable[[Instant], SendReport]",
    stopping: threading.Event,
    trouble: "Callable[[Instant], str | None]" = lambda _: None,
) -> None:
    """Send by the wall clock until told to stop; what Ringfirst refuses is said once, and tried again later.

    ``trouble`` says what somebody should look at though mails leave; it is asked once a minute.
    """
    said, asked, heard = "", float("-inf"), _Once()

    def sent() -> int:
        nonlocal said, asked
        from outreach.round import LANES_STAND

        at = now()
        report = once(at)
        if said:
            _log.info("going on")
        said = ""
        heard.say("lanes", f"mails wait; {LANES_STAND}" if LANES_STAND in report.reasons else None)
        if time.monotonic() >= asked + LOOK_SECONDS:
            asked = time.monotonic()
            heard.say("provider", trouble(at))
        return report.mails

    def failed(err: Exception) -> float:
        nonlocal said
        if not isinstance(err, RingfirstError):
            raise err
        if said != str(err):
            ours = getattr(err, "ours", False)
            _log.error("%s; %s", err, "nothing leaves until somebody mends that" if ours else "it is tried again")
        said = str(err)
        return EVERY_SECONDS if isinstance(err, StoreError) else pause_after(err)

    keep_sending(sent, failed, stopping, _log)


class _Once:
    """Says each trouble when it begins, and when it is over."""

    def __init__(self) -> None:
        self._there: dict[str, str] = {}

    def say(self, kind: str, words: str | None) -> None:
        if words is None:
            was = self._there.pop(kind, None)
            if was is not None:
                _log.info("that is over: %s", was)
        elif kind not in self._there:
            _log.error("%s", words)
            self._there[kind] = words


def unheard(store: "Store", channel: "Channel", at: "Instant") -> str | None:
    """What to say of a provider that tells nothing of the mails that leave by it; None: it does, or need not."""
    from outreach.doubts import SENDGRID, silent

    minutes = silent(store, SENDGRID, at) // MINUTE if channel.name == SENDGRID else 0
    if not minutes:
        return None
    return f"SendGrid has told nothing of the mails of the last {minutes} minutes; look at its Event Webhook"
