"""What is served to the outside, all of it: who adds a route adds it here."""

from starlette.routing import BaseRoute

from engine.rulebook.spec import Policy
from engine.store import Store
from ringfirst.commands.options import active_book, sender_of
from ringfirst.settings import Settings
from ringfirst.web.choices import Choices
from ringfirst.web.reports import Reports
from ringfirst.web.sendgrid import sendgrid_routes
from ringfirst.web.told import told_routes


def routes_of(store: Store, found: Settings) -> list[BaseRoute]:
    """Every route but ``/robots.txt``. Raises ``UsageError`` for settings that no route can be made of."""

    def policy() -> Policy:
        book = active_book(store)
        return book.policy if book is not None else Policy()

    sender = sender_of(found)[0]
    pages = [*Choices(store, sender, policy).routes(), *Reports(store, sender).routes()]
    return [*pages, *sendgrid_routes(store, found, policy), *told_routes(store, found)]
