"""Reports that are late, looked up by the active rulebook, and as a metric: of a worker and of the server alike."""

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily, Metric

from engine.errors import RulebookError
from engine.reports.late import Late
from engine.stored import stored_book
from ringfirst.commands.options import active_mark
from ringfirst.intake import now
from ringfirst.reports_issued import late_reports

if TYPE_CHECKING:
    from engine.instants import Instant
    from engine.store import Store


class LateReports:
    """Asks one store which of its reports are late; the rulebook is read once, as long as it stays the active one."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._book = lru_cache(maxsize=1)(lambda mark: stored_book(store, mark))

    def at(self, at: "Instant") -> list[Late]:
        """What is late at an instant. Raises ``StoreError`` when the store is away."""
        mark = active_mark(self._store)
        try:
            return late_reports(self._store, self._book(mark), at) if mark else []
        except RulebookError:  # of another version of this program; whoever asks has more to tell than this
            return []


def overdue(found: Iterable[Late]) -> Metric:
    """For how long each report has been late, and why; nothing where none is."""
    words = "For how long a report has been due and was not issued"
    gauge = GaugeMetricFamily("ringfirst_report_overdue_seconds", words, labels=("rule_id", "cause"))
    for one in found:
        gauge.add_metric([one.report, one.cause], one.seconds(now()))
    return gauge
