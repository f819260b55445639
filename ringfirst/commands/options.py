"""Options that several commands share, and what they stand for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:  # these take a tenth of a second to import
    from engine.rulebook.book import Rulebook
    from engine.store import Store
    from outreach.context import Sender
    from ringfirst.rulebooks import Folder
    from ringfirst.settings import Settings
    from streams.admin import KafkaAdmin
    from streams.settings import KafkaSettings

_F = TypeVar("_F", bound=Callable[..., Any])
_DAY = len("2026-03-02")


class At(click.ParamType):
    """An instant: ISO 8601 with its offset, or a day (its first instant in UTC)."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the instant."""
        from engine.instants import parse_instant

        if isinstance(value, int):
            return value
        found = parse_instant(f"{value}T00:00:00Z" if len(value) == _DAY else value)
        if found is None:
            self.fail(f"no instant; found {value!r}; write it as 2026-03-02T09:00:00Z or 2026-03-02", param, ctx)
        return found


def store_option(command: _F) -> _F:
    """``--store URL``."""
    words = (
        "The event store: sqlite:///FILE or postgresql://USER@HOST/DATABASE.  [RINGFIRST_STORE, sqlite:///ringfirst.db]"
    )
    return click.option("--store", "store_url", metavar="URL", help=words)(command)


def rules_option(command: _F) -> _F:
    """``--rules DIR``."""
    words = "The rulebook's folder, which holds rules/ and templates/.  [RINGFIRST_RULES, the current folder]"
    return click.option("--rules", "rules", metavar="DIR", type=click.Path(path_type=Path), help=words)(command)


def other_rules_option(command: _F) -> _F:
    """``--rules DIR`` of a command that only reads."""
    words = "Answer by the rulebook in this folder, without activating it, instead of the store's active one."
    return click.option("--rules", "rules", metavar="DIR", type=click.Path(path_type=Path), help=words)(command)


def json_option(command: _F) -> _F:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")(command)


def at_option(words: str) -> Callable[[_F], _F]:
    """``--at TIME``."""
    return click.option("--at", type=At(), help=words)


def question_options(command: _F) -> _F:
    """What every question to a store takes: ``--at``, ``--store``, ``--rules`` without activating it, ``--json``."""
    at = at_option("As of this instant, from what was recorded by then.")
    return at(store_option(other_rules_option(json_option(command))))


@contextmanager
def questioned(store_url: str | None, rules: Path | None, *, told: bool = False) -> "Iterator[tuple[Store, Rulebook]]":
    """The store, and the rulebook that a question is answered by; says so when that one lacks a name.

    With ``told`` it is also said when the folder at hand has another one.
    """
    with opened(store_url) as store, by_active_book(rules):
        book = asked_book(store, rules)
        if told and rules is None:
            _say_other(book)
        yield store, book


def _say_other(book: "Rulebook") -> None:
    """Say that the rulebook of the folder at hand is not the one that answers, if there is one."""
    from engine.errors import UsageError
    from engine.rulebook.book import fingerprint_of
    from ringfirst.answers import talk

    place = settings().rules
    try:
        folder = folder_of(None)
    except UsageError:  # who only asks needs no folder
        return
    if (place / "rules").is_dir() and fingerprint_of(folder.files) != book.fingerprint:
        message = f"answered by the store's active rulebook, which is not the one in {place}; --rules {place} asks that"
        talk(f"{message}, and 'ringfirst import' or 'run' makes it the active one")


def settings() -> "Settings":
    """Everything set from outside, checked. Raises ``UsageError``."""
    from ringfirst.settings import read_settings

    return read_settings()


@contextmanager
def opened(store_url: str | None, *, create: bool = False) -> Iterator["Store"]:
    """The store, closed afterwards. Raises ``StoreError``."""
    found = settings()
    from engine.stores import open_store

    lanes = found.lanes if create else None
    store = open_store(store_url or found.store.get_secret_value(), create=create, lanes=lanes)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def kafka() -> "Iterator[tuple[KafkaSettings, KafkaAdmin]]":
    """Kafka as it is set, and a connection to ask it. Raises ``UsageError`` and ``StreamError``."""
    import logging

    from ringfirst.settings import kafka_settings
    from streams.admin import opened as opened_admin

    found = kafka_settings(settings())
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what matters of it is raised, and said in our words
    with opened_admin(found) as admin:
        yield found, admin


def lanes_of(store_url: str | None, asked: int | None) -> int:
    """How many lanes: as ``asked``, else those of the store. Never guessed: topics keep the partitions they got."""
    from engine.errors import StoreError

    if asked is not None:
        return asked
    try:
        with opened(store_url) as store:
            return store.lanes
    except StoreError as err:
        if (lanes := settings().lanes) is not None:
            return lanes
        raise StoreError(f"{err}; or say --lanes N (a new store gets 8, or RINGFIRST_LANES)") from err


def folder_of(rules: Path | None) -> "Folder":
    """The rulebook's folder, read. Raises ``UsageError``."""
    found = settings()
    from ringfirst.rulebooks import read_folder

    return read_folder(rules or found.rules)


def checked_book(rules: Path | None) -> "tuple[Rulebook, Folder]":
    """A rulebook without errors; with errors they are said on stderr and the command ends with 1."""
    folder = folder_of(rules)
    from ringfirst.answers import plural, print_findings, talk
    from ringfirst.rulebooks import checked

    book, findings = checked(folder)
    if book is None:
        print_findings(findings, err=True)
        talk(f"the rulebook has {plural(len(findings), 'finding')}: mend them and try again; nothing was opened")
        raise click.exceptions.Exit(1)
    return book, folder


def asked_book(store: "Store", rules: Path | None) -> "Rulebook":
    """The rulebook a question is answered by: the one in ``rules``, else the store's active one, else the settings'."""
    active = None if rules is not None else active_book(store)
    return active or checked_book(rules)[0]


@contextmanager
def by_active_book(rules: Path | None) -> Iterator[None]:
    """Says by which rulebook a question was answered, when it asks for a name that this one does not have."""
    from engine.errors import RulebookError, UsageError

    try:
        yield
    except (RulebookError, UsageError) as err:
        strange = "unknown name" in str(err) or "not in the rulebook" in str(err)
        if rules is not None or not strange:
            raise
        raise type(err)(
            f"{err} (asked of the store's active rulebook; --rules . asks the one in this folder)"
        ) from None


def active_book(store: "Store") -> "Rulebook | None":
    """The rulebook that the store's lanes decide by; None before the first event."""
    from engine.stored import stored_book

    mark = active_mark(store)
    return stored_book(store, mark) if mark else None


def active_mark(store: "Store") -> str | None:
    """The fingerprint of that rulebook."""
    marks = {lane: store.active_rulebook(lane) for lane in range(store.lanes)}
    infos = sorted(store.lane_infos(at=0), key=lambda info: (info.clock_at or 0, info.lane), reverse=True)
    return next((marks[info.lane] for info in infos if marks[info.lane]), None)


def say_why_none(store: "Store", rule: str | None, account_id: str | None, *, what: str) -> None:
    """Beside an empty list: the rule or account that it was narrowed to is one that nothing here knows."""
    from engine.questions import to_suggest
    from ringfirst.answers import say_none

    if rule is not None and not store.decisions(rule=rule, limit=1):
        book = active_book(store)
        ids = [one.id for one in book.rules] if book else []
        if rule in ids:
            say_none("rule", rule, "it has decided nothing so far", ())
        else:
            say_none("rule", rule, f"not in the active rulebook, and no {what} is by it", ids)
    known = store.accounts() if account_id is not None else []
    if account_id is not None and account_id not in known:
        say_none("account", account_id, "not in the store", to_suggest(known))


def sender_of(found: "Settings") -> "tuple[Sender, bool]":
    """Who writes, and whether that was set: without, an example that no mail can be answered to."""
    from email.utils import parseaddr

    from msgspec.structs import replace

    from outreach.context import Sender
    from outreach.examples import SENDER

    if found.sender is None:
        return replace(SENDER, locale=found.locale), False
    name, address = parseaddr(found.sender)
    reply = parseaddr(found.reply_to)[1] if found.reply_to else None
    sender = Sender(
        address=address,
        name=name,
        postal_address=found.postal_address or "",
        reply_to=(reply,) if reply else (),
        locale=found.locale,
        keep_sent_days=found.keep_sent,
        public_url=found.public_url,
        unsubscribe_to=found.unsubscribe_to,
    )
    return sender, True
