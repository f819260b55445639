"""The pages in a real browser: on a phone and on a desk, in light and dark; and a person who presses the buttons."""

import pytest

from engine.rulebook.spec import Policy, Topic, Topics
from engine.rulebook.topics import BUILT_IN
from engine.store import ALL_TOPICS
from engine.stores import open_store
from outreach.links import Token, seal
from ringfirst.web.choices import Choices
from tests.outreach.browser import Page
from tests.outreach.given import SENDER
from tests.outreach.test_gallery import OUT_OF_REACH, READABLE, WIDE, page
from tests.web.given import Outside

__all__ = ["page"]  # a fixture

TOKEN = Token("0" * 32, "f" * 64, "tips")
LONG = Topic("long", "Wolfeschlegelsteinhausenbergerdorff" * 3)
TOPICS = Topics((*BUILT_IN, LONG), tuple((name, name, "relationship") for name in ("tips", "moments", "help", "long")))


@pytest.fixture
def store(tmp_path):
    made = open_store(f"sqlite:///{tmp_path / 'web.db'}")
    yield made
    made.close()


@pytest.fixture
def outside(store):
    with Outside(Choices(store, SENDER, lambda: Policy(topics=TOPICS)).routes()) as started:
        yield f"http://127.0.0.1:{started.port}/p/{seal(TOKEN, store.key)}"


def opened(page: Page, url: str, *, width: int = 375, dark: bool = False) -> None:
    """Open an address as ``look`` opens a file."""
    page._call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    page._call("Emulation.setEmulatedMedia", media="screen", features=[scheme])
    page._call("Page.navigate", url=url)
    while page._read().get("method") != "Page.loadEventFired":
        pass


def pressed(page: Page, words: str) -> str:
    """Press the button with these words; gives what the page says then."""
    find = f"[...document.querySelectorAll('button')].find((one) => one.textContent === {words!r})"
    page.value(f"{find}.click()")
    while page._read().get("method") != "Page.loadEventFired":
        pass
    return str(page.value("document.querySelector('.done')?.textContent"))


@pytest.mark.slow
@pytest.mark.parametrize("state", ["fresh", "stopped", "all stopped", "never", "lost"])
@pytest.mark.parametrize("width", [320, 375, 1440])
def test_the_page_can_be_read_everywhere(page, store, outside, state, width):
    if state == "stopped":
        store.choose(TOKEN.address_key, {"tips": "out"}, at=1, by="page")
    if state == "all stopped":
        store.choose(TOKEN.address_key, {ALL_TOPICS: "out"}, at=1, by="page")
    if state == "never":
        store.suppress(TOKEN.address_key, reason="bounced", at=1)
    for dark in (False, True):
        opened(page, outside[:-1] if state == "lost" else outside, width=width, dark=dark)
        assert page.value(WIDE) <= width
        assert page.value(OUT_OF_REACH) == []
        assert page.value(READABLE) == [], f"WCAG 2.2, 1.4.3, dark: {dark}"
        ground = page.value("getComputedStyle(document.body).fontSize")
        assert ground == "16px", "our style is let in by its hash"
        small = "[...document.querySelectorAll('button')].filter((one) => one.offsetHeight < 44).length"
        assert page.value(small) == 0, "a thumb finds every button (WCAG 2.2, 2.5.5)"


@pytest.mark.slow
def test_a_person_stops_mails_gets_them_again_and_chooses(page, store, outside):
    opened(page, outside)
    assert "no more mails of this kind" in pressed(page, "Stop mails of this kind")
    assert store.wishes(TOKEN.address_key).choices == {"tips": "out"}
    assert "again" in pressed(page, "Get them again")
    assert store.wishes(TOKEN.address_key).choices == {"tips": "in"}
    page.value("document.querySelector('input[value=help]').click()")
    assert pressed(page, "Save") == "Saved."
    assert store.wishes(TOKEN.address_key).choices == {"tips": "in", "help": "out"}
    assert "cannot do without" in pressed(page, "Stop all kinds")
    assert store.wishes(TOKEN.address_key).choices == {ALL_TOPICS: "out"}
    assert "again" in pressed(page, "Get all kinds again")
    assert store.wishes(TOKEN.address_key).choices == {ALL_TOPICS: "in"}
