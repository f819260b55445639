"""Which days are public holidays, from the pinned ``holidays`` package alone: no network, a year at a time, kept."""

from functools import lru_cache

from engine.rulebook.findings import listed, suggestion
from engine.zones import Day, date_of, day_of


def is_holiday(codes: tuple[str, ...], day: Day) -> bool:
    """Whether a calendar day is a public holiday in one of these places (``DE``, ``DE-BY``).

    A country alone has the holidays of the whole country only. Years that the package knows nothing of have none.

    >>> from datetime import date
    >>> is_holiday(("DE",), day_of(date(2026, 1, 6))), is_holiday(("DE-BY",), day_of(date(2026, 1, 6)))
    (False, True)
    """
    return any(day in _of_year(code, date_of(day).year) for code in codes)


def wrong_code(code: str) -> str | None:
    """Say why a code names no place that the package knows, with what to write instead; None: it is right.

    >>> wrong_code("DE-BY"), wrong_code("DE-XX")[:27]
    (None, "'DE-XX' names no part of DE")
    """
    from holidays import list_supported_countries  # noqa: PLC0415 - a tenth of a second that most commands never need

    country, dash, part = code.partition("-")
    places = list_supported_countries(include_aliases=False)
    if country not in places:
        near = suggestion(country, places) if country.isascii() else ""
        return f"'{code[:40]}' names no country{near or '; write one by two letters, as DE, or a part of it, as DE-BY'}"
    if dash and part not in places[country]:
        return f"'{code[:40]}' names no part of {country}; it takes {listed(places[country]) or 'none'}"
    return None


@lru_cache(maxsize=4096)
def _of_year(code: str, year: int) -> frozenset[Day]:
    from holidays import country_holidays  # noqa: PLC0415 - as above

    country, _, part = code.partition("-")
    return frozenset(day_of(day) for day in country_holidays(country, subdiv=part or None, years=year))
