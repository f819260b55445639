"""A template: the words of a mail for all its readers, ready to be rendered."""

import msgspec

from outreach.locales import OURS
from outreach.manifest import Manifest
from outreach.names import Read
from outreach.variants import ALL, Fits


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A template ready to be rendered. ``subject``, ``text`` and ``html`` are Jinja; the MJML is already HTML.

    ``preview`` is Jinja too: the line that inboxes show beside the subject, or empty; ``html`` begins with it, hidden.
    ``reads`` holds per file every name it reads and on which line; ``path`` is its folder as findings name it.
    ``locale`` is what it is written in. ``variants`` are the same for some readers, those that it ``fits``.
    """

    name: str
    path: str
    manifest: Manifest
    subject: str
    text: str
    html: str
    preview: str = ""
    sources: dict[str, str]
    reads: dict[str, tuple[Read, ...]]
    locale: str = OURS
    fits: Fits = ALL
    variants: tuple["Template", ...] = ()

    @property
    def plural(self) -> str | None:
        """The name under which several subjects come in one mail."""
        return self.manifest.plural

    @property
    def joins(self) -> bool:
        """Whether one mail of this template can speak of several subjects; in every variant, or in none."""
        return self.plural is not None and all(self.plural in own_names(one) for one in every_variant(self))


def every_variant(template: Template) -> tuple[Template, ...]:
    """The template itself, and then its variants."""
    return (template, *template.variants)


def own_names(template: Template) -> set[str]:
    """Every dotted name that this one variant reads, with its layout."""
    return {read.name for reads in template.reads.values() for read in reads}


def template_names(template: Template) -> set[str]:
    """Every dotted name the template reads, its variants' and the layout's among them: ``orientations.starts_at``."""
    return set[str]().union(*map(own_names, every_variant(template)))
