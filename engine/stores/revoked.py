"""Reports whose links were taken back: who holds one of them opens nothing any more."""

import sqlalchemy as sa

from engine.instants import Instant
from engine.stores.driver import Driver
from engine.stores.tables import revoked


def put(connection: sa.Connection, driver: Driver, account_id: str, report: str, period: str, at: Instant) -> bool:
    """Take back the links of mails decided by then. Returns False where that was done already, as late or later."""
    before = read(connection, account_id, report, period)
    if before is not None and before >= at:
        return False
    row = {"account_id": account_id, "report": report, "period": period, "at": at}
    keys = list(revoked.primary_key.columns)
    connection.execute(driver.upsert(revoked).values(row).on_conflict_do_update(index_elements=keys, set_={"at": at}))
    return True


def read(connection: sa.Connection, account_id: str, report: str, period: str) -> Instant | None:
    """Until when mails were decided whose links are taken back; None: none are."""
    c = revoked.c
    mine = c.account_id == account_id, c.report == report, c.period == period
    return connection.execute(sa.select(c.at).where(*mine)).scalar_one_or_none()
