"""The words of the pages that readers see, in the language of the mail that led them there."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml

from engine.store import Store
from outreach.context import Sender, reader_locale
from outreach.locales import OURS, chain


class Words(NamedTuple):
    """The words by name, and the locale that they are written in."""

    locale: str
    by_name: Mapping[str, str]


def words_in(locale: str) -> Words:
    """The words for a locale, else for one that stands in for it, else in English.

    >>> words_in("de-AT").locale, words_in("is").locale
    ('de', 'en')
    """
    known = _known()
    found = next((one for one in chain(locale) if one in known), OURS)
    return Words(found, known[found])


def words_for(store: Store, sender: Sender, mail_id: str) -> Words:
    """The words for the reader of a mail, as its template chose them; of one that is gone, those of the sender."""
    rows = store.outreach(outreach_id=mail_id)
    if not rows:
        return words_in(reader_locale({}, {}, sender))
    row = rows[0]
    account = row.frozen.get("account")
    frozen = (row.frozen.get("people") or {}).get(row.to) or {}
    you = {**frozen, **store.people(row.account_id).get(row.to, {})}
    return words_in(reader_locale(you, account if isinstance(account, dict) else {}, sender))


@cache
def _known() -> Mapping[str, Mapping[str, str]]:
    found: dict[str, dict[str, str]] = yaml.safe_load((Path(__file__).parent / "words.yml").read_text("utf-8"))
    return found
