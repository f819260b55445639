"""Looks at store and topics again and again, whatever of them is away, and says how everything is."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from engine.errors import RingfirstError, StoreError
from engine.instants import DAY, SECOND
from engine.store import Store
from outreach.circuit import standing
from outreach.doubts import SENDGRID, silent
from ringfirst.intake import now
from ringfirst.oncall.late_reports import LateReports
from ringfirst.oncall.status import Seen, Status, status
from streams.lag import PartitionLag, lag, peeking
from streams.settings import KafkaSettings

if TYPE_CHECKING:
    from streams.admin import KafkaAdmin

Taken = tuple[dict[tuple[str, str, int], int], dict[tuple[str, str, int], str]]
"""Where the store goes on in each partition, and the ids of the topics that those offsets count in."""

KAFKA_SECONDS = 3.0
"""How long a broker may take to answer."""
LONGEST_LOOK = 5.0
"""So long a lane in which records wait may take to move, before it is called stalled."""
PAUSE = 1.0


class Lookout:
    """Keeps store and broker open between looks, and opens again what broke.

    ``open_store`` opens the store or raises ``StoreError``; ``kafka`` is None where no broker is set. Use it in a
    ``with`` block.
    """

    def __init__(self, open_store: Callable[[], Store], kafka: KafkaSettings | None) -> None:
        self._open_store, self._kafka = open_store, kafka
        self._store: Store | None = None
        self._late: LateReports | None = None
        self._admin: KafkaAdmin | None = None
        self._looks: list[Seen] = []
        """The last ones, oldest first."""

    def __enter__(self) -> Self:
        """Open nothing yet."""
        return self

    def __exit__(self, *_raised: object) -> None:
        """Close what is open."""
        self._close_store()
        self._close_kafka()

    def once(self) -> Status:
        """How everything is, from two looks a second or more apart.

        Raises ``StoreError`` when there is no store to be had and no broker is set either.
        """
        first = last = self._look(stamps=self._kafka is None)
        if first.store is not None and self._kafka is None:
            raise StoreError(first.store)
        until = time.monotonic() + LONGEST_LOOK
        while last.lags is not None:
            time.sleep(PAUSE)
            last = self._look(stamps=True)
            found = status(first, last)
            moving = {one.state for one in found.lanes} <= {"OK", "catching up"}
            if time.monotonic() > until or last.store is not None or moving or not _undecided(found):
                break
        self._looks = [first, last]
        return status(first, last)

    def again(self) -> Status:
        """How everything is, beside what the looks before showed."""
        if not self._looks:
            return self.once()
        self._looks.append(self._look(stamps=True))
        last = self._looks[-1]
        while len(self._looks) > 1 and self._looks[1].steady <= last.steady - LONGEST_LOOK:
            del self._looks[0]  # the first one is as old as a lane may take to move, and not much older
        return status(next((one for one in self._looks if one.lags is not None), last), last)

    # -- one look ----------------------------------------------------------------------------------------------------
    def _look(self, *, stamps: bool) -> Seen:
        seen = self._stored()
        if self._kafka is None:
            return Seen(**seen, at=now(), steady=time.monotonic(), kafka_used=False)
        lags, fault = self._streamed(self._kafka, seen.pop("offsets", None), stamps=stamps)
        return Seen(**seen, at=now(), steady=time.monotonic(), lags=lags, kafka=fault)

    def _stored(self) -> dict[str, Any]:
        try:
            if self._store is None:
                self._store = self._open_store()
                self._late = LateReports(self._store)
            store, at = self._store, now()
            infos = store.lane_infos(at=at)
            clocks = [one.clock_at for one in infos if one.clock_at is not None]
            found: dict[str, Any] = {
                "infos": infos,
                "beats": store.heartbeats(),
                "letters": store.dead_letter_counts(),
                "mails": store.mail_counts(),
                "unheard": silent(store, SENDGRID, at) / SECOND,
                "stops": store.stops(),
                "late": self._late.at(at) if self._late is not None else [],
                "outages": standing(store.outages(), at),
                "shares": store.shares(after=max(clocks) - DAY) if clocks else [],
            }
            if self._kafka is not None:
                found["offsets"] = store.offsets(), store.logs()
        except StoreError as err:
            self._close_store()
            return {"store": str(err)}
        return found

    def _streamed(
        self, kafka: KafkaSettings, taken: Taken | None, *, stamps: bool
    ) -> tuple[list[PartitionLag] | None, str | None]:
        from streams.admin import KafkaAdmin

        try:
            if self._admin is None:
                self._admin = KafkaAdmin(kafka, timeout_seconds=KAFKA_SECONDS)
            peek = peeking(kafka, timeout_seconds=KAFKA_SECONDS) if stamps else lambda _places: {}
            return lag(self._admin, peek, kafka.topics.inbound, *(taken or ({}, {})), at=now()), None
        except RingfirstError as err:
            self._close_kafka()
            return None, str(err)

    def _close_store(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None

    def _close_kafka(self) -> None:
        if self._admin is not None:
            self._admin.close()
        self._admin = None


def _undecided(found: Status) -> bool:
    """Is there a lane that waits and may yet be seen to move?"""
    return any(one.state == "stalled" and one.records for one in found.lanes)
