"""What a month's value reports cost: ``make bench-reports``.

Made-up accounts with twelve months of history in SQLite on disk. The monthly run computes each account's report and
renders its mail, HTML and text, on one core. Beside it stands what one report costs when it is asked for alone.
"""

import argparse
import cProfile
import multiprocessing
import os
import pstats
import resource
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from bench.books import loaded
from bench.machine import slowness
from bench.table import figure, head, section
from engine.instants import DAY, HOUR, MINUTE, Instant, parse_instant
from engine.lanes import lane_of
from engine.log import Event, Recorded
from engine.reports import made
from engine.reports.many import reports_of
from engine.reports.past import Accounts
from engine.reports.periods import read_period
from engine.store import Batch, NewEvent, Store
from engine.stores import open_store
from outreach.context import Sender
from ringfirst.report_mail import report_mail
from ringfirst.rulebooks import read_folder

ROOT = Path(__file__).parents[1]
BEGAN = parse_instant("2025-06-01T00:00:00Z") or 0
ASKED = parse_instant("2026-06-04T00:00:00Z") or 0
PERIOD = read_period("2026-05")
MONTHS = 12
ZONES = ("Europe/Berlin", "Europe/Lisbon", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Sydney")
SENDER = Sender(address="hello@ringfirst.example", name="Ringfirst", postal_address="Beispielweg 12, 10115 Berlin")
SECONDS, MEBIBYTES = 60, 500
ALONE = 200
"""Reports that are asked for one by one, to say what that costs."""
PAGE = 5_000
BOOK = """
attributes: {account: {hour_rate: number}}
things: {ticket: {id: ticket_id, opened_by: ticket.opened, closed_by: ticket.solved}}
measures:
  hours_saved: {sum: minutes_saved, of: automation.run, times: 1/60}
  orders_won: {count: cart.recovered}
  automation_days: {days_active: automation.run}
  open_tickets: {open: ticket}
segments: {paying: {when: 'plan == "pro"'}}
values:
  hours_saved: {measure: hours_saved, label: Hours saved, unit: hour, worth: {rate: 45, currency: EUR, per: hour}}
  orders_won: {measure: orders_won, label: Orders from recovered carts, unit: order, worth: {sum: order_value}}
  automation_days: {measure: automation_days, label: Days with an automation, unit: day}
reports:
  - id: monthly-value
    title: What you got out of it
    audience: paying
    period: previous month
    values: [hours_saved, orders_won, automation_days]
    price: mrr
    compare: [previous period, same period last year]
    send_if: value_total > 0
    unless: [open_tickets > 2]
policy: {timezone: Europe/Berlin, staff: {domains: [ringfirst.example]}}
"""


def main() -> int:
    """Print the table; 1 when a figure falls short."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--accounts", type=int, default=10_000)
    asked.add_argument("--store", type=Path, help="a folder in which the made-up store is kept, and found again")
    asked.add_argument("--profile", action="store_true", help="say where the time goes, function by function")
    words = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = (words.store or Path(folder)) / f"reports-{words.accounts}.db"
        if not path.exists():
            filled(path, words.accounts)
        measured(f"sqlite:///{path}", words.accounts, profile=words.profile)
    return 0


def filled(path: Path, accounts: int) -> None:
    """Make the store in another process, so that what that takes is not in our memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".half")
    process = multiprocessing.get_context("fork").Process(target=fill, args=(f"sqlite:///{half}", accounts))
    process.start()
    process.join()
    if process.exitcode:
        sys.exit("the store could not be made; see above")
    half.rename(path)


def measured(url: str, accounts: int, *, profile: bool) -> None:
    """The run, and single reports beside it."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    slow, _ = slowness()
    store = open_store(url)
    book = loaded({"rules/reports.yml": BOOK})
    folder = read_folder(ROOT)
    print(f"one core, {slow:.1f} times as slow as the machine of the figures to reach; {accounts:,} accounts, ", end="")
    print(f"{MONTHS} months, {store.count_events():,} events, SQLite on disk")
    head()
    section("the monthly run")
    profiler = cProfile.Profile()
    if profile:
        profiler.enable()
    began, cpu = time.perf_counter(), time.process_time()
    size = count = 0
    computed = 0.0
    for found, traits in told(store, book):
        start = time.process_time()
        mail = report_mail(found, traits, folder, SENDER)
        computed += time.process_time() - start
        size += len(mail.html) + len(mail.text)
        count += 1
    took, spent = time.perf_counter() - began, time.process_time() - cpu
    profiler.disable()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    scale = 10_000 / max(count, 1)
    figure("10,000 reports, computed and rendered" + ("" if count == accounts else f" ({count:,} of {accounts:,})"),
           took * scale, "s", at_most=SECONDS)  # fmt: skip
    figure("of it CPU", spent * scale, "s")
    figure("a report: figures", 1_000 * (spent - computed) / max(count, 1), "ms")
    figure("a report: words", 1_000 * computed / max(count, 1), "ms")
    figure("memory at most", peak, "MiB", at_most=MEBIBYTES)
    figure("characters of a mail, HTML and text", size / max(count, 1), "")
    section("one at a time")
    accounts_ = Accounts(store, book, ASKED)
    some = [f"a{n}" for n in range(0, accounts, max(1, accounts // ALONE))]
    cpu = time.process_time()
    for name in some:
        made.preview(accounts_, name, book.reports[0], PERIOD)
    figure("a report: figures", 1_000 * (time.process_time() - cpu) / len(some), "ms")
    store.close()
    os.sched_setaffinity(0, cores)
    if profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(70)


def told(store: Store, book: Any) -> Iterator[tuple[dict[str, Any], dict[str, object]]]:
    """Each account's report, and its traits as of the period's end."""
    accounts = Accounts(store, book, ASKED)
    for found in reports_of(accounts, book.reports[0], PERIOD):
        yield found, accounts.past(found["account_id"], PERIOD).ledger.traits


# -- made-up history ---------------------------------------------------------------------------------------------------
def fill(url: str, accounts: int) -> None:
    """Some 200 events for each account, in the order of time, lane by lane."""
    store = open_store(url)
    for lane in range(store.lanes):
        names = [name for name in (f"a{n}" for n in range(accounts)) if lane_of(name, store.lanes) == lane]
        events = sorted((one for name in names for one in history(name)), key=lambda one: (one.time, one.id))
        (claim,) = store.claim([lane], "bench", at=BEGAN)
        for start in range(0, len(events), PAGE):
            page = events[start : start + PAGE]
            new = [
                NewEvent(Recorded(claim.position + at, one.time, one), msgspec.json.encode(one.properties), b"0" * 16)
                for at, one in enumerate(page, 1)
            ]
            clock = page[-1].time if start + PAGE < len(events) else ASKED
            (claim,) = store.commit([Batch(claim, claim.position + len(page), clock, BEGAN, events=new)])
        store.release([claim])
    store.close()


def history(account: str) -> Iterable[Event]:
    """One account's twelve months: use, won orders, tickets, and a trait that changes now and then."""
    chance = Random(account)
    plan = "pro" if chance.random() < 0.95 else "free"
    traits = {"plan": plan, "mrr": chance.choice([120, 240, 480]), "currency": "EUR", "timezone": chance.choice(ZONES)}
    people = [f"u{n}" for n in range(chance.randint(2, 6))]
    rows: list[tuple[Instant, str, str | None, dict[str, Any]]] = [(BEGAN + HOUR, "account.updated", None, traits)]
    for month in range(MONTHS):
        first = BEGAN + month * 30 * DAY + 2 * HOUR
        times = sorted(first + chance.randrange(30 * DAY // MINUTE) * MINUTE for _ in range(16))
        kinds = chance.choices(["automation.run", "cart.recovered", "session.started"], [10, 3, 3], k=16)
        for time_, kind in zip(times, kinds, strict=True):
            rows.append((time_, kind, chance.choice(people), worth(kind, chance)))
        if month % 2:
            ticket = {"ticket_id": f"t{month}", "priority": "normal"}
            rows.append((first + DAY, "ticket.opened", people[0], ticket))
            rows.append((first + 2 * DAY, "ticket.solved", people[0], ticket))
        if month == MONTHS // 2:
            rows.append((first, "account.updated", None, {"mrr": int(str(traits["mrr"])) + 20}))
    return [Event(f"e{at}", kind, account, user, time_, more) for at, (time_, kind, user, more) in enumerate(rows)]


def worth(kind: str, chance: Random) -> dict[str, Any]:
    if kind == "automation.run":
        return {"minutes_saved": chance.choice([15, 30, 45]), "automation": f"auto-{chance.randrange(8)}", "ok": True}
    return {"order_value": chance.randrange(1_000, 30_000) / 100} if kind == "cart.recovered" else {"device": "web"}


if __name__ == "__main__":
    sys.exit(main())
