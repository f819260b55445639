"""Numbers, money, dates and plurals as their readers write them, and words that run the other way."""

import shutil

import pytest

from outreach.bidi import FSI, PDI
from outreach.examples import example_context
from outreach.filters import ZONE
from outreach.locales import LOCALE
from outreach.rendering import render
from outreach.templates import load_templates
from tests.outreach.browser import find_browser, opened_page
from tests.outreach.given import ROOT, made_template
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


ARABIC = """
ar:
  stop: إيقاف الرسائل من هذا النوع
  reply: إذا لم تفدك رسائل كهذه فأخبرنا بالرد عليها وسنوقفها.
  inside: لموظفيها
  not-for-customers: "{{ sender.name }}: هذه الرسالة لموظفينا."
"""
ARABIC_BODY = """
<mj-preview>أحضر سؤالا حقيقيا واحدا. تغيير الموعد سهل.</mj-preview>
<mj-section><mj-column>
  <mj-text>مرحبا <bdi>{{ you.first_name }}</bdi>،</mj-text>
  <mj-table mj-class="things">
    {% for one in orientations %}
    <tr><td class="mark" style="border-[[ start ]]:4px solid #1f5fbf">{{ one.starts_at|datetime }}</td></tr>
    {% endfor %}
  </mj-table>
  <mj-table mj-class="facts">
    <tr><th align="[[ start ]]" scope="row">الخطة</th><td>{{ account.plan }}</td></tr>
  </mj-table>
  <mj-button href="https://app.ringfirst.example/">اختر موعدا آخر</mj-button>
</mj-column></mj-section>
<mj-section mj-class="inset"><mj-column mj-class="ask"><mj-text mj-class="inside">هل لم يعد الموعد يناسبك؟</mj-text>
</mj-column></mj-section>
"""


@pytest.fixture
def arabic(tmp_path):
    """The starter's layout with an Arabic variant of a mail, as its reader gets it."""
    shutil.copytree(ROOT / "templates" / "_base", tmp_path / "_base")
    shutil.copytree(ROOT / "templates" / "orientation-tomorrow", tmp_path / "orientation-tomorrow")
    words, folder = tmp_path / "_base" / "words.yml", tmp_path / "orientation-tomorrow" / "ar"
    words.write_text(words.read_text() + ARABIC)
    folder.mkdir()
    (folder / "subject.txt").write_text("{{ orientation.starts_at|weekday_time }}: {{ you.name }}")
    (folder / "body.txt").write_text("مرحبا {{ you.name }}، {{ orientations|length }} {{ orientation.starts_at|date }}")
    (folder / "body.mjml").write_text(ARABIC_BODY)
    templates, findings = load_templates(tmp_path)
    assert [one for one in findings if one.severity == "error"] == []
    template = templates["orientation-tomorrow"]
    (variant,) = (one for one in template.variants if one.locale == "ar")
    return render(template, example_context(variant))


def test_a_mail_from_right_to_left_has_nothing_in_it_that_runs_the_other_way(arabic):
    assert '<html lang="ar" dir="rtl"' in arabic.html
    assert "direction:ltr" not in arabic.html.replace(" ", ""), "mrml's default would turn every full stop round"
    assert "text-align:left;color" not in arabic.html
    assert "border-left" not in arabic.html
    assert f"مرحبا {FSI}Ada Lindqvist{PDI}، 2 الخميس، 12 مارس 2026" in arabic.text
    assert "إيقاف الرسائل من هذا النوع" in arabic.text


@pytest.mark.slow
def test_a_browser_lays_it_out_from_right_to_left(arabic, tmp_path):
    browser = find_browser()
    if browser is None:
        pytest.skip("no Chromium is here; put one on the path or name it in RINGFIRST_TEST_BROWSER to run this")
    path = tmp_path / "mail.html"
    path.write_text(arabic.html)
    script = """(() => { const found = [], all = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (all.nextNode()) { const one = all.currentNode.parentElement;
        if (!all.currentNode.textContent.trim() || !one.checkVisibility() || one.tagName === "BDI") continue;
        found.push([getComputedStyle(one).direction, all.currentNode.textContent.trim()]); }
      return found; })()"""
    with opened_page(browser) as page:
        for width in (375, 800):
            page.look(path, width=width)
            assert page.value("document.documentElement.scrollWidth") <= width
            assert {way for way, _ in page.value(script)} == {"rtl"}
            rows = "document.querySelector('.facts th').getBoundingClientRect()"
            assert page.value(f"{rows}.left") > page.value(rows.replace("th'", "td'") + ".left"), "names stand first"


def test_a_link_in_a_text_from_right_to_left_ends_where_it_ends():
    """Mail programs take a mark that stands behind a link for a part of it."""
    link = "https://app.example/r/abc"
    found = written("{{ link|safe_url }} {{ name }}", "he", link=link, name="Ada")
    assert found.startswith(f"{link} {FSI}Ada{PDI}")
