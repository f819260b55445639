"""The gallery: all mails on one page that loads nothing, runs nothing of theirs, and fits every screen."""

import base64
import hashlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from outreach.examples import example_context
from outreach.rendering import Rendered, render
from outreach.template import every_variant
from ringfirst.gallery import Shown, Use, all_shown, gallery, in_scheme, shown, uses, write_gallery
from ringfirst.rulebooks import checked, read_folder
from tests.outreach.browser import Page, find_browser, opened_page
from tests.outreach.given import ROOT, SENDER, read_made, starter_templates

TEMPLATES = starter_templates()
VARIANTS = {f"{one.name}/{one.fits}".strip("/"): one for each in TEMPLATES.values() for one in every_variant(each)}
SCRIPT = "<script>parent.caught = true</script>"
HOSTILE_HTML = f"""<!doctype html><html><head><meta http-equiv="refresh" content="0;url=https://refresh.example/">
<link rel="stylesheet" href="https://styles.example/a.css"><style>@import "https://styles.example/b.css";</style>
<base href="https://base.example/">{SCRIPT}</head><body onload="parent.caught = true" style="background:url(https://b.example/a)">
<a id="away" href="https://away.example/">away</a><a target="_top" href="javascript:parent.caught=true">x</a>
<img src="https://pictures.example/a.png" alt="a chart" width="99" onerror="parent.caught = true">
<iframe src="https://frames.example/"></iframe><form action="https://forms.example/"><button>x</button></form>
</body></html>"""
LONG = "Wolfeschlegelsteinhausenbergerdorff" * 4
TEXTS = {"long": LONG, "right to left": "عائشة بنت أحمد بن محمد", "hostile": f'"><b>{SCRIPT}'}


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [given for name, given in self.found if name == tag]


def hostile() -> Shown:
    return Shown(
        name="hostile",
        audience="customer",
        mail_class="relationship",
        needs=(),
        mail=Rendered('"></iframe>' + SCRIPT, "</pre></section>" + SCRIPT, HOSTILE_HTML, "'>" + SCRIPT),
        uses=(Use(f"</code>{SCRIPT}", f"</li>{SCRIPT}", "churn_risk"),),
        pictures=1,
        size=1,
    )


@pytest.fixture(scope="module")
def mails() -> list[Shown]:
    return [mail for template in TEMPLATES.values() for mail in all_shown(template, None, SENDER)]


def test_every_mail_stands_there_on_both_screens_in_both_schemes_and_as_text(mails):
    page = Elements(gallery(mails, SENDER))
    assert [one["id"] for one in page.all("section")] == [
        mail.label for mail in sorted(mails, key=lambda mail: (mail.audience != "customer", mail.name, mail.variant))
    ]
    frames = {one["title"]: one["srcdoc"] for one in page.all("iframe")}
    assert len(frames) == 4 * len(mails)
    for mail in mails:
        for screen in ("desktop", "phone"):
            for scheme in ("light", "dark"):
                assert frames[f"{mail.label}, {screen}, {scheme}"] == in_scheme(mail.mail.html, scheme)
        assert in_scheme(mail.mail.html, "light") != in_scheme(mail.mail.html, "dark")


def test_a_mail_stands_there_with_its_subject_its_preview_its_text_and_its_rules():
    folder = read_folder(ROOT)
    book, _ = checked(folder)
    assert book is not None
    mail = shown(TEMPLATES["we-miss-you"], book, SENDER)
    page = gallery([mail], SENDER)
    assert [use.rule for use in mail.uses] == ["person-stopped"]
    for told in ("person-stopped", mail.uses[0].title, mail.mail.subject, mail.mail.preview, "hello@ringfirst.example"):
        assert told in page
    assert "You used to work with us" in page.partition("<pre")[2]
    assert list(uses("we-miss-you", None)) == []


def test_a_template_that_no_rule_sends_and_pictures_are_told(mails):
    template, _ = read_made(
        "Words.",
        html='<mj-section><mj-column><mj-image src="https://a.example/a.png" alt="A chart" width="99px" />'
        "</mj-column></mj-section>",
    )
    page = gallery([shown(template, None, SENDER)], SENDER)
    assert "No rule sends it." in page
    assert "1 picture, shown as with pictures off" in page


def test_only_our_own_script_may_run_and_nothing_may_be_loaded(mails):
    page = gallery([*mails, hostile()], SENDER)
    elements = Elements(page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(elements.all("script")) == 1
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = (one["content"] for one in elements.all("meta") if one.get("http-equiv"))
    assert policy.split("; ")[0] == "default-src 'none'"
    assert f"script-src 'sha256-{digest}'" in policy
    assert {one["sandbox"] for one in elements.all("iframe")} == {"allow-same-origin"}
    assert not any({"src", "onclick", "onerror"} & set(given) for _, given in elements.found)
    assert all(one["href"].startswith("#") for one in elements.all("a"))


def test_the_page_is_written_where_it_should_be(tmp_path):
    path = write_gallery(read_folder(ROOT), tmp_path / "new" / "gallery", book=None, sender=SENDER)
    assert path == tmp_path / "new" / "gallery" / "index.html"
    assert path.read_text(encoding="utf-8").count("<section") == len(VARIANTS)


@pytest.mark.parametrize("name", VARIANTS)
def test_an_inbox_shows_something_beside_each_subject_that_is_not_the_subject(name):
    mail = shown(VARIANTS[name], None, SENDER).mail
    assert 40 <= len(mail.preview) <= 110, "an inbox shows about 100 characters"
    assert len(mail.subject) <= 60, "a phone shows about 40, a desktop 60"
    assert mail.preview not in mail.subject
    assert mail.subject not in mail.preview
    shown_first = " ".join(mail.html.partition("<body")[2].replace("&#34;", '"').split())
    assert f">{mail.preview[:20]}" in shown_first


# What only a browser can tell


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    browser = find_browser()
    if browser is None:
        pytest.skip("no Chromium is here; put one on the path or name it in RINGFIRST_TEST_BROWSER to run this")
    with opened_page(browser) as opened:
        yield opened


WIDE = "document.documentElement.scrollWidth"
OUT_OF_REACH = """
[...document.body.querySelectorAll("*")].filter((element) => {
  if (!element.checkVisibility() || element.getBoundingClientRect().right <= innerWidth + 1) return false;
  for (let one = element.parentElement; one; one = one.parentElement)
    if (["auto", "scroll"].includes(getComputedStyle(one).overflowX)) return false;
  return true;
}).map((element) => element.className || element.tagName)
"""
LOW_FRAMES = """
[...document.querySelectorAll("iframe")].filter((one) => one.checkVisibility())
  .filter((one) => one.offsetHeight < one.contentDocument.body.scrollHeight).map((one) => one.title)
"""
READABLE = """
(() => {
  const parts = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
    .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const found = parts(getComputedStyle(one).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const poor = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const words = texts.currentNode.textContent.replace(/[\\s\\u00a0\\u034f\\u200c]/g, "");
    const element = texts.currentNode.parentElement;
    if (!words || !element.checkVisibility()) continue;
    const ink = light(parts(getComputedStyle(element).color)), sheet = light(ground(element));
    const contrast = (Math.max(ink, sheet) + 0.05) / (Math.min(ink, sheet) + 0.05);
    if (contrast < 4.5) poor.push([words.slice(0, 30), contrast]);
  }
  return poor;
})()
"""


@pytest.mark.slow
@pytest.mark.parametrize("width", [320, 375, 800, 1440])
def test_the_gallery_fits_every_screen_and_loads_nothing(page, mails, tmp_path, width):
    path = tmp_path / "index.html"
    path.write_text(gallery([*mails, hostile()], SENDER), encoding="utf-8")
    page.look(path, width=width)
    assert page.value(WIDE) <= width
    assert page.value(OUT_OF_REACH) == [], "what is wider than the screen can be scrolled to"
    page.value("document.getElementById('dark').click()")
    page.value("document.querySelectorAll('iframe').forEach((one) => one.loading = 'eager')")
    assert page.loaded == {path.as_uri()}
    assert page.value(LOW_FRAMES) == [], "a frame is as high as its mail"
    assert page.value(WIDE) <= width
    assert page.value("typeof caught") == "undefined", "no script of a mail ran"


@pytest.mark.slow
def test_a_link_in_a_mail_leads_nowhere(page, tmp_path):
    path = tmp_path / "index.html"
    path.write_text(gallery([hostile()], SENDER), encoding="utf-8")
    page.look(path, width=1440)
    page.value("document.querySelector('iframe').contentDocument.getElementById('away').click()")
    assert page.loaded == {path.as_uri()}


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_a_mail_can_be_read_on_a_phone_and_on_a_desktop_in_light_and_in_dark(page, tmp_path, name):
    path = tmp_path / "mail.html"
    path.write_text(shown(VARIANTS[name], None, SENDER).mail.html, encoding="utf-8")
    for width in (320, 375, 800):
        for dark in (False, True):
            page.look(path, width=width, dark=dark)
            assert page.value(WIDE) <= width
            assert page.value(READABLE) == [], f"WCAG 2.2, 1.4.3, dark: {dark}"
    assert page.loaded == {path.as_uri()}


@pytest.mark.slow
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("name", VARIANTS)
def test_no_value_breaks_the_layout(page, tmp_path, name, text):
    path = tmp_path / "mail.html"
    template = VARIANTS[name]
    path.write_text(render(template, filled(example_context(template, SENDER), text)).html, encoding="utf-8")
    page.look(path, width=375)
    assert page.value(WIDE) <= 375
    assert page.value("typeof caught") == "undefined"


def filled(value: Any, text: str) -> Any:
    """An example with other texts in it, and with large numbers; dates, zones and currencies stay."""
    if isinstance(value, dict):
        return {
            key: inner if key in ("_zone", "_locale", "links", "timezone", "currency") else filled(inner, text)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [filled(inner, text) for inner in value]
    if isinstance(value, int | float):
        return 1_234_567.89
    return text if isinstance(value, str) and not re.match(r"\d{4}-\d\d-\d\d", value) else value
