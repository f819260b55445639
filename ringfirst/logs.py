"""What a worker says while it works: as text for people or one JSON object a line, with nothing secret in it."""

import json
import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

LogFormat = Literal["text", "json"]
REPEAT_SECONDS = 60.0
MOST_KINDS = 1_000
_CARRIERS = ("aiokafka.conn", "aiokafka.consumer", "kafka", "psycopg", "sqlalchemy")
_NAMED = r"(?i)(\b(?:\w*password|passwd|secret|token|api[_-]?key)['\"]?\s*[=:]\s*)"
_RULES = (
    (re.compile(r"(?<=://)([^\s/:@]*):[^\s@]+@"), r"\1:***@"),  # passwords in addresses of databases
    (re.compile(r"(?<!://)(?<![\w.+%-])[\w.+%-]+@[\w-]+(?:\.[\w-]+)+"), "<address>"),
    (re.compile(r"\bSG\.[\w-]{8,}(?:\.[\w-]+)*"), "<key>"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), r"\1 ***"),
    (re.compile(_NAMED + r"(?:'[^']*'|\"[^\"]*\")"), r"\1***"),
    (re.compile(_NAMED + r"[^\s,;'\")}]+"), r"\1***"),
)


def redacted(text: str) -> str:
    """The text without mail addresses, keys and passwords.

    >>> redacted("to ann@shop.example by postgresql://u:geheim@db/shop with Bearer abcdef123456")
    'to <address> by postgresql://u:***@db/shop with Bearer ***'
    >>> redacted("password='x y', token=abc; SG.abcdefgh12345678.zz, lane 3 of usage-events[3]")
    'password=***, token=***; <key>, lane 3 of usage-events[3]'
    """
    for rule, instead in _RULES:
        text = rule.sub(instead, text)
    return text


class Seldom:
    """A filter of what libraries say again and again while a broker is away: each kind of line once a minute.

    Lines of our own (``ours`` are the beginnings of their loggers' names) pass as they are.
    """

    def __init__(self, *ours: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._ours, self._clock = ours, clock
        self._said: dict[tuple[str, str], float] = {}
        self._kept: Counter[tuple[str, str]] = Counter()

    def __call__(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be written; the next one says how many were not."""
        if record.name.partition(".")[0] in self._ours or record.levelno < logging.WARNING:
            return True
        kind, now = (record.name, str(record.msg)), self._clock()
        if now - self._said.get(kind, -REPEAT_SECONDS) < REPEAT_SECONDS:
            self._kept[kind] += 1
            return False
        self._said[kind] = now
        kept = self._kept.pop(kind, 0)
        if kept:
            record.msg, record.args = f"{record.getMessage()} (and {kept:,} like it since the last)", ()
        if len(self._said) > MOST_KINDS:
            self._said = {one: at for one, at in self._said.items() if now - at < REPEAT_SECONDS}
        return True


class TextLines(logging.Formatter):
    """``time level message`` for people, redacted; what spans several lines is indented."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        return "\n    ".join(map(_harmless, redacted(super().format(record)).split("\n")))


class JsonLines(logging.Formatter):
    """One JSON object a line: ``at`` (UTC, ISO 8601), ``level``, ``logger``, ``message``, ``pid``, ``thread``.

    Where there is a traceback, it stands in ``error``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Write one record; whatever is in it, it stays one line."""
        row = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": redacted(record.getMessage()),
            "pid": record.process,
            "thread": record.threadName,
        }
        if record.exc_info and record.exc_info[0] is not None:
            row["error"] = redacted(self.formatException(record.exc_info))
        return json.dumps(row)  # in ASCII: what some readers take for the end of a line is escaped too


def log_to_stderr(form: LogFormat, *ours: str) -> None:
    """Log to stderr from now on: of these loggers what is of interest, of all others only warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_without_contents)
    handler.addFilter(Seldom("ringfirst", "streams", "engine", "outreach"))
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    for name in ours:
        logging.getLogger(name).setLevel(logging.INFO)


def _without_contents(record: logging.LogRecord) -> bool:
    """At DEBUG some libraries write down what they carry: whole answers of a broker, rows of a table."""
    return record.levelno > logging.DEBUG or not record.name.startswith(_CARRIERS)


def _harmless(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(sign if sign.isprintable() or sign == "\t" else repr(sign)[1:-1] for sign in line)
