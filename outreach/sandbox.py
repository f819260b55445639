"""The box that templates run in: plain values, strict reads, and a price on everything that can grow.

Jinja's sandbox alone stops ``__class__`` but neither ``'a' * 10**9`` nor nested loops nor a method of what it is
handed (FAULTS 6). Here a dict has no methods, nothing can be called but ``range``, arithmetic and loops are capped.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes, pass_context
from jinja2.filters import FILTERS as DEFAULT_FILTERS
from jinja2.runtime import Context, LoopContext, StrictUndefined, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS as DEFAULT_TESTS
from jinja2.utils import missing

from engine.errors import TemplateError
from outreach.bidi import finalized_html, finalized_text
from outreach.filters import FILTERS, LONGEST_TEXT
from outreach.names import Read, Reader, Refusal

STEPS = 20_000
"""How many times the bodies of all loops of one part may run."""
LONGEST_RANGE = 1_000
LARGEST_NUMBER = 10**15
LARGEST_EXPONENT = 20
METER = "_meter"
"""Key of the context under which a rendering counts its steps; a template cannot read it."""
_STEP = "a template may loop 20,000 times in all; this one goes on; loop over fewer things"

_BUILTIN_FILTERS = ("abs", "capitalize", "default", "first", "last", "length", "lower", "trim", "upper", "urlencode")
_BUILTIN_TESTS = (
    "defined",
    "undefined",
    "even",
    "odd",
    "number",
    "string",
    "in",
    "==",
    "eq",
    "equalto",
    "!=",
    "ne",
    ">",
    "gt",
    "greaterthan",
    ">=",
    "ge",
    "<",
    "lt",
    "lessthan",
    "<=",
    "le",
)


_NUMBERS = frozenset({int, float, Decimal})
_PLAIN = frozenset({str, int, float, Decimal})
_MAPPINGS = (dict, Mapping)
_OF_LOOPS = frozenset({"first", "last", "index", "index0", "length", "revindex", "revindex0"})
"""What a loop knows of itself that is a plain value."""


class MissingValue(TemplateError, jinja2.TemplateRuntimeError):
    """A template prints or uses a value that its decision does not know; the mail is held for the rule's owner.

    ``name`` is the dotted name. Remedy: test it (``{% if account.renewal %}``), give it a ``default``, or let the
    rule ask for it (``known(renewal)``).
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"template misses {name}")
        self.name = name


class TemplateRefused(TemplateError):
    """A template does what templates may not; ``refusals`` says where. Remedy: ``ringfirst check``."""

    def __init__(self, refusals: list[Refusal]) -> None:
        super().__init__("; ".join(f"line {refusal.line}: {refusal.message}" for refusal in refusals))
        self.refusals = refusals


class Unknown(StrictUndefined):
    """A value that is null or not there: false in a test, missing wherever it would be printed or reckoned with."""

    __slots__ = ()

    def __bool__(self) -> bool:  # type: ignore[override]  # the one question an unknown value answers
        return False


class Meter:
    """Counts the steps of one rendering."""

    __slots__ = ("steps",)

    def __init__(self) -> None:
        self.steps = 0

    def charge(self, steps: int) -> None:
        """Count ``steps`` more; raises ``TemplateError`` beyond ``STEPS``."""
        self.steps += steps
        if self.steps > STEPS:
            raise TemplateError(_STEP)


class Sandbox(ImmutableSandboxedEnvironment):
    """An environment for untrusted templates over plain values."""

    intercepted_binops = frozenset(["+", "-", "*", "/", "//", "%", "**"])

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        _read(tree)
        return tree

    def reads(self, source: str) -> tuple[Read, ...]:
        """Every name a template reads, by line. Raises ``TemplateRefused`` and Jinja's own syntax errors."""
        self.compile(source)
        return tuple(sorted(set(_read(super()._parse(source, None, None)).reads)))

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Read a key of a dict; nothing else has attributes."""
        if type(obj) is dict and attribute in obj:  # nearly always; all else is for the long way
            return obj[attribute]
        if isinstance(obj, LoopContext):
            return getattr(obj, attribute) if attribute in _OF_LOOPS else super().getattr(obj, attribute)
        return self._item(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Read a key of a dict or an element of a list."""
        if isinstance(obj, list) and isinstance(argument, int) and -len(obj) <= argument < len(obj):
            return obj[argument]
        return self._item(obj, argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Reckon with numbers of at most 10^15, put together texts of at most 10,000 characters, and nothing else."""
        if type(left) in _NUMBERS and type(right) in _NUMBERS:
            return self._reckoned(context, operator, left, right)
        for side in (left, right):
            if isinstance(side, Undefined):
                str(side)
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return left + right if len(left) + len(right) <= LONGEST_TEXT else _too_much()
        if not (_is_number(left) and _is_number(right)):
            raise TemplateError(f"'{operator}' takes numbers; found something else; print the parts side by side")
        return self._reckoned(context, operator, left, right)

    def _reckoned(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        most = LARGEST_EXPONENT if operator == "**" else LARGEST_NUMBER
        if abs(left) > LARGEST_NUMBER or abs(right) > most:
            _too_much()
        if isinstance(left, Decimal) != isinstance(right, Decimal):
            left, right = Decimal(str(left)), Decimal(str(right))
        try:
            result = super().call_binop(context, operator, left, right)
        except ArithmeticError as err:
            raise TemplateError(f"'{operator}' has no result; found a zero; test it before") from err
        if isinstance(result, complex) or abs(result) > LARGEST_NUMBER:
            _too_much()
        return result

    def _item(self, obj: Any, key: Any) -> Any:
        if isinstance(obj, Undefined):
            return obj
        if isinstance(obj, _MAPPINGS) and isinstance(key, str) and key in obj:
            return obj[key]
        return self.undefined(obj=obj, name=str(key))


def _read(tree: nodes.Template) -> Reader:
    reader = Reader()
    reader.visit(tree)
    if reader.refusals:
        raise TemplateRefused(reader.refusals)
    return reader


@lru_cache(maxsize=2)
def sandbox(*, html: bool) -> Sandbox:
    """Make the environment for HTML (values are escaped) or for plain text."""
    made = Sandbox(
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        cache_size=0,
        finalize=finalized_html if html else finalized_text,
    )
    made.filters = {name: DEFAULT_FILTERS[name] for name in _BUILTIN_FILTERS} | FILTERS | _STRICT
    made.tests = {name: DEFAULT_TESTS[name] for name in _BUILTIN_TESTS}
    made.globals = {"range": _range}
    return made


def value_of(value: Any, name: str) -> Any:
    """Give a value that was read under ``name``: null and absent become ``Unknown``, a name of nothing stays strict.

    A name that has a value and names below it (a score ``health`` beside ``health.band``) keeps its own value under "".
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, dict) and "" in value:
        value = value[""]
    if value is None:
        return Unknown(hint=name, exc=MissingValue)
    if isinstance(value, Undefined):
        kind = StrictUndefined if value._undefined_obj is missing else Unknown  # noqa: SLF001, Jinja's own way to ask
        return kind(hint=name, exc=MissingValue)
    return value


def shown(value: Any, name: str) -> Any:
    """Let text and numbers be printed. Raises ``MissingValue``, and ``TemplateError`` for a whole dict or list."""
    if type(value) in _PLAIN:
        return value
    if value is None or isinstance(value, Undefined):
        raise MissingValue(name)
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise TemplateError(f"{name} is no text and no number; found {type(value).__name__}; print one of its parts")
    return value


@pass_context
def counted(context: Context, value: Any) -> list[Any]:
    """Let a list be looped over, and charge its length. Raises ``MissingValue`` or ``TemplateError``."""
    if isinstance(value, Undefined):
        iter(value)
    if not isinstance(value, list | range):
        raise TemplateError("a loop runs over a list; found something else; print it instead")
    context[METER].charge(len(value))
    return list(value)


_STRICT: dict[str, Callable[..., Any]] = {"value_of": value_of, "shown": shown, "counted": counted}


def _range(*arguments: int) -> range:
    if not 1 <= len(arguments) <= 3 or not all(type(number) is int for number in arguments) or arguments[2:] == (0,):  # noqa: PLR2004
        raise TemplateError("range takes one to three whole numbers; found something else; write range(5)")
    made = range(*arguments)
    if max(map(abs, arguments)) > LARGEST_NUMBER or len(made) > LONGEST_RANGE:
        raise TemplateError("range(...) is too long; more than 1,000 were asked for; write fewer")
    return made


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _too_much() -> NoReturn:
    raise TemplateError("a value grows too large; texts end at 10,000 characters, numbers at 10^15; compute less")


def parse_error(err: Exception) -> tuple[int, str]:
    """Say on which line a template cannot be read, and why."""
    if isinstance(err, jinja2.TemplateSyntaxError):
        return err.lineno, err.message or "this is not Jinja"
    return 1, "nested too deeply or too large a number; write it simpler"
