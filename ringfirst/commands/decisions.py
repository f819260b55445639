"""``ringfirst decisions``: what was decided."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from ringfirst.commands.options import At, json_option, kafka, opened, say_why_none, store_option

if TYPE_CHECKING:
    from engine.decision import Decision
    from engine.store import Store

FURTHEST = (
    "accepted",
    "past",
    "posting",
    "claimed",
    "in_doubt",
    "queued",
    "held",
    "in_review",
    "failed",
    "suppressed",
    "rejected",
    "expired",
    "withdrawn",
)
"""Of several mails of one decision, the one that came furthest stands for it."""


@click.group(short_help="List what was decided, or publish it again.")
def decisions() -> None:
    """List what was decided, or publish it again."""


@decisions.command("list")
@click.option("--rule", metavar="ID", help="Of this rule.")
@click.option("--account", metavar="ID", help="Of this account.")
@click.option("--since", type=At(), help="Decided at or after this instant.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the newest so many.")
@store_option
@json_option
def list_(
    rule: str | None,
    account: str | None,
    since: int | None,
    limit: int | None,
    store_url: str | None,
    *,
    as_json: bool,
) -> None:
    """List decisions, oldest first, with what became of their mail.

    With --json: [{"decision_id", "rule", "account_id", "subject", "occasion", "at", "kind", "outcome", "mail",
    "values"}].
    """
    from ringfirst.answers import plural, print_json, print_table, talk

    with opened(store_url) as store:
        rows = store.decisions(rule=rule, account_id=account, since=since)[-(limit or 0) :]
        listed = [_plain(row, state) for row, state in _with_mail(store, rows, rule, account)]
        if not rows:
            say_why_none(store, rule, account, what="decision")
    if as_json:
        print_json(listed)
        return
    print_table(
        ["at", "rule", "account", "about", "outcome", "mail", "values"],
        [
            [row["at"], row["rule"], row["account_id"], _about(row), row["outcome"], row["mail"], row["values"]]
            for row in listed
        ],
    )
    talk(plural(len(listed), "decision"))


@decisions.command("publish")
@click.option("--since", type=At(), required=True, help="Decided at or after this instant.")
@click.option("--until", type=At(), help="Decided at or before this instant.  [now]")
@store_option
@json_option
def publish(since: int, until: int | None, store_url: str | None, *, as_json: bool) -> None:
    """Have the workers publish decisions of the past, as they stand, onto the topic of decisions.

    For a follower that begins later than the decisions, or whose topic was lost: what a history, an import or another
    command decided was never published. What was published already comes again under the same id. With --json:
    {"waiting"}.
    """
    from engine.errors import StreamError
    from ringfirst.answers import plural, print_json
    from ringfirst.intake import now

    with kafka() as (found, admin):
        if not admin.topics([found.topics.decisions]):
            raise StreamError(
                f"{found.topics.decisions}: there is no such topic; make it with 'ringfirst topics create', "
                "and start the workers again"
            )
        with opened(store_url) as store:
            waiting = store.tell_again(since=since, until=now() if until is None else until)
    if as_json:
        print_json({"waiting": waiting})
    else:
        click.echo(f"{plural(waiting, 'decision')} left to the workers to publish")


def _with_mail(
    store: "Store",
    rows: "list[Decision]",
    rule: str | None,
    account: str | None,
) -> "Iterable[tuple[Decision, str | None]]":
    states: dict[str, list[str]] = {}
    for mail in store.outreach(rule=rule, account_id=account):
        states.setdefault(mail.decision_id, []).append(mail.state)
    for row in rows:
        yield row, min(states.get(row.decision_id, []), key=FURTHEST.index, default=None)


def _plain(row: "Decision", mail: str | None) -> dict[str, Any]:
    from engine.instants import iso

    subject = {"kind": row.subject.kind, "id": row.subject.id} if row.subject else None
    return {
        "decision_id": row.decision_id,
        "rule": row.rule,
        "account_id": row.account_id,
        "subject": subject,
        "occasion": row.occasion,
        "at": iso(row.at),
        "kind": row.kind,
        "outcome": row.outcome,
        "mail": mail,
        "values": row.values,
    }


def _about(row: dict[str, Any]) -> str:
    return f"{row['subject']['kind']} {row['subject']['id']}" if row["subject"] else ""
