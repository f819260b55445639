"""``ringfirst dead-letters``: records that were no good events."""

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from ringfirst.commands.options import (
    active_book,
    checked_book,
    json_option,
    opened,
    rules_option,
    settings,
    store_option,
)

if TYPE_CHECKING:
    from engine.store import DeadLetter, Store

_SHOWN = 60
_ID = 12  # digits of an id that tell it from all others


@click.group("dead-letters", short_help="The records that were no good events: list, show, try again, drop.")
def dead_letters() -> None:
    """The records that were no good events: list them, show one, try them again, or drop them."""


@dead_letters.command("list")
@click.option("--source", metavar="NAME", help="From this source: a file as it was named at import.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many.")
@store_option
@json_option
def list_(source: str | None, limit: int | None, store_url: str | None, *, as_json: bool) -> None:
    """List dead letters with reason, source and position, oldest first.

    With --json: [{"dead_letter_id", "source", "where", "reason", "at", "account_id", "raw"}].
    """
    from ringfirst.answers import plural, print_json, print_table, talk

    with opened(store_url) as store:
        letters = store.dead_letters(source=source, limit=limit)
        if not letters and source is not None:
            _say_no_source(store, source)
    if as_json:
        print_json([_plain(one) for one in letters])
        return
    print_table(
        ["id", "source", "where", "reason", "raw"],
        [
            [one.dead_letter_id[:_ID], one.source, one.where, one.reason, one.raw[:_SHOWN].decode(errors="replace")]
            for one in letters
        ],
    )
    talk(plural(len(letters), "dead letter"))


@dead_letters.command()
@click.argument("letter")
@store_option
@json_option
def show(letter: str, store_url: str | None, *, as_json: bool) -> None:
    """Show one dead letter in full: reason, place, headers and all its bytes. LETTER is its id, or how that begins.

    With --json: {"dead_letter_id", "source", "where", "reason", "at", "account_id", "headers", "raw", "raw_base64"}.
    """
    from ringfirst.answers import print_json
    from ringfirst.letters import find, in_full

    with opened(store_url) as store:
        found = find(store, letter)
    if as_json:
        print_json(in_full(found))
        return
    for name, value in in_full(found).items():
        if name == "headers":
            for key, text in found.headers:
                click.echo(f"header {_printable(key)}: {_printable(text.decode(errors='replace'))}")
        elif name not in {"raw", "raw_base64"} and value is not None:
            click.echo(f"{name}: {_printable(str(value))}")
    click.echo()
    click.echo(_printable(found.raw.decode(errors="replace")))


@dead_letters.command()
@click.argument("letters", nargs=-1, metavar="[LETTER]...")
@click.option("--source", metavar="NAME", help="From this source only.")
@click.option("--with", "mended", type=click.File("rb"), help="Take this in instead of the record: one letter, mended.")
@click.option("--wait", default=10.0, show_default=True, help="Seconds for running workers to take them in.")
@click.option("--take-over", is_flag=True, help="Take the lanes from another owner that is known to be dead.")
@store_option
@rules_option
@json_option
def retry(
    letters: tuple[str, ...],
    source: str | None,
    mended: BinaryIO | None,
    wait: float,
    store_url: str | None,
    rules: Path | None,
    *,
    take_over: bool,
    as_json: bool,
) -> None:
    """Read dead letters again, by what is accepted now; good ones come in as late events and leave the list.

    All of them, those of a source, or the ones named by id. While workers or a server hold the lanes, and always where
    events come from Kafka, the owners of the lanes take them in: the command leaves it to them, and waits a little.
    With --json: {"tried", "taken", "left", "waiting", "decisions"}; decisions is null where the owners decide.
    """
    from ringfirst.answers import plural, print_json
    from ringfirst.letters import chosen, retry_all

    with opened(store_url) as store:
        found = chosen(store, letters, source)
        if not found and source is not None:
            _say_no_source(store, source)
        raw = None if mended is None else mended.read()
        answer = retry_all(
            store,
            found,
            raw,
            lambda: active_book(store) or checked_book(rules)[0],
            foreign=settings().topic_intake,
            wait=wait,
            take_over=take_over,
        )
    if as_json:
        print_json(answer)
        return
    said = f"{answer['taken']:,} of {plural(answer['tried'] or 0, 'dead letter')} taken in, {answer['left']:,} left"
    waiting, decisions = answer["waiting"], answer["decisions"]
    said += f", {waiting:,} wait for the owners of their lanes" if waiting else ""
    click.echo(said if decisions is None else f"{said}, {plural(decisions, 'decision')}")


@dead_letters.command()
@click.argument("letters", nargs=-1, metavar="[LETTER]...")
@click.option("--source", metavar="NAME", help="From this source only.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@store_option
@json_option
def drop(letters: tuple[str, ...], source: str | None, store_url: str | None, *, yes: bool, as_json: bool) -> None:
    """Drop dead letters that nobody will mend; the same file imported again brings them back.

    All of them, those of a source, or the ones named by id. With --json: {"dropped"}.
    """
    from ringfirst import owners
    from ringfirst.answers import plural, print_json
    from ringfirst.intake import now
    from ringfirst.letters import chosen

    with opened(store_url) as store:
        found = chosen(store, letters, source)
        if not found and source is not None:
            _say_no_source(store, source)
        if found and not yes:
            click.confirm(f"Drop {plural(len(found), 'dead letter')}? There is no way back.", abort=True, err=True)
        dropped = store.drop_dead_letters([one.dead_letter_id for one in found])
        store.audit(at=now(), who=owners.owner_name(), what="drop dead letters", detail={"dropped": dropped})
    if as_json:
        print_json({"dropped": dropped})
    else:
        click.echo(f"{plural(dropped, 'dead letter')} dropped")


def _say_no_source(store: "Store", source: str) -> None:
    from ringfirst.answers import say_none

    sources = sorted({one.source for one in store.dead_letters()})
    say_none("source", source, "no dead letter is from it", sources)


def _printable(text: str) -> str:
    """What somebody sent cannot steer the terminal."""
    return "".join(sign if sign.isprintable() or sign == "\n" else "\N{REPLACEMENT CHARACTER}" for sign in text)


def _plain(one: "DeadLetter") -> dict[str, object]:
    from engine.instants import iso

    return {
        "dead_letter_id": one.dead_letter_id,
        "source": one.source,
        "where": one.where,
        "reason": one.reason,
        "at": iso(one.at),
        "account_id": one.account_id,
        "raw": one.raw.decode(errors="replace"),
    }
