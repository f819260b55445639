"""``ringfirst outreach approve``, ``reject`` and ``edit``: what a person decides about a mail that waits for one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ringfirst.commands.options import json_option, opened, rules_option, store_option
from ringfirst.commands.stopping import by_option, sure, why_option, yes_option

if TYPE_CHECKING:
    from engine.store import OutreachRow, Store
    from outreach.gate import Post
    from ringfirst.reviews import Asked

_SPLIT = "# The first line is the subject; the letter follows after an empty line. Its frame is added as it is.\n"


@click.command("approve", short_help="Let mails leave that wait for a person.")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--rule", metavar="ID", help="All that wait of this rule: a count, a sample and what stands out first.")
@click.option("--seen", metavar="HASH", help="Only if the mail is still the one with this hash, as 'show' told it.")
@by_option
@yes_option
@store_option
@rules_option
@json_option
def approve(
    ids: tuple[str, ...],
    rule: str | None,
    seen: str | None,
    who: str | None,
    store_url: str | None,
    rules: Path | None,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """Let mails leave that wait for a person, each as it is shown: these words, to this reader, for these decisions.

    Whatever changes afterwards makes the approval void, and the mail comes back into review: another decision joins it,
    one of its decisions is taken back, the reader's address changes, the sender's settings are others than here, or
    hold_for of the policy passes. A template that is edited afterwards changes nothing. Ends with 1 when something
    could not be approved. With --json: {"approved": [{"outreach_id", "decisions", "digest"}], "left": [{"outreach_id",
    "why"}]}.
    """
    from engine.errors import UsageError
    from ringfirst.answers import plural, print_json
    from ringfirst.intake import now
    from ringfirst.owners import person_name
    from ringfirst.reviews import approve as let_leave

    with opened(store_url) as store:
        post = _desk(store, rules)
        _say_who_writes()
        mails = _asked(store, post, ids, rule)
        if seen is not None and [one.digest for one in mails] != [seen]:
            found = mails[0].digest if len(mails) == 1 else f"{len(mails)} mails"
            raise UsageError(
                f"outreach approve --seen: the mail is another one by now; found {found}; look at it again"
            )
        if not as_json:
            _show(mails)
        good = sum(one.words is not None for one in mails)
        if good:
            sure(yes=yes, question=f"approve {plural(good, 'mail')}?")
        at, by = now(), who or person_name()
        told = [(one, let_leave(store, post, one, at=at, who=by)) for one in mails]
    done = [one for one, why in told if why is None]
    left = [(one, why) for one, why in told if why is not None]
    if as_json:
        approved = [{"outreach_id": one.mail_id, "decisions": len(one.rows), "digest": one.digest} for one in done]
        print_json({"approved": approved, "left": [{"outreach_id": one.mail_id, "why": why} for one, why in left]})
    else:
        click.echo(
            f"approved: {plural(len(done), 'mail')} for {plural(sum(len(one.rows) for one in done), 'decision')}"
        )
        for one, why in left:
            click.echo(f"  not {one.mail_id} ({one.rows[0].account_id}): {why}")
    if left:
        raise click.exceptions.Exit(1)


@click.command("reject", short_help="End mails that have not left.")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--rule", metavar="ID", help="All that wait for a person, of this rule.")
@why_option
@by_option
@yes_option
@store_option
@json_option
def reject(
    ids: tuple[str, ...],
    rule: str | None,
    why: str,
    who: str | None,
    store_url: str | None,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """End mails for good that have not left, approved or not.

    The occasion is given back: what happens anew is decided anew. Ends with 1 when a mail was not to be had any more.
    With --json: {"rejected": [ID], "too_late": [ID]}.
    """
    from engine.errors import UsageError
    from ringfirst.answers import plural, print_json
    from ringfirst.intake import now
    from ringfirst.owners import person_name
    from ringfirst.reviews import reject as end

    with opened(store_url) as store:
        rows = store.outreach(states=["in_review"], rule=rule) if rule is not None else []
        for one in ids:
            found = store.outreach(outreach_id=one)
            if not found:
                raise UsageError(
                    f"outreach {one[:64]}: there is no such mail; take an id from 'ringfirst outreach list'"
                )
            rows += found
        if not rows:
            raise UsageError("outreach reject: no mail is meant; found no ID, and none waits of that rule; say which")
        if len(rows) > 1:
            sure(yes=yes, question=f"reject {plural(len(rows), 'mail')}?")
        done, late = end(store, rows, at=now(), who=who or person_name(), why=why)
    if as_json:
        print_json({"rejected": done, "too_late": late})
    else:
        click.echo(f"rejected: {plural(len(done), 'mail')}")
        for one in late:
            click.echo(f"  not {one}: it has left, or has ended already; 'ringfirst outreach show {one}' tells how")
    if late:
        raise click.exceptions.Exit(1)


@click.command("edit", short_help="Change the words of a mail that waits, and approve it so.")
@click.argument("outreach_id", metavar="ID")
@click.option("--subject", metavar="TEXT", help="The subject; without it as it was.")
@click.option(
    "--text", "text_file", type=click.File(), metavar="FILE", help="The letter, without its frame; - is stdin."
)
@by_option
@yes_option
@store_option
@rules_option
@json_option
def edit(
    outreach_id: str,
    subject: str | None,
    text_file: Any,
    who: str | None,
    store_url: str | None,
    rules: Path | None,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """Change the words of a mail that waits for a person, and approve it with them.

    Without --subject and --text the editor opens ($EDITOR) with subject and letter. The frame around the letter stays:
    greeting line of the layout, postal address, unsubscribe link. In the HTML part the letter is paragraphs. Both texts
    are kept, and 'show' tells them. With --json: {"outreach_id", "digest", "subject", "text"}.
    """
    from engine.errors import UsageError
    from ringfirst.answers import print_json
    from ringfirst.intake import now
    from ringfirst.owners import person_name
    from ringfirst.reviews import approve as let_leave
    from ringfirst.reviews import changed, draft

    with opened(store_url) as store:
        post = _desk(store, rules)
        _say_who_writes()
        (one,) = _asked(store, post, (outreach_id,), None)
        if one.words is None:
            raise UsageError(f"outreach {outreach_id[:64]}: it cannot be written; {one.fault}; mend that first")
        old_subject, old_text = draft(post, one)
        if subject is None and text_file is None:
            subject, text = _edited(old_subject, old_text)
        else:
            text = text_file.read() if text_file is not None else old_text
        words = changed(post, one, subject=subject or old_subject, text=text)
        if not as_json:
            click.echo(_letter(one, words.subject, words.text))
        sure(yes=yes, question="approve it so?")
        why = let_leave(store, post, one, at=now(), who=who or person_name(), words=words)
        if why is not None:
            raise UsageError(f"outreach {outreach_id[:64]}: it was not approved; {why}; type the same again")
        known = next(iter(store.approvals([one.mail_id]).values()))
    if as_json:
        print_json({"outreach_id": one.mail_id, "digest": known.digest, "subject": words.subject, "text": words.text})
    else:
        click.echo("approved with changes: 1 mail")


def shown_mail(store: "Store", row: "OutreachRow") -> "tuple[dict[str, Any] | None, dict[str, Any] | None]":
    """For ``show``: the mail as it would leave, if it has not; and what was approved, with the words before an edit."""
    from engine.decision import OPEN_STATES
    from engine.errors import RingfirstError
    from engine.instants import iso
    from ringfirst.reviews import read

    approval = next(
        (one for one in store.approvals([row.outreach_id]).values() if dict(one.rows).get(row.outreach_id) == row.at),
        None,
    )
    known: dict[str, Any] | None = None
    if approval is not None:
        known = {"at": iso(approval.at), "who": approval.who, "until": iso(approval.until), "digest": approval.digest}
        known |= {"subject": approval.words["subject"], "text": approval.words["text"]}
        known["was"] = approval.was and {name: approval.was[name] for name in ("subject", "text")}
    if row.state not in OPEN_STATES:
        return None, known
    try:
        post = _desk(store, None)
        states: Any = [row.state]
        there = store.outreach(states=states, account_id=row.account_id, rule=row.rule)
        one = next(one for one in read(post, there) if any(each.outreach_id == row.outreach_id for each in one.rows))
    except RingfirstError as err:
        return {"fault": str(err)}, known
    words = {"subject": one.words.subject, "text": one.words.text} if one.words is not None else {"fault": one.fault}
    joined = [each.outreach_id for each in one.rows]
    return {"to": one.address, "name": one.name, **words, "digest": one.digest, "joined": joined}, known


def _desk(store: "Store", rules: Path | None) -> "Post":
    from ringfirst.commands.options import active_book, folder_of, settings
    from ringfirst.reviews import desk

    book = active_book(store)
    return desk(store, folder_of(rules), settings(), book.policy if book else None)


def _say_who_writes() -> None:
    """What is approved keeps the foot that it has here, whatever the sender's own settings are."""
    from ringfirst.answers import talk
    from ringfirst.commands.options import sender_of, settings

    sender, ours = sender_of(settings())
    if not ours:
        what = f"no sender is set: the mails carry an example, {sender.address}, and no server gets them so"
        talk(f"{what}; set RINGFIRST_SENDER")


def _asked(store: "Store", post: "Post", ids: tuple[str, ...], rule: str | None) -> "list[Asked]":
    from engine.errors import UsageError
    from ringfirst.reviews import named, read

    if bool(ids) == (rule is not None):
        raise UsageError("outreach approve: mails are named by their ids, or by --rule; found both or neither; say one")
    rows = store.outreach(states=["in_review"], rule=rule) if rule is not None else named(store, post, ids)
    if not rows:
        raise UsageError(f"outreach approve: no mail of {rule!r} waits for a person; see 'ringfirst outreach list'")
    return read(post, rows)


def _show(mails: "list[Asked]") -> None:
    from ringfirst.answers import plural, shown, talk
    from ringfirst.reviews import SAMPLE, outliers

    good = [one for one in mails if one.words is not None]
    step = max(1, len(good) // SAMPLE)
    for one in good[::step][:SAMPLE]:
        click.echo(_letter(one, one.words.subject, one.words.text) if one.words else "")
    if len(mails) > 1:
        decisions = sum(len(one.rows) for one in mails)
        rest = f"; {plural(min(SAMPLE, len(good)), 'mail')} of them above" if good else ""
        click.echo(f"{plural(len(mails), 'mail')} for {plural(decisions, 'decision')}{rest}")
        for line in outliers(mails):
            click.echo(shown(f"  stands out: {line}"))
    if len(good) < len(mails):
        talk(f"{plural(len(mails) - len(good), 'mail')} cannot be written, and will not be approved")


def _letter(one: "Asked", subject: str, text: str) -> str:
    from engine.instants import iso
    from ringfirst.answers import shown

    row = one.rows[0]
    head = f"{row.mail_class}, to {one.name} <{one.address}> of {row.account_id}, due {iso(row.due_at)}, by {row.rule}"
    body = "\n".join(shown(line) for line in text.splitlines())
    sender = f"From: {one.sender.name} <{one.sender.address}>"
    return f"{shown(head)}\nhash {one.digest}\n{shown(sender)}\nSubject: {shown(subject)}\n\n{body}\n{'-' * 72}"


def _edited(subject: str, text: str) -> tuple[str, str]:
    from engine.errors import UsageError

    back = click.edit(f"{_SPLIT}{subject}\n\n{text}")
    if back is None:
        raise UsageError(
            "outreach edit: nothing was saved in the editor; the mail waits as it was; type the same again"
        )
    lines = [line for line in back.splitlines() if line != _SPLIT.strip()]
    return lines[0] if lines else "", "\n".join(lines[1:]).strip("\n")
