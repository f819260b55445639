"""``ringfirst suppressions``: who is not written to, put and taken back by hand."""

import json

import pytest

from engine.stores import open_store
from outreach.addresses import address_key


@pytest.fixture
def store(place):
    url = f"sqlite:///{place / 'ringfirst.db'}"
    with_ = open_store(url)
    yield with_
    with_.close()


def listed(run, *words):
    return json.loads(run("suppressions", "list", *words, "--json").stdout)


def test_an_address_is_added_listed_and_taken_back(store, run):
    run("suppressions", "add", "Ada@Acme.example", "--why", "asked by phone")
    run("suppressions", "add", "ada@acme.example", "--why", "again", "--topic", "tips")
    key = address_key(store.key, "ada@acme.example")
    assert [(one["address_key"], one["topic"], one["choice"], one["why"]) for one in listed(run)] == [
        (key, None, "out", "asked by phone"),
        (key, "tips", "out", "by hand: again"),
    ]
    assert listed(run, "eve@acme.example") == []
    assert len(listed(run, key)) == 2
    assert "ada" not in run("suppressions", "list").stdout.lower()
    run("suppressions", "add", "eve@acme.example", "--why", "no news", "--topic", "*")
    assert "all but transactional" in run("suppressions", "list", "eve@acme.example").stdout
    run("suppressions", "remove", "eve@acme.example", "--topic", "*", "--why", "a mistake")
    run("suppressions", "remove", key, "--why", "works again")
    assert [one["topic"] for one in listed(run, "ada@acme.example")] == ["tips"]
    run("suppressions", "remove", "ada@acme.example", "--topic", "tips", "--why", "a mistake")
    assert listed(run) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add", "no address", "--why", "x"], "neither an address nor a key"),
        (["add", "a@b.example", "--why", "x", "--topic", "tipz"], "did you mean 'tips'"),
        (["add", "a@b.example"], "--why"),
        (["remove", "a@b.example", "--why", "x"], "nothing to take back"),
        (["remove", "a@b.example", "--topic", "tips", "--why", "x"], "nothing to take back"),
    ],
)
def test_what_cannot_be_done_is_said(store, run, words, said):
    done = run("suppressions", *words, code=2)
    assert said in done.output
    assert "b.example" not in done.output
    assert (store.suppressions(), store.choices()) == ([], [])
