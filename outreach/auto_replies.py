"""Which mails a machine answered, and which of them say that somebody has left: headers first, then a few words.

A header that says so is sure (RFC 3834, and what Exchange and old responders write); words are a guess, so nothing is
ever suppressed by them.
"""

import re
from email.message import EmailMessage

_SUBJECTS = re.compile(
    r"^\W*(?:automatic reply|auto(?:matic)?[- ]?(?:reply|response)|autoreply|out of (?:the )?office|"
    r"automatische antwort|abwesenheit|abwesend|nicht im b[üu]ro|r[ée]ponse automatique|absence du bureau|"
    r"respuesta autom[áa]tica|fuera de la oficina|risposta automatica|fuori sede|automatisch antwoord|afwezig|"
    r"autosvar|automatiskt svar|resposta autom[áa]tica|autoodpowied[źz])",
    re.IGNORECASE,
)
_LEFT = re.compile(
    r"no longer (?:with|at|employed|works?|working|part of)|(?:has|have) left (?:the company|us\b|our)|"
    r"left the company|nicht mehr (?:im unternehmen|in unserem (?:unternehmen|haus)|bei uns|besch[äa]ftigt)|"
    r"nicht mehr f[üu]r \S+(?: \S+)? t[äa]tig|"
    r"(?:das|unser) unternehmen verlassen|ausgeschieden|"
    r"ne (?:fait|travaille|fais) plus (?:partie|chez|pour)|a quitt[ée] (?:l['\u2019]entreprise|la soci[ée]t[ée]|notre)|"
    r"ya no (?:trabaja|forma parte)|ha dejado la empresa|non lavora pi[ùu]|ha lasciato l['\u2019]azienda|"
    r"niet (?:langer|meer) werkzaam|het bedrijf verlaten|j[áa] n[ãa]o trabalha|slutat (?:p[åa]|hos)",
    re.IGNORECASE,
)
_YES = frozenset({"auto_reply", "auto-reply", "bulk", "junk", "list"})
_LOOKED_AT = 4_000


def is_automatic(message: EmailMessage) -> bool:
    """Did a machine write this answer?"""
    submitted = str(message.get("Auto-Submitted", "no")).partition(";")[0].strip().lower()
    if submitted not in {"no", ""}:
        return True
    if str(message.get("Precedence", "")).strip().lower() in _YES:
        return True
    if any(message.get(name) is not None for name in ("X-Autoreply", "X-Autorespond", "X-Autoresponder", "List-Id")):
        return True
    if str(message.get("Return-Path", "")).strip() == "<>":
        return True
    return bool(_SUBJECTS.match(str(message.get("Subject", ""))))


def says_left(message: EmailMessage) -> bool:
    """Do the words of an automatic answer say that somebody works there no more? A guess, in several languages."""
    return bool(_LEFT.search(" ".join(f"{message.get('Subject', '')} {text_of(message)}".split())))


def text_of(message: EmailMessage) -> str:
    """The beginning of the words, of whatever part has any; empty when there is none that can be read."""
    part = message.get_body(("plain", "html"))
    if part is None:
        return ""
    try:
        words = part.get_content()
    except (LookupError, ValueError):  # a charset that nobody knows
        return ""
    text = words[: 4 * _LOOKED_AT] if isinstance(words, str) else ""
    if part.get_content_subtype() == "html":
        text = re.sub(r"<[^>]{0,500}>", " ", text)
    return text[:_LOOKED_AT]
