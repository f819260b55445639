"""Exact numbers: an event's number is a whole number of millionths, so that no order of events changes a sum."""

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

MILLION = 1_000_000
INTEGER_LIMIT = 9 * 10**12
DECIMAL_LIMIT = 9 * 10**9
_MILLIONTH = Decimal("0.000001")
_LARGEST_EXPONENT = 14

Millionths = int
Exact = int | Fraction
"""Millionths without any rounding: whole, or a fraction where ``per`` or ``times`` made one."""


def millionths(number: object) -> Millionths | None:
    """Turn a JSON number into millionths (half-even); None for what is no number or lies outside the limits.

    >>> millionths(Decimal("0.0000015")), millionths(5), millionths(True), millionths(10**13)
    (2, 5000000, None, None)
    """
    if type(number) is int:
        return number * MILLION if -INTEGER_LIMIT <= number <= INTEGER_LIMIT else None
    if isinstance(number, Decimal):
        return _of_decimal(number)
    return None


def to_double(amount: int, divisor: int = 1) -> float:
    """The double nearest to ``amount`` / (``divisor`` x one million): the one place where exactness ends."""
    return amount / (divisor * MILLION)


def scaled(amount: int, scale: Fraction) -> float:
    """The double nearest to ``amount`` millionths times ``scale``."""
    return (amount * scale.numerator) / (scale.denominator * MILLION)


def plain(number: float) -> int | float:
    """A double as people and JSON read it: whole numbers without a point.

    >>> plain(3.0), plain(0.5)
    (3, 0.5)
    """
    return int(number) if number.is_integer() and abs(number) < 2**63 else number


def exactly(value: float) -> Millionths:
    """The millionths that a double stands for.

    >>> exactly(1.5)
    1500000
    """
    return int(value) * MILLION if value.is_integer() else round(value * MILLION)


def _of_decimal(number: Decimal) -> Millionths | None:
    if not number.is_finite() or number.adjusted() > _LARGEST_EXPONENT:
        return None
    if number == number.to_integral_value():
        return millionths(int(number))
    if abs(number) > DECIMAL_LIMIT:
        return None
    return int(number.quantize(_MILLIONTH, rounding=ROUND_HALF_EVEN).scaleb(6))
