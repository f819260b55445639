"""The layout around each body, in the language of the mail.

``_base/`` holds ``customer.mjml``, ``customer.txt``, ``staff.mjml`` and ``staff.txt``. In them ``[[ body ]]`` is where
the body goes, ``[[ lang ]]`` and ``[[ dir ]]`` are the mail's locale and which way it is written, ``[[ start ]]`` and
``[[ end ]]`` the sides on which its lines begin and end (``left`` and ``right`` in English; bodies may say them too).
``[[ words.NAME ]]`` is a text of ``_base/words.yml``, which has the layout's own words for each locale.
"""

import re
from collections.abc import Iterator, Mapping

from engine.rulebook.findings import Findings
from engine.rulebook.nodes import load
from outreach.finding import Finding, error
from outreach.locales import chain, direction, known_locale

BODY = "[[ body ]]"
WORDS = "words.yml"
BASE = "_base"
_PLACE = re.compile(r"\[\[ ?(lang|dir|start|end|words\.([\w-]+)) ?\]\]")
_MARKUP = re.compile(r"[<>&]")
Words = Mapping[str, Mapping[str, str]]
"""The layout's own words: by locale, by name."""


def read_words(path: str, text: str | None) -> tuple[Words, list[Finding]]:
    """Read ``words.yml``: for each locale its words by name. They stand in markup and in text, so they hold none."""
    if text is None:
        return {}, []
    findings = Findings()
    root = load(path, text, findings)
    found: dict[str, dict[str, str]] = {}
    for name, (at, node) in ((root.keys or {}) if root else {}).items():
        locale = known_locale(name)
        if locale is None or node.keys is None:
            findings.error(
                at, f"words.yml: a locale with its words is wanted; found {name[:40]!r}; write en: or pt-BR:"
            )
            continue
        found[locale] = {}
        for word, (where, said) in node.keys.items():
            if not isinstance(said.value, str) or _MARKUP.search(said.text):
                findings.error(where, f"words.yml: {word} should be a text without < > &; found something else")
            else:
                found[locale][word] = said.text
    return found, findings.errors


def placed(text: str, locale: str, words: Words) -> str:
    """Fill the places of a layout or a body for a mail in ``locale``; one without a word stays, and is a finding."""
    left = direction(locale) == "ltr"
    known = {"lang": locale, "dir": direction(locale)}
    known |= {"start": "left", "end": "right"} if left else {"start": "right", "end": "left"}
    said = next((words[one] for one in chain(locale) if one in words), {})

    def fill(found: re.Match[str]) -> str:
        return said.get(found[2], found[0]) if found[2] else known[found[1]]

    return _PLACE.sub(fill, text)


def unplaced(path: str, text: str, locale: str) -> Iterator[Finding]:
    """The words that a layout asks for and that its ``words.yml`` does not have in the mail's language."""
    for found in _PLACE.finditer(text):
        folder = path.rpartition("/")[0]
        what = f"the layout has no words {found[2]!r} in {locale}; found none in {folder}/{WORDS}; write them there"
        yield error(path, text.count("\n", 0, found.start()) + 1, what)
