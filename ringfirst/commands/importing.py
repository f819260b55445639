"""``ringfirst import``: files of events in, decisions out."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from ringfirst.commands.options import checked_book, json_option, opened, rules_option, store_option

if TYPE_CHECKING:
    from collections import Counter

    from ringfirst.intake import ImportReport, Tell
    from streams.files import Progress

STOPPED = 130


@click.command("import", short_help="Take in files of events, and decide.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@store_option
@rules_option
@click.option("--take-over", is_flag=True, help="Take the lanes from another owner that is known to be dead.")
@json_option
@click.pass_context
def import_(
    ctx: click.Context,
    files: tuple[str, ...],
    store_url: str | None,
    rules: Path | None,
    *,
    take_over: bool,
    as_json: bool,
) -> None:
    """Take in events from FILEs (JSON lines, gzip too, - for standard input) and decide by the rulebook.

    Several files are merged by event time. The rulebook becomes the active one. Events count as recorded when they
    happened, so mails of the past count as gone and nobody is written to. The same file again changes nothing. Ctrl-C
    stops after the batch at hand; the same command goes on from there.

    With --json: {"read", "new", "duplicates", "dead_letters", "decisions", "past", "seconds"}.
    """
    book, _ = checked_book(rules)
    from ringfirst.answers import print_json
    from ringfirst.intake import now, take_items
    from streams.files import EventFiles

    with (
        EventFiles(files) as events,
        opened(store_url, create=True) as store,
        stopping() as stop,
        bar(events.size) as (progress, tell),
    ):
        items = events.read(wall=now(), progress=progress)
        report = take_items(store, book, items, take_over=take_over, stop=stop, tell=tell)
    _say_strays(events.strays)
    if as_json:
        print_json(report.answer())
    else:
        _say(report)
    _end(ctx, report)


def _say(report: "ImportReport") -> None:
    rate = report.read / report.seconds if report.seconds else 0
    click.echo(f"read          {report.read:>12,}  in {report.seconds:.1f} s, {rate:,.0f} a second")
    click.echo(f"new           {report.new:>12,}")
    same = f"  {report.conflicting:,} of them with other content; the first is kept" if report.conflicting else ""
    click.echo(f"duplicates    {report.duplicates:>12,}{same}")
    letters = "  ringfirst dead-letters list" if report.dead_letters else ""
    click.echo(f"dead letters  {report.dead_letters:>12,}{letters}")
    if report.forgotten:
        click.echo(f"forgotten     {report.forgotten:>12,}  events of accounts that were forgotten")
    click.echo(f"decisions     {report.decisions:>12,}  ringfirst decisions list")
    click.echo(f"mails past    {report.past:>12,}  due before the last event; they are never sent")
    click.echo(f"mails waiting {report.waiting:>12,}  ringfirst outreach list")


def _say_strays(strays: "Counter[tuple[str, str]]") -> None:
    from ringfirst.answers import plural, shown, talk

    for (found, meant), count in strays.most_common(10):
        have = "has" if count == 1 else "have"
        talk(shown(f"{plural(count, 'event')} {have} a field '{found}', which is not read; did you mean '{meant}'?"))


def _end(ctx: click.Context, report: "ImportReport") -> None:
    from engine.errors import UsageError
    from ringfirst.answers import talk

    if report.fault is not None:
        raise UsageError(report.fault)
    if report.stopped:
        talk("stopped before the end; everything read so far is kept: the same command goes on from there")
        ctx.exit(STOPPED)


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C and a polite kill stop the work after the batch at hand; the second one stops it at once."""
    asked: list[int] = []

    def ask(number: int, _frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        click.echo("stopping after this batch; once more stops at once", err=True)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def bar(size: int | None, word: str = "importing") -> "Iterator[tuple[Progress, Tell]]":
    """Show a bar on stderr with rate and time left; silent where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn(word),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn("{task.fields[lines]:,} lines"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(word, total=size, lines=0)
        yield (
            lambda read: bar.update(task, advance=read),
            lambda lines: bar.update(task, lines=lines),
        )


@contextmanager
def counting(total: int, word: str) -> "Iterator[Tell]":
    """Show a bar of things counted on stderr, with time left; silent where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn(word), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(elapsed_when_finished=True))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(word, total=total)
        yield lambda count: bar.update(task, completed=count)
