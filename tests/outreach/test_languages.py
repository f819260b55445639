"""Numbers, money, dates and plurals as their readers write them, and words that run the other way."""

import pytest

from outreach.bidi import FSI, PDI
from outreach.filters import ZONE
from outreach.locales import LOCALE
from outreach.rendering import render
from tests.outreach.given import made_template
from tests.outreach.test_variants import made, parts


def written(body: str, locale: str, **values) -> str:
    """What a body gives in a template of that locale."""
    manifest = f"for: customer\nclass: relationship\nlocale: {locale}\nexample: {{you: {{name: Ada}}}}\n"
    context = {LOCALE: locale, ZONE: "Europe/Berlin", **values}
    return render(made_template(body, manifest=manifest), context).text.strip("\n")


@pytest.mark.parametrize(
    ("locale", "told"),
    [
        ("en", "1,234.5 | €1,250 | 42% | 3 reports | Thursday, 12 March 2026, 10:00 CET | a and b"),
        ("en-US", "1,234.5 | €1,250 | 42% | 3 reports | Thursday, March 12, 2026, 10:00 AM CET | a and b"),
        ("de", "1.234,5 | 1.250 € | 42 % | 3 reports | Donnerstag, 12. März 2026, 10:00 MEZ | a und b"),
        ("fr", "1 234,5 | 1 250 € | 42 % | 3 reports | jeudi 12 mars 2026, 10:00 CET | a et b"),
    ],
)
def test_values_are_written_as_the_locale_writes_them(locale, told):
    body = '{{ n|number }} | {{ m|money("EUR") }} | {{ s|percent }} | {{ 3|plural("report", "reports") }} | '
    body += "{{ t|datetime }} | {{ l|listed }}"
    found = written(body, locale, n=1234.5, m=1250, s=0.425, t="2026-03-12T09:00:00Z", l=["a", "b"])
    assert found.replace("\xa0", " ").replace("\u202f", " ") == told


def test_two_zones_with_one_instant_are_two_days():
    for zone, day in (("Europe/Berlin", "13. März 2026"), ("America/New_York", "12. März 2026")):
        manifest = "for: customer\nclass: relationship\nlocale: de\nexample: {you: {name: Ada}}\n"
        template = made_template("{{ t|short_date }}", manifest=manifest)
        assert render(template, {"t": "2026-03-12T23:30:00Z", ZONE: zone, LOCALE: "de"}).text.strip() == day


@pytest.mark.parametrize(
    ("locale", "count", "told"),
    [("ru", 1, "1 отчёт"), ("ru", 3, "3 отчёта"), ("ru", 7, "7 отчётов"), ("ru", 1.5, "1,5 отчёта")],
)
def test_languages_with_more_plurals_than_two_have_them(locale, count, told):
    body = '{{ n|plural("отчёт", few="отчёта", many="отчётов", other="отчёта") }}'
    assert written(body, locale, n=count) == told


@pytest.mark.parametrize("currency", ["euro", "", "E1R", None])
def test_what_is_no_currency_is_no_mail(currency):
    from engine.errors import TemplateError

    with pytest.raises(TemplateError):
        written("{{ 5|money(c) }}", "de", c=currency)


def test_a_name_written_the_other_way_turns_nothing_round():
    assert written("Hello {{ n }}, you have 3 reports.", "en", n="עדה") == f"Hello {FSI}עדה{PDI}, you have 3 reports."
    assert written("Hello {{ n }}.", "en", n="Zoë") == "Hello Zoë."
    assert written("שלום {{ n }}, {{ 3 }}", "he", n="Ada") == f"שלום {FSI}Ada{PDI}, 3"


def test_a_value_cannot_steer_what_comes_after_it():
    assert written("{{ n }}!", "en", n="Ada\u202egnp.exe\u2066") == "Adagnp.exe!"
    html = "<mj-section><mj-column><mj-text>{{ n }}</mj-text></mj-column></mj-section>"
    assert "\u202e" not in render(made_template("x", html=html), {"n": "Ada\u202egnp"}).html


def test_a_subject_is_isolated_too():
    template = made_template("x", subject="{{ n }}: 24 reports")
    assert render(template, {"n": "عائشة"}).subject == f"{FSI}عائشة{PDI}: 24 reports"


def test_the_sides_of_a_mail_change_with_its_direction():
    files = parts(ar="عربي")
    files["ar/body.mjml"] = (
        '<mj-section><mj-column><mj-text align="[[ start ]]">عربي</mj-text></mj-column></mj-section>'
    )
    files["body.mjml"] = files["ar/body.mjml"].replace("عربي", "words")
    template = made(files)
    assert "text-align:left" in render(template, {LOCALE: "en", "reports_28d": 1}).html
    assert "text-align:right" in render(template, {LOCALE: "ar", "reports_28d": 1}).html
