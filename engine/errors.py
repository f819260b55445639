"""Every error Ringfirst raises on purpose: few, each because somebody acts differently on it."""


class RingfirstError(Exception):
    """Something Ringfirst refuses to do, in words for the person who asked.

    Every message follows one grammar: ``where: what is wrong; what was found; what to do``. It never carries a
    customer's name or address.
    """


class RulebookError(RingfirstError):
    """The rulebook has findings; run ``ringfirst check`` and mend them, then try again."""


class StoreError(RingfirstError):
    """The event store cannot be opened or is not what it should be; the message says which setting to change."""


class StreamError(RingfirstError):
    """The broker or its topics cannot be had or are not what they should be; the message says what to change."""


class LaneTaken(RingfirstError):
    """Another owner holds the lane; stop it first, or take the lanes over when it is known to be dead."""


class Fenced(RingfirstError):
    """A newer owner has the lane: this one must stop. Nothing of the batch was written."""


class Conflict(RingfirstError):
    """The store moved under the batch (a mail is being handed over). Nothing was written: load the lane again."""


class TemplateError(RingfirstError):
    """A template is broken or misses a value; the mail is held for its owner and never goes out broken."""


class UsageError(RingfirstError):
    """The command line asked for something that does not exist or does not fit; the message says what does."""
