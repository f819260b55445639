"""What it costs to hand mails over: ``make bench-delivery``.

The sender is this process on one core; the servers are processes on another. Mails are rendered from the starter
templates; the store is SQLite on disk with ``synchronous=FULL``, as always. Beside each figure stands what the sender
spent of its core, and where.
"""

import argparse
import cProfile
import multiprocessing
import os
import pstats
import random
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.decision import Decision, Mail, Subject, decision_id, outreach_id
from engine.instants import DAY, HOUR, parse_instant
from engine.lanes import lane_of
from engine.rulebook.spec import Cap, ContactPolicy, Policy
from engine.store import Batch, Contact, Store, Trait
from engine.stores import open_store
from engine.zones import zone
from outreach import mail as mail_bytes
from outreach import round as rounds
from outreach.channel import Channel
from outreach.channels.memory import MemoryChannel
from outreach.channels.sendgrid import SendGridChannel
from outreach.channels.sendgrid_account import SendGridAccount
from outreach.channels.smtp import SmtpChannel
from outreach.channels.smtp_server import SmtpServer
from outreach.context import Sender
from outreach.policy import Asked, verdict
from outreach.sender import send_due
from outreach.templates import load_templates

_LOCK = threading.Lock()
ROOT = Path(__file__).parents[1]
NOON = parse_instant("2026-03-11T12:00:00Z") or 0
SENDER = Sender(
    address="hello@ringfirst.example",
    name="Ringfirst",
    postal_address="Beispielweg 12, 10115 Berlin",
    public_url="https://app.ringfirst.example",
)
YES = b"HTTP/1.1 202 Accepted\r\nX-Message-Id: 0123456789abcdef\r\nContent-Length: 0\r\n\r\n"
AIMS = {"HTTP": 500, "SMTP": 100}
Spent = Counter[str]
"""CPU seconds by what they went to, each thread's own."""


def main() -> int:
    """Print one line for each way."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--mails", type=int, default=1_000)
    asked.add_argument("--only", choices=["HTTP", "SMTP", "memory", "policy"], nargs="*")
    asked.add_argument("--profile", action="store_true", help="say where the time goes, function by function")
    words = asked.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    print(f"sender on core {cores[0]}, servers on core {cores[-1]}; {words.mails:,} mails, SQLite on disk")
    print(f"{'way':<8}{'mails/s':>9}{'to reach':>10}{'CPU ms/mail':>13}   of it, ms for each mail")
    for way in words.only or ["HTTP", "SMTP", "memory"]:
        if way != "policy":
            measured(way, words.mails, cores, profile=words.profile)
    if not words.only or "policy" in words.only:
        policy()
    return 0


def measured(way: str, mails: int, cores: list[int], *, profile: bool) -> None:
    """Send, and say how fast."""
    spent: Spent = Counter()
    with tempfile.TemporaryDirectory() as folder, channel_to(way, cores) as channel:
        store = open_store(f"sqlite:///{folder}/store.db")
        fill(store, mails)
        templates = load_templates(ROOT / "templates")[0]
        send(store, templates, channel, limit=5)
        with told_apart(store, channel, spent) as (counted, weighed):
            began, cpu = time.perf_counter(), time.process_time()
            left = send(counted, templates, weighed, limit=None if not profile else mails // 2)
            took, whole = time.perf_counter() - began, time.process_time() - cpu
        if profile:
            profiler = cProfile.Profile()
            profiler.runcall(send, store, templates, channel, limit=None)
        store.close()
    spent["the rest"] = whole - spent.total()
    found = ", ".join(f"{part} {1_000 * seconds / left:.2f}" for part, seconds in spent.items())
    aim = AIMS.get(way)
    print(f"{way:<8}{left / took:>9,.0f}{aim or '':>10}{1_000 * whole / left:>13.2f}   {found}")
    if profile:
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(60)


@contextmanager
def told_apart(store: Store, channel: Channel, spent: Spent) -> Iterator[tuple[Any, Any]]:
    """The same store and channel, with what they spend added up; and what is spent on words and bytes."""
    words, raw = rounds.write_mail, mail_bytes._raw  # noqa: SLF001, the one place where the bytes are made
    rounds.write_mail = timed_into(spent, "words", words)
    mail_bytes._raw = timed_into(spent, "bytes", raw)  # type: ignore[assignment]  # noqa: SLF001
    try:
        yield Counted(store, spent, "the store"), Counted(channel, spent, "the channel", only="deliver")
    finally:
        rounds.write_mail, mail_bytes._raw = words, raw  # noqa: SLF001


class Counted:
    """Stands for something and adds up what its methods spend, or one of them."""

    def __init__(self, whom: Any, spent: Spent, part: str, *, only: str = "") -> None:
        self._whom, self._spent, self._part, self._only = whom, spent, part, only

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._whom, name)
        wanted = callable(found) and self._only in {"", name}
        return timed_into(self._spent, self._part, found) if wanted else found


def timed_into(spent: Spent, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """The same call, with what it spends added up."""

    def timed_call(*args: Any, **more: Any) -> Any:
        began = time.thread_time()
        try:
            return call(*args, **more)
        finally:
            with _LOCK:
                spent[part] += time.thread_time() - began

    return timed_call


def send(store: Any, templates: Any, channel: Any, *, limit: int | None) -> int:
    return send_due(store, templates, channel, sender=SENDER, at=NOON + HOUR, by="bench", limit=limit).mails


def fill(store: Store, mails: int) -> None:
    """One mail for each account, all due."""
    for lane in range(store.lanes):
        accounts = [name for name in (f"a{n}" for n in range(mails)) if lane_of(name, store.lanes) == lane]
        (claim,) = store.claim([lane], "bench", at=NOON)
        traits = [
            Trait(one, "u1", name, value, NOON, 1)
            for one in accounts
            for name, value in (("email", f"ada@{one}.example"), ("name", f"Ada {one.upper()} Lindqvist"))
        ]
        facts = [planned(one) for one in accounts]
        store.commit([Batch(claim, claim.position, NOON, NOON, traits=traits, facts=facts)])
        store.release([claim])


def planned(account: str) -> Decision:
    name = decision_id("orientation-tomorrow", account, Subject("orientation", "m1"), "once")
    mail = Mail(
        outreach_id(name, "u1"), "u1", "customer", "orientation-tomorrow", "relationship", "auto", NOON, NOON + DAY, 0
    )
    return Decision(
        name, "orientation-tomorrow", "nervous_moment", account, Subject("orientation", "m1"), "once", NOON, "planned",
        {"orientation.starts_at": "2026-03-12T09:00:00Z"},
        {"account": {"plan": "pro"}, "people": {"u1": {"role": "champion"}}, "with": {}},
        (mail,),
    )  # fmt: skip


def policy() -> None:
    """How long the question takes whether a mail may leave, with 90 days of history."""
    chance = random.Random(1)
    at = NOON
    kinds = [
        ("mail", "usage-dropped"),
        ("call", "call.answered"),
        ("ticket", "ticket.opened"),
        ("ticket", "ticket.replied"),
    ]
    past = []
    for day in range(90):
        for _ in range(2):
            channel, kind = chance.choice(kinds)
            past.append(Contact(at - day * DAY - chance.randrange(20, 24) * HOUR, channel, kind, "acme", "ada", "u1"))
    past.sort(key=lambda one: one.at)
    caps = ContactPolicy(
        caps_person=(Cap(200, 7 * DAY, "200 per 7d"), Cap(400, 30 * DAY, "400 per 30d")),
        caps_account=(Cap(900, 7 * DAY, "900 per 7d"),),
        gap=20 * HOUR,
        pause_after=(("call.answered", 2 * HOUR), ("ticket.opened", 2 * HOUR)),
    )
    asked = Asked(account_id="acme", person="ada", mail_class="relationship", due_at=at, zone=zone("Europe/Berlin"))
    rules = Policy(contact=caps)
    longest = [one for one in past if one.at >= at - caps.longest - DAY]
    for name, known in (("all 90 days", past), (f"as far back as it looks, {len(longest)} contacts", longest)):
        best = min(timed(lambda known=known: verdict(asked, known, rules, at), 500) for _ in range(5))
        print(f"verdict of the policy, {len(past)} contacts in 90 days ({name}): {best:.1f} us (to reach: 30 us)")


def timed(call: Callable[[], object], times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - began) / times * 1e6


# -- the servers -------------------------------------------------------------------------------------------------------
@contextmanager
def channel_to(way: str, cores: list[int]) -> Iterator[Channel]:
    """A channel, and the server at its other end in a process on the last core."""
    if way == "memory":
        yield MemoryChannel()
        return
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    serve = serve_http if way == "HTTP" else serve_smtp
    process = multiprocessing.get_context("fork").Process(target=serve, args=(listener, cores[-1]), daemon=True)
    process.start()
    os.sched_setaffinity(0, {cores[0]})
    try:
        if way == "HTTP":
            yield SendGridChannel(SendGridAccount(key="SG.bench", host=f"http://127.0.0.1:{port}"))
        else:
            yield SmtpChannel(SmtpServer(host="127.0.0.1", port=port, security="none"), SENDER.address)
    finally:
        os.sched_setaffinity(0, set(cores))
        process.kill()
        process.join()
        listener.close()


def serve_http(listener: socket.socket, core: int) -> None:
    os.sched_setaffinity(0, {core})
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer_http, args=(connection,), daemon=True).start()


def answer_http(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, connection.makefile("rb") as stream:
        while line := stream.readline():
            length = 0
            while line not in {b"\r\n", b""}:
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
                line = stream.readline()
            stream.read(length)
            connection.sendall(YES)


def serve_smtp(listener: socket.socket, core: int) -> None:
    os.sched_setaffinity(0, {core})
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer_smtp, args=(connection,), daemon=True).start()


def answer_smtp(connection: socket.socket) -> None:
    """As much of SMTP as one client needs."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, connection.makefile("rb") as stream:
        connection.sendall(b"220 bench\r\n")
        while line := stream.readline():
            if line[:4].upper() == b"DATA":
                connection.sendall(b"354 go on\r\n")
                while stream.readline() != b".\r\n":
                    pass
            connection.sendall(b"221 bye\r\n" if line[:4].upper() == b"QUIT" else b"250 ok\r\n")


if __name__ == "__main__":
    sys.exit(main())
