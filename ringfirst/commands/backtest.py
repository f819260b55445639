"""``ringfirst backtest``: what a rulebook would have done, and what that is worth."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ringfirst.commands.options import (
    At,
    active_book,
    checked_book,
    json_option,
    opened,
    rules_option,
    sender_of,
    settings,
    store_option,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.backtest import Trial
    from engine.log import Event
    from engine.rulebook.book import Rulebook
    from engine.store import DeadLetter, Store
    from outreach.gate import Post
    from ringfirst.backtests import Found
    from ringfirst.rulebooks import Folder

DAYS = re.compile(r"([1-9]\d{0,3})([dw])")
FILE = re.compile(r"-|.*\.(?:jsonl|ndjson|json)(?:\.gz)?|.*\.gz", re.DOTALL)


class Span(click.ParamType):
    """A number of days: ``14d``, ``2w``."""

    name = "days"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the days."""
        found = DAYS.fullmatch(str(value))
        if isinstance(value, int) or found is None:
            self.fail(f"no span of days; found {value!r}; write it as 14d or 2w", param, ctx)
        return int(found[1]) * (7 if found[2] == "w" else 1)


@click.command(short_help="Try a rulebook on events that already happened.")
@click.argument("words", metavar="[RULE]... [EVENTS.jsonl]...", nargs=-1)
@store_option
@rules_option
@click.option("--from", "since", type=At(), help="Count from here on; what was before is known, and not counted.")
@click.option("--to", "until", type=At(), help="Leave out what is dated later.")
@click.option("--against", metavar="DIR", type=click.Path(path_type=Path), help="Compare with this other rulebook.")
@click.option("--outcome", metavar="EVENT", help="Judge each rule by whether this event followed its fires.")
@click.option("--within", type=Span(), metavar="DAYS", help="How soon it must follow, as 14d or 2w.  [14d]")
@click.option("--midnights", is_flag=True, help="Look at local midnights only, as tools that run once a day do.")
@click.option("--svg", metavar="DIR", type=click.Path(path_type=Path), help="Draw each rule's chart into this folder.")
@json_option
@click.option("--intervals", "sure", is_flag=True, help="With --json: also the 95 % intervals.")
def backtest(  # noqa: PLR0913 - one for each thing that can be asked
    words: tuple[str, ...],
    store_url: str | None,
    rules: Path | None,
    since: int | None,
    until: int | None,
    against: Path | None,
    outcome: str | None,
    within: int | None,
    svg: Path | None,
    *,
    midnights: bool,
    as_json: bool,
    sure: bool,
) -> None:
    """Run the engine over stored events, or those in files, as if this rulebook had been there from the start.

    Nothing is sent, and nothing is written to the store. RULEs are ids of the rulebook; without them all its rules are
    tried. Events count as recorded when they happened, as in an import. With --outcome each rule is judged by what
    followed.

    With --json: {"from", "to", "events", "accounts", "rules": [{"rule", "fires", "subjects", "accounts", "mails",
    "suppressed": {reason: n}, "unknown": {name: n}, "outcome": {"event", "within_days", "fired_with_outcome",
    "precision", "base_rate", "lift", "recall", "median_lead_days"}}]}; with --against also "against": [{"rule",
    "before", "gained", "lost", "kept"}].
    """
    from engine.backtest import Trial, stored_events
    from ringfirst.answers import print_json
    from ringfirst.backtest_shown import draw, note, say
    from ringfirst.backtests import Found, Side, tried

    ids, files = _sorted_out(words, store_url, within=within, outcome=outcome)
    with ExitStack() as stack:
        letters: list[DeadLetter] = []
        store = None if files else stack.enter_context(opened(store_url))
        sides = [_candidate(store, rules), *([checked_book(against)] if against else [])]
        _known(ids, [book for book, _ in sides])
        lanes = {"lanes": store.lanes} if store is not None else {}
        trials = [Trial(book, only=ids or None, midnights=midnights, **lanes) for book, _ in sides]
        if store is not None:
            total = sum(info.position for info in store.lane_infos(at=0))
            events = stored_events(store, stack.enter_context(_bar(total)))
        else:
            events = stack.enter_context(_file_events(files, letters))
        story, period = tried(events, trials, outcome, since, until)
        posts = [_post(trial, folder, store) for trial, (_, folder) in zip(trials, sides, strict=True)]
        found = Found(story, period, _outcome(outcome, within), *map(Side, trials, posts))
        if as_json:
            print_json(_with_intervals(found) if sure else found.answer())
        else:
            say(found)
    note(found, letters, midnights=midnights)
    if svg is not None:
        draw(found, svg)


def _sorted_out(
    words: tuple[str, ...], store_url: str | None, *, within: int | None, outcome: str | None
) -> tuple[list[str], list[str]]:
    """Which words are rules and which are files; what does not go together is refused."""
    from engine.errors import UsageError

    files = [word for word in words if FILE.fullmatch(word) or Path(word).is_file()]
    if files and store_url is not None:
        raise UsageError(
            "backtest: events come from files or from the store; found both; leave --store or the files out"
        )
    if within is not None and outcome is None:
        raise UsageError("backtest --within: says how soon an outcome must follow; name it: --outcome EVENT")
    return [word for word in words if word not in files], files


def _outcome(event: str | None, within: int | None) -> Any:
    from engine.outcomes import Outcome

    return Outcome(event, within or 14) if event else None


def _candidate(store: "Store | None", rules: Path | None) -> "tuple[Rulebook, Folder]":
    """The rulebook on trial: the folder's; where there is none and none was named, the store's active one."""
    from engine.errors import UsageError
    from ringfirst.rulebooks import read_folder, starter

    try:
        return checked_book(rules)
    except UsageError:
        active = active_book(store) if store is not None and rules is None else None
        if active is None:
            raise
        return active, read_folder(starter())


def _known(ids: list[str], books: "list[Rulebook]") -> None:
    """Every rule asked for is in one of the rulebooks; else ``RulebookError`` with what is near in the first."""
    for rule in ids:
        if not any(rule == one.id for book in books for one in book.rules):
            books[0].rule(rule)


@contextmanager
def _file_events(names: list[str], letters: "list[DeadLetter]") -> "Iterator[Iterator[Event]]":
    from ringfirst.backtests import good_ones
    from ringfirst.intake import now
    from streams.files import EventFiles

    with EventFiles(names) as files, _bar(files.size) as progress:
        yield good_ones(files.read(wall=now(), progress=progress), letters)


def _post(trial: "Trial", folder: "Folder", store: "Store | None") -> "Post":
    """What a sender would work with: the folder's templates, and the people of the store, or of the events."""
    from engine.store import Wishes
    from outreach.addresses import address_key
    from outreach.gate import Post

    def people(account: str) -> Any:
        return store.people(account) if store is not None else trial.people.get(account, {})

    def wishes(address: str) -> Wishes:
        return store.wishes(address_key(store.key, address)) if store is not None else Wishes()

    return Post(
        templates=folder.mail_templates[0],
        sender=sender_of(settings())[0],
        policy=trial.book.policy,
        people=people,
        wishes=wishes,
    )


def _with_intervals(found: "Found") -> dict[str, Any]:
    import msgspec

    from ringfirst.intervals import intervals

    answer = found.answer()
    for row, one in zip(answer["rules"], found.rules, strict=True):
        if one.judged is not None:
            row["intervals"] = msgspec.to_builtins(intervals(one.judged))
    return answer


@contextmanager
def _bar(size: int | None) -> "Iterator[Callable[[int], None]]":
    """A bar on stderr; silent where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("looking back"), BarColumn(), TimeRemainingColumn(elapsed_when_finished=True))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("backtest", total=size)
        yield lambda read: bar.update(task, advance=read)
