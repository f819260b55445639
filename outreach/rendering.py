"""Rendering: a template and a context of plain values become subject, text and HTML, always the same bytes."""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

import jinja2
import msgspec

from engine.errors import TemplateError
from outreach.locales import LOCALE, OURS, format_locale
from outreach.sandbox import METER, Meter, MissingValue, sandbox
from outreach.template import Template, every_variant
from outreach.variants import choose

LARGEST_OUTPUT = 200 * 1024
"""Bytes of one rendered part. Gmail clips near 102 KB (hteumeuleu/email-bugs#41)."""
LONGEST_HEADER = 150
_TOO_LARGE = "the mail is larger than 200 KB; nobody reads that; print less"
_BLANK_LINES = re.compile(r"\n{3,}")
_NO_HEADER = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""The categories Cc, Zl, Zp and Cs of Unicode."""
_TRAILING = re.compile(r"[ \t]+$", re.MULTILINE)


class Rendered(msgspec.Struct, frozen=True):
    """The words of one mail: ``subject`` is one line, ``text`` and ``html`` end in a newline.

    ``preview`` is what inboxes show beside the subject; empty when the template has none.
    """

    subject: str
    text: str
    html: str
    preview: str = ""


def render(template: Template, context: Mapping[str, Any]) -> Rendered:
    """Render a mail, in the variant for its reader. The same context gives the same bytes.

    Raises ``MissingValue`` (a ``TemplateError`` with the ``name``) when a value that is printed or reckoned with is
    null or absent, ``TemplateError`` for anything else a template cannot do.
    """
    values = plain(context)
    template = variant_for(template, values)
    values[LOCALE] = format_locale(values.get(LOCALE) or OURS, template.locale)
    subject = clean_header(" ".join(_part(template.subject, values, html=False).split(" ")).strip())
    if not subject:
        raise TemplateError(f"{template.path}/subject.txt: the subject is empty; found no words; write one")
    text = _tidy(_part(template.text, values, html=False))
    preview = " ".join(_part(template.preview, values, html=False).split())
    return Rendered(subject, text, _part(template.html, values, html=True).strip() + "\n", preview)


def variant_for(template: Template, context: Mapping[str, Any]) -> Template:
    """The variant of a template that the reader of a context gets; a function of the context alone."""
    if not template.variants:
        return template
    fits = choose([one.fits for one in every_variant(template)], context, template.locale, template.manifest.needs)
    return next(one for one in every_variant(template) if one.fits == fits)


def clean_header(text: str) -> str:
    """Give a header's text back, at most 150 characters. Raises ``TemplateError`` for anything that could end a header.

    EmailMessage refuses CR and LF, other transports do not (FAULTS 6), so it is refused here, for all of them: control
    characters, U+2028 and U+2029. What begins an encoded word (RFC 2047) is parted: EmailMessage reads one, and writes
    what it hides as it is, line breaks too.

    >>> clean_header("Tomorrow at 10:00"), clean_header("=?utf-8?q?a=0D=0ABcc:_b@b.example?=")
    ('Tomorrow at 10:00', '= ?utf-8?q?a=0D=0ABcc:_b@b.example?=')
    """
    if _NO_HEADER.search(text):
        raise TemplateError("a header carries a control character; found a line break or the like; mend the value")
    text = text.replace("=?", "= ?")
    return text if len(text) <= LONGEST_HEADER else text[: LONGEST_HEADER - 1].rstrip() + "…"


def plain(value: Any, depth: int = 0) -> Any:
    """Copy a context, plain dicts, lists, text and numbers only. Raises ``TemplateError`` for anything with methods."""
    if value is None or type(value) in (str, int, float, bool) or isinstance(value, Decimal):
        return value
    if depth > 20:  # noqa: PLR2004, the depth of an event
        raise TemplateError("a context is nested too deeply; more than 20 levels; hand in flatter values")
    if isinstance(value, dict | Mapping):  # a dict is told at once, any other mapping slowly
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    raise TemplateError(f"a context holds plain values; found {type(value).__name__}; hand in its parts")


def _part(source: str, context: dict[str, Any], *, html: bool) -> str:
    pieces: list[str] = []
    size = 0
    try:
        for piece in _compiled(source, html).generate({**context, METER: Meter()}):
            size += len(piece)
            if size > LARGEST_OUTPUT:
                raise TemplateError(_TOO_LARGE)
            pieces.append(piece)
    except TemplateError:
        raise
    except jinja2.UndefinedError as err:
        raise MissingValue("a value") from err  # names are known wherever Reader wrapped a read; this is for the rest
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, RecursionError) as err:
        raise TemplateError(f"the template cannot be rendered; {type(err).__name__}; run check on it") from err
    whole = "".join(pieces)
    if not whole.isascii() and len(whole.encode("utf-8", "replace")) > LARGEST_OUTPUT:
        raise TemplateError(_TOO_LARGE)
    return whole


@lru_cache(maxsize=512)
def _compiled(source: str, html: bool) -> jinja2.Template:  # noqa: FBT001, a key of the cache
    return sandbox(html=html).from_string(source)


def _tidy(text: str) -> str:
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    return _BLANK_LINES.sub("\n\n", _TRAILING.sub("", unified)).strip("\n") + "\n"
