"""What is served to the outside, all of it: who adds a route adds it here."""

from starlette.routing import BaseRoute

from engine.store import Store
from ringfirst.settings import Settings


def routes_of(_store: Store, _found: Settings) -> list[BaseRoute]:
    """Every route but ``/robots.txt``."""
    return []
