"""The product under the judge's eyes: a judge's log goes through a lane, and comes out in the judge's shape."""

from decimal import Decimal
from typing import Any

import yaml

from engine.account import Account
from engine.decision import Decision, Ended, Held, Mail, Released
from engine.lane import Lane
from engine.log import EngineEntry, Entry, Event, Recorded
from engine.program import Program
from engine.rulebook.book import Rulebook, load_rulebook
from engine.snapshot import freeze, thaw


def book_of(data: dict[str, Any]) -> Rulebook:
    """A rulebook from the judge's plain data, by way of YAML text; templates stand for themselves."""
    files = {"rules/all.yml": yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)}
    for rule in data.get("rules", []):
        for key, audience in (("send", "customer"), ("notify", "staff")):
            if key in rule:
                files[f"templates/{rule[key]['template']}/template.yml"] = f"for: {audience}\n"
    book, findings = load_rulebook(files, duties=False)
    assert book is not None, "\n".join(str(finding) for finding in findings) + "\n" + files["rules/all.yml"]
    return book


def decide(
    log: list[dict[str, Any]], until: int, thaw_at: frozenset[int] = frozenset(), kind: type[Lane] = Lane
) -> list[dict[str, Any]]:
    """The product's decisions over a judge's log; at ``thaw_at`` every account goes through its snapshot.

    ``kind`` is the lane: the plain one or its twin in columns.
    """
    programs: dict[str, Program] = {}
    stored: dict[str, list[Recorded]] = {}

    def history(account_id: str, position: int) -> list[Recorded]:
        return [row for row in stored.get(account_id, []) if row.position <= position]

    lane = kind(programs.__getitem__, history)
    decisions: dict[str, Decision] = {}
    mails: dict[str, tuple[str, int]] = {}
    for row in log:
        entry = _entry(row, programs)
        if isinstance(entry, Recorded):
            stored.setdefault(entry.account_id, []).append(entry)
        _note(lane.take(entry), decisions, mails)
        if entry.position in thaw_at:
            lane = _again(lane, programs, history)
    _note(lane.advance(until), decisions, mails)
    return sorted((_shown(one, mails) for one in decisions.values()), key=lambda one: (one["at"], one["decision_id"]))


def _again(lane: Lane, programs: dict[str, Program], history: Any) -> Lane:
    again = type(lane)(programs.__getitem__, history)
    again.program, again.clock, again.first_at = lane.program, lane.clock, lane.first_at
    again.late = lane.late
    for account in lane.accounts.values():
        restored = thaw(account.id, account.position, account.program, freeze(account))
        assert isinstance(restored, Account)
        again.adopt(restored)
    return again


def _entry(row: dict[str, Any], programs: dict[str, Program]) -> Entry:
    position, at = row["position"], row["recorded_at"]
    if "rulebook" in row:
        book = book_of(row["rulebook"])
        programs[book.fingerprint] = Program(book)
        return EngineEntry(position, at, "rulebook.activated", None, {"fingerprint": book.fingerprint})
    if "stream" in row:
        stream = row["stream"]
        return EngineEntry(position, at, f"source.{stream['kind']}", None, {"source": stream["source"]})
    if "ended" in row:
        ended = row["ended"]
        return EngineEntry(position, at, f"outreach.{ended['why']}", ended["account_id"], ended)
    event = row["event"]
    properties = {name: exact(value) for name, value in event["properties"].items()}
    return Recorded(
        position,
        at,
        Event(
            event["id"],
            event["type"],
            event["account_id"],
            event["user_id"],
            event["time"],
            properties,
        ),
    )


def exact(value: Any) -> Any:
    """A judge's number as an event carries it."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    return [exact(item) for item in value] if isinstance(value, list) else value


def _note(facts: list[Any], decisions: dict[str, Decision], mails: dict[str, tuple[str, int]]) -> None:
    """Keep each decision, and of each of its mails its state and when it is due."""
    for fact in facts:
        if isinstance(fact, Ended):
            mails[fact.outreach_id] = (fact.state, mails[fact.outreach_id][1])
        elif isinstance(fact, Held):
            mails[fact.outreach_id] = ("held", mails[fact.outreach_id][1])
        elif isinstance(fact, Released):
            mails[fact.mail.outreach_id] = _begun(fact.mail)
        else:
            decisions[fact.decision_id] = fact
            mails.update((mail.outreach_id, _begun(mail)) for mail in fact.mails if fact.outcome == "planned")


def _begun(mail: Mail) -> tuple[str, int]:
    return ("planned" if mail.held is None else "held"), mail.due_at


def _shown(one: Decision, mails: dict[str, tuple[str, int]]) -> dict[str, Any]:
    subject = {"kind": one.subject.kind, "id": one.subject.id} if one.subject else None
    shown = [
        {"to": mail.to, "due_at": mails[mail.outreach_id][1], "state": mails[mail.outreach_id][0]}
        for mail in sorted(one.mails, key=lambda mail: mail.to)
    ]
    return {
        "decision_id": one.decision_id,
        "rule": one.rule,
        "account_id": one.account_id,
        "subject": subject,
        "occasion": one.occasion,
        "at": one.at,
        "outcome": one.outcome,
        "withdrawn_at": one.withdrawn_at,
        "values": one.values,
        "mails": shown,
    }


class _Dumper(yaml.SafeDumper):
    """Plain YAML without aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write every value where it belongs."""
        return True


_Dumper.add_representer(Decimal, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:float", str(value)))
