"""What a mail looks like where it arrived: who vouches for it, and whether its reader can stop such mails.

The server that took the mail wrote down what it found (``Authentication-Results``, RFC 8601). That is better evidence
than the DNS of the sender's domain, and it needs none.
"""

import re
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import parseaddr
from typing import NamedTuple

_RESULT = re.compile(r"\b(spf|dkim|dmarc)\s*=\s*([a-z]+)", re.IGNORECASE)
_COMMENT = re.compile(r"\([^()]*\)")
_SIGNED = re.compile(r"\bh\s*=\s*([^;]+)", re.IGNORECASE)
_REMEDY = {
    "spf": "name the servers that send for the domain in its SPF record (TXT: v=spf1 ...)",
    "dkim": "let the mail server or SendGrid sign with a key of the domain (authenticate the domain there)",
    "dmarc": "publish a DMARC record (TXT at _dmarc.DOMAIN), and let SPF or DKIM speak for the domain in From",
}
ONE_CLICK = "List-Unsubscribe=One-Click"
_MUST_SIGN = ("list-unsubscribe", "list-unsubscribe-post")


class Seen(NamedTuple):
    """One thing that was looked at: what, whether it is right, what was found, and what to do if it is not."""

    what: str
    ok: bool
    found: str


def look_at(mail: EmailMessage, sender: str | None = None) -> Iterator[Seen]:
    """Look at a mail as it arrived; ``sender`` is the address that it should be from.

    The result of a server counts only if it is the newest, which stands first: whoever wrote the mail could have put
    others below it.
    """
    address = parseaddr(str(mail.get("From", "")))[1].lower()
    if sender is not None:
        right = address == sender.lower()
        yield Seen("from", right, f"{address}{'' if right else f'; RINGFIRST_SENDER is {sender}'}")
    results = mail.get_all("Authentication-Results") or []
    # Comments repeat what earlier servers said, in the same words.
    told_of = _RESULT.findall(_COMMENT.sub("", str(results[0]))) if results else []
    for name in ("spf", "dkim", "dmarc"):
        values = [value.lower() for one, value in told_of if one.lower() == name]
        ok = "pass" in values
        told = "pass" if ok else values[0] if values else "the server that took it says nothing of it"
        yield Seen(name, ok, told if ok else f"{told}; {_REMEDY[name]}")
    yield from _ways_out(mail)


def _ways_out(mail: EmailMessage) -> Iterator[Seen]:
    """RFC 8058: an https link, the header that lets it work with one click, and both under the signature."""
    links = re.findall(r"<([^>]+)>", str(mail.get("List-Unsubscribe", "")))
    https = next((link for link in links if link.startswith("https://")), None)
    remedy = "set RINGFIRST_PUBLIC_URL, and run 'ringfirst web' there"
    yield Seen("unsubscribe link", https is not None, https or f"no https link in List-Unsubscribe; {remedy}")
    posted = str(mail.get("List-Unsubscribe-Post", "")).strip()
    one_click = posted == ONE_CLICK
    yield Seen("one click", one_click, posted if one_click else f"no List-Unsubscribe-Post: {ONE_CLICK}; {remedy}")
    signed = [_SIGNED.search(str(value)) for value in mail.get_all("DKIM-Signature") or []]
    names = [{name.strip().lower() for name in found[1].split(":")} for found in signed if found]
    covered = any(all(name in one for name in _MUST_SIGN) for one in names)
    told = "List-Unsubscribe and -Post are under the signature"
    mend = "let the mail server sign List-Unsubscribe and List-Unsubscribe-Post too (RFC 8058, 4)"
    yield Seen("signed", covered, told if covered else f"no DKIM signature covers them; {mend}")
