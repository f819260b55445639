"""Which SMTP server takes the mails: apart from the channel, so that settings are read without loading it."""

from pathlib import Path
from typing import Literal

import msgspec

Security = Literal["starttls", "tls", "none"]


class SmtpServer(msgspec.Struct, frozen=True, kw_only=True):
    """Which server, and how to come in.

    With ``starttls`` and ``tls`` its certificate must be good (``ca`` or the system's authorities); ``none`` is for a
    server on this machine or in a network of one's own.
    """

    host: str
    port: int
    security: Security = "starttls"
    user: str | None = None
    password: str | None = None
    ca: Path | None = None
