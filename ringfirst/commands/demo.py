"""``ringfirst demo``: the main job from end to end, on customers that are made up."""

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from engine.decision import Decision
    from engine.rulebook.book import Rulebook
    from engine.store import Store
    from ringfirst.intake import ImportReport
    from ringfirst.rulebooks import Folder

MARK = ".ringfirst-demo"
_NOTE = "Made by 'ringfirst demo', which makes it anew; rules/ and templates/ are left as they are.\n"


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
def demo(place: Path, rules: Path | None) -> None:
    """Make up a company with thirty customers, take in sixty days of their events, decide, and write the mails.

    Everything happens in a folder of its own; nobody is written to.
    """
    from engine.stores import open_store
    from outreach.channels.file import FileChannel
    from outreach.examples import SENDER
    from ringfirst.answers import talk
    from ringfirst.commands.send import rehearse
    from ringfirst.intake import now, take_items
    from streams.files import EventFiles

    _make(place, rules)
    book, folder = _book(place)
    talk("making up a company with thirty customers ...")
    events = _write_events(place / "events.jsonl")
    talk(f"taking in {events:,} events ...")
    store = open_store(f"sqlite:///{place / 'ringfirst.db'}")
    try:
        with EventFiles([str(place / "events.jsonl")]) as files:
            report = take_items(store, book, files.read(wall=now()))
        talk("writing the mails ...")
        sent = rehearse(store, folder, FileChannel(place / "outbox"), SENDER)
        _say(store, book, place, report, sent.mails)
    finally:
        store.close()


def _make(place: Path, rules: Path | None) -> None:
    """The folder with a rulebook in it, and nothing left of an earlier run."""
    from engine.errors import UsageError
    from ringfirst.rulebooks import read_folder, starter

    if place.exists() and not (place / MARK).exists():
        raise UsageError(f"{place}: this is no folder of the demo; something else was found; name another with --dir")
    sources = {name: starter() / name for name in ("rules", "templates")}
    if rules is not None:
        found = read_folder(rules)
        sources = {"rules": found.rules, "templates": found.templates}
    try:
        place.mkdir(parents=True, exist_ok=True)
        (place / MARK).write_text(_NOTE)
        for old in [*place.glob("ringfirst.db*"), *place.glob("outbox/*.eml")]:
            old.unlink()
        for name, source in sources.items():
            if not (place / name).exists():
                shutil.copytree(source, place / name)
    except OSError as err:
        raise UsageError(f"{place}: cannot be written; {err.strerror or err}; name another folder with --dir") from err


def _book(place: Path) -> "tuple[Rulebook, Folder]":
    from ringfirst.commands.options import checked_book

    return checked_book(place)


def _write_events(path: Path) -> int:
    import msgspec

    from ringfirst.made_company import made_events

    rows = made_events()
    with path.open("wb") as file:
        for row in rows:
            file.write(msgspec.json.encode(row) + b"\n")
    return len(rows)


def _say(store: "Store", book: "Rulebook", place: Path, report: "ImportReport", mails: int) -> None:
    from ringfirst.answers import plural, print_table
    from ringfirst.made_company import DAYS

    decided = store.decisions()
    word = _word(place)
    click.echo()
    click.echo(
        f"What came in: {plural(report.new, 'event')} of {len(store.accounts())} customers over {DAYS} days, in "
        f"{report.seconds:.1f} s."
    )
    click.echo(f"What was decided: {plural(len(decided), 'decision')} by {plural(len(book.rules), 'rule')}.")
    click.echo()
    print_table(
        ["rule", "what it watches for", "decisions", "customers"],
        [
            [rule.id, rule.title, len(rows), len({row.account_id for row in rows})]
            for rule in book.rules
            for rows in [[row for row in decided if row.rule == rule.id]]
        ],
    )
    for lines in _two(store, book, decided):
        click.echo()
        for line in lines:
            click.echo(line)
    click.echo()
    letters = sorted((place / "outbox").glob("*.eml"))
    click.echo(
        f"Mails: {mails:,} as .eml files in {place / 'outbox'}/, each as of the time it was due; nobody was written to."
    )
    if letters:
        click.echo(f"  open one with any mail program: {letters[0]}")
    click.echo()
    click.echo(f"Try next:  cd {place}")
    for line in _next(decided):
        click.echo(f"  {word} {line}")


def _two(store: "Store", book: "Rulebook", decided: "list[Decision]") -> list[list[str]]:
    """Two explanations: why somebody is written to, and why somebody else is not."""
    from engine.explain import explain

    rows = [row for row in decided if row.outcome == "planned" and row.subject is None] or decided[:1]
    if not rows:
        return []
    yes = rows[0]
    about = f"{yes.subject.kind}:{yes.subject.id}" if yes.subject else None
    found = [_short("Why", explain(store, book, yes.account_id, yes.rule, about=about, at=yes.at))]
    written = {row.account_id for row in decided if row.rule == yes.rule}
    other = next((name for name in store.accounts() if name not in written), None)
    if other is not None and about is None:
        found.append(_short("Why not", explain(store, book, other, yes.rule)))
    return found


def _short(word: str, answer: dict[str, Any]) -> list[str]:
    from ringfirst.answers import shown

    lines = [f"{word} {answer['rule']} for {answer['account_id']}, as of {answer['at']}?"]
    for section in ("when", "unless"):
        for line in answer[section]:
            values = ", ".join(f"{name} is {shown(value)}" for name, value in line["values"].items())
            lines.append(f"  {section:<6} {line['line']}: {line['truth']} ({values})")
    return [shown(line) for line in [*lines, f"  so: {answer['because']}"]]


def _next(decided: "list[Decision]") -> list[str]:
    first = decided[0] if decided else None
    about = f" --about {first.subject.kind}:{first.subject.id}" if first and first.subject else ""
    asked = [f"explain {first.account_id} {first.rule}{about} --at {_iso(first.at)}"] if first else []
    return [
        "who 'reports_28d >= 10 and automations_28d == 0'",
        *asked,
        "decisions list --limit 10",
        "replay --verify           the log gives the same decisions again",
        "test --mutate             the cases that the rules carry; change a line of rules/ first",
    ]


def _iso(at: int) -> str:
    from engine.instants import iso

    return iso(at)


def _word(place: Path) -> str:
    """How the command is typed from inside the demo's folder."""
    if shutil.which("ringfirst"):
        return "ringfirst"
    typed = Path(sys.argv[0])
    return os.path.relpath(typed, place) if typed.name == "ringfirst" and typed.exists() else "ringfirst"
