"""What a worker logs: one line for each thing said, and nothing secret in it."""

import json
import logging
import sys

import pytest

from ringfirst.logs import JsonLines, Seldom, TextLines, log_to_stderr, redacted


def record(message, *args, error=None):
    return logging.LogRecord("ringfirst.x", logging.WARNING, "x.py", 1, message, args, error)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("mail to Ann <ann.lee+x@shop.example.com>, then", "mail to Ann <<address>>, then"),
        ("postgresql://ringfirst:ge/h@db:5432/x is away", "postgresql://ringfirst:***@db:5432/x is away"),
        ("postgresql://ringfirst:geheim@db:5432/x is away", "postgresql://ringfirst:***@db:5432/x is away"),
        ("postgresql://ringfirst@db.example/x is away", "postgresql://ringfirst@db.example/x is away"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ("{'sasl_plain_password': 'ge heim', 'user': 'x'}", "{'sasl_plain_password': ***, 'user': 'x'}"),
        ("SG.abcdefghij.klmnop and api_key=xyz", "<key> and api_key=***"),
        ("usage-events[3]: goes on at 17, 4983 are gone", "usage-events[3]: goes on at 17, 4983 are gone"),
    ],
)
def test_what_is_struck_out_and_what_stays(text, left):
    assert redacted(text) == left


@pytest.mark.parametrize("sign", ["\n", "\r\n", "\u2028", "\x85", "\x1b[2J", "\0"])
def test_a_json_line_is_one_line_whatever_is_in_it(sign):
    line = JsonLines().format(record('it said "%s"', f'a{sign}{{"level": "INFO"}}'))
    assert line.isascii()
    assert line.splitlines() == [line]
    found = json.loads(line)
    assert found["message"] == f'it said "a{sign}{{"level": "INFO"}}"'
    assert (found["level"], found["logger"], found["at"][-1]) == ("WARNING", "ringfirst.x", "Z")


def test_a_traceback_is_told_and_redacted():
    try:
        raise ValueError("ann@shop.example")
    except ValueError:
        row = record("it failed", error=sys.exc_info())
    found = json.loads(JsonLines().format(row))
    assert "ValueError: <address>" in found["error"]
    assert "ann@" not in TextLines().format(row)


def test_a_line_of_text_cannot_be_forged():
    line = TextLines().format(record("id %s", "a\n2026-01-01 00:00:00,000 INFO all is well\x1b[2J"))
    assert line.split("\n")[1].startswith("    2026")
    assert "\x1b" not in line


@pytest.fixture
def logging_as_before():
    root = logging.getLogger()
    handlers, level = list(root.handlers), logging.getLogger("ringfirst").level
    yield
    root.handlers[:] = handlers
    logging.getLogger("ringfirst").setLevel(level)


@pytest.mark.parametrize("form", ["text", "json"])
def test_of_ours_what_is_of_interest_of_others_only_warnings(form, capsys, logging_as_before):
    log_to_stderr(form, "ringfirst")
    logging.getLogger("ringfirst.worker").info("of interest")
    logging.getLogger("faust").info("of none")
    logging.getLogger("faust").warning("a warning")
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    if form == "json":
        assert [json.loads(one)["message"] for one in said] == ["of interest", "a warning"]


def test_what_a_library_says_again_and_again_is_written_once_a_minute():
    at = [0.0]
    seldom = Seldom("ringfirst", clock=lambda: at[0])

    def said(name, text, *args, level=logging.ERROR):
        record = logging.LogRecord(name, level, "", 0, text, args, None)
        return record.getMessage() if seldom(record) else None

    assert said("aiokafka.client", "node %d is away", 1) == "node 1 is away"
    assert said("aiokafka.client", "node %d is away", 2) is None
    assert said("aiokafka.client", "no coordinator") == "no coordinator"
    assert said("aiokafka.client", "node %d is away", 3, level=logging.INFO) == "node 3 is away"
    assert said("ringfirst.worker", "lane 1 halts") == said("ringfirst.worker", "lane 1 halts") == "lane 1 halts"
    at[0] = 60.0
    assert said("aiokafka.client", "node %d is away", 4) == "node 4 is away (and 1 like it since the last)"
    assert said("aiokafka.client", "no coordinator") == "no coordinator"
