"""``ringfirst replay``: does the log still give the decisions that are stored?"""

import click

from ringfirst.commands.options import json_option, opened, store_option


@click.command(short_help="Read the log again and compare the decisions.")
@click.option("--verify", is_flag=True, required=True, help="Compare what the log gives with what is stored.")
@click.option("--plain", is_flag=True, help="Read it without columns: another way to the same decisions, and slow.")
@store_option
@json_option
@click.pass_context
def replay(ctx: click.Context, store_url: str | None, *, verify: bool, plain: bool, as_json: bool) -> None:  # noqa: ARG001 - the only thing it does so far
    """Read the whole log again and compare: the same decisions must come out. Nothing is written, nothing is sent.

    Ends with 1 when something differs. With --json: {"events", "decisions", "missing", "extra", "different"}.
    """
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from engine import replay as replaying
    from ringfirst.answers import plural, print_json, talk

    console = Console(stderr=True)
    columns = (TextColumn("replaying"), MofNCompleteColumn(), TimeRemainingColumn(elapsed_when_finished=True))
    with opened(store_url) as store:
        total = sum(info.position for info in store.lane_infos(at=0))
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("replay", total=total)
            found = replaying.verify(store, progress=lambda read: bar.update(task, advance=read), plain=plain)
        left_out = len(store.altered_accounts())
    wrong = found["missing"] + found["extra"] + found["different"]
    if as_json:
        print_json(found)
    else:
        click.echo(
            f"{plural(found['events'], 'event')} give {plural(found['decisions'], 'decision')} again: "
            f"{found['missing']:,} missing, {found['extra']:,} extra, {found['different']:,} different"
        )
    if left_out:
        talk(f"{plural(left_out, 'account')} not compared: somebody of it was forgotten, and its ids are others now")
    ctx.exit(1 if wrong else 0)
