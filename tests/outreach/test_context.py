"""What a template gets: values under their names, people with their traits, and nothing else."""

import pytest

from engine.decision import Subject
from outreach.context import build_context
from outreach.rendering import render
from tests.outreach.given import ADA, NOON, SENDER, keep, made_template, only, planned


@pytest.fixture
def context(store):
    def build(people=None, plural=None, **more):
        keep(store, planned(**more), people=people)
        return build_context([only(store)], store.people("acme"), SENDER, plural=plural)

    return build


def test_values_stand_under_their_dotted_names_and_a_score_beside_its_band(context):
    found = context(values={"reports_28d": 24, "health": 62.5, "health.band": "amber", "orientation.starts_at": None})
    assert found["reports_28d"] == 24
    assert found["health"] == {"": 62.5, "band": "amber"}
    assert found["orientation"] == {"starts_at": None, "id": "m1"}
    assert render(made_template("{{ health }} {{ health.band }}"), found).text == "62.5 amber\n"


def test_the_reader_has_traits_of_both_kinds_and_a_first_name(context):
    assert context()["you"] == {"role": "champion", "id": "u1", "first_name": "Ada", **ADA}


def test_a_first_name_that_is_known_is_not_guessed(context):
    assert context(people={"u1": {**ADA, "first_name": "A."}})["you"]["first_name"] == "A."


def test_the_account_has_traits_owner_and_id(context):
    found = context(frozen={"account": {"plan": "pro", "owner": "bo@ringfirst.example"}})
    assert found["account"] == {"plan": "pro", "owner": "bo@ringfirst.example", "id": "acme"}


def test_a_role_is_a_person_with_traits_of_both_kinds(context):
    found = context(
        values={"orientation.host": "u2"},
        frozen={"roles": {"host": "u2", "guest": None}, "people": {"u2": {"role": "admin"}}},
        people={"u1": ADA, "u2": {"name": "Bo Berg"}},
    )
    assert found["orientation"]["host"] == {"id": "u2", "role": "admin", "name": "Bo Berg", "first_name": "Bo"}
    assert "guest" not in found["orientation"]


def test_the_person_of_an_event_has_a_name(context):
    found = context(subject=Subject("event", "e1"), values={"event.person": "u1", "event.score": 3})
    assert (found["event"]["person"]["first_name"], found["event"]["score"]) == ("Ada", 3)


def test_a_person_as_subject_has_a_name(context):
    found = context(subject=Subject("person", "u1"), values={"person.days_quiet": 15}, plural="persons")
    assert found["person"]["name"] == "Ada Lindqvist"
    assert found["person"]["days_quiet"] == 15
    assert found["persons"] == [found["person"]]


def test_literals_why_title_and_rule_are_there(context):
    found = context(frozen={"with": {"feature": "automations"}, "why": "W", "title": "T"})
    assert (found["with"], found["why"], found["title"]) == ({"feature": "automations"}, "W", "T")
    assert (found["rule"], found["links"]) == ("orientation-tomorrow", {})
    assert found["sender"] == {"name": "Ringfirst", "person": "", "postal_address": SENDER.postal_address}


@pytest.mark.parametrize(
    ("reader", "account", "zone"),
    [
        ("Asia/Tokyo", "America/Lima", "Thursday, 12 March 2026, 18:00 JST"),
        (None, "America/Lima", "Thursday, 12 March 2026, 04:00 (UTC-05:00)"),
        (None, None, "Thursday, 12 March 2026, 10:00 CET"),
        ("Nowhere/Land", None, "Thursday, 12 March 2026, 10:00 CET"),
    ],
)
def test_times_are_the_readers_else_the_accounts_else_ours(context, reader, account, zone):
    found = context(frozen={"people": {"u1": {"timezone": reader}}, "zone": account})
    template = made_template("{{ orientation.starts_at|datetime }}")
    assert render(template, found).text.strip() == zone


def test_a_plural_holds_every_subject_in_order_of_instant_then_id(store):
    subjects = [("m3", NOON), ("m1", NOON + 5), ("m2", NOON)]
    keep(store, *(planned(subject=Subject("orientation", name), values={}, at=at) for name, at in subjects))
    rows = store.outreach()
    found = build_context(rows, store.people("acme"), SENDER, plural="orientations")
    assert [one["id"] for one in found["orientations"]] == ["m2", "m3", "m1"]
    assert found["orientation"]["id"] == "m2"
    assert build_context(rows[::-1], store.people("acme"), SENDER, plural="orientations") == found
