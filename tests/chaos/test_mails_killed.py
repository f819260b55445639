"""Mails that leave while everything goes wrong: senders killed at random moments, and every fault a provider has."""

import os
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiosmtpd.smtp import SMTP

from engine.stores import open_store
from outreach.mail import message_id
from tests.chaos.mails import Life, Verdict, by_sendgrid, lives_and_deaths, planned_mails, verdict_on
from tests.fakes.sendgrid import FakeSendGrid, serving
from tests.mailbox import serving as smtp_serving
from tests.outreach.given import SENDER

SEED = int(os.environ.get("RINGFIRST_CHAOS_SEED", "1"))
MAILS, KILLS = 3_000, 60
FEW, SOME = 150, 6


@pytest.fixture
def fake() -> Iterator[FakeSendGrid]:
    with serving(FakeSendGrid(seed=SEED)) as made:
        yield made


def said(name: str, found: Verdict) -> None:
    print(f"\n{name}, seed {SEED}: {found}")


# -- SendGrid ----------------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_killed_senders_and_a_failing_provider_make_each_mail_arrive_once(fake: FakeSendGrid, tmp_path: Path) -> None:
    found = by_sendgrid(fake, tmp_path, mails=FEW, kills=SOME, seed=SEED, share=0.1)
    said("a few", found)
    assert (found.twice, found.never, found.doubtful, found.failed, found.waiting) == (0, 0, 0, 0, 0)
    assert found.faults > 0


@pytest.mark.slow
def test_a_sender_that_tries_whatever_is_no_yes_again_does_not_pass(fake: FakeSendGrid, tmp_path: Path) -> None:
    found = by_sendgrid(fake, tmp_path, mails=FEW, kills=SOME, seed=SEED, way="naive", share=0.1)
    said("the negative control, a few", found)
    assert found.twice > 0, "the judge would let anything pass"


@pytest.mark.chaos
def test_three_thousand_mails_and_sixty_kills(fake: FakeSendGrid, tmp_path: Path) -> None:
    found = by_sendgrid(fake, tmp_path, mails=MAILS, kills=KILLS, seed=SEED, patience=1_500)
    said("webhooks intact", found)
    assert (found.twice, found.never, found.doubtful, found.failed, found.waiting) == (0, 0, 0, 0, 0)


@pytest.mark.chaos
@pytest.mark.parametrize("word", ["hold", ""])
def test_three_thousand_mails_while_some_of_what_is_told_gets_lost(
    fake: FakeSendGrid, tmp_path: Path, word: Any
) -> None:
    fake.lost = 0.02
    found = by_sendgrid(fake, tmp_path, mails=MAILS, kills=KILLS, seed=SEED, in_doubt=word, patience=1_500)
    said(f"2 % of what is told lost, {word or 'no word of the rule'}", found)
    assert (found.twice, found.failed, found.waiting) == (0, 0, 0)
    assert found.never <= found.doubtful


@pytest.mark.chaos
def test_three_thousand_mails_of_a_sender_that_tries_again_do_not_pass(fake: FakeSendGrid, tmp_path: Path) -> None:
    found = by_sendgrid(fake, tmp_path, mails=MAILS, kills=KILLS, seed=SEED, way="naive", patience=1_500)
    said("the negative control", found)
    assert found.twice > 0


# -- SMTP --------------------------------------------------------------------------------------------------------------
class Moody:
    """A mail server that puts off, refuses, and hangs up over mails that it has taken."""

    def __init__(self, seed: int, share: float) -> None:
        self.taken: queue.Queue[str] = queue.Queue()
        self.met: Counter[str] = Counter()
        self._chance, self._share, self._lock = random.Random(seed), share, threading.Lock()

    def _mood(self) -> float:
        with self._lock:
            return self._chance.random() / self._share

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self._mood() < 1 / 3:
            self.met["452"] += 1
            return "452 4.2.2 full"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mood = self._mood()
        if mood < 1 / 3:
            self.met["554"] += 1
            return "554 5.7.1 no"
        self.taken.put(message_from_bytes(envelope.content)["Message-ID"])
        if mood < 2 / 3:
            self.met["dropped"] += 1
            server.transport.close()
        return "250 2.0.0 taken"


@contextmanager
def moody(seed: int, share: float) -> Iterator[tuple[Moody, str]]:
    box = Moody(seed, share)
    with smtp_serving(lambda: SMTP(box, hostname="mx.test")) as port:
        yield box, f"127.0.0.1:{port}"


def by_smtp(folder: Path, *, mails: int, kills: int, share: float, patience: float) -> Verdict:
    url, began = f"sqlite:///{folder / 'store.db'}", time.time()
    ids = planned_mails(url, mails)
    store = open_store(url)
    with moody(SEED, share) as (box, place):

        def done() -> bool:
            time.sleep(0.2)
            counts = store.mail_counts()
            return not any(counts.get(state) for state in ("queued", "held", "claimed", "posting"))

        life = Life(url=url, way="smtp", place=place, began=began)
        lives_and_deaths(life, kills, random.Random(SEED), done, patience)
        writer = msgspec.structs.replace(SENDER, secret=bytes.fromhex(store.key("message-id")))
        known = {message_id(one, writer): one for one in ids}
        copies = Counter(known[box.taken.get()] for _ in range(box.taken.qsize()))
    found = verdict_on(store, ids, copies, box.met.total(), began)
    store.close()
    return found


@pytest.mark.slow
def test_no_mail_leaves_twice_by_smtp_either(tmp_path: Path) -> None:
    found = by_smtp(tmp_path, mails=FEW, kills=SOME, share=0.1, patience=120)
    said("SMTP, a few", found)
    assert (found.twice, found.faults > 0) == (0, True)
    assert found.never <= found.doubtful, "what did not arrive is known to be in doubt"


@pytest.mark.chaos
def test_three_thousand_mails_by_smtp(tmp_path: Path) -> None:
    found = by_smtp(tmp_path, mails=MAILS, kills=KILLS, share=0.05, patience=1_500)
    said("SMTP", found)
    assert (found.twice, found.waiting) == (0, 0)
    assert found.never <= found.doubtful
