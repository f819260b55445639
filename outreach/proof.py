"""A template proved: each of its variants rendered with other values than its author thought of, and looked at.

The values: the example; nothing known of the reader and the account; long ones; ones written the other way; ones that
would be markup. Everything found is about the mail that comes out, so a mistake that stands in the source alone, or is
made by a value, is found as well.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import structs

from engine.errors import TemplateError
from outreach.bidi import isolated
from outreach.contrast import LEAST, poor_words
from outreach.examples import SENDER, example_context
from outreach.finding import Finding, error, warning
from outreach.links import EXAMPLE
from outreach.lint import SHORTEST_TEXT
from outreach.locales import direction
from outreach.page import Element, Page, read_page, texts
from outreach.rendering import Rendered, render
from outreach.sandbox import MissingValue
from outreach.template import Template, every_variant

LARGEST = 90 * 1024
"""Bytes of HTML that a mail may have: Gmail cuts it off near 102 KB (hteumeuleu/email-bugs#41)."""
_LONG = "Wolfeschlegelsteinhausenbergerdorff " * 5
_HOSTILE = '"><script>alert(1)</script>'
_OTHER_WAY = {"ltr": "عائشة بنت أحمد", "rtl": "Ada Lindqvist"}
_KEPT = re.compile(r"\d{4}-\d\d-\d\d.*|https://.*|[A-Z]{3}", re.DOTALL)
_ALWAYS = frozenset({"id", "email", "role", "timezone", "locale", "language"})
_MADE = frozenset({"sender", "links", "rule"})
_FORBIDDEN = frozenset(
    {"script", "iframe", "object", "embed", "form", "input", "button", "link", "base", "audio", "video"}
)
_LEADS = frozenset({"href", "src", "background", "action", "poster", "srcset"})
_SAFE = re.compile(r"https://\S+|mailto:\S+|#[\w-]*", re.IGNORECASE)
_STYLE_URL = re.compile(r"url\(\s*['\"]?\s*(?!https:)([^)'\"]{0,30})", re.IGNORECASE)
_TEXT_URL = re.compile(r"(?:https://|mailto:)[^\s<>]+")
_BLOCKS = frozenset({"body", "div", "td", "th", "p", "li", "h1", "h2", "h3", "blockquote", "caption"})
_LARGE = 1_234_567.89


def prove(template: Template) -> list[Finding]:
    """Find what is wrong with the mails of a template, in every variant; the same thing once."""
    found = [finding for one in every_variant(template) for finding in _proved(one)]
    return sorted(set(found))


def _proved(one: Template) -> Iterator[Finding]:
    given = example_context(one, structs.replace(SENDER, person="Mara Hoffmann"))
    way = direction(one.locale)
    trials = {
        "the example": given,
        "long values": _filled(given, _LONG),
        "values written the other way": {**_filled(given, _OTHER_WAY[way]), **_by_the_author(given)},
        "values with markup": _filled(given, _HOSTILE),
    }
    for what, values in trials.items():
        try:
            mail = render(one, values)
        except TemplateError as err:
            yield error(f"{one.path}/body.txt", 1, f"with {what}: {err}; let the template take such values")
            continue
        yield from _looked_at(one, mail, read_page(mail.html), what)
    yield from _unknown(one, given)


def _unknown(one: Template, given: Mapping[str, Any]) -> Iterator[Finding]:
    """Traits of readers and accounts that the mail cannot do without: nobody has to have them."""
    values: dict[str, Any] = _bare(given)
    for _ in range(len(given) * 10):
        try:
            render(one, values)
        except MissingValue as err:
            where = next(
                ((path, read.line) for path, reads in one.reads.items() for read in reads if read.name == err.name),
                (f"{one.path}/body.txt", 1),
            )
            what = f"the mail is held for everybody whose {err.name!r} is not known"
            yield warning(
                *where, f"{what}; found no test of it; write {{% if {err.name} %}} around it, or |default(...)"
            )
            _put(values, err.name)
        except TemplateError as err:
            yield error(f"{one.path}/body.txt", 1, f"with nothing known of the reader: {err}; test what may be unknown")
            return
        else:
            return


def _looked_at(one: Template, mail: Rendered, page: Page, what: str) -> Iterator[Finding]:
    html, text = f"{one.path}/body.mjml", f"{one.path}/body.txt"
    yield from (error(html, 1, f"with {what}: {message}") for message in _markup_faults(page))
    size = len(mail.html.encode())
    if size > LARGEST:
        told = f"the HTML has {size // 1024} KB with {what}; Gmail cuts mails off near 102"
        yield error(html, 1, f"{told}; found more than 90; say less")
    if what == "values written the other way":
        yield from (warning(html, 1, message) for message in _turned(page, one))
    if what != "the example":
        return
    if len(mail.text.strip()) < SHORTEST_TEXT:
        yield warning(
            text, 1, f"the text part has fewer than {SHORTEST_TEXT} characters; say in it all that the HTML says"
        )
    said = set(_TEXT_URL.findall(mail.text))
    for link in _links(page):
        if not any(link == url.rstrip(".,;:!?)") for url in said):
            yield error(
                text, 1, f"the text part does not have the link {link[:60]!r}; found it in the HTML; write it there too"
            )
    yield from _duties(one, mail, page)
    for poor in poor_words(page):
        told = f"{poor.words!r} is hard to read in {poor.scheme}: a contrast of {poor.contrast}; it needs {LEAST}"
        yield error(html, 1, f"{told}; take the colours of the layout's classes")


def _duties(one: Template, mail: Rendered, page: Page) -> Iterator[Finding]:
    """What the law wants in a customer's mail (CAN-SPAM, CASL, RFC 8058's link in the body)."""
    if one.manifest.audience != "customer":
        return
    layout = f"{one.path.rpartition('/' + one.name)[0]}/_base/customer"
    seen = " ".join(" ".join(part for _, part in texts(page)).split())
    for ending, told, links in (
        ("txt", mail.text, set(_TEXT_URL.findall(mail.text))),
        ("mjml", seen, set(_links(page))),
    ):
        if SENDER.postal_address not in told:
            yield error(
                f"{layout}.{ending}", 1, "a customer's mail says where we are; found no {{ sender.postal_address }}"
            )
        if one.manifest.mail_class != "transactional" and EXAMPLE.page not in links:
            yield error(
                f"{layout}.{ending}", 1, "a customer can stop such mails; found no {{ links.unsubscribe|safe_url }}"
            )


def _markup_faults(page: Page) -> Iterator[str]:
    for one in page.root.walk():
        if one.tag in _FORBIDDEN:
            yield f"{one.tag!r} is not for mail; take it out"
        for name, value in one.given.items():
            if name.startswith("on"):
                yield f"{name!r} would run a script; mail has none; take it out"
            if name in _LEADS and not _SAFE.fullmatch(value.strip()):
                yield f"{name} is neither https nor mailto; found {value[:30]!r}; write https"
            if name == "style" and (found := _STYLE_URL.search(value)):
                yield f"a style loads what is not https; found {found[1]!r}; write https, or take it out"
        if one.tag == "img":
            yield from _picture_faults(one)
    yield from (
        f"a style loads what is not https; found {found[1]!r}; write https, or take it out"
        for sheet in page.styles
        if (found := _STYLE_URL.search(sheet))
    )


def _picture_faults(one: Element) -> Iterator[str]:
    if "alt" not in one.given:
        yield "img has no alt; many read with pictures off; say in words what it shows"
    if not one.given.get("width", "").strip("0px%"):
        yield "img has no width; say how wide it is, in pixels"


def _links(page: Page) -> list[str]:
    found = (one.given.get("href", "") for one in page.root.walk() if one.tag == "a")
    return [link for link in dict.fromkeys(found) if link and not link.startswith("#")]


def _turned(page: Page, one: Template) -> Iterator[str]:
    """Blocks in which a value that is written the other way could turn the words beside it round."""
    way = direction(one.locale)
    blocks: dict[int, list[str]] = {}
    for element, text in texts(page):
        lines = (element, *element.above)
        if any(each.tag == "bdi" or (each.tag == "span" and each.given.get("dir") == "auto") for each in lines):
            continue
        block = next((each for each in lines if each.tag in _BLOCKS), element)
        if "display:none" not in block.given.get("style", ""):
            blocks.setdefault(id(block), []).append(text)
    for parts in blocks.values():
        words = " ".join("".join(parts).split())
        value = _OTHER_WAY[way]
        rest = words.replace(value, "")
        if value in words and isolated(words, way) != words and any(sign.isalnum() for sign in rest):
            told = f"a value that is written the other way turns the words beside it; found {words[:40]!r}"
            yield f"{told}; put <bdi> around it"


def _filled(value: Any, text: str) -> Any:
    """An example with other texts in it, and with large numbers; dates, links and currencies stay, and what is ours."""
    if isinstance(value, dict):
        return {
            key: inner
            if key.startswith("_") or key in _MADE or key in ("timezone", "locale", "role")
            else _filled(inner, text)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_filled(inner, text) for inner in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _LARGE
    return text if isinstance(value, str) and not _KEPT.fullmatch(value) else value


def _by_the_author(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is the rule's author's own words, in the author's own letters."""
    return {name: given[name] for name in ("with", "why", "title", "owner") if name in given}


def _bare(given: Mapping[str, Any]) -> dict[str, Any]:
    """The example without what nobody has to have: names of people, traits of accounts."""
    found = {key: dict(value) if isinstance(value, dict) else value for key, value in given.items()}
    for key in ("you", "account"):
        found[key] = {name: value for name, value in (found.get(key) or {}).items() if name in _ALWAYS}
    return found


def _put(values: dict[str, Any], name: str) -> None:
    """Give a value after all, so that what else is missing is found too."""
    *above, last = name.split(".")
    node = values
    for part in above:
        inner = node.get(part)
        node[part] = node = dict(inner) if isinstance(inner, dict) else {}
    node[last] = 2 if node.get(last) is None else node[last]
