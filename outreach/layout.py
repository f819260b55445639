"""The layout around each body, in the language of the mail.

``_base/`` holds ``customer.mjml``, ``customer.txt``, ``staff.mjml`` and ``staff.txt``. In them ``[[ body ]]`` is where
the body goes, ``[[ lang ]]`` and ``[[ dir ]]`` are the mail's locale and which way it is written, ``[[ start ]]`` and
``[[ end ]]`` the sides on which its lines begin and end (``left`` and ``right`` in English; bodies may say them too).
``[[ words.NAME ]]`` is a text of ``_base/words.yml``, which has the layout's own words for each locale; in a body it is
one of the template's ``words.yml``, or of those that reports have. ``[[ words.NAME value=EXPRESSION; ... ]]`` puts
values into it.
"""

import re
from collections.abc import Iterator, Mapping

from outreach.finding import Finding, error
from outreach.locales import direction
from outreach.words import COUNT, Word, Words, in_jinja, said_in, values_in

BODY = "[[ body ]]"
WORDS = "words.yml"
BASE = "_base"
_PLACE = re.compile(r"\[\[ ?(?:(lang|dir|start|end)|words\.([\w-]+)((?:(?!\]\]).)*?)) ?\]\]", re.DOTALL)
_PREVIEW = re.compile(r"<mj-preview>.*?</mj-preview>", re.DOTALL)


def placed(text: str, locale: str, words: Words, *, markup: bool = False) -> str:
    """Fill the places of a layout or a body for a mail in ``locale``; one without a word stays, and is a finding.

    In ``markup`` values are isolated from the words around them, but in the preview, which is no markup.
    """
    left = direction(locale) == "ltr"
    known = {"lang": locale, "dir": direction(locale)}
    known |= {"start": "left", "end": "right"} if left else {"start": "right", "end": "left"}
    said = said_in(words, locale)
    plain = [found.span() for found in _PREVIEW.finditer(text)] if markup else []

    def fill(found: re.Match[str]) -> str:
        if found[1]:
            return known[found[1]]
        word, given = said.get(found[2]), _given(found[3])
        if word is None or _wanting(found[2], said, given):
            return found[0]
        inside = any(begin <= found.start() < end for begin, end in plain)
        return in_jinja(word, given, markup=markup and not inside)

    return _PLACE.sub(fill, text)


def unplaced(path: str, text: str, locale: str, words: Words, place: str) -> Iterator[Finding]:
    """The words that a text asks for and that are not in the mail's language, or lack a value; ``place`` has words."""
    said = said_in(words, locale)
    for found in _PLACE.finditer(text):
        if found[2] in said:
            missing = ", ".join(_wanting(found[2], said, _given(found[3])))
            what = f"the words {found[2]!r} have places for {missing}; found no value; write {missing}=EXPRESSION"
        else:
            what = f"there are no words {found[2]!r} in {locale}; found none in {place}/{WORDS}; write them there"
        yield error(path, text.count("\n", 0, found.start()) + 1, what)


def _given(text: str) -> dict[str, str]:
    """The values that a place gives: ``name=expression``, parted by semicolons."""
    pairs = (one.partition("=") for one in text.split(";") if one.strip())
    return {name.strip(): expression.strip() for name, _, expression in pairs}


def _wanting(name: str, said: Mapping[str, Word], given: dict[str, str]) -> list[str]:
    """The values for which a word has places, and which are not given."""
    word = said[name]
    wanted = values_in(word) | (set() if isinstance(word, str) else {COUNT})
    return sorted(wanted - {one for one, expression in given.items() if expression})
