"""Senders that are killed over and over while their mails meet every fault, and who judges what came of it.

A nursery loads the program once and forks a sender for each life, so that a life is spent sending. Time runs faster
than outside: a second is two minutes of the story, so that leases and doubts have their time.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from engine.errors import RingfirstError
from engine.instants import DAY, MINUTE
from engine.rulebook.spec import Hours, Policy
from engine.store import Store
from engine.stores import open_store
from outreach.channel import Channel, DeliveryError
from outreach.channels.sendgrid import SendGridChannel
from outreach.channels.sendgrid_account import SendGridAccount
from outreach.channels.sendgrid_events import checker, read_events
from outreach.channels.smtp import SmtpChannel
from outreach.channels.smtp_server import SmtpServer
from outreach.doubts import Doubts
from outreach.feedback import settle, stopping, suppressing
from outreach.sender import send_due
from tests.fakes.sendgrid import KEY, FakeSendGrid, Mode
from tests.outreach.given import DUE, ROOT, SENDER, STAFF, keep, planned, starter_templates

FASTER = 120
"""How many seconds of the story pass in one."""
POLICY = Policy(staff_domains=STAFF, hours=Hours(start=0, end=24 * 60), hold_for=90 * DAY)
RULES = 10
FAULTS: tuple[Mode, ...] = (
    "drop-after", "drop-before", "500-after", "500-before", "502", "504", "503", "429", "redirect", "slow-after",
)  # fmt: skip
Way = Literal["sendgrid", "smtp", "naive"]


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """What a sender of the nursery does: over which store, by which channel, and what it does about doubts."""

    url: str
    way: Way
    place: str
    began: float
    in_doubt: Literal["", "hold", "resend"] = ""


class Naive:
    """The negative control: whatever is not a yes is tried again."""

    name, local = "sendgrid", False

    def __init__(self, inner: Channel) -> None:
        self._inner = inner
        self.session, self.has = inner.session, inner.has

    def deliver(self, mail: Any) -> str | None:
        try:
            return self._inner.deliver(mail)
        except DeliveryError as err:
            raise DeliveryError(str(err), "later") from err


def story(began: float) -> int:
    """The story's clock."""
    return DUE + MINUTE + int((time.time() - began) * 1_000 * FASTER)


def channel_of(life: Life) -> Channel:
    if life.way == "smtp":
        host, _, port = life.place.rpartition(":")
        return SmtpChannel(SmtpServer(host=host, port=int(port), security="none"), SENDER.address)
    found: Channel = SendGridChannel(SendGridAccount(key=KEY, host=life.place))
    return Naive(found) if life.way == "naive" else found


def doubts_of(life: Life) -> Doubts:
    if life.way == "naive":
        return Doubts(rules={f"rule-{n}": "resend" for n in range(RULES)}, wait=0)
    word: Any = life.in_doubt
    return Doubts(rules={f"rule-{n}": word for n in range(RULES)} if word else {})


def live(life: Life) -> None:
    """Send until killed."""
    from outreach.channels import sendgrid

    sendgrid.ANSWER_SECONDS = 0.5
    store, channel, templates = open_store(life.url), channel_of(life), starter_templates()
    while True:
        try:
            report = send_due(
                store,
                templates,
                channel,
                sender=SENDER,
                at=story(life.began),
                by=f"sender-{os.getpid()}",
                policy=POLICY,
                limit=100,
                doubts=doubts_of(life),
            )
            time.sleep(0.0 if report.mails else 0.1)
        except RingfirstError:
            time.sleep(0.1)


def nursery() -> None:
    """Read lives from stdin, fork each, and tell its process id."""
    starter_templates()
    for line in sys.stdin:
        life = msgspec.json.decode(line, type=Life)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            try:
                live(life)
            finally:
                os._exit(1)
        print(pid, flush=True)
        os.waitpid(pid, 0)
        print("gone", flush=True)


@contextmanager
def senders() -> Iterator[Callable[[Life, Callable[[], bool]], None]]:
    """Give who lets one sender live until it is told to end, and kills it then."""
    command = [sys.executable, "-c", "from tests.chaos.mails import nursery; nursery()"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        into, out = process.stdin, process.stdout

        def lives(life: Life, until: Callable[[], bool]) -> None:
            into.write(msgspec.json.encode(life).decode() + "\n")
            into.flush()
            pid = int(out.readline())
            while not until():
                time.sleep(0.01)
            os.kill(pid, signal.SIGKILL)
            assert out.readline() == "gone\n"

        yield lives
        into.close()
        process.wait(30)


class Verdict(msgspec.Struct, frozen=True):
    """What came of the mails: how many arrived twice or more, never arrived, are in doubt, failed for good, wait."""

    mails: int
    twice: int
    never: int
    doubtful: int
    failed: int
    waiting: int
    faults: int
    seconds: float


def planned_mails(url: str, count: int) -> list[str]:
    """So many mails that are due; gives their ids."""
    store = open_store(url)
    keep(
        store,
        *(
            planned(rule=f"rule-{n % RULES}", account=f"a{n // RULES}", expires_at=DUE + 365 * DAY)
            for n in range(count)
        ),
    )
    ids = [row.outreach_id for row in store.outreach()]
    store.close()
    return ids


def verdict_on(store: Store, ids: list[str], copies: Mapping[str, int], faults: int, began: float) -> Verdict:
    states = {row.outreach_id: row.state for row in store.outreach()}
    failed = sum(state == "failed" for state in states.values())
    return Verdict(
        mails=len(ids),
        twice=sum(copies.get(one, 0) > 1 for one in ids),
        never=sum(copies.get(one, 0) == 0 and states[one] != "failed" for one in ids),
        doubtful=sum(state == "in_doubt" for state in states.values()),
        waiting=sum(state not in {"accepted", "failed", "in_doubt"} for state in states.values()),
        failed=failed,
        faults=faults,
        seconds=round(time.time() - began, 1),
    )


def lives_and_deaths(life: Life, kills: int, chance: random.Random, done: Callable[[], bool], patience: float) -> None:
    """Kill so many senders at random moments; the last one lives until all is done, or patience ends."""
    with senders() as lives:
        for _ in range(kills):
            end = time.time() + chance.uniform(0.05, 1.2)
            lives(life, lambda end=end: time.time() >= end)  # type: ignore[misc]
        end = time.time() + patience
        lives(life, lambda: done() or time.time() >= end)


class Told(threading.Thread):
    """SendGrid's webhook and whoever learns from it, until stopped."""

    def __init__(self, fake: FakeSendGrid, url: str, began: float) -> None:
        super().__init__(daemon=True)
        self._fake, self._store, self._began = fake, open_store(url), began
        check = checker(fake.signer.public)
        self._end = threading.Event()

        def hear(body: bytes, headers: Mapping[str, str]) -> int:
            check(body, headers, int(time.time() * 1_000))
            at = story(began)
            told = [{**one, "timestamp": at // 1_000} for one in json.loads(body)]
            found = read_events(json.dumps(told).encode(), self._store.key, at=at)
            self._store.put_feedback(found, suppress=suppressing(found), stop=stopping(found))
            return 204

        fake.webhook = hear

    def run(self) -> None:
        while not self._end.wait(0.2):
            try:
                self._fake.flush(most=100)
                settle(self._store, at=story(self._began), by="webhook")
            except RingfirstError:  # the store is busy: what was not taken is told again
                continue

    def stop(self) -> None:
        self._end.set()
        if self.is_alive():
            self.join(30)
        self._store.close()


def faulty(share: float, chance: random.Random) -> tuple[Callable[[int], Mode], Counter[Mode]]:
    """Which requests meet which fault."""
    met: Counter[Mode] = Counter()

    def mode(_: int) -> Mode:
        found: Mode = chance.choice(FAULTS) if chance.random() < share else "ok"
        if found != "ok":
            met[found] += 1
        return found

    return mode, met


def by_sendgrid(
    fake: FakeSendGrid,
    folder: Path,
    *,
    mails: int,
    kills: int,
    seed: int,
    way: Way = "sendgrid",
    in_doubt: Literal["", "hold", "resend"] = "",
    share: float = 0.05,
    patience: float = 120.0,
) -> Verdict:
    """Send mails by SendGrid through faults and kills, and judge."""
    url, chance, began = f"sqlite:///{folder / 'store.db'}", random.Random(seed), time.time()
    ids = planned_mails(url, mails)
    fake.mode, met = faulty(share, random.Random(seed + 1))
    fake.reset, fake.slow_seconds = "1", 1.0
    store, told = open_store(url), Told(fake, url, began)
    if way != "naive":  # it hears nothing
        told.start()
    life = Life(url=url, way=way, place=fake.url, began=began, in_doubt=in_doubt)

    emptied = 0.0

    def done() -> bool:
        """All is settled; or, where what is told gets lost, nothing has waited for a minute."""
        nonlocal emptied
        time.sleep(0.2)
        counts = store.mail_counts()
        settled = counts.get("accepted", 0) + counts.get("failed", 0)
        if settled + counts.get("in_doubt", 0) < mails:
            emptied = 0.0
        elif not emptied:
            emptied = time.time()
        rest = 60.0 if in_doubt != "hold" else 5.0
        return settled == mails or bool(fake.lost and emptied and time.time() > emptied + rest)

    lives_and_deaths(life, kills, chance, done, patience)
    told.stop()
    found = verdict_on(store, ids, Counter(fake.ids()), met.total(), began)
    store.close()
    return found
