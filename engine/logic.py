"""Three-valued logic and arithmetic, as in SQL: what generated conditions call. None is the unknown.

A comparison or arithmetic with an unknown is unknown; ``false and unknown`` is false, ``true or unknown`` is true.
Text, numbers, true/false and dates are different kinds: ``==`` between kinds is false, ``<`` is unknown, true is not 1.
"""

from collections.abc import Callable
from math import isfinite

from engine.values import Date, Value

Truth = bool | None


def eq(left: Value, right: Value) -> Truth:
    """``==``: false between kinds; dates by their instant."""
    if left is None or right is None:
        return None
    if type(left) is not type(right):
        return False
    if isinstance(left, Date) and isinstance(right, Date):
        return left.at == right.at
    return left == right


def ne(left: Value, right: Value) -> Truth:
    """``!=``: true between kinds."""
    return negate(eq(left, right))


def lt(left: Value, right: Value) -> Truth:
    """``<``: numbers, text by code point, dates by instant; unknown between kinds."""
    if isinstance(left, float) and isinstance(right, float):
        return left < right
    if isinstance(left, str) and isinstance(right, str):
        return left < right
    if isinstance(left, Date) and isinstance(right, Date):
        return left.at < right.at
    return None


def gt(left: Value, right: Value) -> Truth:
    """``>``."""
    if isinstance(left, float) and isinstance(right, float):
        return left > right
    return lt(right, left)


def le(left: Value, right: Value) -> Truth:
    """``<=``."""
    if isinstance(left, float) and isinstance(right, float):
        return left <= right
    return negate(lt(right, left))


def ge(left: Value, right: Value) -> Truth:
    """``>=``."""
    if isinstance(left, float) and isinstance(right, float):
        return left >= right
    return negate(lt(left, right))


def negate(value: Value) -> Truth:
    """``not``: the unknown stays unknown."""
    return None if value is None or not isinstance(value, bool) else not value


def both(*values: Value) -> Truth:
    """``and``.

    >>> both(True, None), both(False, None), both()
    (None, False, True)
    """
    unknown = False
    for value in values:
        if value is False:
            return False
        if value is not True:
            unknown = True
    return None if unknown else True


def either(*values: Value) -> Truth:
    """``or``.

    >>> either(True, None), either(False, None)
    (True, None)
    """
    unknown = False
    for value in values:
        if value is True:
            return True
        if value is not False:
            unknown = True
    return None if unknown else False


def among(value: Value, choices: Value) -> Truth:
    """``in``: one of the choices is equal."""
    if value is None or not isinstance(choices, tuple):
        return None
    return any(eq(value, _choice(choice)) is True for choice in choices)


def known(value: Value) -> bool:
    """``known(x)``."""
    return value is not None


def coalesce(*values: Value) -> Value:
    """``coalesce(x, y)``: the first that is known."""
    for value in values:
        if value is not None:
            return value
    return None


def add(left: Value, right: Value) -> Value:
    """``+`` of two numbers."""
    return _number(left, right, lambda a, b: a + b)


def sub(left: Value, right: Value) -> Value:
    """``-`` of two numbers."""
    return _number(left, right, lambda a, b: a - b)


def mul(left: Value, right: Value) -> Value:
    """``*`` of two numbers."""
    return _number(left, right, lambda a, b: a * b)


def div(left: Value, right: Value) -> Value:
    """``/``: division by zero is unknown."""
    return None if right == 0 else _number(left, right, lambda a, b: a / b)


def minus(value: Value) -> Value:
    """Unary ``-``."""
    return -value if isinstance(value, float) else None


def least(*values: Value) -> Value:
    """``min``: unknown if one of them is."""
    numbers = _numbers(values)
    return min(numbers) if numbers else None


def greatest(*values: Value) -> Value:
    """``max``: unknown if one of them is."""
    numbers = _numbers(values)
    return max(numbers) if numbers else None


def absolute(value: Value) -> Value:
    """``abs``."""
    return abs(value) if isinstance(value, float) else None


def rounded(value: Value, digits: Value = 0.0) -> Value:
    """``round(x)`` or ``round(x, digits)``: half to even, as Python does."""
    if not isinstance(value, float) or not isinstance(digits, float):
        return None
    return float(round(value, int(digits)))


def size(value: Value) -> Value:
    """``len`` of a text or a list."""
    return float(len(value)) if isinstance(value, (str, tuple)) else None


def _choice(raw: object) -> Value:
    return float(raw) if type(raw) is int else raw  # type: ignore[return-value]  # items of a list attribute are JSON


def _numbers(values: tuple[Value, ...]) -> list[float]:
    numbers = [value for value in values if isinstance(value, float)]
    return numbers if len(numbers) == len(values) else []


def _number(left: Value, right: Value, operate: Callable[[float, float], float]) -> Value:
    if not isinstance(left, float) or not isinstance(right, float):
        return None
    try:
        result = operate(left, right)
    except OverflowError:
        return None
    return result if isfinite(result) else None


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "eq": eq,
    "ne": ne,
    "lt": lt,
    "gt": gt,
    "le": le,
    "ge": ge,
    "negate": negate,
    "both": both,
    "either": either,
    "among": among,
    "known": known,
    "coalesce": coalesce,
    "add": add,
    "sub": sub,
    "mul": mul,
    "div": div,
    "minus": minus,
    "least": least,
    "greatest": greatest,
    "absolute": absolute,
    "rounded": rounded,
    "size": size,
}
"""Everything generated code may call, by the name it calls it."""
