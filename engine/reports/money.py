"""Money: exact amounts by currency, rounded once to what the currency has, and never added across currencies."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

Money = Mapping[str, Decimal]
"""Rounded amounts by currency; empty is nothing at all."""


def rounded(amount: Fraction, currency: str) -> Decimal:
    """An exact amount in the currency's smallest coin, half to even.

    >>> rounded(Fraction(465, 2), "EUR"), rounded(Fraction(1, 3), "JPY"), rounded(Fraction(1, 8), "EUR")
    (Decimal('232.50'), Decimal('0'), Decimal('0.12'))
    """
    digits = _digits(currency)
    return Decimal(round(amount * 10**digits)).scaleb(-digits)


def added(parts: Iterable[Money]) -> dict[str, Decimal]:
    """The sum for each currency: what stands below the parts is what a reader gets by adding them up.

    >>> added([{"EUR": Decimal("1.10")}, {"EUR": Decimal("0.05"), "USD": Decimal("3.00")}])
    {'EUR': Decimal('1.15'), 'USD': Decimal('3.00')}
    """
    found: dict[str, Decimal] = {}
    for part in parts:
        for currency, amount in part.items():
            found[currency] = found.get(currency, Decimal(0)) + amount
    return dict(sorted(found.items()))


@lru_cache(maxsize=512)
def _digits(currency: str) -> int:
    from babel.numbers import get_currency_precision  # noqa: PLC0415 - it takes long to import

    return get_currency_precision(currency)
