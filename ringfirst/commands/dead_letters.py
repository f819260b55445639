"""``ringfirst dead-letters``: records that were no good events."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ringfirst.commands.options import active_book, checked_book, json_option, opened, rules_option, store_option

if TYPE_CHECKING:
    from engine.events import Arrived
    from engine.store import DeadLetter, Store

_SHOWN = 60


@click.group("dead-letters", short_help="List the records that were no good events, try them again, or drop them.")
def dead_letters() -> None:
    """List the records that were no good events, try them again, or drop them."""


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
        ["source", "where", "reason", "raw"],
        [[one.source, one.where, one.reason, one.raw[:_SHOWN].decode(errors="replace")] for one in letters],
    )
    talk(plural(len(letters), "dead letter"))


@dead_letters.command()
@click.option("--source", metavar="NAME", help="From this source only.")
@click.option("--take-over", is_flag=True, help="Take the lanes from another owner that is known to be dead.")
@store_option
@rules_option
@json_option
def retry(
    source: str | None,
    store_url: str | None,
    rules: Path | None,
    *,
    take_over: bool,
    as_json: bool,
) -> None:
    """Read dead letters again, by what is accepted now; good ones come in as late events and leave the list.

    With --json: {"tried", "taken", "left", "decisions"}.
    """
    from ringfirst.answers import plural, print_json

    with opened(store_url) as store:
        answer = _retry(store, source, rules, take_over=take_over)
    if as_json:
        print_json(answer)
        return
    click.echo(
        f"{answer['taken']:,} of {plural(answer['tried'], 'dead letter')} taken in, {answer['left']:,} left, "
        f"{plural(answer['decisions'], 'decision')}"
    )


@dead_letters.command()
@click.option("--source", metavar="NAME", help="From this source only.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@store_option
@json_option
def drop(source: str | None, store_url: str | None, *, yes: bool, as_json: bool) -> None:
    """Drop dead letters that nobody will mend; the same file imported again brings them back.

    With --json: {"dropped"}.
    """
    from ringfirst import owners
    from ringfirst.answers import plural, print_json
    from ringfirst.intake import now

    with opened(store_url) as store:
        letters = store.dead_letters(source=source)
        if not letters and source is not None:
            _say_no_source(store, source)
        if letters and not yes:
            click.confirm(f"Drop {plural(len(letters), 'dead letter')}? There is no way back.", abort=True, err=True)
        dropped = store.drop_dead_letters([one.dead_letter_id for one in letters])
        store.audit(at=now(), who=owners.owner_name(), what="drop dead letters", detail={"dropped": dropped})
    if as_json:
        print_json({"dropped": dropped})
    else:
        click.echo(f"{plural(dropped, 'dead letter')} dropped")


def _say_no_source(store: "Store", source: str) -> None:
    from ringfirst.answers import say_none

    sources = sorted({one.source for one in store.dead_letters()})
    say_none("source", source, "no dead letter is from it", sources)


def _retry(store: "Store", source: str | None, rules: Path | None, *, take_over: bool) -> dict[str, int]:
    from engine.errors import StoreError
    from engine.events import Arrived
    from ringfirst import owners
    from ringfirst.intake import now

    at = now()
    letters = store.dead_letters(source=source)
    if not letters and source is not None:
        _say_no_source(store, source)
    read = [(one.dead_letter_id, _decoded(one, at)) for one in letters]
    good = [(mark, found) for mark, found in read if isinstance(found, Arrived)]
    decisions = 0
    if good:
        book = active_book(store) or checked_book(rules)[0]
        keeper = owners.keep(store, book, at=at, take_over=take_over)
        try:
            arrived = sorted((found for _, found in good), key=lambda one: one.event.time)
            decisions = keeper.take(arrived, at=at).decisions + keeper.finish(at=now()).decisions
            keeper.stop()
        except BaseException:
            with suppress(StoreError):
                keeper.abandon()
            raise
        store.drop_dead_letters([mark for mark, _ in good])
    return {"tried": len(letters), "taken": len(good), "left": len(letters) - len(good), "decisions": decisions}


def _decoded(letter: "DeadLetter", at: int) -> "Arrived | None":
    from engine.events import Arrived, decode

    found = decode(letter.raw, wall=at, from_inbox=letter.source == "inbox")
    return found if isinstance(found, Arrived) else None


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
