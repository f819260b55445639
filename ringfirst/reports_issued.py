"""What became of reports that were issued, and what waits: for a list, and for whoever corrects one."""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from engine.instants import Instant, iso
from engine.reports.issuing import Issued, event_id, event_of
from engine.reports.late import Late, late
from engine.rulebook.reporting import NOTE
from engine.store import InboxKind
from outreach.gate import CORRECTED
from outreach.telling import ended
from ringfirst.recalls import HERE

if TYPE_CHECKING:
    from engine.rulebook.book import Rulebook
    from engine.store import Store


def take_back(store: "Store", issued: Issued, *, at: Instant, who: str) -> list[str]:
    """Take back mails of the period that are still here: what was corrected must not leave beside the correction.

    One in doubt may have left; it is settled, so that it is not sent again. Those of the correction itself stay: its
    lane may have taken it in already. Gives the ids of those that are here, and surely nobody gets.
    """
    before, own = event_id(issued.report, issued.period), event_of(issued)
    taken = []
    for row in store.outreach(states=[*HERE, "in_doubt"], rule=issued.report):
        about = row.subject_id or ""
        if (
            row.account_id != issued.account_id
            or about == own
            or not (about == before or about.startswith(f"{before}:"))
        ):
            continue
        if row.state == "in_doubt":
            store.move(row.outreach_id, ["in_doubt"], "suppressed", at=at, by=who, why=CORRECTED)
            continue
        inbox: list[tuple[str, InboxKind, bytes]] = [(row.account_id, "entry", ended(row, "withdrawn"))]
        if store.move(row.outreach_id, HERE, "withdrawn", at=at, by=who, why="the report was corrected", inbox=inbox):
            taken.append(row.outreach_id)
    return taken


def issued_rows(store: "Store", book: "Rulebook", account_id: str | None) -> list[dict[str, Any]]:
    """What became of the reports that were issued, newest first: of one account, else of each period together.

    ``{"report", "period", "number", "accounts", "outcome", "because", "mails"}``. ``outcome``: ``planned``,
    ``held_out``, ``withdrawn`` or ``kept back``; ``because`` is why, where all have the same reason; ``mails`` counts
    mails to readers by state.
    """
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for report in (one.id for one in book.reports if one.sending is not None):
        for rule in (report, report + NOTE):
            states: dict[str, Counter[str]] = {}
            for mail in store.outreach(rule=rule) if rule == report else ():
                states.setdefault(mail.decision_id, Counter())[mail.state] += 1
            for one in store.decisions(rule=rule, account_id=account_id):
                told = one.frozen.get("report") or {}
                outcome = one.outcome if rule == report else "kept back"
                key = (report, told["period"]["name"], told["number"], outcome)
                row = found.setdefault(key, {"accounts": 0, "because": set(), "mails": Counter()})
                row["accounts"] += 1
                row["because"].add(told.get("against"))
                row["mails"].update(states.get(one.decision_id, {}))
    names = ("report", "period", "number", "outcome")
    rows = sorted(found.items(), key=lambda one: (one[0][1], one[0][2]), reverse=True)
    return [
        {
            **dict(zip(names, key, strict=True)),
            "accounts": row["accounts"],
            "because": next(iter(row["because"])) if len(row["because"]) == 1 else None,
            "mails": dict(sorted(row["mails"].items())),
        }
        for key, row in rows
    ]


def late_reports(store: "Store", book: "Rulebook", at: Instant, *, living: bool = False) -> list[Late]:
    """The reports of that rulebook that are late at ``at``; costs nothing where none is sent.

    ``living``: also of a store that holds nothing but history, as far as one can see.
    """
    if all(one.sending is None for one in book.reports):
        return []
    return late(book, store.lane_infos(at=at), store.report_rounds(), at, living=living)


def waiting_rows(found: Iterable[Late]) -> list[dict[str, Any]]:
    """Late reports as JSON values: ``{"report", "period", "due", "closes", "cause", "lanes", "left"}``."""
    return [
        {
            "report": one.report,
            "period": one.period,
            "due": iso(one.due),
            "closes": iso(one.closes),
            "cause": one.cause,
            "lanes": one.lanes,
            "left": one.left,
        }
        for one in found
    ]
