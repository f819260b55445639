"""A rendered mail as a tree of elements: what lint looks at."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
_UNSEEN = frozenset({"head", "script", "style", "template", "title"})


@dataclass(eq=False, slots=True)
class Element:
    """One element: its attributes, and what is in it, texts and elements in order."""

    tag: str
    given: dict[str, str]
    parent: "Element | None" = None
    inside: "list[Element | str]" = field(default_factory=list)

    @property
    def classes(self) -> set[str]:
        """The words of its ``class``."""
        return set(self.given.get("class", "").split())

    @property
    def above(self) -> "Iterator[Element]":
        """The elements it stands in, nearest first."""
        one = self.parent
        while one is not None:
            yield one
            one = one.parent

    @property
    def children(self) -> "list[Element]":
        """The elements right in it."""
        return [one for one in self.inside if isinstance(one, Element)]

    def walk(self) -> "Iterator[Element]":
        """Itself and every element in it, as they are written."""
        yield self
        for one in self.children:
            yield from one.walk()


@dataclass(frozen=True, slots=True)
class Page:
    """The tree of a mail, and its style sheets. Comments are none of it, so neither is what Outlook alone reads."""

    root: Element
    styles: list[str]


def read_page(html: str) -> Page:
    """Read a rendered mail."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return Page(reader.root, reader.styles)


def texts(page: Page) -> Iterator[tuple[Element, str]]:
    """Every text that may be seen, with the element it stands right in."""
    for one in page.root.walk():
        if one.tag not in _UNSEEN and not any(other.tag in _UNSEEN for other in one.above):
            yield from ((one, text) for text in one.inside if isinstance(text, str) and text.strip())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("#page", {})
        self.styles: list[str] = []
        self._open = self.root

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._begin(tag, attrs)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        one = self._begin(tag, attrs)
        if tag not in _VOID:
            self._open = one

    def handle_endtag(self, tag: str) -> None:
        for one in (self._open, *self._open.above):
            if one.tag == tag and one.parent is not None:
                self._open = one.parent
                return

    def handle_data(self, data: str) -> None:
        if self._open.tag == "style":
            self.styles.append(data)
        self._open.inside.append(data)

    def _begin(self, tag: str, attrs: list[tuple[str, str | None]]) -> Element:
        one = Element(tag, {name: value or "" for name, value in attrs}, self._open)
        self._open.inside.append(one)
        return one
