"""The gallery: every mail of a rulebook on one page, as phones and desktops show it, in light and dark and as text."""

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path

import msgspec

from engine.errors import TemplateError, UsageError
from engine.rulebook.book import Rulebook
from outreach.context import Sender
from outreach.examples import example_context
from outreach.locales import direction
from outreach.rendering import Rendered, render
from outreach.template import Template, every_variant
from ringfirst.rulebooks import Folder

CLIPPED = 102 * 1024
"""Bytes of HTML beyond which Gmail cuts a mail off (hteumeuleu/email-bugs#41)."""
_SCHEME = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(light|dark)\s*\)", re.IGNORECASE)
_BOTH = re.compile(r"(color-schemes?\s*:\s*|name=\"[\w-]*color-schemes?\"\s+content=\")light dark", re.IGNORECASE)
_PICTURE = re.compile(r"<img\b", re.IGNORECASE)


class Use(msgspec.Struct, frozen=True):
    """A rule that sends a template."""

    rule: str
    title: str
    kind: str


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One template or one variant of it, rendered with the example in its manifest, and the rules that use it.

    ``variant`` says for whom it is (empty: for everybody), ``locale`` what it is written in, ``dir`` which way.
    ``needs`` are the names it asks of a rule; ``pictures`` counts the images in it; ``size`` is that of the HTML in
    bytes.
    """

    name: str
    audience: str
    mail_class: str | None
    needs: tuple[str, ...]
    mail: Rendered
    uses: tuple[Use, ...]
    pictures: int
    size: int
    variant: str = ""
    locale: str = "en"
    dir: str = "ltr"

    @property
    def label(self) -> str:
        """Its name on the page, the variant's after the template's."""
        return f"{self.name}/{self.variant}" if self.variant else self.name


def all_shown(template: Template, book: Rulebook | None, sender: Sender) -> list[Shown]:
    """Render a template and each of its variants. Raises ``TemplateError`` when the example does not do for one."""
    return [shown(one, book, sender) for one in every_variant(template)]


def shown(template: Template, book: Rulebook | None, sender: Sender) -> Shown:
    """Render one variant of a template with its own example. Raises ``TemplateError`` when the example does not do."""
    mail = render(template, example_context(template, sender))
    return Shown(
        name=template.name,
        audience=template.manifest.audience,
        mail_class=template.manifest.mail_class,
        needs=template.manifest.needs,
        mail=mail,
        uses=tuple(uses(template.name, book)),
        pictures=len(_PICTURE.findall(mail.html)),
        size=len(mail.html.encode()),
        variant=str(template.fits),
        locale=template.locale,
        dir=direction(template.locale),
    )


def uses(name: str, book: Rulebook | None) -> Iterable[Use]:
    """The rules that send the template of that name; none without a rulebook."""
    for rule in book.rules if book is not None else ():
        if rule.outreach is not None and rule.outreach.template == name:
            yield Use(rule.id, rule.title or rule.id, rule.kind)


def write_gallery(folder: Folder, place: Path, *, book: Rulebook | None, sender: Sender) -> Path:
    """Write all usable templates of a rulebook as ``place/index.html``; returns that path.

    A template whose example does not do is left out: ``check`` says why. Raises ``UsageError`` when the folder cannot
    be written.
    """
    found: list[Shown] = []
    for template in folder.mail_templates[0].values():
        try:
            found += all_shown(template, book, sender)
        except TemplateError:
            continue
    return write_page(place, gallery(found, sender))


def write_page(place: Path, page: str) -> Path:
    """Write a page as ``place/index.html``. Raises ``UsageError`` when that cannot be done."""
    path = place / "index.html"
    try:
        place.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    except OSError as err:
        raise UsageError(f"{path}: cannot be written; {err.strerror or err}; name another folder with --out") from err
    return path


def gallery(mails: Sequence[Shown], sender: Sender) -> str:
    """Make the page: one HTML file that loads nothing, neither from the network nor from beside it.

    Whatever stands in a mail is boxed in twice: each is the ``srcdoc`` of a frame in which no script runs and no link
    leads anywhere, and the page's own policy (CSP), which frames inherit, lets nothing be loaded.
    """
    import jinja2

    source = resources.files("ringfirst")
    script = (source / "gallery.js").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["in_scheme"] = in_scheme
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    ordered = sorted(mails, key=lambda mail: (mail.audience != "customer", mail.name, mail.variant))
    return environment.from_string((source / "gallery.html").read_text(encoding="utf-8")).render(
        mails=ordered,
        templates=len({mail.name for mail in mails}),
        rules=len({use.rule for mail in mails for use in mail.uses}),
        sender=sender,
        script=script,
        script_hash=digest,
        style=(source / "gallery.css").read_text(encoding="utf-8"),
        clipped=CLIPPED,
    )


def in_scheme(html: str, scheme: str) -> str:
    """Fix a mail to ``light`` or ``dark``, whatever the reader's own screen is set to.

    >>> in_scheme("@media (prefers-color-scheme: dark) { }", "dark")
    '@media (min-width: 0) { }'
    >>> in_scheme("@media (prefers-color-scheme: dark) { }", "light")
    '@media (max-width: 0) { }'
    """
    fixed = _SCHEME.sub(lambda one: "(min-width: 0)" if one[1].lower() == scheme else "(max-width: 0)", html)
    return _BOTH.sub(lambda one: one[1] + scheme, fixed)
