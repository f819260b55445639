"""The same 25 rules as one DuckDB query: what is true at each local midnight of each account; edges in SQL, rest here.

Day ``d`` stands for its first instant: what has happened are the days before it, and a window of 28 days that ends with
``d`` holds the 27 days before. So counts become sums over rows of (account, day).
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb

from bench.plain import NAMES, RULES

LOAD = """
SET threads = {threads};
CREATE TABLE events AS
SELECT id, type, account_id AS account, user_id AS person, epoch_ms(time::TIMESTAMPTZ) AS moment, properties AS told
FROM read_ndjson('{path}', columns = {{
    id: 'VARCHAR', type: 'VARCHAR', account_id: 'VARCHAR', user_id: 'VARCHAR', time: 'VARCHAR',
    properties: 'STRUCT(feature VARCHAR, "by" VARCHAR, ticket_id VARCHAR, contract_id VARCHAR, meeting_id VARCHAR,
                        sign_by DATE, starts_at TIMESTAMPTZ, seats INTEGER, renewal DATE, timezone VARCHAR)'}});
"""

DAYS = """
CREATE TABLE zones AS SELECT account, coalesce(any_value(told.timezone), 'UTC') AS zone FROM events GROUP BY account;
CREATE TABLE happened AS
SELECT e.account, e.type, e.person, e.moment, e.told,
       timezone(z.zone, make_timestamptz(e.moment * 1000))::DATE - DATE '1970-01-01' AS day,
       timezone(z.zone, e.told.starts_at)::DATE - DATE '1970-01-01' AS starts
FROM (SELECT DISTINCT ON (account, id) * FROM events) e JOIN zones z USING (account);
CREATE TABLE spans AS
WITH latest AS (SELECT max(moment) AS moment FROM happened),
ends AS (SELECT account, timezone(zone, make_timestamptz(moment * 1000))::DATE - DATE '1970-01-01' AS last
         FROM zones, latest)
SELECT account, min(day) AS first, any_value(last) AS last FROM happened JOIN ends USING (account) GROUP BY account;
"""
"""The day of each event in its account's zone, and the days on which each account is looked at."""

COUNTS = """
CREATE TABLE counts AS
SELECT account, day, COLUMNS(* EXCLUDE (account, day))::INT FROM (
SELECT account, day,
    count(*) FILTER (type = 'feature.used') AS uses,
    count(*) FILTER (type = 'session.started') AS sessions,
    count(*) FILTER (type = 'ticket.opened') AS opened,
    max((type = 'feature.used' OR type = 'session.started')::INT) AS active,
    count(*) FILTER (told.feature = 'reports') AS reports,
    count(*) FILTER (told.feature = 'automations') AS automations,
    count(*) FILTER (told.feature = 'dashboards') AS dashboards,
    count(*) FILTER (told.feature = 'exports') AS exports,
    count(*) FILTER (told.feature = 'integrations') AS integrations,
    count(*) FILTER (told.feature = 'alerts') AS alerts,
    count(*) FILTER (told.feature = 'search') AS search,
    count(*) FILTER (told.feature = 'api') AS api,
    arg_max(told.seats, moment) AS seats,
    arg_max(told.renewal, moment) - DATE '1970-01-01' AS renewal
FROM happened GROUP BY account, day);
"""
"""Small whole numbers: sums of them over windows cost a third less than of large ones."""

DIFFERENT = """
CREATE TABLE different AS
WITH days AS (
    SELECT DISTINCT account, 'u' AS what, person AS value, day FROM happened
    WHERE type IN ('feature.used', 'session.started')
    UNION ALL
    SELECT DISTINCT account, 'f', told.feature, day FROM happened WHERE type = 'feature.used'),
chains AS (
    SELECT account, what, day, lead(day) OVER (PARTITION BY account, what, value ORDER BY day) AS next FROM days),
steps AS (
    SELECT account, what, size, day + 1 AS day, 1 AS step
    FROM chains, (VALUES (7), (14), (28)) sizes(size)
    UNION ALL
    SELECT account, what, size, least(day + size - 1, next) + 1, -1
    FROM chains, (VALUES (7), (14), (28)) sizes(size))
SELECT account, day, COLUMNS(* EXCLUDE (account, day))::INT FROM (
SELECT account, day,
    sum(step) FILTER (what = 'u' AND size = 7) AS u7,
    sum(step) FILTER (what = 'u' AND size = 14) AS u14,
    sum(step) FILTER (what = 'u' AND size = 28) AS u28,
    sum(step) FILTER (what = 'f' AND size = 14) AS f14,
    sum(step) FILTER (what = 'f' AND size = 28) AS f28
FROM steps GROUP BY account, day);
"""
"""A value counts from the day after its latest day until the window has left that day: +1 and -1, summed up later."""

THINGS = """
CREATE TABLE tickets AS
WITH steps AS (
    SELECT account, told.ticket_id AS id, type, told."by" AS who, moment, day,
           min(moment) FILTER (type = 'ticket.opened') OVER thing AS opened_at,
           min(day) FILTER (type = 'ticket.opened') OVER thing AS opened,
           coalesce(min(moment) FILTER (type = 'ticket.solved') OVER thing, 9e15::BIGINT) AS solved_at
    FROM happened WHERE told.ticket_id IS NOT NULL WINDOW thing AS (PARTITION BY account, told.ticket_id))
SELECT *, lead(day) OVER (PARTITION BY account, id ORDER BY moment) AS next,
       row_number() OVER (PARTITION BY account, id, type, who ORDER BY moment) AS turn
FROM steps WHERE moment BETWEEN opened_at AND solved_at;

CREATE TABLE open_tickets AS
SELECT account, day, count(*) AS tickets, max(day - opened) AS oldest,
       count(*) FILTER (type = 'ticket.opened' OR who = 'customer') AS waiting
FROM (SELECT account, opened, type, who,
             unnest(generate_series(t.day + 1, coalesce(t.next, s.last))) AS day
      FROM tickets t JOIN spans s USING (account) WHERE type <> 'ticket.solved')
GROUP BY account, day;

CREATE TABLE answers AS
SELECT account, day, count(*) AS answers, sum(moment - opened_at) AS waited
FROM tickets WHERE type = 'ticket.replied' AND who = 'agent' AND turn = 1 GROUP BY account, day;

CREATE TABLE contracts AS
WITH open AS (
    SELECT account, any_value(told.sign_by) FILTER (type = 'contract.sent') - DATE '1970-01-01' AS sign_by,
           min(day) FILTER (type = 'contract.sent') AS first, min(day) FILTER (type = 'contract.signed') AS last
    FROM happened WHERE told.contract_id IS NOT NULL GROUP BY account, told.contract_id),
days AS (
    SELECT account, sign_by, unnest(generate_series(o.first + 1, coalesce(o.last, s.last))) AS day
    FROM open o JOIN spans s USING (account))
SELECT account, day, coalesce(min(sign_by - day) FILTER (sign_by >= day), max(sign_by - day)) AS signing
FROM days GROUP BY account, day;

CREATE TABLE meetings AS
WITH steps AS (
    SELECT account, told.meeting_id AS id, type, day, moment, starts,
           lead(day) OVER (PARTITION BY account, told.meeting_id ORDER BY moment) AS next
    FROM happened WHERE told.meeting_id IS NOT NULL),
days AS (
    SELECT account, starts, unnest(generate_series(t.day + 1, coalesce(t.next, s.last))) AS day
    FROM steps t JOIN spans s USING (account) WHERE type IN ('meeting.scheduled', 'meeting.rescheduled'))
SELECT account, day, coalesce(min(starts - day) FILTER (starts >= day), max(starts - day)) AS orientation
FROM days GROUP BY account, day;
"""

FACTS = """
CREATE TABLE facts AS
WITH grid AS (SELECT account, first, unnest(generate_series(first, last)) AS day FROM spans),
wide AS (
    SELECT g.account, g.day, g.first, c.* EXCLUDE (account, day),
           d.* EXCLUDE (account, day), t.tickets, t.oldest, t.waiting, a.answers, a.waited, k.signing, m.orientation
    FROM grid g
    LEFT JOIN counts c ON c.account = g.account AND c.day = g.day
    LEFT JOIN different d ON d.account = g.account AND d.day = g.day
    LEFT JOIN open_tickets t ON t.account = g.account AND t.day = g.day
    LEFT JOIN answers a ON a.account = g.account AND a.day = g.day
    LEFT JOIN contracts k ON k.account = g.account AND k.day = g.day
    LEFT JOIN meetings m ON m.account = g.account AND m.day = g.day)
SELECT account, day, day - first AS age,
    day - 27 > first AS full28,
    coalesce(sum(uses) OVER d14, 0) AS uses14, coalesce(sum(uses) OVER d28, 0) AS uses28,
    coalesce(sum(sessions) OVER d7, 0) AS sessions7, coalesce(sum(sessions) OVER d14, 0) AS sessions14,
    coalesce(sum(sessions) OVER d28, 0) AS sessions28, coalesce(sum(sessions) OVER d10_38, 0) AS sessions_earlier,
    coalesce(sum(opened) OVER d7, 0) AS opened7, coalesce(sum(opened) OVER d28, 0) AS opened28,
    coalesce(sum(active) OVER d14, 0) AS active14,
    coalesce(sum(reports) OVER d28, 0) AS reports, coalesce(sum(automations) OVER d28, 0) AS automations,
    coalesce(sum(dashboards) OVER d21, 0) AS dashboards, coalesce(sum(exports) OVER d21, 0) AS exports,
    coalesce(sum(integrations) OVER d28, 0) AS integrations, coalesce(sum(alerts) OVER d14, 0) AS alerts,
    coalesce(sum(search) OVER d7, 0) AS search, coalesce(sum(api) OVER d7, 0) AS api7,
    coalesce(sum(api) OVER d28, 0) AS api28,
    last_value(seats IGNORE NULLS) OVER before AS seats,
    last_value(renewal IGNORE NULLS) OVER before - day AS renewal,
    day - coalesce(last_value(CASE WHEN sessions > 0 THEN day END IGNORE NULLS) OVER before, first) AS quiet,
    coalesce(sum(u7) OVER upto, 0) AS users7, coalesce(sum(u14) OVER upto, 0) AS users14,
    coalesce(sum(u28) OVER upto, 0) AS users28,
    coalesce(sum(f14) OVER upto, 0) AS features14, coalesce(sum(f28) OVER upto, 0) AS features28,
    coalesce(tickets, 0) AS tickets, oldest, coalesce(waiting, 0) AS waiting,
    coalesce(sum(answers) OVER d28, 0) AS answers, coalesce(sum(waited) OVER d28, 0) AS waited,
    signing, orientation
FROM wide
WINDOW
    d7 AS (PARTITION BY account ORDER BY day ROWS BETWEEN 6 PRECEDING AND 1 PRECEDING),
    d14 AS (PARTITION BY account ORDER BY day ROWS BETWEEN 13 PRECEDING AND 1 PRECEDING),
    d21 AS (PARTITION BY account ORDER BY day ROWS BETWEEN 20 PRECEDING AND 1 PRECEDING),
    d28 AS (PARTITION BY account ORDER BY day ROWS BETWEEN 27 PRECEDING AND 1 PRECEDING),
    d10_38 AS (PARTITION BY account ORDER BY day ROWS BETWEEN 37 PRECEDING AND 10 PRECEDING),
    before AS (PARTITION BY account ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
    upto AS (PARTITION BY account ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW);
"""

SCORED = """
SELECT *, uses14 / 2 AS week, CASE WHEN full28 THEN (uses28 - uses14) / 2 END AS before,
    CASE WHEN full28 THEN (sessions28 - sessions7) / 3 END AS sessions_before,
    CASE WHEN full28 AND uses28 > uses14 THEN least(uses14 / (uses28 - uses14), 1.0::DOUBLE) * 100 END AS product,
    least(users14 / 4, 1.0::DOUBLE) * 100 AS people,
    greatest(least((tickets - 4) / -4, 1.0::DOUBLE), 0.0::DOUBLE) * 100 AS support
FROM facts WHERE age > 0
"""

CONDITIONS = {
    "automations-underused": "reports >= 8 AND automations = 0",
    "exports-underused": "dashboards >= 6 AND exports = 0",
    "integrations-missing": "uses28 >= 30 AND integrations = 0 AND tickets = 0",
    "api-stopped": "api7 = 0 AND (api28 - api7) / 3 >= 2",
    "search-heavy": "search >= 8",
    "alerts-many": "alerts >= 10 AND features14 <= 8",
    "usage-dropped": "before >= 4 AND week < 0.5::DOUBLE * before",
    "usage-rose": "week >= 8 AND week > 2 * before",
    "sessions-dropped": "sessions_before >= 3 AND sessions7 < 0.4::DOUBLE * sessions_before"
    " AND coalesce(renewal, 0) <= 60",
    "people-left": "users28 >= 4 AND users7 <= 1",
    "one-person-only": "users28 = 1 AND uses28 >= 6",
    "breadth-low": "uses28 >= 6 AND features28 <= 4",
    "breadth-high": "features28 >= 10 AND users14 >= 4 AND tickets <= 1",
    "seats-idle": "seats >= 10 AND users28 < 0.2::DOUBLE * seats",
    "quiet": "quiet >= 10 AND sessions_earlier >= 4",
    "silent-start": "age BETWEEN 10 AND 28 AND active14 <= 1",
    "busy-week": "uses14 + sessions14 >= 60 AND opened7 = 0",
    "tickets-open": "tickets >= 3",
    "tickets-often": "opened7 >= 2 AND opened28 >= 4",
    "answers-slow": "answers >= 2 AND waited > 12 * 3600000 * answers",
    "ticket-old": "oldest >= 7 AND waiting >= 1",
    "contract-late": "signing BETWEEN 0 AND 2",
    "orientation-near": "orientation BETWEEN 0 AND 1",
    "renewal-near": "renewal BETWEEN 0 AND 28 AND uses28 < 12",
    "health-red": "age >= 14 AND least((product * 50.0::DOUBLE + people * 30.0::DOUBLE + support * 20.0::DOUBLE) / 100,"
    " least(product, people, support) + 30.0::DOUBLE) < 20",
}
"""Each rule on the columns of ``facts``; what is unknown is not true."""


def duck_decisions(path: Path, *, threads: int = 1) -> list[tuple[str, str, int]]:
    """Rule, account and local day of each decision when accounts are looked at on their midnights alone."""
    connection = duckdb.connect()
    connection.execute(LOAD.format(threads=threads, path=str(path).replace("'", "''")))
    for part in (DAYS, COUNTS, DIFFERENT, THINGS, FACTS):
        connection.execute(part)
    bits = ", ".join(f"coalesce({CONDITIONS[name]}, false) AS r{at}" for at, name in enumerate(NAMES))
    before = ", ".join(f"lag(r{at}, 1, false) OVER night AS b{at}" for at in range(len(NAMES)))
    rises = [f"SELECT account, day, {at} AS rule FROM edges WHERE r{at} AND NOT b{at}" for at in range(len(NAMES))]
    query = f"""
        WITH truths AS (SELECT account, day, {bits} FROM ({SCORED})),
        edges AS MATERIALIZED (
            SELECT *, {before} FROM truths WINDOW night AS (PARTITION BY account ORDER BY day))
        {" UNION ALL ".join(rises)} ORDER BY rule, account, day"""
    return list(_cooled(connection.execute(query).fetchall()))


def _cooled(rises: list[tuple[str, int, int]]) -> Iterator[tuple[str, str, int]]:
    """Leave out what rose within a rule's quiet days."""
    quiet = list(RULES.values())
    of, until = ("", -1), 0
    for account, day, rule in rises:
        if (account, rule) == of and day < until:
            continue
        of, until = (account, rule), day + quiet[rule]
        yield NAMES[rule], account, day


def main() -> int:
    """Print how many decisions a file of events gives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    print(len(duck_decisions(given.file, threads=given.threads)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
