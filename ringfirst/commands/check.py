"""``ringfirst check``: everything that is wrong with a rulebook, at once."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ringfirst.commands.options import (
    checked_book,
    folder_of,
    json_option,
    opened,
    rules_option,
    settings,
    store_option,
)

if TYPE_CHECKING:
    from engine.rulebook.book import Rulebook
    from engine.rulebook.findings import Finding


@click.command(short_help="Find what is wrong in a rulebook and its templates.")
@rules_option
@store_option
@click.option("--show-code", is_flag=True, help="Print the code that is made of the conditions.")
@click.option(
    "--against",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="An older rulebook: for each changed rule, say who of the store enters and who leaves.",
)
@json_option
@click.pass_context
def check(
    ctx: click.Context,
    rules: Path | None,
    store_url: str | None,
    against: Path | None,
    *,
    show_code: bool,
    as_json: bool,
) -> None:
    """Find what is wrong in a rulebook: rules, conditions, cases, and templates with the names that rules give them.

    Ends with 1 when there is an error. With --json: [{"path", "line", "column", "severity", "message"}]; together with
    --against: {"findings": [...], "changes": [...]}.
    """
    from ringfirst.answers import plain_finding, print_json, print_table
    from ringfirst.rulebooks import checked

    folder = folder_of(rules)
    book, findings = checked(folder)
    changes = _changes(book, against, store_url) if book is not None and against is not None else None
    if as_json:
        listed = [plain_finding(one) for one in findings]
        print_json(listed if changes is None else {"findings": listed, "changes": changes})
    else:
        _say(findings, book)
        if changes is not None:
            print_table(
                ["rule", "change", "enters", "leaves"],
                [[row["rule"], row["change"], *(_few(row[key]) for key in ("enters", "leaves"))] for row in changes],
            )
    if book is not None and show_code:
        from engine.columns.sheet import show
        from engine.program import Program

        program = Program(book)
        click.echo(f"{program.show()}\n{show(program)}", err=as_json)
    ctx.exit(0 if book is not None else 1)


def _say(findings: "list[Finding]", book: "Rulebook | None") -> None:
    from engine.program import waiting_for
    from ringfirst.answers import plural, print_findings, talk

    print_findings(findings)
    if book is None:
        talk(plural(len(findings), "finding"))
    else:
        words = [
            plural(len(book.written), "rule"),
            plural(len(book.measures), "measure"),
            plural(len(findings), "finding"),
        ]
        talk(f"the rulebook is whole: {', '.join(words)}")
        for source, rules in waiting_for(book).items():
            wait = "waits" if len(rules) == 1 else "wait"
            told = f"{plural(len(rules), 'rule')} {wait}: {', '.join(rules)}" if rules else "no rule waits"
            talk(f"while source {source} is late, {told}")


def _changes(book: "Rulebook", against: Path, store_url: str | None) -> list[dict[str, Any]]:
    from engine.errors import StoreError
    from ringfirst.rule_change import changes

    before, _ = checked_book(against)
    try:
        with opened(store_url or settings().store.get_secret_value()) as store:
            return changes(before, book, store)
    except StoreError:
        if store_url is not None:
            raise
        return changes(before, book, None)


def _few(ids: list[str] | None) -> str | None:
    if ids is None:
        return None
    return f"{len(ids)}: {', '.join(ids[:3])}{' ...' if len(ids) > 3 else ''}" if ids else "0"  # noqa: PLR2004
