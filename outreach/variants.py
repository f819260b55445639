"""Variants of a template: folders inside its folder, for readers of a locale, with a role or in a segment.

``de/``, ``role=champion/``, ``segment=paying/``, and several with commas: ``pt-BR,role=champion/``. A variant fits a
reader if all it says is so. Of those that fit, the one whose language is nearest to the reader's comes first, then one
with a role, then one with a segment (of several segments the one named first in ``needs``); the template itself is the
last of all. A file that a variant lacks comes from the next one, never from one in another language.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from outreach.locales import LOCALE, OURS, chain, known_locale

_CONDITION = re.compile(r"(role|segment)=([\w.-]{1,60})")
FORM = "a variant's folder is a locale, role=NAME or segment=NAME, several with commas"


class Fits(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a variant is for; None: everybody."""

    locale: str | None = None
    role: str | None = None
    segment: str | None = None

    def __str__(self) -> str:
        parts = [self.locale, self.role and f"role={self.role}", self.segment and f"segment={self.segment}"]
        return ",".join(part for part in parts if part)


ALL = Fits()
"""The template itself."""


def read_fits(folder: str) -> Fits | str:
    """Read a variant's folder name; a text says what is wrong with it.

    >>> read_fits("de,role=champion")
    Fits(locale='de', role='champion', segment=None)
    """
    said: dict[str, str] = {}
    for part in folder.split(","):
        condition = _CONDITION.fullmatch(part)
        name, value = condition.groups() if condition else ("locale", known_locale(part))
        if value is None:
            return f"{FORM}; found {part[:40]!r}; rename it"
        if name in said:
            return f"a variant has one {name}; found two in {folder[:60]!r}; make two folders"
        said[name] = value
    return Fits(**said)


def in_order(fits: Collection[Fits], wanted: Fits, base_locale: str) -> list[Fits]:
    """Where the files of a variant come from: itself, then those that fit everybody it fits, nearest first.

    Those in another language are left out, and so is the template itself when it is in another one.
    """
    return sorted(
        (one for one in fits if _within(one, wanted, base_locale)),
        key=lambda one: _rank(one, wanted.locale or base_locale, base_locale, ()),
    )


def choose(fits: Sequence[Fits], context: Mapping[str, Any], base_locale: str, needs: Sequence[str]) -> Fits:
    """Choose the variant for the reader of a context: of its locale, ``you.role`` and the values of segments alone."""
    reader = context.get(LOCALE) or OURS
    you = context.get("you")
    role = you.get("role") if isinstance(you, Mapping) else None
    fitting = [one for one in fits if _meets(one, reader, role, context)]
    return min(fitting, key=lambda one: _rank(one, reader, base_locale, needs), default=ALL)


def _meets(one: Fits, reader: str, role: Any, context: Mapping[str, Any]) -> bool:
    if one.locale is not None and one.locale not in chain(reader):
        return False
    if one.role is not None and one.role != role:
        return False
    return one.segment is None or context.get(one.segment) is True


def _within(one: Fits, wanted: Fits, base_locale: str) -> bool:
    language = one.locale or (base_locale if wanted.locale else None)
    return (
        (language is None or language in chain(wanted.locale or base_locale))
        and one.role in (None, wanted.role)
        and one.segment in (None, wanted.segment)
    )


def _rank(one: Fits, reader: str, base_locale: str, needs: Sequence[str]) -> tuple[Any, ...]:
    languages, own = chain(reader), one.locale or base_locale
    return (
        languages.index(own) if own in languages else len(languages),
        one.locale is None,
        one.role is None,
        one.segment is None,
        needs.index(one.segment) if one.segment in needs else 0,
        str(one),
    )


def faults(fits: Fits, needs: Collection[str]) -> Iterator[str]:
    """What keeps a variant from ever being chosen."""
    if fits.segment is not None and fits.segment not in needs:
        yield (
            f"the variant asks for the segment {fits.segment!r}, and the decision does not keep it; "
            f"found no {fits.segment!r} under 'needs'; write it there"
        )
