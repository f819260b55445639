"""``ringfirst outreach stop``, ``go`` and ``stops``: the switch that keeps mails here, at once and everywhere."""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ringfirst.commands.options import json_option, opened, store_option

if TYPE_CHECKING:
    from engine.store import OutreachRow, Stop, StopScope, Store

_F = TypeVar("_F", bound=Callable[..., Any])
PER_HOUR = 60


def by_option(command: _F) -> _F:
    """``--by NAME``."""
    words = "Who decides this, for the audit; else the user of this machine."
    return click.option("--by", "who", metavar="NAME", help=words)(command)


def why_option(command: _F) -> _F:
    """``--why TEXT``, which must be said."""
    return click.option("--why", required=True, metavar="TEXT", help="Why, for the audit and for your colleagues.")(
        command
    )


def yes_option(command: _F) -> _F:
    """``--yes``."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(command)


def _scope_options(command: _F) -> _F:
    rule = click.option("--rule", metavar="ID", help="Mails of this rule.")
    account = click.option("--account", metavar="ID", help="Mails to people of this account, and about it.")
    channel = click.option("--channel", metavar="NAME", help="Mails that leave by this channel: smtp, file, ...")
    every = click.option("--all", "every", is_flag=True, help="Every mail.")
    return every(rule(account(channel(command))))


@click.command("stop", short_help="Let no mail leave: all, or of a rule, account or channel.")
@_scope_options
@why_option
@by_option
@store_option
@json_option
def stop(why: str, who: str | None, store_url: str | None, *, as_json: bool, **asked: Any) -> None:
    """Let no mail leave: all of them, or those of a rule, to an account, or by a channel.

    It holds at once, in every sender over this store, and until 'outreach go' is typed: no sender claims such a mail or
    hands it over. Only what is in a channel's hands at this moment leaves; how many that are is said. Mails go on being
    decided, and taken back when their reason is gone. With --json: {"scope", "name", "fresh", "waiting",
    "being_handed_over"}; "fresh" is false when it was stopped already.
    """
    from engine.store import Stop
    from ringfirst.answers import plural, print_json, talk
    from ringfirst.intake import now
    from ringfirst.owners import person_name

    scope, name = _asked(**asked)
    with opened(store_url) as store:
        known_scope(store, scope, name)
        fresh = store.stop(Stop(scope, name, now(), who or person_name(), why))
        one = next(one for one in store.stops() if (one.scope, one.name) == (scope, name))
        waiting = len(_behind(store, one))
        later = len(_behind(store, one, also_later=True)) - waiting
        posting = sum(_of(one, row) for row in store.outreach(states=["posting"]))
    if as_json:
        answer = {"scope": scope, "name": name, "fresh": fresh, "waiting": waiting, "being_handed_over": posting}
        print_json(answer)
        return
    if not fresh:
        talk(f"it is stopped already, by {one.who}: {one.why}")
    more = f", and {later:,} more that will be due later" if later > 0 else ""
    click.echo(f"stopped: {one.words}; {plural(waiting, 'mail')} wait behind it and stay here{more}")
    if posting:
        click.echo(f"{plural(posting, 'mail')} was being handed over at this moment and may be out")
    talk("to let them go on: ringfirst outreach go, with the same words")


@click.command("go", short_help="Let mails go on that were stopped, slowly.")
@_scope_options
@click.option("--breaker", metavar="RULE", help="Reset the breaker of this rule: it counts from now.")
@click.option("--per-hour", type=click.IntRange(min=1), default=PER_HOUR, show_default=True, help="At most so many.")
@click.option("--at-once", is_flag=True, help="As fast as the policy lets them.")
@why_option
@by_option
@yes_option
@store_option
@json_option
def go(
    why: str,
    who: str | None,
    per_hour: int,
    store_url: str | None,
    *,
    at_once: bool,
    yes: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """Let mails go on that were stopped: those that waited at most --per-hour in an hour, new ones as always.

    Shows first how many wait and asks. What is too old by then expires, and gives its occasion back. With --breaker the
    mails of a rule leave by themselves again; those that came into review meanwhile stay there.

    With --json: {"scope", "name", "per_hour", "waiting", "too_old", "rules": {rule: count}}.
    """
    from engine.store import Stop
    from ringfirst.answers import plural, print_json, talk
    from ringfirst.intake import now
    from ringfirst.owners import person_name

    scope, name = _asked(**asked)
    with opened(store_url) as store:
        found = _found(store, scope, name)
        breaker = scope == "review"
        at = now()
        rows = _behind(store, found)
        old = sum(row.expires_at <= at for row in rows)
        rules = dict(Counter(row.rule for row in rows if row.expires_at > at).most_common())
        if not as_json:
            click.echo(f"{found.words} was stopped by {found.who}: {found.why}")
            click.echo(f"{plural(len(rows) - old, 'mail')} wait to leave; {old:,} too old by now, and will expire")
            for rule, count in rules.items():
                click.echo(f"  {count:>6,}  {rule}")
        sure(yes=yes, question="let them go on?")
        pace = 0 if breaker else None if at_once else per_hour
        store.go(Stop(scope, name, at, who or person_name(), why, pace))
    if as_json:
        waiting = len(rows) - old
        print_json({"scope": scope, "name": name, "per_hour": pace, "waiting": waiting, "too_old": old, "rules": rules})
    else:
        slowly = f", {pace} an hour; 'ringfirst outreach stops' shows it" if pace else ""
        talk(f"they go on{slowly}" if not breaker else "it is reset; approve or reject what waits for a person")


@click.command("stops", short_help="What is stopped, since when, by whom and why.")
@store_option
@json_option
def stops(store_url: str | None, *, as_json: bool) -> None:
    """What is stopped, since when, by whom and why, and what goes on slowly after that.

    With --json: [{"scope", "name", "at", "who", "why", "per_hour", "waiting"}]; "per_hour" null: nothing leaves.
    """
    from engine.instants import iso
    from ringfirst.answers import print_json, print_table, talk

    with opened(store_url) as store:
        found = [(one, len(_behind(store, one))) for one in store.stops() if one.pace]
    if as_json:
        names = ("scope", "name", "who", "why", "per_hour")
        print_json(
            [{**{name: getattr(one, name) for name in names}, "at": iso(one.at), "waiting": n} for one, n in found]
        )
        return
    if not found:
        talk("nothing is stopped")
        return
    print_table(
        ["stopped", "how", "waiting", "since", "by", "why"],
        [
            [
                one.words,
                one.pace,
                n,
                iso(one.at),
                one.who,
                one.why,
            ]
            for one, n in found
        ],
    )


def sure(*, yes: bool, question: str) -> None:
    """Ask, unless it was said already; no is the end of the command, with 1."""
    if not yes and not click.confirm(question, err=True):
        raise click.exceptions.Exit(1)


def _asked(
    *, rule: str | None, account: str | None, channel: str | None, every: bool, breaker: str | None = None
) -> "tuple[StopScope, str]":
    from engine.errors import UsageError

    named: list[tuple[StopScope, str]] = [("all", "")] if every else []
    if rule is not None:
        named.append(("rule", rule))
    if breaker is not None:
        named.append(("review", breaker))
    if account is not None:
        named.append(("account", account))
    if channel is not None:
        named.append(("channel", channel))
    if len(named) != 1:
        found = f"found {len(named)} of --all, --rule, --account, --channel"
        raise UsageError(f"outreach: what is meant is one thing; {found}; say exactly one")
    return named[0]


def known_scope(store: "Store", scope: "StopScope", name: str) -> None:
    """Raise ``UsageError`` for what is not there: a stop of it would stop nothing, and nobody would notice."""
    from engine.errors import UsageError
    from engine.questions import to_suggest
    from engine.rulebook.findings import suggestion
    from ringfirst.commands.options import active_book

    known: list[str] = []
    if scope == "rule" and not store.outreach(rule=name, limit=1):
        book = active_book(store)
        known = [one.id for one in book.rules] if book else []
    elif scope == "account" and not store.outreach(account_id=name, limit=1):
        known = to_suggest(store.accounts())
    elif scope == "channel":
        known = ["file", "smtp", "sendgrid"]
    else:
        return
    if name not in known:
        near = suggestion(name, known) or "; see that it is spelt right"
        raise UsageError(f"outreach stop: there is no {scope} '{name[:60]}'{near}; nothing was stopped")


def _found(store: "Store", scope: "StopScope", name: str) -> "Stop":
    from engine.errors import UsageError

    there = [one for one in store.stops() if one.pace]
    for one in there:
        if (one.scope, one.name) == (scope, name):
            return one
    listed = ", ".join(one.words for one in there) or "nothing"
    raise UsageError(f"outreach go: that is not stopped; stopped is {listed}; nothing was changed")


def _behind(store: "Store", one: "Stop", *, also_later: bool = False) -> "list[OutreachRow]":
    """Mails that would be due (or ``also_later``), or wait for a person, and stay because of it."""
    from ringfirst.intake import now

    if one.scope == "review":
        return [row for row in store.outreach(states=["in_review"], rule=one.name) if row.mode == "auto"]
    rule = one.name if one.scope == "rule" else None
    account = one.name if one.scope == "account" else None
    return store.outreach(
        states=["queued", "held"], rule=rule, account_id=account, due_by=None if also_later else now()
    )


def _of(one: "Stop", row: "OutreachRow") -> bool:
    return one.scope in {"all", "channel"} or one.name in {row.rule, row.account_id}
