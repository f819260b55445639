"""Rulebooks as a store keeps them: the files of every one that was ever active, by its fingerprint."""

from engine.program import Program
from engine.rulebook.book import Rulebook, must_load
from engine.store import Store


def stored_book(store: Store, fingerprint: str) -> Rulebook:
    """A stored rulebook. Raises ``RulebookError`` when the store does not have it."""
    files = store.rulebook(fingerprint)
    return must_load(files if files is not None else {"rules/missing.yml": f"missing: {fingerprint}"})


def stored_program(store: Store, fingerprint: str) -> Program:
    """The program of a stored rulebook. Raises ``RulebookError`` when the store does not have it."""
    return Program(stored_book(store, fingerprint))
