"""What the server says no to, with the HTTP status that tells a client what to do next."""

from engine.errors import RingfirstError

RETRY_SECONDS = 1


class Refused(RingfirstError):
    """A request that is not taken; nothing of it counts as acknowledged. The message says what to do.

    ``status`` below 500: send something else. 503: send the same again after ``Retry-After``.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def busy(found: str) -> Refused:
    """The answer to a client that should come again in a moment."""
    return Refused(503, f"intake: no room or no owner right now; {found}; send the same again in a moment")
