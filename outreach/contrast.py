"""Whether the words of a mail can be read: the contrast of each with what lies under it, in light and in dark."""

import re
from collections.abc import Iterator

import msgspec

from outreach.page import Element, Page, texts
from outreach.styles import Rule, read_rules, style_of

LEAST = 4.5
"""Contrast that words need (WCAG 2.2, 1.4.3). Large ones could do with less; a mail has few, and phones shrink them."""
SCHEMES = ("light", "dark")
Colour = tuple[float, float, float]
_CANVAS: dict[str, tuple[Colour, Colour, Colour]] = {
    "light": ((255, 255, 255), (0, 0, 0), (0, 0, 238)),
    "dark": ((18, 18, 18), (255, 255, 255), (158, 158, 255)),
}
"""What browsers begin with: ground, words and links. Dark ones only where the mail says that it knows dark."""
_NAMED: dict[str, Colour] = {
    "black": (0, 0, 0),
    "silver": (192, 192, 192),
    "gray": (128, 128, 128),
    "grey": (128, 128, 128),
    "white": (255, 255, 255),
    "red": (255, 0, 0),
    "green": (0, 128, 0),
    "blue": (0, 0, 255),
    "navy": (0, 0, 128),
    "orange": (255, 165, 0),
    "yellow": (255, 255, 0),
}
_HEX = re.compile(r"#([0-9a-f]{3}|[0-9a-f]{6})\b")
_RGB = re.compile(r"rgba?\(\s*(\d+)[\s,]+(\d+)[\s,]+(\d+)\s*(?:[,/]\s*([\d.]+%?)\s*)?\)")
_BLANK = re.compile(r"[\s\u00a0\u034f\u200b\u200c\u200d\ufeff]+")


class Poor(msgspec.Struct, frozen=True):
    """Words that are hard to read: the first of them, the scheme, and their contrast."""

    words: str
    scheme: str
    contrast: float


def poor_words(page: Page) -> Iterator[Poor]:
    """Words whose contrast is below 4.5, in either scheme; each pair of colours once for each scheme."""
    for scheme in SCHEMES if _knows_dark(page) else SCHEMES[:1]:
        looked = _Look(page, scheme)
        seen: set[tuple[Colour, Colour]] = set()
        for one, text in texts(page):
            words = _BLANK.sub(" ", text).strip()
            if not words or looked.hidden(one):
                continue
            pair = looked.ink(one), looked.ground(one)
            found = contrast(*pair)
            if found < LEAST and pair not in seen:
                seen.add(pair)
                yield Poor(words[:30], scheme, round(found, 2))


def contrast(one: Colour, other: Colour) -> float:
    """The contrast of two colours, 1 to 21 (WCAG 2.2).

    >>> contrast((0, 0, 0), (255, 255, 255))
    21.0
    """
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def read_colour(text: str) -> Colour | None:
    """Read a colour; None for one that lets through what is under it, and for none.

    >>> read_colour("#1f5fbf"), read_colour("rgba(0, 0, 0, 0.5)"), read_colour("white url(x) no-repeat")
    ((31, 95, 191), None, (255, 255, 255))
    """
    text = text.strip().lower()
    if (found := _HEX.search(text)) is not None:
        digits = found[1] if len(found[1]) == len("rrggbb") else "".join(digit * 2 for digit in found[1])
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
    if (found := _RGB.search(text)) is not None:
        opaque = found[4] is None or float(found[4].rstrip("%")) >= (100 if "%" in found[4] else 1)
        return (float(found[1]), float(found[2]), float(found[3])) if opaque else None
    return next((_NAMED[word] for word in text.split() if word in _NAMED), None)


class _Look:
    """One mail in one scheme; each element is asked once."""

    def __init__(self, page: Page, scheme: str) -> None:
        self._rules: list[Rule] = read_rules(page.styles, scheme)
        self._styles: dict[int, dict[str, str]] = {}
        self._canvas = _CANVAS[scheme if _says_dark(page) else "light"]

    def style(self, one: Element) -> dict[str, str]:
        if id(one) not in self._styles:
            self._styles[id(one)] = dict(style_of(one, self._rules))
        return self._styles[id(one)]

    def hidden(self, one: Element) -> bool:
        return any(
            self.style(each).get("display") == "none" or self.style(each).get("visibility") == "hidden"
            for each in (one, *one.above)
        )

    def ink(self, one: Element) -> Colour:
        for each in (one, *one.above):
            said = self.style(each).get("color", "inherit")
            if (colour := read_colour(said)) is not None:
                return colour
            if each.tag == "a" and "href" in each.given and said == "inherit" and "color" not in self.style(each):
                return self._canvas[2]
        return self._canvas[1]

    def ground(self, one: Element) -> Colour:
        for each in (one, *one.above):
            if (colour := read_colour(self.style(each).get("background-color", ""))) is not None:
                return colour
        return self._canvas[0]


def _says_dark(page: Page) -> bool:
    """Whether the mail asks for what browsers begin with in the dark."""
    named = (one for one in page.root.walk() if one.tag == "meta" and one.given.get("name") == "color-scheme")
    return any("dark" in one.given.get("content", "") for one in named)


def _knows_dark(page: Page) -> bool:
    return _says_dark(page) or any("prefers-color-scheme" in sheet for sheet in page.styles)


def _luminance(colour: Colour) -> float:
    parts = [part / 255 for part in colour]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]  # noqa: PLR2004, sRGB
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
