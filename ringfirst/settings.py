"""Settings: read once from the environment (``RINGFIRST_...``), checked together before anything opens."""

import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from engine.errors import UsageError
from outreach.addresses import clean_address

PREFIX = "RINGFIRST_"
SECRETS = ("store", "token")
"""Settings that are or may hold a password; each can also be read from the file that ``RINGFIRST_..._FILE`` names."""
_NEAR = 0.85


def _mailbox(text: str) -> str:
    if clean_address(parseaddr(text)[1]) is None:
        raise ValueError("it is no address; write 'Name <name@example.com>' or 'name@example.com'")
    return text


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it has more than one line; write it on one")
    return text


Mailbox = Annotated[str, AfterValidator(_mailbox), AfterValidator(_one_line)]


class Settings(BaseModel):
    """Everything that can be set from outside. Paths are relative to the current folder.

    ``sender`` writes the mails (``Name <name@example.com>``), ``postal_address`` stands in each (CAN-SPAM, CASL).
    ``host``, ``port`` and ``token`` are the embedded server's; ``allowed_hosts`` are names it answers to, with commas.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    store: SecretStr = SecretStr("sqlite:///ringfirst.db")
    rules: Path = Path()
    outbox: Path = Path("outbox")
    sender: Mailbox | None = None
    reply_to: Mailbox | None = None
    postal_address: Annotated[str, AfterValidator(_one_line)] | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8484
    token: SecretStr | None = None
    allowed_hosts: str = ""


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read all settings. Raises ``UsageError`` that lists everything that is wrong with them."""
    faults: list[str] = []
    found = ((name, environment.get(_variable(name))) for name in Settings.model_fields)
    told: dict[str, Any] = {name: text for name, text in found if text is not None}
    try:
        settings = Settings(**(told | dict(_secrets(environment, faults))))
    except ValidationError as err:
        faults += [_fault(found) for found in err.errors()]
    faults += _unknown(environment)
    if faults:
        raise UsageError("\n".join(faults))
    return settings


def _variable(name: str) -> str:
    return PREFIX + name.upper()


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


def _fault(found: Any) -> str:
    variable = _variable(str(found["loc"][0]))
    return f"{variable}: {found['msg'].removeprefix('Value error, ')}"


def _unknown(environment: Mapping[str, str]) -> Iterable[str]:
    """Near misses only: others may set variables of their own, tests do."""
    known = {_variable(name) for name in Settings.model_fields} | {f"{_variable(name)}_FILE" for name in SECRETS}
    for variable in sorted(environment):
        near = get_close_matches(variable, sorted(known), n=1, cutoff=_NEAR)
        if variable.startswith(PREFIX) and variable not in known and near:
            yield f"{variable}: there is no such setting; did you mean {near[0]}?"
