"""Values that are written the other way than the words around them: kept from turning those round.

In HTML authors put ``<bdi>`` around them; a text has no such mark, so they get Unicode's own (FSI ... PDI) there.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context

from outreach.locales import LOCALE, OURS, direction

FSI, PDI = "\u2068", "\u2069"
_LINK = re.compile(r"(?:https?://|mailto:)\S+")
_STEERING = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Embeddings, overrides and isolates: a name that ends none of its own would turn round all that comes after it."""


@pass_context
def finalized_text(context: Context, value: Any) -> Any:
    """What is printed into a text: steered by nobody, isolated where it is written the other way."""
    if not isinstance(value, str):
        return value
    if _LINK.fullmatch(value):  # a mark behind a link is taken for a part of it; its letters run one way by themselves
        return _STEERING.sub("", value)
    return isolated(value, direction(context.get(LOCALE) or OURS))


def finalized_html(value: Any) -> Any:
    """What is printed into HTML: steered by nobody."""
    return type(value)(_STEERING.sub("", value)) if isinstance(value, str) and not value.isascii() else value


@lru_cache(maxsize=4096)
def isolated(text: str, around: str) -> str:
    """Isolate a text that holds letters of the other direction than those ``around`` it (``ltr`` or ``rtl``).

    >>> isolated("Ada", "ltr"), isolated("10:00", "rtl"), isolated("עדה", "ltr"), isolated("Ada", "rtl")
    ('Ada', '10:00', '\u2068עדה\u2069', '\u2068Ada\u2069')
    """
    if around == "ltr" and text.isascii():
        return text
    clean = _STEERING.sub("", text)
    others = ("R", "AL") if around == "ltr" else ("L",)
    return f"{FSI}{clean}{PDI}" if any(unicodedata.bidirectional(sign) in others for sign in clean) else clean
