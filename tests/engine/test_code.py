"""Generated code is built from the checked tree alone: no text of a rulebook ever reaches ``compile``."""

import ast
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.logic import FUNCTIONS
from engine.program import Program
from engine.rulebook.book import load_rulebook
from engine.rulebook.expressions import ExpressionError, parse, source
from tests.judge import product

EXPRESSION = r"[a-z0-9_, ()\[\].TF-]+"
CODE = re.compile(
    rf"def c\d+\(v, s\):\n((    l\d+ = {EXPRESSION}|    if {EXPRESSION}:|    +return {EXPRESSION}[a-z]*)\n)+"
)
"""A function of the generated code: nothing but places, numbers and calls; no quote ever."""
HOSTILE = (
    "__import__('os').system('true')",
    "x\n    import os",
    '"); import os; ("',
    "T[0]) or __import__('os') or (T[0]",
    "{v[0]}",
    "\\",
    "'''",
    "#",
    "\u2028import os",
    "\N{RIGHT-TO-LEFT OVERRIDE}",
    "%s %(x)s {0}",
)
NAMES = ("T", "v", "s", "c0", "eq", "both", "def_", "os", "builtins", "lambda_", "exec", "eval", "import_", "self")


def book(**more: Any) -> dict[str, Any]:
    rule = {
        "id": "r",
        "owner": "o@ringfirst.example",
        "when": ["true"],
        "notify": {"template": "n", "to": "rule owner"},
    }
    return {"rules": [rule], **more}


def codes(program: Program) -> list[str]:
    """The code of every function of a program, without the comments that people read."""
    found = []
    for text in program.listing:
        code = text[text.index("\ndef ") + 1 :]
        assert CODE.fullmatch(code), code
        found.append(code)
    return found


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_condition_reaches_the_code(text: str) -> None:
    line = f"plan == {text!r}" if "\u2028" not in text else "plan == " + ascii(text)
    rules = book()["rules"]
    rules[0]["when"] = [line]
    program = Program(product.book_of(book(rules=rules)))
    assert text in program.texts
    assert "eq(v[0], T[0])" in codes(program)[0]
    assert "os" not in "".join(codes(program))


@pytest.mark.parametrize("name", NAMES)
def test_names_that_look_like_code_are_slots(name: str) -> None:
    rules = book()["rules"]
    rules[0]["when"] = [f"{name} >= 1"]
    program = Program(product.book_of(book(rules=rules, measures={name: {"count": "feature.used"}})))
    assert "ge(v[0], 1.0)" in codes(program)[0]


def test_generated_code_can_call_nothing_but_the_logic() -> None:
    rules = book()["rules"]
    rules[0]["when"] = ['coalesce(seats, 0) * 2 - 1 >= 3 and plan in ["a", "b"]', "not known(plan) or len(plan) < 5"]
    rules[0]["unless"] = ["known(seats) and abs(seats) > 100"]
    program = Program(product.book_of(book(rules=rules)))
    called = set()
    for code in codes(program):
        for node in ast.walk(ast.parse(code)):
            assert not isinstance(node, (ast.Attribute, ast.Import, ast.Lambda, ast.JoinedStr))
            if isinstance(node, ast.Call):
                assert isinstance(node.func, ast.Name)
                called.add(node.func.id)
            if isinstance(node, ast.Constant):
                assert isinstance(node.value, (int, float, bool))
    assert called <= set(FUNCTIONS)


def test_what_is_generated_has_no_builtins() -> None:
    program = Program(product.book_of(book()))
    assert program.rules[0].when.__globals__["__builtins__"] == {}


def test_the_code_can_be_read() -> None:
    rules = book()["rules"]
    rules[0]["when"] = ["uses >= 10", 'plan == "pro"']
    shown = Program(product.book_of(book(rules=rules, measures={"uses": {"count": "feature.used"}}))).show()
    lines = shown.splitlines()
    assert lines[:5] == ["# v[0] = uses", "# v[1] = plan", "# T[0] = 'pro'", "", "# r when"]
    assert '# r when 2: plan == "pro"' in lines
    assert "ge(v[0], 10.0)" in shown
    assert "eq(v[1], T[0])" in shown
    assert len(ast.parse(shown).body) == shown.count("\ndef ")


def test_what_people_read_cannot_break_out_of_its_comment() -> None:
    rules = book()["rules"]
    rules[0]["when"] = ["plan ==\n'x'\n"]
    files = {"rules/all.yml": yaml.dump(book(rules=rules)), "templates/n/template.yml": "for: staff\n"}
    found, _ = load_rulebook(files, duties=False)
    if found is not None:
        for text in Program(found).listing:
            comment, _, code = text.partition("\ndef ")
            assert comment.startswith("# ")
            assert "\n" not in comment
            assert CODE.fullmatch("def " + code)


@given(st.text(max_size=60))
def test_whatever_stands_in_a_condition_the_code_is_only_calls(text: str) -> None:
    try:
        term = parse(text)
    except ExpressionError:
        return
    texts: list[str] = []
    code = source(term, lambda _name: "v[0]", texts)
    assert re.fullmatch(r"[\w\s()\[\],.+-]*", code, re.ASCII)
    compile(code, "<test>", "eval")


@given(
    st.recursive(
        st.sampled_from(["a", "b.c", "1", "0.5", '"x"', "true", "known(a)"]),
        lambda inner: (
            st.tuples(
                inner, st.sampled_from(["+", "-", "*", "/", "==", "<", "and", "or", "in", "if", "**", ":=", "."]), inner
            )
            .map(" ".join)
            .map("({})".format)
        ),
        max_leaves=8,
    )
)
def test_conditions_of_any_form_are_read_or_refused(text: str) -> None:
    offset = 0
    try:
        parse(text)
    except ExpressionError as err:
        offset = err.offset
    assert 0 <= offset <= len(text)


def test_dots_lead_into_data_and_never_into_python() -> None:
    term = parse("a.__class__.__mro__")
    assert term.names() == ["a.__class__.__mro__"]
    assert source(term, lambda _name: "v[0]", []) == "v[0]"


@pytest.mark.parametrize(
    "text",
    [
        "().__class__",
        "[x for x in a]",
        "lambda: 1",
        "(a := 1)",
        "f'{a}'",
        "a[0]",
        "a if b else c",
        "a ** b",
        "a % 2",
        "a // 2",
        "~a",
        "a is b",
        "{1: 2}",
        "{1}",
        "open('x')",
        "min(*a)",
        "min(a, key=b)",
        "(min)(a)(b)",
        "b'x' == a",
        "1j == a",
        "... == a",
        "None == a",
        "a == none",
        "await a",
        "yield",
        "a; b",
        "a = 1",
        "a & b",
        "a @ b",
        "1e999 > a",
        "99999999999999999999 > a",
        "a in []",
        "a in [b]",
        "a in (1)",
        "round(a, b)",
        "round(a, 7)",
        "known()",
        "coalesce(a)",
        "known(a, b)",
        "a\0b",
        "",
        "   ",
        "(" * 300,
        "a + " * 200 + "a",
        "-" * 200 + "a",
        "not " * 100 + "a",
        "a == " + "1" * 5000,
        "(" * 90 + "a" + ")" * 90 + "b",
    ],
)
def test_what_has_no_place_in_a_condition_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text)
