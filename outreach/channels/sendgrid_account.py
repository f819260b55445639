"""Which SendGrid account takes the mails: apart from the channel, so that settings are read without loading it."""

from typing import Literal

import msgspec

Region = Literal["global", "eu"]
HOSTS: dict[Region, str] = {"global": "https://api.sendgrid.com", "eu": "https://api.eu.sendgrid.com"}


class SendGridAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Whose key, and where the API is. ``connections`` is how many mails may be on their way at once."""

    key: str
    host: str = HOSTS["global"]
    connections: int = 8
