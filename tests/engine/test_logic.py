"""Three-valued logic against SQL's own: SQLite says what unknown means, and the engine says the same."""

import sqlite3
from collections.abc import Callable, Iterator
from itertools import product
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import logic
from engine.logic import Truth
from engine.rulebook.expressions import parse, source
from engine.values import Date, Value

TRUTHS: tuple[Truth, ...] = (True, False, None)
NUMBERS: tuple[Value, ...] = (0.0, 1.0, -1.0, 0.5, None)
KINDS: dict[str, Value] = {"number": 1.0, "text": "1", "true/false": True, "date": Date(1), "list": ("1",)}


@pytest.fixture(scope="module")
def sql() -> Iterator[Callable[..., object]]:
    """What SQL says of an expression with ``?`` for values."""
    connection = sqlite3.connect(":memory:")
    yield lambda text, *values: connection.execute(f"SELECT {text}", values).fetchone()[0]
    connection.close()


def as_truth(found: object) -> Truth:
    return None if found is None else bool(found)


@pytest.mark.parametrize(("left", "right"), list(product(TRUTHS, TRUTHS)))
def test_and_or_and_not_are_those_of_sql(sql: Callable[..., object], left: Truth, right: Truth) -> None:
    assert logic.both(left, right) is as_truth(sql("? AND ?", left, right))
    assert logic.either(left, right) is as_truth(sql("? OR ?", left, right))
    assert logic.negate(left) is as_truth(sql("NOT ?", left))


@pytest.mark.parametrize(
    ("function", "operator"),
    [
        pytest.param(logic.eq, "=", id="equal"),
        pytest.param(logic.ne, "<>", id="different"),
        pytest.param(logic.lt, "<", id="less"),
        pytest.param(logic.le, "<=", id="less or equal"),
        pytest.param(logic.gt, ">", id="greater"),
        pytest.param(logic.ge, ">=", id="greater or equal"),
    ],
)
@pytest.mark.parametrize("values", [NUMBERS, ("a", "B", "", None)], ids=["numbers", "text"])
def test_comparisons_are_those_of_sql(
    sql: Callable[..., object], function: Callable[..., Truth], operator: str, values: tuple[Value, ...]
) -> None:
    for left, right in product(values, values):
        assert function(left, right) is as_truth(sql(f"? {operator} ?", left, right)), (left, right)


@pytest.mark.parametrize(
    ("function", "operator"),
    [
        pytest.param(logic.add, "+", id="plus"),
        pytest.param(logic.sub, "-", id="minus"),
        pytest.param(logic.mul, "*", id="times"),
        pytest.param(logic.div, "/", id="divided by"),
    ],
)
def test_arithmetic_is_that_of_sql(sql: Callable[..., object], function: Callable[..., Value], operator: str) -> None:
    for left, right in product(NUMBERS, NUMBERS):
        assert function(left, right) == sql(f"? {operator} ?", left, right), (left, right)


def test_coalesce_is_that_of_sql(sql: Callable[..., object]) -> None:
    for values in product(NUMBERS, NUMBERS, NUMBERS):
        assert logic.coalesce(*values) == sql("coalesce(?, ?, ?)", *values)


@given(st.lists(st.sampled_from(TRUTHS), max_size=6))
def test_of_many_truths_no_order_matters(truths: list[Truth]) -> None:
    assert logic.both(*truths) is logic.both(*reversed(truths))
    assert logic.either(*truths) is logic.either(*reversed(truths))
    assert logic.negate(logic.both(*truths)) is logic.either(*map(logic.negate, truths))


@given(st.lists(st.sampled_from(TRUTHS), min_size=1, max_size=5), st.data())
def test_what_is_sure_stays_so_when_the_unknown_becomes_known(truths: list[Truth], data: st.DataObject) -> None:
    told = [data.draw(st.booleans()) if truth is None else truth for truth in truths]
    for function in (logic.both, logic.either):
        if function(*truths) is not None:
            assert function(*told) is function(*truths)


@pytest.mark.parametrize(("left", "right"), [pair for pair in product(KINDS, KINDS) if pair[0] != pair[1]])
def test_values_of_two_kinds_are_different_and_have_no_order(left: str, right: str) -> None:
    one, other = KINDS[left], KINDS[right]
    assert logic.eq(one, other) is False
    assert logic.ne(one, other) is True
    assert logic.lt(one, other) is logic.le(one, other) is logic.gt(one, other) is logic.ge(one, other) is None
    assert logic.add(one, other) is None


def test_true_is_not_one() -> None:
    assert logic.eq(True, 1.0) is False
    assert logic.among(True, (1,)) is False
    assert logic.add(True, 1.0) is None


def test_two_spellings_of_one_instant_are_one_date() -> None:
    assert logic.eq(Date(86_400_000, 1), Date(86_400_000)) is True
    assert logic.lt(Date(1), Date(2)) is True


def test_text_is_ordered_by_code_point() -> None:
    assert logic.lt("Z", "a") is True
    assert logic.lt("z", "é") is True


@pytest.mark.parametrize(
    ("value", "choices", "expected"),
    [
        pytest.param("pro", ("free", "pro"), True, id="inside"),
        pytest.param("team", ("free", "pro"), False, id="outside"),
        pytest.param(None, ("free",), None, id="unknown"),
        pytest.param("pro", None, None, id="in an unknown list"),
        pytest.param("pro", "pro", None, id="in what is no list"),
        pytest.param(1.0, (1,), True, id="a number in a list of an event"),
        pytest.param(1.0, ("1",), False, id="a number among texts"),
        pytest.param("pro", (), False, id="in an empty list"),
        pytest.param("pro", (None, "pro"), True, id="beside a null"),
        pytest.param("pro", (["pro"],), False, id="beside a nested list"),
    ],
)
def test_in_asks_for_an_equal_one(value: Value, choices: Value, expected: Truth) -> None:
    assert logic.among(value, choices) is expected


def test_what_overflows_is_unknown_and_never_infinite() -> None:
    assert logic.mul(1e300, 1e300) is None
    assert logic.add(1.7e308, 1.7e308) is None
    assert logic.div(1e300, 1e-300) is None
    assert logic.sub(-1.7e308, 1.7e308) is None


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_no_arithmetic_gives_what_is_no_number(left: float, right: float) -> None:
    for function in (logic.add, logic.sub, logic.mul, logic.div):
        found = function(left, right)
        assert found is None or (isinstance(found, float) and isfinite(found))


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        pytest.param(2.5, 0.0, 2.0, id="half to even, down"),
        pytest.param(3.5, 0.0, 4.0, id="half to even, up"),
        pytest.param(2.675, 2.0, 2.67, id="the double, not its spelling"),
        pytest.param(None, 0.0, None, id="unknown"),
        pytest.param("2", 0.0, None, id="text"),
    ],
)
def test_round_is_pythons(value: Value, digits: Value, expected: Value) -> None:
    assert logic.rounded(value, digits) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("é!", 2.0), (("a",), 1.0), ((), 0.0), (None, None), (5.0, None), (True, None)]
)
def test_len_counts_text_and_lists(value: Value, expected: Value) -> None:
    assert logic.size(value) == expected


def test_the_least_of_something_unknown_is_unknown() -> None:
    assert logic.least(1.0, None) is None
    assert logic.greatest(1.0, "2") is None
    assert logic.least(3.0, 1.0, 2.0) == 1.0
    assert logic.greatest(3.0, 1.0, 2.0) == 3.0


def test_known_is_never_unknown() -> None:
    assert logic.known(None) is False
    assert logic.known(False) is True


# -- whole conditions ------------------------------------------------------------------------------------------------


def truth_of(text: str, **values: Value) -> Value:
    texts: list[str] = []
    code = source(parse(text), lambda name: f"v[{name!r}]", texts)
    found: Value = eval(code, {"__builtins__": {}, "v": values, "T": texts, **logic.FUNCTIONS})
    return found


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        pytest.param("a >= 10 and b == 0", {"a": 10.0, "b": 0.0}, True, id="both"),
        pytest.param("a > 1 or b > 1", {"a": None, "b": 2.0}, True, id="true or unknown"),
        pytest.param("a > 1 and b > 1", {"a": None, "b": 1.0}, False, id="false and unknown"),
        pytest.param("not a > 1", {"a": None}, None, id="not unknown"),
        pytest.param("0 <= a <= 60", {"a": 60.0}, True, id="a chain"),
        pytest.param("0 <= a <= 60", {"a": -1.0}, False, id="a chain that breaks"),
        pytest.param("0 < a < b", {"a": 0.0, "b": None}, False, id="a chain that breaks before the unknown"),
        pytest.param('plan != "pro"', {"plan": None}, None, id="no plan is known"),
        pytest.param('not known(plan) or plan != "pro"', {"plan": None}, True, id="what it means is said"),
        pytest.param("known(a) and a > 1", {"a": None}, False, id="known first"),
        pytest.param("coalesce(a, 0) == 0", {"a": None}, True, id="instead of unknown"),
        pytest.param("a / b > 1", {"a": 1.0, "b": 0.0}, None, id="divided by zero"),
        pytest.param('plan in ["pro", "team"]', {"plan": "team"}, True, id="in a list"),
        pytest.param('plan not in ["pro"]', {"plan": None}, None, id="unknown in a list"),
        pytest.param("-a < -1", {"a": 2.0}, True, id="a minus"),
        pytest.param("+a == 2", {"a": 2.0}, True, id="a plus"),
        pytest.param("2 + 3 * 4 == 14", {}, True, id="times before plus"),
        pytest.param("(2 + 3) * 4 == 20", {}, True, id="brackets"),
        pytest.param("a == true", {"a": True}, True, id="true is a word"),
        pytest.param("a == true", {"a": 1.0}, False, id="true is not 1"),
        pytest.param('a == "true"', {"a": True}, False, id="true is not text"),
        pytest.param("0.1 + 0.2 == 0.3", {}, False, id="doubles, in the order written"),
    ],
)
def test_a_condition_means_what_it_says(text: str, values: dict[str, Value], expected: Value) -> None:
    assert truth_of(text, **values) is expected
