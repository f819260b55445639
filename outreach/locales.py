"""Locales: which one a reader has, which others stand in for it, and which way it is written."""

import re
from collections.abc import Iterator
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.core import get_global

OURS = "en"
"""The locale of the templates we ship, and of a reader of whom none is known."""
LOCALE = "_locale"
"""Key of the context under which the reader's locale travels; a template cannot read it."""
_FORM = re.compile(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z]{4}))?(?:[-_]([A-Za-z]{2}|\d{3}))?(?:[.@].*)?")


@lru_cache(maxsize=1024)
def known_locale(text: object) -> str | None:
    """Give a locale as we write it (``de``, ``pt-BR``, ``zh-Hant-TW``), or None for what is none.

    A region that the language is not known with is left out.

    >>> [known_locale(one) for one in ("de", "DE_at", "en-US.UTF-8", "zh-TW", "de-XX", "German", None)]
    ['de', 'de-AT', 'en-US', 'zh-Hant-TW', 'de', None, None]
    """
    found = _FORM.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        return None
    language, script, region = found.groups()
    for parts in ((language, script, region), (language, script), (language,)):
        try:
            parsed = Locale.parse("_".join(part for part in parts if part), resolve_likely_subtags=len(parts) > 1)
        except (UnknownLocaleError, ValueError):
            continue
        return str(parsed).replace("_", "-")
    return None


@lru_cache(maxsize=1024)
def chain(locale: str) -> tuple[str, ...]:
    """A locale and those that stand in for it, nearest first, as CLDR has them; never one in another script.

    >>> chain("de-AT"), chain("es-MX"), chain("zh-Hant-TW")
    (('de-AT', 'de'), ('es-MX', 'es-419', 'es'), ('zh-Hant-TW', 'zh-Hant'))
    """
    return tuple(_chain(locale.replace("-", "_")))


def _chain(name: str) -> Iterator[str]:
    parents, likely = get_global("parent_exceptions"), get_global("likely_subtags")
    while True:
        yield name.replace("_", "-")
        above = parents.get(name) or name.rpartition("_")[0]
        script = name.partition("_")[2]
        if not above or (len(script) == len("Latn") and script not in likely.get(above, "").split("_")):
            return
        name = above


def language(locale: str) -> str:
    """The language of a locale, without where it is spoken.

    >>> language("pt-BR")
    'pt'
    """
    return locale.partition("-")[0]


@lru_cache(maxsize=256)
def direction(locale: str) -> str:
    """Which way a locale is written: ``ltr`` or ``rtl``.

    >>> direction("de"), direction("ar-EG"), direction("he")
    ('ltr', 'rtl', 'rtl')
    """
    return babel_locale(locale).text_direction


@lru_cache(maxsize=256)
def babel_locale(locale: str) -> Locale:
    """Babel's own locale, with what CLDR knows of it."""
    return Locale.parse(locale, sep="-")


def format_locale(reader: str, written: str) -> str:
    """In which locale numbers and dates stand in a mail written in ``written``: the reader's, if it is that language.

    >>> format_locale("de-AT", "de"), format_locale("fr", "en")
    ('de-AT', 'en')
    """
    return reader if written in chain(reader) else written
