"""``ringfirst outreach``: mails, where they stand and how they came there."""

from typing import TYPE_CHECKING, Any, get_args

import click

from ringfirst.commands import recalling, reviewing, stopping
from ringfirst.commands.options import json_option, opened, say_why_none, store_option

if TYPE_CHECKING:
    from engine.store import OutreachRow


_APART = ("changes", "mail", "approval")


class State(click.ParamType):
    """The state of a mail."""

    name = "state"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See that it is one."""
        from engine.decision import MailState
        from engine.rulebook.findings import suggestion

        if value not in get_args(MailState):
            near = suggestion(str(value), get_args(MailState)) or f"; there are {', '.join(get_args(MailState))}"
            self.fail(f"no state of a mail; found {value!r}{near}", param, ctx)
        return str(value)


@click.group(short_help="List and show mails; approve, edit and reject; stop and go on.")
def outreach() -> None:
    """Mails: where they stand and how they came there; and what people decide about them."""


for _word in (reviewing.approve, reviewing.reject, reviewing.edit, stopping.stop, stopping.go, stopping.stops):
    outreach.add_command(_word)
outreach.add_command(recalling.recall)


@outreach.command("list")
@click.option("--state", "states", type=State(), multiple=True, help="In this state; may be said several times.")
@click.option("--rule", metavar="ID", help="Of this rule.")
@click.option("--account", metavar="ID", help="Of this account.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many.")
@store_option
@json_option
def list_(
    states: tuple[Any, ...],
    rule: str | None,
    account: str | None,
    limit: int | None,
    store_url: str | None,
    *,
    as_json: bool,
) -> None:
    """List mails by the time they are due.

    With --json: [{"outreach_id", "decision_id", "rule", "account_id", "subject", "to", "audience", "template", "class",
    "mode", "at", "due_at", "expires_at", "state", "why", "state_at"}].
    """
    from ringfirst.answers import plural, print_json, print_table, talk

    with opened(store_url) as store:
        rows = [
            _plain(row)
            for row in store.outreach(states=list(states) or None, rule=rule, account_id=account, limit=limit)
        ]
        if not rows:
            say_why_none(store, rule, account, what="mail")
    if as_json:
        print_json(rows)
        return
    print_table(
        ["due", "rule", "account", "to", "state", "why", "outreach id"],
        [
            [row["due_at"], row["rule"], row["account_id"], row["to"], row["state"], row["why"], row["outreach_id"]]
            for row in rows
        ],
    )
    talk(plural(len(rows), "mail"))


@outreach.command()
@click.argument("outreach_id", metavar="ID")
@click.option("--eml", is_flag=True, help="The mail itself as it left, to the byte.")
@store_option
@json_option
def show(outreach_id: str, store_url: str | None, *, eml: bool, as_json: bool) -> None:
    """Show one mail: what its decision froze, each step of its life, and what its provider told of it.

    Of one that has not left, the words that would leave now, and the hash of them that an approval binds; of one that
    was approved, the words that were, and those before somebody changed them.

    With --eml nothing but the bytes that were handed over, for as long as RINGFIRST_KEEP_SENT keeps them.

    With --json the shape of list, with "values", "facts": {kind: when}, "changes": [{"at", "before", "after", "why",
    "by"}], "mail": {"to", "name", "subject", "text", "digest", "joined"} (or {"fault"}), and "approval": {"at", "who",
    "until", "digest", "subject", "text", "was": {"subject", "text"}}.
    """
    from engine.errors import UsageError
    from engine.instants import iso
    from ringfirst.answers import print_json, print_table, shown

    if eml and as_json:
        raise UsageError("outreach show: a mail is no JSON; found --eml and --json; leave one of them out")
    with opened(store_url) as store:
        rows = store.outreach(outreach_id=outreach_id)
        if eml and rows:
            _give(outreach_id, store.sent(outreach_id))
            return
        steps = store.changes(outreach_id)
        facts = {kind: iso(when) for kind, when in store.facts([outreach_id]).get(outreach_id, {}).items()}
        mail, approval = reviewing.shown_mail(store, rows[0]) if rows else (None, None)
    if not rows:
        raise UsageError(
            f"outreach {outreach_id[:64]}: there is no such mail; take an id from 'ringfirst outreach list'"
        )
    changes = [
        {"at": iso(one.at), "before": one.before, "after": one.after, "why": one.why, "by": one.by} for one in steps
    ]
    answer = {
        **_plain(rows[0]),
        "values": rows[0].values,
        "facts": facts,
        "changes": changes,
        "mail": mail,
        "approval": approval,
    }
    if as_json:
        print_json(answer)
        return
    print_table(["what", "value"], [[name, shown(value)] for name, value in answer.items() if name not in _APART])
    click.echo()
    print_table(["at", "from", "to", "why", "by"], [list(one.values()) for one in changes])
    leaves = approval is None or rows[0].state == "in_review"
    anew = "as it would leave now" if leaves else "as it would be written anew (it leaves as it was approved)"
    for title, words in ((anew, mail), ("as it was approved", approval)):
        if words is not None:
            click.echo(f"\n{title}:")
            _say_words(words)


def _give(outreach_id: str, raw: bytes | None) -> None:
    from engine.errors import UsageError

    if raw is None:
        why = "it has not left, or was sent longer ago than RINGFIRST_KEEP_SENT says, or somebody in it was forgotten"
        raise UsageError(f"outreach {outreach_id[:64]}: nothing is kept of it; {why}; look at it without --eml")
    click.get_binary_stream("stdout").write(raw)


def _say_words(words: dict[str, Any]) -> None:
    from ringfirst.answers import shown

    for name, value in words.items():
        if name == "text":
            click.echo("\n" + "\n".join(shown(line) for line in value.splitlines()))
        elif name == "was" and value is not None:
            click.echo("\nbefore it was changed:")
            _say_words(value)
        elif value is not None:
            click.echo(shown(f"{name}: {shown(value)}"))


def _plain(row: "OutreachRow") -> dict[str, Any]:
    from engine.instants import iso

    return {
        "outreach_id": row.outreach_id,
        "decision_id": row.decision_id,
        "rule": row.rule,
        "account_id": row.account_id,
        "subject": {"kind": row.subject_kind, "id": row.subject_id} if row.subject_kind else None,
        "to": row.to,
        "audience": row.audience,
        "template": row.template,
        "class": row.mail_class,
        "mode": row.mode,
        "at": iso(row.at),
        "due_at": iso(row.due_at),
        "expires_at": iso(row.expires_at),
        "state": row.state,
        "why": row.why,
        "state_at": iso(row.state_at),
    }
