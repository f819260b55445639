"""``ringfirst demo``: the main job from end to end, on customers that are made up."""

import os
import shlex
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from engine.rulebook.book import Rulebook
    from engine.store import Store
    from ringfirst.demo.calls import Call
    from ringfirst.demo.kafka import WorkerBeside
    from ringfirst.demo.mails import Walked
    from ringfirst.demo.screen import Told
    from streams.embedded import EmbeddedBroker

MARK = ".ringfirst-demo"
SHOWN_CALLS = 3
RECENT_DAYS = 3
"""A reason of the last days that still holds is worth a call today."""
STOPPED = 130
_NOTE = "Made by 'ringfirst demo', which makes it anew; rules/ and templates/ are left as they are.\n"
_STYLES: dict[str, dict[str, Any]] = {
    "head": {"bold": True, "fg": "cyan"},
    "strong": {"bold": True},
    "faint": {"dim": True},
}


@click.command(short_help="Show the main job from end to end, on made-up customers.")
@click.option(
    "--dir",
    "place",
    type=click.Path(path_type=Path),
    default=Path("ringfirst-demo"),
    show_default=True,
    help="The folder it makes.",
)
@click.option(
    "--rules", metavar="DIR", type=click.Path(path_type=Path), help="Another rulebook than the starter rules."
)
@click.option("--direct", is_flag=True, help="Without Kafka: take the events in from their file, as 'import' does.")
@click.pass_context
def demo(ctx: click.Context, place: Path, rules: Path | None, *, direct: bool) -> None:
    """Make up a company with two hundred customers, take in five months of their events, decide, and write the mails.

    The events go the way of production: they are published to the topics of an embedded Kafka, and a worker takes them
    in. With --direct the decisions are the same. Everything happens in a folder of its own; nobody is written to. The
    same command again makes it anew, by the rules that lie in the folder: change one, and see what it changes.
    """
    from ringfirst.answers import talk

    try:
        with _writable(place):
            _make(place, rules)
            told = _tell(place, direct=direct)
    except KeyboardInterrupt:
        talk(f"\nstopped; everything so far lies in {place}/: the same command makes it anew")
        ctx.exit(STOPPED)
    _show(told)


@contextmanager
def _writable(place: Path) -> Iterator[None]:
    """Says in our words that the folder cannot be written."""
    from engine.errors import UsageError

    try:
        yield
    except OSError as err:
        raise UsageError(f"{place}: cannot be written; {err.strerror or err}; name another folder with --dir") from err


def _make(place: Path, rules: Path | None) -> None:
    """The folder with a rulebook in it, and nothing left of an earlier run."""
    from engine.errors import UsageError
    from ringfirst.answers import talk
    from ringfirst.rulebooks import read_folder, starter

    if place.exists() and not (place / MARK).exists():
        raise UsageError(f"{place}: this is no folder of the demo; something else was found; name another with --dir")
    if rules is not None and (place / "rules").exists():
        raise UsageError(
            f"{place}/rules: there is a rulebook already; found one beside --rules; remove it, or name another --dir"
        )
    sources = {name: starter() / name for name in ("rules", "templates")}
    if rules is not None:
        found = read_folder(rules)
        sources = {"rules": found.rules, "templates": found.templates}
    place.mkdir(parents=True, exist_ok=True)
    (place / MARK).write_text(_NOTE)
    for old in [*place.glob("ringfirst.db*"), *place.glob("outbox/*.eml")]:
        old.unlink()
    for name, source in sources.items():
        if (place / name).exists():
            talk(f"{place / name}/ is as an earlier run left it; remove it to begin with the starter's")
        else:
            shutil.copytree(source, place / name)


def _tell(place: Path, *, direct: bool) -> "Told":
    """Make the company, take it in, decide, write the mails and the gallery, and gather what there is to tell."""
    from engine.questions import now_of
    from engine.stores import open_store
    from outreach.addresses import address_key
    from outreach.channels.file import FileChannel
    from outreach.examples import SENDER
    from outreach.gate import Post
    from outreach.sender import cached
    from outreach.simulation import example_links
    from ringfirst.answers import talk
    from ringfirst.commands.options import checked_book
    from ringfirst.demo.mails import tell_of_readers, write_mails
    from ringfirst.demo.reports import issue_reports
    from ringfirst.gallery import write_gallery

    url = f"sqlite:///{place / 'ringfirst.db'}"
    with ExitStack() as stack:
        kafka = None if direct else _kafka(stack, place, url)
        book, folder = checked_book(place)
        talk("making up a company with two hundred customers ...")
        types = _write_events(place / "events.jsonl")
        store = open_store(url)
        stack.callback(store.close)
        began = time.monotonic()
        if kafka is None:
            _take(store, book, place / "events.jsonl", types.total())
        else:
            with _way_out():
                _stream(*kafka, store, book, place / "events.jsonl", types.total())
        seconds = time.monotonic() - began
        talk("making the reports of the months that are over ...")
        issue_reports(store, book)
        talk("writing the mails and the gallery ...")
        tell_of_readers(store, now_of(store, None))
        post = Post(
            templates=folder.mail_templates[0],
            sender=SENDER,
            policy=book.policy,
            people=cached(store.people),
            links=example_links,
            wishes=lambda address: store.wishes(address_key(store.key, address)),
            contacts=lambda account: store.contacts(account, "", since=0),
        )
        walked = write_mails(store, post, FileChannel(place / "outbox"))
        write_gallery(folder, place / "gallery", book=book, sender=SENDER)
        talk("looking for who needs a call today, and for what was not sent ...")
        return _gather(store, book, place, types, walked, seconds, streamed=kafka is not None)


@contextmanager
def _way_out() -> Iterator[None]:
    """What goes wrong with Kafka need not keep anybody from the demo."""
    from engine.errors import StreamError

    try:
        yield
    except StreamError as err:
        raise StreamError(f"{err}; 'ringfirst demo --direct' leaves Kafka out") from err


def _kafka(stack: ExitStack, place: Path, url: str) -> "tuple[EmbeddedBroker, WorkerBeside] | None":
    """An embedded broker, and a worker that gets ready beside us; None where there can be no such broker."""
    from engine.errors import StreamError
    from ringfirst.answers import talk
    from ringfirst.demo.kafka import WorkerBeside
    from streams.embedded import EmbeddedBroker

    try:
        broker = stack.enter_context(EmbeddedBroker())
    except (StreamError, OSError) as err:
        talk(f"without Kafka, for it cannot be embedded here ({str(err).partition(';')[0]})")
        return None
    return broker, stack.enter_context(WorkerBeside(place, url, place / "worker.log"))


def _write_events(path: Path) -> Counter[str]:
    """Write the company's events down; gives their types back, counted."""
    import msgspec

    from ringfirst.made_company import made_events

    rows = made_events()
    with path.open("wb") as file:
        for row in rows:
            file.write(msgspec.json.encode(row) + b"\n")
    return Counter(row["type"] for row in rows)


def _take(store: "Store", book: "Rulebook", path: Path, events: int) -> None:
    from ringfirst.answers import talk
    from ringfirst.commands.importing import bar, stopping
    from ringfirst.intake import now, take_items
    from streams.files import EventFiles

    # An interrupt that falls into a callback of the database or the collector is swallowed there: a flag is not.
    with stopping() as stop, EventFiles([str(path)]) as files, bar(files.size) as (progress, tell):
        talk(f"taking in {events:,} events, and deciding by {len(book.written)} rules ...")
        report = take_items(store, book, files.read(wall=now(), progress=progress), stop=stop, tell=tell)
    if report.stopped:
        raise KeyboardInterrupt


def _stream(
    broker: "EmbeddedBroker", worker: "WorkerBeside", store: "Store", book: "Rulebook", path: Path, events: int
) -> None:
    """Publish the events, and let the worker take them in."""
    from ringfirst.answers import talk
    from ringfirst.commands.importing import bar, counting, stopping
    from ringfirst.demo.kafka import publish_events, watch

    with stopping() as stop:
        talk(f"publishing {events:,} events to the topics of an embedded Kafka ...")
        with bar(path.stat().st_size, "publishing") as (progress, _):
            source, published = publish_events(path, broker, store.lanes, progress=progress, stop=stop)
        talk(
            f"a worker takes them in from {len(published.topics)} topics, and decides by {len(book.written)} rules ..."
        )
        began = time.monotonic()
        with counting(published.published, "the worker") as tell:
            worker.go(broker.bootstrap)
            watch(worker, broker, store, source, tell=tell, stop=stop)
        if stop():
            raise KeyboardInterrupt
    seconds = time.monotonic() - began
    talk(f"it took in {published.published:,} events in {seconds:.0f} s: {published.published / seconds:,.0f} a second")


def _gather(
    store: "Store",
    book: "Rulebook",
    place: Path,
    types: "Counter[str]",
    walked: "Walked",
    seconds: float,
    *,
    streamed: bool,
) -> "Told":
    from engine.instants import DAY
    from engine.questions import now_of
    from outreach.policy import No
    from ringfirst.demo.calls import choose, find_calls
    from ringfirst.demo.ledger import ledger
    from ringfirst.demo.screen import Told
    from ringfirst.demo.silences import find_silences
    from ringfirst.made_company import DAYS

    end = now_of(store, None)
    calls = find_calls(store, book, walked, end - RECENT_DAYS * DAY)
    chosen = choose(calls, SHOWN_CALLS)
    return Told(
        place=place,
        customers=len(store.accounts()),
        days=DAYS,
        types=types,
        seconds=seconds,
        streamed=streamed,
        rules=len(book.written),
        decisions=len(store.decisions()),
        mails=sum(not isinstance(mail, No) for _, mail in walked),
        mailed=sum(len(group) for group, mail in walked if not isinstance(mail, No)),
        end=end,
        calls=calls,
        chosen=chosen,
        ledger=ledger(store, store.decisions(), walked),
        silences=find_silences(store, book, end),
        commands=list(_commands(place, book, chosen)),
    )


def _commands(place: Path, book: "Rulebook", chosen: "list[Call]") -> Iterator[tuple[str, str]]:
    """What to type next, and what it answers: each works as it stands, the first one first."""
    yield f"cd {shlex.quote(str(place))}{_on_path()}", ""
    if chosen:
        about = f" --about {shlex.quote(chosen[0].about)}" if chosen[0].about else ""
        yield f"ringfirst explain {chosen[0].account_id} {chosen[0].rule}{about}", "the whole why"
        yield f"ringfirst accounts show {chosen[0].account_id}", "all we know"
        if book.reports:
            yield f"ringfirst reports preview {chosen[0].account_id}", "what they got"
    asked = next((rule for rule in book.rules if rule.subject == "account" and rule.when), None)
    if asked is not None:
        condition = " and ".join(line.text for line in asked.when)
        yield f"ringfirst who {shlex.quote(condition)}", "who else"
        yield f"ringfirst backtest {asked.id} --outcome subscription.cancelled --within 30d", "was it right?"
    yield "ringfirst test --mutate", "the rules' tests"


def _on_path() -> str:
    """What makes the command known to the shell, where it is not."""
    if shutil.which("ringfirst"):
        return ""
    places = [Path(sys.argv[0]).absolute().parent, Path(sys.executable).absolute().parent]
    found = next((place for place in places if (place / "ringfirst").is_file()), None)
    return f" && export PATH={shlex.quote(str(found))}:$PATH" if found is not None else ""


def _show(told: "Told") -> None:
    """Print the screen; plain where there is no terminal, or where it asks for no colour."""
    from ringfirst.demo.screen import screen

    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    width = shutil.get_terminal_size((100, 50)).columns
    click.echo()
    for style, line in screen(told, width):
        click.echo(line if plain or not style else click.style(line, **_STYLES[style]))
