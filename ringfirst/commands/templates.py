"""``ringfirst templates``: the mails of a rulebook, each with its example, in a list, as text and on a page."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ringfirst.commands.options import (
    folder_of,
    json_option,
    opened,
    rules_option,
    sender_of,
    settings,
    store_option,
)

if TYPE_CHECKING:
    from engine.rulebook.book import Rulebook
    from outreach.context import Sender
    from outreach.links import Links
    from outreach.rendering import Rendered
    from outreach.template import Template
    from ringfirst.gallery import Shown
    from ringfirst.rulebooks import Folder


@click.group(short_help="List, show and preview the mails of a rulebook.")
def templates() -> None:
    """List, show and preview the templates of a rulebook, each with the example it brings."""


@templates.command("list")
@rules_option
@json_option
@click.pass_context
def list_(ctx: click.Context, rules: Path | None, *, as_json: bool) -> None:
    """List templates: for whom, sent by which rules, with which subject.

    Ends with 1 when there is one that cannot be rendered. With --json: [{"template", "for", "class", "subject",
    "preview", "needs", "rules", "html_bytes", "pictures", "locale", "variants"}].
    """
    from ringfirst.answers import plural, print_json, print_table, talk

    found, whole = _shown(rules, ())
    plain = [_plain(one, found) for one in found if not one.variant]
    if as_json:
        print_json(plain)
    else:
        print_table(
            ["template", "for", "class", "rules", "variants", "subject"],
            [
                [
                    one["template"],
                    one["for"],
                    one["class"],
                    *map(", ".join, (one["rules"], one["variants"])),
                    one["subject"],
                ]
                for one in plain
            ],
        )
        talk(plural(len(plain), "template"))
    ctx.exit(0 if whole else 1)


@templates.command()
@click.argument("name", metavar="NAME")
@click.option("--variant", metavar="FOLDER", default="", help="The variant for some readers, de or role=champion.")
@rules_option
@json_option
@click.pass_context
def show(ctx: click.Context, name: str, variant: str, rules: Path | None, *, as_json: bool) -> None:
    """Show one template with its example: subject, preview and text, as a terminal shows a mail.

    With --json the shape of list, with "text" and "html".
    """
    from engine.errors import UsageError
    from ringfirst.answers import print_json, talk
    from ringfirst.answers import shown as readable

    found, whole = _shown(rules, (name,))
    asked = [one for one in found if one.variant == variant]
    if found and not asked:
        there = ", ".join(one.variant for one in found if one.variant) or "none"
        raise UsageError(f"templates show {name}: it has no variant {variant[:60]!r}; found {there}; name one of them")
    for one in asked:
        if as_json:
            print_json({**_plain(one, found), "text": one.mail.text, "html": one.mail.html})
            continue
        click.echo(f"Subject: {readable(one.mail.subject)}")
        click.echo(f"Preview: {readable(one.mail.preview or None)}\n")
        for line in one.mail.text.splitlines():
            click.echo(readable(line))
        talk(f"\nsent by: {', '.join(use.rule for use in one.uses) or 'no rule'}")
    ctx.exit(0 if whole else 1)


@templates.command()
@click.argument("names", metavar="[NAME...]", nargs=-1)
@rules_option
@json_option
@click.pass_context
def lint(ctx: click.Context, names: tuple[str, ...], rules: Path | None, *, as_json: bool) -> None:
    """Look for what is wrong with mails: all of them, or those named, in every variant.

    Each is rendered with its example, with nothing known of the reader, with long values, with ones written from the
    other side and with markup in them. Then its links, pictures, size, text part and colours in light and dark are
    looked at, and whether customers find our address and a way to stop such mails. Ends with 1 when something is found.
    With --json: [{"path", "line", "column", "severity", "message"}].
    """
    from outreach.proof import prove
    from ringfirst.answers import plain_finding, plural, print_findings, print_json, talk

    folder = folder_of(rules)
    known, findings = folder.mail_templates
    for name in names:
        if name not in known and not any(_asked(one.path, (name,)) for one in findings):
            raise _unknown(name, list(known))
    asked = [template for name, template in sorted(known.items()) if not names or name in names]
    found = [one for one in findings if _asked(one.path, names)]
    found = sorted({*found, *(one for template in asked for one in prove(template))})
    if as_json:
        print_json([plain_finding(one) for one in found])
    else:
        print_findings(found)
        talk(f"{plural(len(asked), 'template')}, {plural(len(found), 'finding')}")
    ctx.exit(1 if found else 0)


@templates.command()
@click.argument("names", metavar="[NAME...]", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All templates of the rulebook.")
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=Path("gallery"),
    show_default=True,
    help="The folder for the page, index.html.",
)
@click.option("--open", "look", is_flag=True, help="Open the page in the browser.")
@rules_option
@click.pass_context
def preview(
    ctx: click.Context, names: tuple[str, ...], out: Path, rules: Path | None, *, every: bool, look: bool
) -> None:
    """Write a page that shows mails as their readers see them: on phone and desktop, in light and dark, and as text.

    The page is one file that loads nothing from anywhere. Ends with 1 when a mail cannot be rendered.
    """
    from engine.errors import UsageError
    from ringfirst.answers import plural, talk
    from ringfirst.gallery import gallery, write_page

    if every == bool(names):
        found = "both" if every else "neither"
        raise UsageError(f"templates preview: takes names or --all; found {found}; write 'templates preview --all'")
    mails, whole = _shown(rules, names)
    if mails:
        path = write_page(out, gallery(mails, _sender()))
        click.echo(path)
        talk(f"{plural(len(mails), 'mail')} on one page; open it in a browser")
        if look:
            click.launch(path.absolute().as_uri())
    ctx.exit(0 if whole else 1)


@templates.command("send-test")
@click.argument("name", metavar="NAME")
@click.option("--to", metavar="ADDRESS", required=True, help="Whom to send it to; RINGFIRST_ONLY_TO holds here too.")
@click.option("--account", metavar="ID", help="With the values of this account's newest decision, not the example's.")
@click.option("--variant", metavar="FOLDER", default="", help="The variant for some readers, de or role=champion.")
@click.option("--outbox", type=click.Path(path_type=Path), metavar="DIR", help="Into this folder, as a file.")
@store_option
@rules_option
def send_test(
    name: str,
    to: str,
    account: str | None,
    variant: str,
    outbox: Path | None,
    store_url: str | None,
    rules: Path | None,
) -> None:
    """Send one mail of a template by hand, marked as a test, over the channel that the settings name.

    It counts for no cap, stands in no list and is kept nowhere; its ways to unsubscribe lead to a page that says so.
    With --account it holds what a customer would read, so it goes to addresses of ours alone (policy.staff.domains).
    """
    from engine.errors import TemplateError, UsageError
    from outreach.examples import example_context
    from outreach.rendering import render
    from outreach.template import every_variant
    from outreach.trial import trial_mail
    from ringfirst.answers import talk
    from ringfirst.intake import now
    from ringfirst.leaving import channel_of, way
    from ringfirst.trying import address_for, hand_over

    found = settings()
    address = address_for(to, found)
    known = folder_of(rules).mail_templates[0]
    if name not in known:
        raise _unknown(name, list(known))
    if account is not None and variant:
        raise UsageError("templates send-test: the account's reader says which variant; found --variant; leave it out")
    one = next((each for each in every_variant(known[name]) if str(each.fits) == variant), None)
    if one is None:
        raise UsageError(f"templates send-test {name}: it has no variant {variant[:60]!r}; see 'templates list'")
    sender = _sender()
    links = _trial_links(store_url, sender, address) if one.manifest.audience == "customer" else None
    try:
        words = (
            render(one, example_context(one, sender, links))
            if account is None
            else _real_words(store_url, known, name, account, address, sender, links)
        )
    except TemplateError as err:
        raise UsageError(f"templates send-test {name}: {err}; mend the template, or take another account") from err
    mail = trial_mail(words, sender, what=f"the template {name}", to=address, at=now(), links=links)
    hand_over(channel_of(found, sender, outbox), mail)
    talk(f"sent {way(found, outbox)}, marked as a test; nothing counts it")
    click.echo(mail.subject)


def _trial_links(store_url: str | None, sender: "Sender", to: str) -> "Links | None":
    """Links of a test mail: the store has the secret that signs them, and without one the mail has none."""
    from engine.errors import StoreError
    from ringfirst.answers import talk
    from ringfirst.trying import trial_links

    if sender.public_url is None:
        talk("the mail carries no way to unsubscribe: set RINGFIRST_PUBLIC_URL, as for real mails")
        return None
    try:
        with opened(store_url) as store:
            return trial_links(store, sender, to)
    except StoreError as err:
        talk(f"the mail carries no way to unsubscribe, which is signed with the store's secret: {err}")
        return None


def _real_words(
    store_url: str | None,
    known: "dict[str, Template]",
    name: str,
    account: str,
    address: str,
    sender: "Sender",
    links: "Links | None",
) -> "Rendered":
    from engine.errors import UsageError
    from engine.rulebook.spec import Policy
    from outreach.addresses import is_staff
    from outreach.sender import post_of
    from ringfirst.commands.options import active_book
    from ringfirst.trying import words_for

    with opened(store_url) as store:
        book = active_book(store)
        policy = book.policy if book else Policy()
        if not is_staff(address, policy.staff_domains):
            what = "a customer's values go to our own people alone; found an address outside policy.staff.domains"
            raise UsageError(f"--to: {what}; take one of ours, or leave --account out")
        return words_for(store, known[name], post_of(store, known, sender, policy), account, links)


def _shown(rules: Path | None, names: tuple[str, ...]) -> "tuple[list[Shown], bool]":
    """Templates rendered, by name, each before its variants (all, or those asked for), and whether every one could be.

    Raises ``UsageError`` for a name that is none.
    """
    from engine.errors import TemplateError
    from ringfirst.answers import print_findings, talk
    from ringfirst.gallery import all_shown

    folder = folder_of(rules)
    known, findings = folder.mail_templates
    errors = [one for one in findings if one.severity == "error" and _asked(one.path, names)]
    for name in names:
        if name not in known and not any(_asked(one.path, (name,)) for one in errors):
            raise _unknown(name, list(known))
    print_findings(errors, err=True)
    book, sender, found, failed = _book(folder), _sender(), [], bool(errors)
    for name in sorted(set(names) & set(known) if names else known):
        try:
            found += all_shown(known[name], book, sender)
        except TemplateError as err:
            failed = True
            talk(f"{known[name].path}/template.yml:1:1: error: example: {err}; write it into the example")
    return found, not failed


def _asked(path: str, names: tuple[str, ...]) -> bool:
    return not names or path.split("/")[-2:-1] == ["_base"] or any(f"/{name}/" in f"/{path}/" for name in names)


def _unknown(name: str, known: list[str]) -> Exception:
    from difflib import get_close_matches

    from engine.errors import UsageError

    near = get_close_matches(name, known, n=1)
    what = f"did you mean {near[0]!r}?" if near else "see 'ringfirst templates list'"
    return UsageError(f"templates: there is no template {name[:60]!r}; {what}")


def _book(folder: "Folder") -> "Rulebook | None":
    """The rules, to say which of them send a mail; templates can be looked at while the rules are still wrong."""
    from engine.rulebook.book import load_rulebook
    from ringfirst.answers import talk

    book, _ = load_rulebook(folder.files)
    if book is None:
        talk("the rulebook has errors, so no rules are shown; 'ringfirst check' says which")
    return book


def _sender() -> "Sender":
    return sender_of(settings())[0]


def _plain(one: "Shown", found: "list[Shown]") -> dict[str, Any]:
    return {
        "template": one.name,
        "for": one.audience,
        "class": one.mail_class,
        "subject": one.mail.subject,
        "preview": one.mail.preview or None,
        "needs": list(one.needs),
        "rules": [use.rule for use in one.uses],
        "html_bytes": one.size,
        "pictures": one.pictures,
        "locale": one.locale,
        "variants": [other.variant for other in found if other.name == one.name and other.variant],
    }
