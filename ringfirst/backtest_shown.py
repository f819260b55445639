"""A backtest as a person sees it: a table, sentences, a chart for each rule."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import click

from engine.errors import UsageError
from engine.instants import iso
from engine.rulebook.findings import suggestion
from engine.store import DeadLetter
from ringfirst.answers import plural, print_table, shown, talk
from ringfirst.backtest_words import named, share, told
from ringfirst.backtests import Found, RuleFound
from ringfirst.charts import Weeks, bars, svg, weeks

NARROW = 78


def say(found: Found) -> None:
    """The answer on stdout: all rules in a table, then each in sentences and with its chart."""
    _table(found)
    width = max(shutil.get_terminal_size((NARROW, 24)).columns - 2, 20)
    for one in found.rules:
        click.echo()
        click.echo(shown(one.rule.id))
        for line in [*told(one), *_chart(found, one, width)]:
            click.echo(shown(f"  {line}"))
    if found.before:
        _compare(found)


def _table(found: Found) -> None:
    head = ["rule", "fires", "accounts", "mails", "not sent"]
    judged = found.outcome is not None
    rows = []
    for one in found.rules:
        row = [one.rule.id, len(one.fires), one.accounts, one.mails.left, one.mails.suppressed.total()]
        if one.judged is not None:
            figures = (one.judged.precision, one.judged.base_rate, one.judged.recall)
            right, base, caught = (None if figure is None else share(figure) for figure in figures)
            lift = None if one.judged.lift is None else f"{one.judged.lift:.1f}"
            row += [right, base, lift, caught]
        rows.append(row)
    print_table([*head, *(["precision", "any day", "lift", "recall"] if judged else [])], rows)


def _chart(found: Found, one: RuleFound, width: int) -> list[str]:
    return bars(_weeks(found, one), width) if one.fires else []


def _weeks(found: Found, one: RuleFound) -> Weeks:
    span = found.outcome.span if found.outcome else 0
    ends = found.story.outcomes
    fires = [(fire.at, fire.at < ends.get(fire.account_id, 0) <= fire.at + span) for fire in one.fires]
    return weeks(fires, found.zone, found.period.since, found.period.until)


def _compare(found: Found) -> None:
    was = {one.rule.id: one for one in found.before}
    now = {one.rule.id: one for one in found.rules}
    rows = []
    for row in found.changes():
        fires, mails = (
            " -> ".join(
                "-" if side is None else f"{figure(side):,}" for side in (was.get(row["rule"]), now.get(row["rule"]))
            )
            for figure in (lambda one: len(one.fires), lambda one: one.mails.left)
        )
        gained, lost = row["gained"], row["lost"]
        rows.append([row["rule"], fires, mails, len(gained), len(lost), row["kept"], named(gained), named(lost)])
    click.echo()
    print_table(["rule", "fires", "mails", "gained", "lost", "kept", "gained are", "lost are"], rows)


def note(found: Found, letters: Sequence[DeadLetter], *, midnights: bool) -> None:
    """What else should be known, on stderr."""
    period = f"{iso(found.period.since)} to {iso(found.period.until)}"
    talk(f"{plural(found.story.events, 'event')} of {plural(len(found.story.first), 'account')}, {period}")
    if letters:
        talk(f"{plural(len(letters), 'line')} left out, the first is {letters[0].where}: {letters[0].reason}")
    if midnights:
        talk("looked at local midnights only: rules for each EVENT.TYPE stay silent")
    if found.outcome is not None and not found.story.outcomes:
        near = suggestion(found.outcome.event, found.story.types)
        talk(shown(f"--outcome {found.outcome.event}: there is no such event in this history{near}"))


def draw(found: Found, folder: Path) -> None:
    """Write each rule's chart as an SVG file named for it. Raises ``UsageError`` where that cannot be."""
    outcome = f"{found.outcome.event} within {plural(found.outcome.within_days, 'day')}" if found.outcome else None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for one in found.rules:
            (folder / f"{one.rule.id}.svg").write_text(svg(_weeks(found, one), one.rule.id, outcome=outcome))
    except OSError as err:
        raise UsageError(f"--svg {folder}: cannot be written to; {err.strerror}; name another folder") from err
    talk(f"{plural(len(found.rules), 'chart')} in {folder}/")
