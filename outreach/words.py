"""Words by language: those of a layout, of a template, and of reports, which a mail, a page and a PDF all say.

A file of words has for each locale its words by name. A word is a text, or has the plurals of its language (CLDR: zero,
one, two, few, many, other) and is chosen by ``n``. ``{name}`` in it is a place for a value.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import msgspec

from engine.rulebook.findings import Findings
from engine.rulebook.nodes import Node, load
from outreach.bidi import isolated
from outreach.finding import Finding
from outreach.locales import OURS, chain, direction, known_locale
from outreach.writing import PLURALS, plural_text

Word = str | Mapping[str, str]
Words = Mapping[str, Mapping[str, Word]]
"""By locale, by name."""
COUNT = "n"
"""The value by which a word's plural is chosen."""
_MARKUP = re.compile(r"[<>&]")
_VALUE = re.compile(r"(?<!\{)\{(\w+)\}(?!\})")
_WRITTEN = re.compile(r"\|\s*(?:number|percent|money|short_date|date|lasting|short_number|sums|share)(?:\([^()]*\))?$")
"""Filters whose text is written in the mail's own language: it needs no mark against the words around it."""


def read_words(path: str, text: str | None) -> tuple[Words, list[Finding]]:
    """Read a file of words. They stand in markup and in text, so they hold none."""
    if text is None:
        return {}, []
    findings = Findings()
    root = load(path, text, findings)
    found: dict[str, dict[str, Word]] = {}
    for name, (at, node) in ((root.keys or {}) if root else {}).items():
        locale = known_locale(name)
        if locale is None or node.keys is None:
            findings.error(
                at, f"words.yml: a locale with its words is wanted; found {name[:40]!r}; write en: or pt-BR:"
            )
            continue
        found[locale] = {}
        for word, (where, said) in node.keys.items():
            one = _word(said)
            if one is None:
                message = "should be a text without < > &, or plurals with one for 'other'; found something else"
                findings.error(where, f"words.yml: {word} {message}")
            else:
                found[locale][word] = one
    return found, findings.errors


def _word(node: Node) -> Word | None:
    if node.keys is None:
        return node.text if _is_text(node) else None
    forms = {form: said.text for form, (_, said) in node.keys.items() if form in PLURALS and _is_text(said)}
    return forms if len(forms) == len(node.keys) and "other" in forms else None


def _is_text(node: Node) -> bool:
    return isinstance(node.value, str) and not _MARKUP.search(node.text)


def said_in(words: Words, locale: str) -> Mapping[str, Word]:
    """The words for a locale, else for one that stands in for it, else none."""
    return next((words[one] for one in chain(locale) if one in words), {})


def with_more(words: Words, more: Words) -> Words:
    """Words with others laid over them, name by name."""
    return {locale: {**words.get(locale, {}), **more.get(locale, {})} for locale in {*words, *more}}


def forms_of(word: Word) -> tuple[str, ...]:
    """Every text that a word may be."""
    return (word,) if isinstance(word, str) else tuple(word.values())


def values_in(word: Word) -> frozenset[str]:
    """The names of the values that a word has places for."""
    return frozenset(name for text in forms_of(word) for name in _VALUE.findall(text))


def in_jinja(word: Word, given: dict[str, str], *, markup: bool) -> str:
    """A word as Jinja, with an expression for each value; in ``markup`` values of other origin are isolated (bdi).

    >>> in_jinja("{a} of {b}", {"a": "x|number", "b": "y"}, markup=True)
    '{{ x|number }} of <bdi>{{ y }}</bdi>'
    """
    if isinstance(word, str):
        shown = given | ({COUNT: f"{given[COUNT]}|number"} if COUNT in given else {})
        return _VALUE.sub(lambda found: _printed(shown[found[1]], markup=markup), word)
    texts = {form: in_jinja(text, given, markup=markup) for form, text in word.items()}
    last = texts.pop("other")
    if not texts:
        return last
    # The plus keeps the line's own spaces and its end: blocks that stand alone on a line are taken out with both.
    parts = [f'{{%+ if {given[COUNT]}|plural_form == "{form}" +%}}{text}' for form, text in texts.items()]
    return "".join([parts[0], *(one.replace("+ if", "+ elif", 1) for one in parts[1:]), f"{{%+ else +%}}{last}"]) + (
        "{%+ endif +%}"
    )


def _printed(expression: str, *, markup: bool) -> str:
    shown = f"{{{{ {expression} }}}}"
    return f"<bdi>{shown}</bdi>" if markup and not _WRITTEN.search(expression) else shown


class Wording(msgspec.Struct, frozen=True):
    """The words of reports in one language, for what is not a template. ``locale`` is the language they are in."""

    locale: str
    by_name: Mapping[str, Word]

    @property
    def direction(self) -> str:
        """``ltr`` or ``rtl``."""
        return direction(self.locale)

    def say(self, name: str, count: Decimal | None = None, /, **values: str) -> str:
        """One word with its values in place; ``count`` chooses its plural.

        A value that is written the other way is isolated, so that it does not turn the words round.
        """
        word = self.by_name[name]
        text = word if isinstance(word, str) else plural_text(count or Decimal(0), word, self.locale)
        return _VALUE.sub(lambda found: isolated(values[found[1]], self.direction), text)


def wording(locale: str) -> Wording:
    """The words of reports for a locale, else for one that stands in for it, else in English.

    >>> wording("de-AT").say("of", current="3", target="8"), wording("is").locale
    ('3 von 8', 'en')
    """
    words = report_words()
    found = next((one for one in chain(locale) if one in words), OURS)
    return Wording(found, words[found])


def languages() -> Iterator[str]:
    """The languages that reports are written in."""
    return iter(report_words())


@lru_cache(maxsize=1)
def report_words() -> Words:
    """The words of reports, which come with Ringfirst."""
    place = Path(__file__).with_name("report_words.yml")
    words, findings = read_words(place.name, place.read_text(encoding="utf-8"))
    if findings:
        raise ValueError(f"{place.name}: {findings[0].message}; install Ringfirst anew")
    return words
