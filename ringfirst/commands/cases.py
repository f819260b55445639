"""``ringfirst test``: the cases that rules carry."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ringfirst.commands.options import folder_of, json_option, rules_option, sender_of, settings

if TYPE_CHECKING:
    from engine.cases import CaseReport, Failure
    from engine.rulebook.book import Rulebook
    from ringfirst.rulebooks import Folder


@click.command(short_help="Run the cases that the rules carry.")
@rules_option
@click.option("--rule", "only", metavar="ID", multiple=True, help="This rule only; may be said several times.")
@click.option("--mutate", is_flag=True, help="Also name the lines of when and unless that no case needs.")
@json_option
@click.pass_context
def test(ctx: click.Context, rules: Path | None, only: tuple[str, ...], *, mutate: bool, as_json: bool) -> None:
    """Run the cases that the rules carry. Ends with 1 when one fails, or when a line is needed by none (--mutate).

    With --json: {"passed", "failed", "failures": [{"path", "line", "column", "rule", "case", "message"}]}, and with
    --mutate a list "unneeded" of the same shape.
    """
    from ringfirst.answers import print_findings, print_json
    from ringfirst.rulebooks import checked

    folder = folder_of(rules)
    book, findings = checked(folder)
    if book is None:
        if as_json:
            rows = [_broken(one) for one in findings if one.severity == "error"]
            print_json({"passed": 0, "failed": len(rows), "failures": rows})
        else:
            print_findings(findings)
        ctx.exit(1)
    for rule in only:
        book.rule(rule)
    report, unneeded = _run(book, folder, list(only) or None, mutate=mutate)
    if as_json:
        answer = {
            "passed": report.passed,
            "failed": report.failed,
            "failures": [_plain(one, folder) for one in report.failures],
        }
        print_json(answer | ({"unneeded": [_plain(one, folder) for one in unneeded]} if mutate else {}))
    else:
        _say(report, unneeded, folder)
        if mutate and not unneeded and not report.failed:
            click.echo("every line of when and unless is needed by a case")
    ctx.exit(1 if report.failed or unneeded else 0)


def _run(
    book: "Rulebook",
    folder: "Folder",
    only: list[str] | None,
    *,
    mutate: bool,
) -> "tuple[CaseReport, list[Failure]]":
    from engine.cases import mutants, run_cases
    from ringfirst.case_mail import case_render

    render = case_render(folder.mail_templates[0], sender_of(settings())[0])
    report = run_cases(book, render=render, only=only)
    return report, mutants(book, only) if mutate else []


def _say(report: "CaseReport", unneeded: "list[Failure]", folder: "Folder") -> None:
    from ringfirst.answers import plural, shown, talk

    for one in [*report.failures, *unneeded]:
        row = _plain(one, folder)
        words = one.message if one in unneeded else f"case '{one.case}': {one.message}"
        click.echo(shown(f"{row['path']}:{row['line']}:{row['column']}: rule {one.rule}: {words}"))
    talk(
        f"{plural(report.passed, 'case')} passed, {report.failed:,} failed"
        + (f", {plural(len(unneeded), 'line')} needed by no case" if unneeded else "")
    )


def _plain(one: "Failure", folder: "Folder") -> dict[str, Any]:
    place = one.place
    return {
        "path": folder.opened(place.path),
        "line": place.line,
        "column": place.column,
        "rule": one.rule,
        "case": one.case,
        "message": one.message,
    }


def _broken(one: Any) -> dict[str, Any]:
    place = {"path": one.path, "line": one.line, "column": one.column}
    return {**place, "rule": None, "case": None, "message": one.message}
