"""``ringfirst rules``: what people decide about rules; ``go-live`` lets those in who were inside before."""

from typing import TYPE_CHECKING, Any

import click

from ringfirst.commands.options import json_option, opened, store_option
from ringfirst.commands.stopping import by_option, sure, yes_option

if TYPE_CHECKING:
    from engine.insiders import Insider
    from engine.rulebook.spec import Rule
    from engine.store import Store

PER_DAY = 50
SAMPLE = 10


@click.group(short_help="See who is inside a rule that goes live, and let them in.")
def rules() -> None:
    """What people decide about rules."""


@rules.command("go-live", short_help="See who is inside a rule that was a draft, and let them in.")
@click.argument("rule", metavar="RULE")
@click.option("--release", is_flag=True, help="Let those in who are inside and silent.")
@click.option("--per-day", type=click.IntRange(min=1), default=PER_DAY, show_default=True, help="At most so many.")
@click.option("--at-once", is_flag=True, help="All of them now; the policy still holds.")
@click.option("--take-back", is_flag=True, help="Take back the releases whose time has not come.")
@click.option("--why", metavar="TEXT", help="Why, for the audit and for your colleagues; --release wants it.")
@by_option
@yes_option
@store_option
@json_option
def go_live(rule: str, store_url: str | None, *, as_json: bool, **asked: Any) -> None:
    """See who is inside a rule, and let in whom it has not decided for.

    A rule that is new, changed or no longer a draft writes to nobody who is inside already: they count as already true.
    This lists them, and with --release each gets a time of its own, --per-day at most. When it comes the rule is asked
    again, and decides only for who is inside still. Caps, canary, breaker, hours and review hold as for every mail.
    Typed again, it adds nobody twice. A rule that is changed meanwhile lets nobody in any more. Without --release
    nothing changes.

    With --json: {"rule", "status", "mode", "inside", "silent", "held_out", "waiting", "decided", "released",
    "taken_back", "last_at", "people": [{"account_id", "subject", "since", "place", "at", "held_out", "values"}]};
    "place" is inside (and silent), released or decided.
    """
    from engine.insiders import insiders
    from engine.instants import iso
    from ringfirst.answers import plural, print_json, talk
    from ringfirst.intake import now
    from ringfirst.owners import person_name
    from ringfirst.releases import plain, release, take_back

    why = _wanted(asked)
    with opened(store_url) as store:
        spec = _rule(store, rule)
        found = insiders(store, rule)
        answer = _counts(spec, found)
        if not as_json:
            _say(spec, found, answer)
        who, at = asked["who"] or person_name(), now()
        done, last, gone = 0, None, 0
        if asked["release"] and answer["silent"]:
            _may_release(spec)
            pace = None if asked["at_once"] else asked["per_day"]
            days = f"at most {pace} a day" if pace else "all at once"
            sure(yes=asked["yes"], question=f"let {plural(answer['silent'], 'subject')} in, {days}?")
            done, last = release(store, rule, found, per_day=pace, at=at, who=who, why=why)
        elif asked["take_back"] and answer["waiting"]:
            sure(yes=asked["yes"], question=f"take {plural(answer['waiting'], 'release')} back?")
            gone = take_back(store, rule, found, at=at, who=who, why=why)
    if as_json:
        told = {"released": done, "taken_back": gone, "last_at": iso(last) if last is not None else None}
        print_json({**answer, **told, "people": [plain(one) for one in found]})
    elif asked["release"]:
        click.echo(f"released: {plural(done, 'subject')}" + (f", the last at {iso(last)}" if last is not None else ""))
    elif asked["take_back"]:
        click.echo(f"taken back: {plural(gone, 'release')}")
    elif answer["silent"] and spec.status != "draft":
        talk(f"to let them in: ringfirst rules go-live {rule} --release --why TEXT")


def _wanted(asked: dict[str, Any]) -> str:
    """Why somebody acts. Raises ``UsageError`` for acts that make no sense together, or have no reason."""
    from engine.errors import UsageError

    if asked["release"] and asked["take_back"]:
        raise UsageError("rules go-live: found --release and --take-back; they are opposites; say one")
    if (asked["release"] or asked["take_back"]) and not asked["why"]:
        raise UsageError("rules go-live: who lets people in or takes that back says why; found no --why; add it")
    return str(asked["why"] or "")


def _rule(store: "Store", name: str) -> "Rule":
    """The rule as the lanes have it. Raises ``UsageError`` when they have none so named, or nobody is ever in it."""
    from engine.errors import UsageError
    from engine.rulebook.findings import suggestion
    from ringfirst.commands.options import active_book

    book = active_book(store)
    known = {one.id: one for one in book.rules} if book else {}
    if name not in known:
        near = suggestion(name, list(known)) or "; start 'ringfirst run' or 'worker' with the rulebook that has it"
        raise UsageError(f"rules go-live: the active rulebook has no rule '{name[:60]}'{near}")
    rule = known[name]
    if rule.subject == "event" or (book is not None and book.over_all(rule)):
        what = "events" if rule.subject == "event" else "the portfolio"
        raise UsageError(f"rules go-live: rule {name} is about {what}, so nobody is inside; the next one decides")
    return rule


def _may_release(rule: "Rule") -> None:
    from engine.errors import UsageError

    if rule.status == "draft":
        raise UsageError(
            f"rules go-live: rule {rule.id} is a draft in the active rulebook; nobody was let in; "
            "take out 'status: draft', start 'ringfirst run' or 'worker' with that, and type it again"
        )


def _counts(rule: "Rule", found: "list[Insider]") -> dict[str, Any]:
    places = [one.place for one in found]
    return {
        "rule": rule.id,
        "status": rule.status,
        "mode": rule.outreach.mode if rule.outreach else None,
        "inside": len(found),
        "silent": places.count("inside"),
        "held_out": sum(one.held_out for one in found if one.place == "inside"),
        "waiting": places.count("released"),
        "decided": places.count("decided"),
    }


def _say(rule: "Rule", found: "list[Insider]", answer: dict[str, Any]) -> None:
    from engine.instants import iso
    from ringfirst.answers import print_table, shown

    draft = rule.status == "draft"
    click.echo(f"{rule.id} is {'a draft' if draft else 'live'}; {answer['inside']:,} are inside")
    what = "would be written to by nothing but a release" if draft else "never decided for: they were inside before"
    click.echo(f"  {answer['silent']:>6,}  {what}" + _holdout(answer["held_out"]))
    click.echo(f"  {answer['waiting']:>6,}  released, to be asked when their time comes")
    click.echo(f"  {answer['decided']:>6,}  decided for already, or lately")
    if rule.outreach is not None and rule.outreach.mode == "review" and not draft:
        click.echo("mode: review, so each of their mails waits for a person")
    silent = [one for one in found if one.place == "inside"]
    step = max(1, len(silent) // SAMPLE)
    if silent:
        print_table(
            ["account", "about", "inside since", "why"],
            [[one.account_id, _about(one), iso(one.since), shown(_values(one))] for one in silent[::step][:SAMPLE]],
        )


def _holdout(count: int) -> str:
    return f"; {count:,} of them in the holdout" if count else ""


def _about(one: "Insider") -> str:
    return f"{one.subject.kind}:{one.subject.id}" if one.subject else ""


def _values(one: "Insider") -> str:
    return ", ".join(f"{name} {value}" for name, value in one.values.items())
