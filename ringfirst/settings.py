"""Settings: read once from the environment (``RINGFIRST_...``), checked together before anything opens."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from engine.errors import UsageError
from outreach.addresses import clean_address
from outreach.channels.sendgrid_account import Region
from outreach.channels.smtp_server import Security
from outreach.limits import read_per_domain, read_rate, read_warm_up
from streams.settings import KafkaSettings, Mechanism, Topics

PREFIX = "RINGFIRST_"
LEAST_TOKEN = 32
"""Characters of a token that nobody guesses."""
SECRETS = ("store", "token", "feedback_token", "kafka_password", "smtp_password", "sendgrid_key", "dkim_key")
"""Settings that are or may hold a password; each can also be read from the file that ``RINGFIRST_..._FILE`` names."""
_NEAR = 0.85
_TESTS = f"{PREFIX}TEST_"
_SERVER = re.compile(r"[^\s,:]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}")
_HOST = re.compile(r"[^\s,:\[\]]+|\[[0-9a-fA-F:.]+\]")
MOST_PORTS = 65_535
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_KEY = re.compile(r"[\x21-\x7e]+")
_API = re.compile(r"https://[^\s/:@]+(:\d{1,5})?/?|http://(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?/?")
_SELECTOR = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,61}[A-Za-z0-9])?")
_TOPIC = re.compile(r"(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}")


def _mailbox(text: str) -> str:
    if clean_address(parseaddr(text)[1]) is None:
        raise ValueError("it is no address; write 'Name <name@example.com>' or 'name@example.com'")
    return text


def _plain_mailbox(text: str) -> str:
    found = clean_address(text)
    if found is None:
        raise ValueError("it is no address; write it plainly, as unsubscribe@example.com")
    return found


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it has more than one line; write it on one")
    return text


def _servers(text: str) -> str:
    if not all(_SERVER.fullmatch(one) for one in text.split(",")):
        raise ValueError("it names no brokers; write host:port, several with commas")
    return text


def _place(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and int(port) <= MOST_PORTS) or (host and not _HOST.fullmatch(host)):
        raise ValueError("it is no place to listen; write host:port, or a port of 127.0.0.1; 0 takes a free one")
    return text if host else f"127.0.0.1:{port}"


def _public(text: str) -> str:
    try:
        found = urlsplit(text)
        good = found.scheme in {"http", "https"} and found.hostname and text.isascii() and text.isprintable()
        bare = not (found.query or found.fragment or "@" in found.netloc or " " in text or found.port == 0)
    except ValueError:
        good = bare = False
    if not (good and bare):
        raise ValueError("it is no address that a link can begin with; write https://mail.example.com")
    if found.scheme == "http" and found.hostname not in _LOCAL:
        raise ValueError("readers would be led there without TLS; write https://")
    return text.rstrip("/")


def _server(text: str) -> str:
    if not _SERVER.fullmatch(text):
        raise ValueError("it names no server; write host:port")
    return text


def _api(text: str) -> str:
    if not _API.fullmatch(text):
        raise ValueError("it is no place to post mails to; write https://host; http:// on this machine alone")
    return text.rstrip("/")


def _selector(text: str) -> str:
    if not _SELECTOR.fullmatch(text):
        raise ValueError("it is no selector; write the part before ._domainkey, such as ringfirst")
    return text


def _limited(read: Callable[[str], object]) -> Callable[[str], str]:
    """Make a check of what ``read`` can read; the text stays as it is."""

    def checked(text: str) -> str:
        read(text)
        return text

    return checked


def _name(text: str) -> str:
    if not _TOPIC.fullmatch(text):
        raise ValueError("Kafka takes no such name; use letters, digits, dot, dash and underscore, at most 249")
    return text


def _locale(text: str) -> str:
    from outreach.locales import known_locale

    known = known_locale(text)
    if known is None:
        raise ValueError("it is no locale; write en, de or pt-BR")
    return known


Name = Annotated[str, AfterValidator(_name)]
Mailbox = Annotated[str, AfterValidator(_mailbox), AfterValidator(_one_line)]


class Settings(BaseModel):
    """Everything that can be set from outside. Paths are relative to the current folder.

    ``lanes`` is how many a new store gets; one that is there must have as many.
    ``sender`` writes the mails (``Name <name@example.com>``), ``postal_address`` stands in each (CAN-SPAM, CASL).
    ``keep_sent`` is for how many days mails are kept as they left, 0 for not at all.
    ``locale`` is that of readers of whom none is known: the language of their mails, and how numbers and dates look.
    ``smtp`` names the server that takes them (``host:port``); without it they go into the folder ``outbox``.
    ``dkim_key`` (PEM) signs what leaves by ``smtp``; ``dkim_selector`` is where its public half stands in the DNS.
    ``sendgrid_key`` lets SendGrid take them, in the ``sendgrid_region`` of the account; ``sendgrid_url``: elsewhere.
    ``sendgrid_webhook_key`` is the public key by which what SendGrid tells of mails is known to come from it.
    ``only_to`` are the domains that mails may go to, with commas.
    ``rate`` is how many mails leave (``14 per 1s``), ``per_domain`` how many to each domain (``a.example = 9 per 1h``,
    ``*`` for each other one), ``warm_up`` how many on each of the first days of a sender's domain (``50, 100, 200``).
    ``host``, ``port`` and ``token`` are the embedded server's; ``allowed_hosts`` are names it answers to, with commas.
    ``health`` is where a worker shows how it is (``host:port``; port 0 takes a free one), ``log`` how all of them log.
    ``web`` is where customers and providers come in (``host:port``), ``public_url`` how links in mails lead there.
    ``feedback_token`` is what providers carry that tell of mails as plain JSON.
    ``unsubscribe_to`` is a mailbox that is read for those who unsubscribe by mail.
    ``kafka`` names the brokers (``host:port``, with commas), ``kafka_...`` how to come in, ``topic_...`` what to read.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    store: SecretStr = SecretStr("sqlite:///ringfirst.db")
    lanes: Annotated[int, Field(ge=1, le=1_024)] | None = None
    rules: Path = Path()
    outbox: Path = Path("outbox")
    sender: Mailbox | None = None
    reply_to: Mailbox | None = None
    postal_address: Annotated[str, AfterValidator(_one_line)] | None = None
    locale: Annotated[str, AfterValidator(_locale)] = "en"
    keep_sent: Annotated[int, Field(ge=0, le=36_500)] = 365
    smtp: Annotated[str, AfterValidator(_server)] | None = None
    smtp_security: Security = "starttls"
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_ca: Path | None = None
    dkim_key: SecretStr | None = None
    dkim_selector: Annotated[str, AfterValidator(_selector)] | None = None
    sendgrid_key: SecretStr | None = None
    sendgrid_region: Region = "global"
    sendgrid_webhook_key: str | None = None
    sendgrid_url: Annotated[str, AfterValidator(_api)] | None = None
    only_to: str = ""
    rate: Annotated[str, AfterValidator(_limited(read_rate))] | None = None
    per_domain: Annotated[str, AfterValidator(_limited(read_per_domain))] | None = None
    warm_up: Annotated[str, AfterValidator(_limited(read_warm_up))] | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=MOST_PORTS)] = 8484
    token: SecretStr | None = None
    allowed_hosts: str = ""
    health: Annotated[str, AfterValidator(_place)] | None = None
    web: Annotated[str, AfterValidator(_place)] | None = None
    public_url: Annotated[str, AfterValidator(_public)] | None = None
    feedback_token: SecretStr | None = None
    unsubscribe_to: Annotated[str, AfterValidator(_plain_mailbox)] | None = None
    log: Literal["text", "json"] = "text"
    kafka: Annotated[str, AfterValidator(_servers)] | None = None
    kafka_group: Name = "ringfirst"
    kafka_tls: bool = False
    kafka_ca: Path | None = None
    kafka_certificate: Path | None = None
    kafka_certificate_key: Path | None = None
    kafka_user: str | None = None
    kafka_password: SecretStr | None = None
    kafka_mechanism: Mechanism = "PLAIN"
    topic_usage: Name = "usage-events"
    topic_support: Name = "support-events"
    topic_lifecycle: Name = "lifecycle-events"
    topic_decisions: Name = "outreach-decisions"
    topic_dead_letters: Name = "dead-letters"
    topic_intake: Name = "intake-events"


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read all settings. Raises ``UsageError`` that lists everything that is wrong with them."""
    faults: list[str] = []
    found = ((name, environment.get(_variable(name))) for name in Settings.model_fields)
    told: dict[str, Any] = {name: text for name, text in found if text is not None}
    told |= dict(_secrets(environment, faults))
    wrong: frozenset[str] = frozenset()
    try:
        settings = Settings(**told)
    except ValidationError as err:
        faults += [_fault(found) for found in err.errors()]
        wrong = frozenset(str(found["loc"][0]) for found in err.errors())
        # What does not fit together is said at once with it, as far as it is not about what is wrong by itself.
        settings = Settings(**{name: text for name, text in told.items() if name not in wrong})
    faults += [one for one in _together(settings) if not any(_is_about(one, name) for name in wrong)]
    faults += _unknown(environment)
    if faults:
        raise UsageError("\n".join(faults))
    return settings


def _together(settings: Settings) -> Iterable[str]:
    """What does not fit together."""
    yield from _kafka_faults(settings)
    yield from _smtp_faults(settings)
    yield from _sendgrid_faults(settings)
    yield from _dkim_faults(settings)
    for name in ("token", "feedback_token"):
        secret = getattr(settings, name)
        if secret is not None and (length := len(secret.get_secret_value())) < LEAST_TOKEN:
            yield (
                f"{_variable(name)}: too short to be safe; found {length} characters; take at least {LEAST_TOKEN}, "
                "such as from: openssl rand -hex 32"
            )


def _is_about(fault: str, name: str) -> bool:
    return re.search(rf"\b{_variable(name)}\b", fault) is not None


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def kafka_settings(settings: Settings) -> KafkaSettings:
    """What the clients of Kafka need. Raises ``UsageError`` when no broker is named."""
    if settings.kafka is None:
        raise UsageError("RINGFIRST_KAFKA: no broker is named; found nothing; set it to host:port, several with commas")
    return KafkaSettings(
        servers=tuple(settings.kafka.split(",")),
        group=settings.kafka_group,
        topics=Topics(
            usage=settings.topic_usage,
            support=settings.topic_support,
            lifecycle=settings.topic_lifecycle,
            decisions=settings.topic_decisions,
            dead_letters=settings.topic_dead_letters,
            intake=settings.topic_intake,
        ),
        tls=settings.kafka_tls,
        ca=settings.kafka_ca,
        certificate=settings.kafka_certificate,
        certificate_key=settings.kafka_certificate_key,
        user=settings.kafka_user,
        password=settings.kafka_password.get_secret_value() if settings.kafka_password else None,
        mechanism=settings.kafka_mechanism,
    )


def _login_faults(settings: Settings, what: str) -> Iterable[str]:
    """A user and a password go together."""
    names = [f"{what}_user", f"{what}_password"]
    there = [name for name in names if getattr(settings, name) is not None]
    if len(there) == 1:
        (missing,) = set(names) - set(there)
        lone, other = _variable(there[0]), _variable(missing)
        yield f"{lone}: is set alone; found no {other}; set both or none"


def _smtp_faults(settings: Settings) -> Iterable[str]:
    """What does not fit together."""
    if settings.smtp is None:
        return
    yield from _nameless(settings, "smtp")
    yield from _login_faults(settings, "smtp")
    if settings.smtp_password is not None and settings.smtp_security == "none":
        yield "RINGFIRST_SMTP_PASSWORD: would go over the wire as it is; set RINGFIRST_SMTP_SECURITY to starttls or tls"
    if settings.smtp_ca is not None and not settings.smtp_ca.is_file():
        yield f"RINGFIRST_SMTP_CA: the file is not there; found {settings.smtp_ca}; name a PEM file"


def _sendgrid_faults(settings: Settings) -> Iterable[str]:
    """What does not fit together."""
    if settings.sendgrid_key is None:
        return
    yield from _nameless(settings, "sendgrid_key")
    if settings.smtp is not None:
        yield "RINGFIRST_SENDGRID_KEY: mails leave one way; found RINGFIRST_SMTP beside it; keep one of them"
    if not _KEY.fullmatch(settings.sendgrid_key.get_secret_value()):
        yield "RINGFIRST_SENDGRID_KEY: it is no key; found signs that cannot stand in a header; copy it anew"


def _dkim_faults(settings: Settings) -> Iterable[str]:
    """What does not fit together."""
    if (settings.dkim_key is None) != (settings.dkim_selector is None):
        yield "RINGFIRST_DKIM_KEY: it and RINGFIRST_DKIM_SELECTOR go together; found one of them; set both or none"
    if settings.dkim_key is not None and settings.smtp is None:
        yield "RINGFIRST_DKIM_KEY: signs what leaves by SMTP alone; found no RINGFIRST_SMTP; leave the key out"


def _nameless(settings: Settings, way: str) -> Iterable[str]:
    """What no mail may leave without."""
    for name, why in (("sender", "who writes"), ("postal_address", "where you are (the law asks for it in each mail)")):
        if getattr(settings, name) is None:
            yield f"{_variable(way)}: mails would leave without {why}; found no {_variable(name)}; set it"


def _kafka_faults(settings: Settings) -> Iterable[str]:
    """What does not fit together."""
    yield from _login_faults(settings, "kafka")
    for name in ("ca", "certificate", "certificate_key"):
        path = getattr(settings, f"kafka_{name}")
        if path is not None and not settings.kafka_tls:
            yield f"RINGFIRST_KAFKA_{name.upper()}: is of no use without TLS; set RINGFIRST_KAFKA_TLS to true"
        elif path is not None and not path.is_file():
            yield f"RINGFIRST_KAFKA_{name.upper()}: the file is not there; found {path}; name a PEM file"
    if (settings.kafka_certificate is None) != (settings.kafka_certificate_key is None):
        yield "RINGFIRST_KAFKA_CERTIFICATE: it and RINGFIRST_KAFKA_CERTIFICATE_KEY go together; set both or none"
    seen: dict[str, str] = {}
    for field in Settings.model_fields:
        if field.startswith("topic_"):
            variable, name = PREFIX + field.upper(), getattr(settings, field)
            if name in seen:
                yield f"{variable}: the same topic as {seen[name]}; found {name}; give each a name of its own"
            seen.setdefault(name, variable)


def _secrets(environment: Mapping[str, str], faults: list[str]) -> Iterable[tuple[str, Any]]:
    for name in SECRETS:
        variable = _variable(name)
        place = environment.get(f"{variable}_FILE")
        if place is None:
            continue
        if variable in environment:
            faults.append(f"{variable}: is set twice; found {variable}_FILE beside it; keep one of them")
        try:
            yield name, SecretStr(Path(place).read_text().strip())
        except (OSError, UnicodeDecodeError) as err:
            why = err.strerror if isinstance(err, OSError) else "it is not text"
            faults.append(f"{variable}_FILE: the file cannot be read; {why}; name a file with the value in it")


def place_of(text: str, option: str = "--listen") -> tuple[str, int]:
    """Host and port of a place to listen. Raises ``UsageError``, which names the option, for what names none.

    >>> place_of("0.0.0.0:9464"), place_of("9464"), place_of("[::1]:0")
    (('0.0.0.0', 9464), ('127.0.0.1', 9464), ('::1', 0))
    """
    try:
        host, _, port = _place(text).rpartition(":")
    except ValueError as err:
        raise UsageError(f"{option} {text}: {err}") from None
    return host.strip("[]"), int(port)


def _fault(found: Any) -> str:
    variable = _variable(str(found["loc"][0]))
    return f"{variable}: {found['msg'].removeprefix('Value error, ')}"


def _unknown(environment: Mapping[str, str]) -> Iterable[str]:
    """Near misses only: others may set variables of their own, tests do."""
    known = {_variable(name) for name in Settings.model_fields} | {f"{_variable(name)}_FILE" for name in SECRETS}
    for variable in sorted(environment):
        near = get_close_matches(variable, sorted(known), n=1, cutoff=_NEAR)
        if variable.startswith(PREFIX) and not variable.startswith(_TESTS) and variable not in known and near:
            yield f"{variable}: there is no such setting; did you mean {near[0]}?"
