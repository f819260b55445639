"""Variants: who gets which, what stands in for what is missing, and that one mail is in one language."""

from typing import Any

import pytest

from outreach.context import build_context, reader_locale
from outreach.examples import check_example, example_context
from outreach.lint import is_safe_link
from outreach.locales import LOCALE
from outreach.rendering import Rendered, render
from outreach.templates import check_template, read_template
from tests.outreach.given import ROOT, SENDER, keep, planned

SECTION = "<mj-section><mj-column><mj-text>{}</mj-text></mj-column></mj-section>"
LAYOUT = '<mjml lang="[[ lang ]]" dir="[[ dir ]]"><mj-body>[[ body ]]<mj-raw>[[ words.foot ]]</mj-raw></mj-body></mjml>'
WORDS = "en: {foot: The end}\nde: {foot: Schluss}\nar: {foot: انتهى}\npt: {foot: Fim}\nfr: {foot: Fin}\n"
MANIFEST = "for: customer\nclass: relationship\nneeds: [reports_28d, paying, big]\nexample: {reports_28d: 1200}\n"


def parts(**variants: str) -> dict[str, str]:
    """A template whose variants say their own name; ``de`` and the like are folders."""
    found = {"template.yml": MANIFEST}
    for folder, said in {"": "base", **variants}.items():
        place = f"{folder}/" if folder else ""
        found[f"{place}subject.txt"] = said
        found[f"{place}body.txt"] = f"{said}: {{{{ reports_28d|number }}}}"
        found[f"{place}body.mjml"] = SECTION.format(f"{said}: {{{{ reports_28d|number }}}}")
    return found


def read(files: dict[str, str], words: str = WORDS) -> Any:
    layout = {"customer.mjml": LAYOUT, "customer.txt": "[[ body ]]\n[[ words.foot ]]", "words.yml": words}
    return read_template("made", files, layout, path="templates")


def made(files: dict[str, str]) -> Any:
    template, findings = read(files)
    assert template is not None, findings
    return template


def mail(template: Any, locale: str = "en", **more: Any) -> Rendered:
    return render(template, {"reports_28d": 1200.5, LOCALE: locale, **more})


def errors(findings: Any) -> list[str]:
    return [str(one) for one in findings if one.severity == "error"]


@pytest.mark.parametrize(
    ("locale", "role", "true", "said"),
    [
        pytest.param("en", None, (), "base", id="nobody special"),
        pytest.param("de", None, (), "de", id="the language"),
        pytest.param("de-AT", None, (), "de", id="a region without a variant of its own"),
        pytest.param("de-CH", None, (), "de-CH", id="a region that has one"),
        pytest.param("fr", None, (), "base", id="a language that has none"),
        pytest.param("en", "champion", (), "role", id="the role"),
        pytest.param("fr", "champion", (), "role", id="the role, in a language that has none"),
        pytest.param("de", "champion", (), "de", id="the language before the role"),
        pytest.param("pt-BR", "champion", (), "pt+role", id="both"),
        pytest.param("pt-BR", "admin", (), "base", id="of both only one"),
        pytest.param("en", None, ("paying",), "paying", id="the segment"),
        pytest.param("en", None, ("big",), "big", id="another segment"),
        pytest.param("en", None, ("big", "paying"), "paying", id="of two segments the one first in needs"),
        pytest.param("en", "champion", ("paying",), "role", id="the role before the segment"),
    ],
)
def test_a_reader_gets_the_nearest_variant(locale, role, true, said):
    folders = {"de": "de", "de-CH": "de-CH", "role=champion": "role", "pt,role=champion": "pt+role"}
    template = made(parts(**folders, **{"segment=big": "big", "segment=paying": "paying"}))
    segments = {name: name in true for name in ("big", "paying")}
    assert mail(template, locale, you={"role": role}, **segments).subject == said


def test_an_unknown_segment_is_not_that_segment():
    template = made(parts(**{"segment=paying": "paying"}))
    assert mail(template, paying=None).subject == "base"
    assert mail(template).subject == "base"
    assert mail(template, paying="yes").subject == "base"


def test_numbers_stand_in_the_readers_locale_when_the_mail_is_in_its_language():
    template = made(parts(de="de"))
    assert mail(template, "de").text == "de: 1.200,5\nSchluss\n"
    assert mail(template, "de-CH").text == "de: 1\u2019200.5\nSchluss\n"
    assert mail(template, "fr").text == "base: 1,200.5\nThe end\n", "an English mail has English numbers"
    assert mail(template, "en-IN").text == "base: 1,200.5\nThe end\n"


def test_a_mail_says_its_language_and_which_way_it_is_written():
    template = made(parts(de="de", ar="عربي"))
    assert '<html lang="en" dir="ltr"' in mail(template).html
    assert '<html lang="de" dir="ltr"' in mail(template, "de-AT").html
    assert '<html lang="ar" dir="rtl"' in mail(template, "ar-EG").html
    assert "انتهى" in mail(template, "ar").html


def test_the_same_decision_gives_the_same_bytes_whoever_asks(store):
    keep(store, planned(frozen={"people": {"u1": {"locale": "de-AT"}}}))
    (row,) = store.outreach()
    assert build_context([row], store.people("acme"), SENDER)[LOCALE] == "de-AT"
    assert row.frozen["people"]["u1"] == {"locale": "de-AT"}, "chosen by what the decision froze"


@pytest.mark.parametrize(
    ("you", "account", "found"),
    [
        ({"locale": "de_AT.UTF-8"}, {"locale": "fr"}, "de-AT"),
        ({"language": "pt-br"}, {}, "pt-BR"),
        ({"locale": "Klingon"}, {"locale": "fr"}, "fr"),
        ({"locale": 7}, {"language": "he"}, "he"),
        ({}, {}, "it"),
    ],
)
def test_the_reader_comes_before_the_account_and_the_account_before_us(you, account, found):
    import msgspec

    assert reader_locale(you, account, msgspec.structs.replace(SENDER, locale="it")) == found


def test_a_customers_language_is_not_that_of_our_own_people(store):
    keep(store, planned(audience="staff", to="mara@ringfirst.example", frozen={"account": {"locale": "fr"}}))
    (row,) = store.outreach()
    assert build_context([row], {}, SENDER)[LOCALE] == "en"


# What is missing


def test_a_variant_may_have_a_subject_alone_in_the_same_language():
    files = parts(de="de") | {"role=champion/subject.txt": "For you", "de,role=champion/subject.txt": "Für Sie"}
    template = made(files)
    found = mail(template, "en", you={"role": "champion"})
    assert (found.subject, found.text) == ("For you", "base: 1,200.5\nThe end\n")
    found = mail(template, "de", you={"role": "champion"})
    assert (found.subject, found.text) == ("Für Sie", "de: 1.200,5\nSchluss\n")


def test_a_mail_is_never_in_two_languages():
    template, findings = read(parts() | {"de/subject.txt": "Nur der Betreff"})
    assert template is None, "a German reader must not get half of it, nor an English mail by accident"
    assert any(
        "de/body.txt:1:1: error: the variant has no body.txt, and a mail is in one language" in one
        for one in errors(findings)
    )


def test_a_region_takes_what_it_lacks_from_its_language():
    template = made(parts(de="de") | {"de-AT/subject.txt": "Servus"})
    found = mail(template, "de-AT")
    assert (found.subject, found.text) == ("Servus", "de: 1.200,5\nSchluss\n")


def test_a_base_in_another_language_is_one_too():
    files = parts(en="en") | {"template.yml": MANIFEST + "locale: de\n", "de-AT/subject.txt": "Servus"}
    template = made(files)
    assert mail(template, "de").text == "base: 1.200,5\nSchluss\n"
    assert mail(template, "en").text == "en: 1,200.5\nThe end\n"
    assert mail(template, "de-AT").subject == "Servus"
    assert mail(template, "fr").subject == "base"


@pytest.mark.parametrize(
    ("files", "told"),
    [
        pytest.param(
            {"Deutsch/subject.txt": "x"}, "a variant's folder is a locale, role=NAME or segment=NAME", id="name"
        ),
        pytest.param({"de,fr/subject.txt": "x"}, "a variant has one locale; found two", id="two locales"),
        pytest.param({"role=a,role=b/subject.txt": "x"}, "a variant has one role; found two", id="two roles"),
        pytest.param({"segment=gone/subject.txt": "x"}, "found no 'gone' under 'needs'", id="a segment not kept"),
        pytest.param({"role=a/body.mjml": SECTION}, "has a body.mjml and no body.txt", id="html alone"),
        pytest.param({"role=a/body.txt": "x"}, "has a body.txt and no body.mjml", id="text alone"),
        pytest.param({"role=a/template.yml": "x: 1"}, "and nothing else; take it out", id="a manifest of its own"),
        pytest.param({"role=a/subject.txt": "{{ x"}, "role=a/subject.txt:1:1: error: this Jinja", id="broken"),
        pytest.param({"de_CH/subject.txt": "x", "de-CH/subject.txt": "x"}, "two folders are for the same", id="twice"),
    ],
)
def test_what_is_wrong_with_a_variant_is_found_and_the_template_is_not_used(files, told):
    template, findings = read(parts(de="de") | files)
    assert template is None
    assert any(told in one for one in errors(findings)), findings


def test_words_of_the_layout_that_a_language_lacks_are_found():
    template, findings = read(parts(de="de"), words="en: {foot: The end}\n")
    assert template is None
    first, second = sorted(errors(findings))
    assert first.startswith("templates/_base/customer.mjml:1:1: error: there are no words 'foot' in de; found none")
    assert "customer.txt" in second
    template, findings = read(parts(), words="en: {foot: a <b>word</b>}\nX Y: {}\n")
    assert template is None
    assert any(
        "words.yml:1:6: error: words.yml: foot should be a text without < > &" in one for one in errors(findings)
    )
    assert any("a locale with its words is wanted; found 'X Y'" in one for one in errors(findings))


def test_a_name_that_only_a_variant_reads_is_found_in_it():
    files = parts(de="de") | {"de/body.txt": "{{ reports_90d|number }}"}
    template, findings = read(files)
    assert template is not None
    told = [str(one) for one in findings if one.severity == "warning" and "translation" in one.message]
    assert len(told) == 1
    assert "de/body.txt:1:1: warning: the translation tells 'reports_90d', and the template does not" in told[0]
    (found,) = check_template(template, {"reports_28d"})
    assert str(found).startswith("templates/made/de/body.txt:1:4: error: unknown name 'reports_90d'")


def test_each_variant_is_tried_with_the_example():
    files = parts(de="de") | {"de/subject.txt": "{{ reports_28d|plural('Bericht') }}"}
    (found,) = check_example(made(files))
    assert "example of de: 'plural' has no word for this number in de" in found.message
    assert check_example(made(parts(de="de", **{"segment=paying": "x", "role=champion": "y"}))) == []


def test_the_german_starter_says_what_the_english_one_says(templates):
    template = templates["orientation-tomorrow"]
    (german,) = template.variants
    found = render(template, example_context(german, SENDER))
    assert found.subject == "Donnerstag: Ihre 2 Einführungen"
    assert "    Donnerstag, 12. März 2026, 10:00 MEZ\n    Donnerstag, 12. März 2026, 14:30 MEZ\n" in found.text
    assert '<html lang="de" dir="ltr"' in found.html
    assert "Solche Mails abbestellen" in found.text
    assert (ROOT / "templates/orientation-tomorrow/de/body.mjml").is_file()


def test_a_link_is_judged_as_before():
    assert is_safe_link("https://a.example/")
