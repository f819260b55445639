"""A mail sent by hand to try it: marked as such in subject, text and HTML, and counted nowhere."""

import hashlib
import re
from html import escape

from engine.instants import Instant, iso
from outreach.context import Sender
from outreach.links import Links
from outreach.mail import Outgoing, build_mail
from outreach.rendering import Rendered

MARK = "[test]"
_BODY = re.compile(r"<body\b[^>]*>", re.IGNORECASE)
_STYLE = (
    "margin:0;padding:10px 16px;background-color:#fff3c4;color:#1f2933;font:14px/1.5 Arial,sans-serif;text-align:center"
)


def trial_mail(
    words: Rendered, sender: Sender, *, what: str, to: str, at: Instant, links: Links | None = None
) -> Outgoing:
    """Put a marked mail together; ``what`` says in a few words what is tried.

    Its id is made of what it is, to whom, and when, so that it is none of the store's.
    """
    return build_mail(
        marked(words, what),
        sender,
        mail_id=hashlib.sha256(f"trial\0{what}\0{to}\0{iso(at)}".encode()).hexdigest()[:32],
        rule="test",
        due_at=at,
        to=to,
        links=links,
    )


def marked(words: Rendered, what: str) -> Rendered:
    r"""The words of a mail with a banner that nobody overlooks.

    >>> marked(Rendered("Hello", "Text\n", "<body><p>x</p></body>"), "a mail").subject
    '[test] Hello'
    """
    told = f"This is a test of {what}, sent by hand. Nobody else got it."
    banner = f'<p role="note" style="{_STYLE}">{escape(told)}</p>'
    html = _BODY.sub(lambda found: found[0] + banner, words.html, count=1)
    return Rendered(f"{MARK} {words.subject}", f"{told}\n\n{words.text}", html, words.preview)
