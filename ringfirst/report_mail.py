"""A report as the mail that its reader would get: what was computed, in the words of the template ``monthly-value``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import TemplateError, UsageError
from engine.rulebook.reporting import TEMPLATE
from outreach.context import Sender, reader_locale, sender_words
from outreach.filters import ZONE
from outreach.locales import LOCALE, format_locale
from outreach.rendering import Rendered, render, variant_for
from outreach.reported import report_context
from ringfirst.rulebooks import Folder


def write_mail(path: Path, found: dict[str, Any], traits: Mapping[str, object], folder: Folder, sender: Sender) -> None:
    """Write the HTML of a report's mail. Raises ``UsageError`` where that cannot be done."""
    try:
        html = report_mail(found, traits, folder, sender).html
    except TemplateError as err:
        raise UsageError(f"templates/{TEMPLATE}: {err}") from err
    write_file(path, html.encode(), "--html")


def write_pdf(path: Path, found: dict[str, Any], traits: Mapping[str, object], sender: Sender) -> str:
    """Write a report as PDF. Raises ``UsageError``. Returns the characters that no font here has."""
    from outreach.paper import pdf_of

    account = {**traits, "id": found["account_id"]}
    try:
        corrected = bool((found.get("issued") or {}).get("corrected_by"))
        made = pdf_of(found, reader_locale({}, account, sender), corrected=corrected)
    except TemplateError as err:
        raise UsageError(str(err)) from err
    write_file(path, made.pages, "--pdf")
    return made.unwritable


def write_file(path: Path, data: bytes, option: str) -> None:
    """Write a file that ``option`` named. Raises ``UsageError`` where that cannot be done."""
    try:
        path.write_bytes(data)
    except OSError as err:
        raise UsageError(f"{path}: cannot be written; {err.strerror or err}; name another file with {option}") from err


def report_mail(found: dict[str, Any], traits: Mapping[str, object], folder: Folder, sender: Sender) -> Rendered:
    """Render the mail of a preview, for a reader of whom only the account is known. Raises ``TemplateError``."""
    template = folder.report_template
    account = {**traits, "id": found["account_id"]}
    locale = reader_locale({}, account, sender)
    reader = {"you": {"id": "reader"}, "account": account, LOCALE: locale}
    locale = format_locale(locale, variant_for(template, reader).locale)
    context = {
        **reader,
        "report": report_context(found, locale),
        "sender": sender_words(sender),
        "links": {},
        "rule": found["report"],
        ZONE: found["period"]["zone"],
    }
    return render(template, context)
