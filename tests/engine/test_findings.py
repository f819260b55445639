"""Wrong rulebooks and what is said of them: where, what was found, what to do; and nothing fed in ever breaks."""

# ruff: noqa: E501 - one row of a table is a whole rulebook and all that is said of it

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.rulebook.book import load_rulebook
from engine.rulebook.findings import Finding

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = {"templates/n/template.yml": "for: staff\n", "templates/t/template.yml": "for: customer\n"}
LIMIT_SECONDS = 10


def found_in(text: str, **more: str) -> list[Finding]:
    return load_rulebook({"rules/a.yml": text, **TEMPLATES, **more}, duties=False)[1]


def when(line: str, more: str = "") -> str:
    """A rule with one condition, on line 3 from column 10 on."""
    return f"rules:\n- id: r\n  when: [{line}]\n  notify: {{template: n, to: rule owner}}\n  owner: o@ringfirst.example\n{more}"


USE = "use numbers, text, names, + - * /, comparisons, in [...], and, or, not"
NO_PLACE = f"has no place in a condition; {USE}"

WRONG = [
    pytest.param(
        "policy: {sources: {a: {}, b: {events: []}, c: {events: x, leest: 5%}, d: {events: x, least: 0%}}}\n",
        [
            "1:23: error: source a: 'events' is missing; add it (the event types that come by this stream)",
            "1:39: error: source b: 'events' names no event type; write those that come by this stream",
            "1:59: error: source c: unknown key 'leest'; did you mean 'least'?",
            "1:93: error: source d: 'least' should be above 0%; no count is below that; write 50%",
        ],
        id="sources",
    ),
    pytest.param(
        "policy:\n  sources:\n    a: {events: x, least: 120%}\n    b: {events: x, late_after: soon}\n    c: {events: x, late_after: 0h}\n",
        [
            "3:27: error: source a: least: should be a share such as 10%; found 120%",
            "4:32: error: source b: late_after: should be a span such as 15m, 36h, 3d or 2w; found soon",
            "5:32: error: source c: 'late_after' should be longer; every record is older; write 2h",
        ],
        id="numbers of sources",
    ),
    pytest.param(
        'segments:\n  a:\n    when:\n    - {plan == "pro"}\n',
        ["4:7: error: segment a: a mapping where a condition belongs; write the condition without { }"],
        id="a condition in braces",
    ),
    pytest.param(
        'segments:\n  a: {plan == "pro"}\n',
        [
            "2:6: error: segment a: 'when' is missing; add it (who is inside: all lines hold)",
            "2:7: error: segment a: 'plan == \"pro\"' stands without a value; write key: value, as 'when: ...'",
        ],
        id="a condition in braces without its key",
    ),
    pytest.param(
        'segments:\n  a: plan == "pro"\n',
        ["2:6: error: segment a: should be a mapping; found text; write key: value, as 'when: ...'"],
        id="a condition without its key",
    ),
    pytest.param(
        'measures: {a: {count: x.y, where: {plan == "pro"}}}\n',
        ["1:36: error: where: 'plan == \"pro\"' stands without a value; write property: value, as {plan: pro}"],
        id="a condition where a mapping belongs",
    ),
    pytest.param(
        when('"(seats, 1)"'),
        [f"3:11: error: rule r when: a list of values with commas {NO_PLACE}"],
        id="values with commas",
    ),
    pytest.param(
        when('"seats[0] > 1"'), [f"3:11: error: rule r when: a name with [ ] behind it {NO_PLACE}"], id="one of a list"
    ),
    pytest.param(
        when('"1 if known(seats) else 2"'), [f"3:11: error: rule r when: if ... else {NO_PLACE}"], id="if and else"
    ),
    pytest.param(when('"... == seats"'), [f"3:11: error: rule r when: this is no value; {USE}"], id="three dots"),
    pytest.param(
        when('"len(seats, 1) > 2"'), ["3:11: error: rule r when: len takes one value; found 2"], id="a value too many"
    ),
    pytest.param(
        when("plan == pro"),
        [
            "3:18: error: rule r when: unknown name 'pro'; declare it under attributes or measures, or write \"pro\" in quotes if it is text"
        ],
        id="text without quotes",
    ),
    pytest.param(
        when("plan == 'a' or 'b'"),
        ["3:25: warning: rule r when: text beside 'or' is always unknown; compare it with something"],
        id="half a comparison after or",
    ),
    pytest.param(
        'segments: {a: {when: seats > 1, "": 2}}\n',
        ["1:33: error: an empty key inside { }; quote the expression that has a comma or colon"],
        id="an empty key inside { }",
    ),
    pytest.param(
        "segments: {a: {when: min(seats, mrr) > 1, owner: x}}\n",
        [
            "1:25: error: segment a: not a condition; write a comparison such as usage_7d == 0; a comma has cut it in two, quote the whole line",
            "1:33: error: segment a: 'mrr) > 1' stands without a value; quote an expression that has a comma",
        ],
        id="a comma in an unquoted expression",
    ),
    pytest.param(
        'segments:\n  a:\n    when:\n    - plan == "a: b"\n',
        ["4:7: error: segment a: a mapping where a condition belongs; quote the whole line (it has a ': ')"],
        id="a mapping where an expression belongs",
    ),
    pytest.param(
        "segments:\n  a:\n    when:\n    - [plan]\n",
        ["4:7: error: segment a: a list where one condition belongs; quote the whole line (it has brackets)"],
        id="a list where an expression belongs",
    ),
    pytest.param(
        'segments:\n  a:\n    when: plan == "a #1"\n',
        [
            "3:19: error: segment a: not a condition; write a comparison such as usage_7d == 0; the line is cut at ' #', quote it"
        ],
        id="an expression cut at a hash",
    ),
    pytest.param(
        "segments:\n  a:\n    when: plan == # the plan\n",
        [
            "3:11: error: segment a: not a condition; write a comparison such as usage_7d == 0; the line is cut at ' #', quote it"
        ],
        id="an unquoted expression cut at a hash",
    ),
    pytest.param(
        "segments:\n  a: &x {when: seats > 1}\n  b: *x\n",
        ["2:6: error: anchors and aliases are not allowed; write the value where it belongs"],
        id="an alias",
    ),
    pytest.param(
        "segments:\n  a: {when: !!str seats > 1}\n",
        ["2:13: error: tags are not allowed; found tag:yaml.org,2002:str; write plain YAML"],
        id="a tag",
    ),
    pytest.param(
        'segments: !!python/object/apply:os.system ["true"]\n',
        ["1:11: error: tags are not allowed; found tag:yaml.org,2002:python/object/apply:os; write plain YAML"],
        id="a tag of Python",
    ),
    pytest.param(
        "segments:\n  a: {when: seats > 1}\n  a: {when: seats > 2}\n",
        ["3:3: error: 'a' stands twice; keep one"],
        id="a key that stands twice",
    ),
    pytest.param(
        "segments: {}\nsegments: {}\n",
        ["2:1: error: 'segments' stands twice; keep one"],
        id="a section that stands twice",
    ),
    pytest.param(
        "segments: {}\n---\nsegments: {}\n", ["2:1: error: a second document; keep one per file"], id="two documents"
    ),
    pytest.param(
        "segments: {a\n",
        ["2:1: error: not YAML: did not find expected ',' or '}'; mend the line or quote the text"],
        id="not YAML at all",
    ),
    pytest.param(
        "segments:\n\ta: 1\n",
        ["2:1: error: not YAML: found character that cannot start any token; mend the line or quote the text"],
        id="a tab",
    ),
    pytest.param(
        "- a\n", ["1:1: error: a rulebook file should be a mapping of sections; found a list"], id="a list as a file"
    ),
    pytest.param(
        "hello\n", ["1:1: error: a rulebook file should be a mapping of sections; found text"], id="a word as a file"
    ),
    pytest.param(
        "segments:\n  ? [a]\n  : 1\n",
        ["2:5: error: a key must be a word; quote an expression that has brackets or commas"],
        id="a key that is a list",
    ),
    pytest.param(
        "segmnets: {}\n",
        ["1:1: error: rulebook: unknown key 'segmnets'; did you mean 'segments'?"],
        id="an unknown section",
    ),
    pytest.param(
        "measures: {a: {count: feature.used, over: 7d, full: yes}}\n",
        ["1:53: error: measure a: full: should be true or false; found yes"],
        id="yes is text",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n  backfill: on\n  notify: {template: n, to: rule owner}\n  owner: o@ringfirst.example\n",
        ["4:13: error: backfill: should be true or false; found on"],
        id="on is text",
    ),
    pytest.param(
        "attributes: {account: {tier: txt}}\n",
        ["1:30: error: attribute tier: found 'txt'; did you mean 'text'?"],
        id="an attribute of no type",
    ),
    pytest.param(
        "attributes: {account: {tier: personal}}\n",
        ["1:23: error: attributes: an account has nothing personal; declare it under person"],
        id="a personal attribute of an account",
    ),
    pytest.param(
        "measures: {uses-28d: {count: feature.used}}\n",
        ["1:12: error: measures: 'uses-28d' is no name; use letters, digits and _"],
        id="a name that is no name",
    ),
    pytest.param(
        "measures: {__uses: {count: feature.used}}\n",
        ["1:12: error: measures: '__uses' is no name; use letters, digits and _"],
        id="a name with underscores in front",
    ),
    pytest.param(
        "measures: {paying: {count: feature.used}}\nsegments: {paying: {when: seats > 1}}\n",
        ["2:12: error: segments: 'paying' is declared under measures at rules/a.yml:1:12 too; no two may share a name"],
        id="two things of one name",
    ),
    pytest.param(
        "measures: {plan: {count: feature.used}}\n",
        ["1:12: error: measures: 'plan' is an attribute of every rulebook too; no two may share a name"],
        id="a measure named as an attribute",
    ),
    pytest.param(
        "measures: {account_age_days: {count: feature.used}}\n",
        ["1:12: error: measures: 'account_age_days' is a built-in name too; no two may share a name"],
        id="a measure named as something built in",
    ),
    pytest.param(
        "measures: {a: {over: 7d}}\n",
        [
            "1:15: error: measure a: has no verb; say what it measures, by one of answered, attribute, average, closed, count, days_active, days_since, days_since_first, days_to, first, held_days, hours_since, hours_to, last, list, maximum, median, minimum, moved_later, open, opened, portfolio, sum, unique"
        ],
        id="a measure without a verb",
    ),
    pytest.param(
        "measures: {a: {cuont: feature.used}}\n",
        ["1:15: error: measure a: 'cuont' is no verb; did you mean 'count'?"],
        id="a verb mistyped",
    ),
    pytest.param(
        "measures: {a: {count: feature.used, sum: x}}\n",
        ["1:15: error: measure a: has 2 verbs, count and sum; keep one, and make a measure of its own of each other"],
        id="two verbs",
    ),
    pytest.param(
        "measures: {a: feature.used}\n",
        ["1:15: error: measure a: should be such as {count: feature.used, over: 28d}; found text"],
        id="a measure that is a text",
    ),
    pytest.param(
        "measures: {a: {days_since: feature.used, over: 7d}}\n",
        ["1:42: error: measure a (days_since): unknown key 'over'; did you mean 'never'?"],
        id="a key that the verb does not take",
    ),
    pytest.param(
        "measures: {a: {count: feature.used, ovr: 7d}}\n",
        ["1:37: error: measure a (count): unknown key 'ovr'; did you mean 'over'?"],
        id="a key mistyped",
    ),
    pytest.param(
        "measures: {a: {sum: minutes}}\n",
        ["1:15: error: measure a: 'of' is missing; name the event type (or the thing) the property is of"],
        id="a property of nothing",
    ),
    pytest.param(
        "measures: {a: {count: feature.used, over: 7 days}}\n",
        ["1:43: error: over: should be such as 28d, 4w, 36h, this month; found 7 days"],
        id="a window that is none",
    ),
    pytest.param(
        "measures: {a: {count: feature.used, over: 0d}}\n",
        ["1:43: error: over: an empty window; write at least 1d or 1m"],
        id="an empty window",
    ),
    pytest.param(
        "measures: {a: {count: feature.used, over: 365000d}}\n",
        ["1:43: error: over: should be such as 28d, 4w, 36h, this month; found 365000d"],
        id="a window of a thousand years",
    ),
    pytest.param(
        "measures: {a: {count: feature.used, over: 7d, ending: 12h ago}}\n",
        ["1:55: error: ending: has another unit than over; both in d or w, or both in h, m or s"],
        id="ending in another unit",
    ),
    pytest.param(
        "measures: {a: {count: feature.used, over: 7d, ending: 7d}}\n",
        ["1:55: error: ending: should be such as 14d ago; found 7d"],
        id="ending without ago",
    ),
    pytest.param(
        "measures: {a: {count: feature.used, ending: 7d ago}}\n",
        ["1:45: error: measure a: 'ending' needs 'over'"],
        id="ending without over",
    ),
    pytest.param(
        "measures: {a: {count: feature.used, over: this month, ending: 7d ago}}\n",
        ["1:63: error: ending: a calendar window has none; write previous month, or over: 28d"],
        id="ending of a calendar window",
    ),
    pytest.param(
        "measures: {a: {count: feature.used, per: day}}\n",
        ["1:42: error: measure a: 'per' needs 'over'; all time has no length"],
        id="per without over",
    ),
    pytest.param(
        "measures: {a: {count: feature.used, over: 7d, per: month}}\n",
        ["1:52: error: per: found 'month'; it takes day, week"],
        id="per month",
    ),
    pytest.param(
        'measures: {a: {count: "fea*ture"}}\n',
        ["1:23: error: measure a: 'fea*ture' is no event type; a star may only stand at its end"],
        id="a star in the middle",
    ),
    pytest.param(
        "measures: {a: {count: [feature.used, outreach.opened]}}\n",
        [
            (
                "1:23: error: measure a: mail programs and scanners open mails by themselves, so no rule rests on opens; "
                "found 'outreach.opened'; name what you mean, such as outreach.clicked"
            )
        ],
        id="opens",
    ),
    pytest.param(
        'measures: {a: {days_since: "outreach.*"}}\n',
        [
            (
                "1:28: error: measure a: mail programs and scanners open mails by themselves, so no rule rests on opens; "
                "found 'outreach.*'; name what you mean, such as outreach.clicked"
            )
        ],
        id="opens among others",
    ),
    pytest.param(
        "measures: {a: {count: feature.used, times: 0}}\n",
        ["1:44: error: times: should be a number or a ratio such as 1/60; found 0"],
        id="times nothing",
    ),
    pytest.param(
        "measures: {a: {count: feature.used, times: 1/0}}\n",
        ["1:44: error: times: should be a number or a ratio such as 1/60; found 1/0"],
        id="times by zero",
    ),
    pytest.param(
        "measures: {a: {count: feature.used, where: {n: {atleast: 3}}}}\n",
        ["1:49: error: where: unknown test 'atleast'; did you mean 'at_least'?"],
        id="a test mistyped",
    ),
    pytest.param(
        "measures: {a: {count: feature.used, where: reports}}\n",
        ["1:44: error: where: should be a mapping such as {feature: reports}; found text"],
        id="a where that is a text",
    ),
    pytest.param(
        "measures: {a: {count: feature.used, where: {feature: null}}}\n",
        ["1:54: error: where: should be text, a number, true or false; found nothing"],
        id="a null in a where",
    ),
    pytest.param(
        "measures: {a: {count: feature.used, where: {feature: {known: maybe}}}}\n",
        ["1:62: error: known: should be true or false; found maybe"],
        id="known of a text",
    ),
    pytest.param(
        "measures: {a: {open: tickt}}\nthings: {ticket: {id: ticket_id, opened_by: ticket.opened}}\n",
        ["1:22: error: measure a: unknown thing 'tickt'; did you mean 'ticket'?"],
        id="an unknown thing",
    ),
    pytest.param(
        "measures: {a: {days_to: plan}}\n",
        ["1:15: error: measure a: 'plan' is declared text; declare it date under attributes"],
        id="a date that is none",
    ),
    pytest.param(
        "measures: {a: {days_to: renewl}}\nattributes: {account: {renewal: date}}\n",
        ["1:15: error: measure a: unknown attribute 'renewl'; did you mean 'renewal'?"],
        id="a date that nobody declared",
    ),
    pytest.param(
        "things: {ticket: {opened_by: ticket.opened}}\n",
        ["1:18: error: thing ticket: 'id' is missing; add it (the property that holds the thing's id)"],
        id="a thing without an id",
    ),
    pytest.param(
        "things: {ticket: {id: ticket_id}}\n",
        ["1:18: error: thing ticket: needs opened_by (or each_in); name the events that open it"],
        id="a thing that nothing opens",
    ),
    pytest.param(
        "things: {module: {id: feature, each_in: plan}}\n",
        ["1:18: error: thing module: each_in 'plan' is no list; declare it list under attributes"],
        id="each_in of no list",
    ),
    pytest.param(
        "things: {ticket: {id: ticket_id, opened_by: ticket.opened, measures: {a: {open: ticket}}}}\n",
        ["1:81: error: measure a: a thing's measure is over its own events; move this under measures:"],
        id="a thing's measure over things",
    ),
    pytest.param(
        "measures: {a: {sum: open_days, of: ticket, over: 7d}}\nthings: {ticket: {id: ticket_id, opened_by: ticket.opened}}\n",
        ["1:50: error: measure a: over the open ones there is no window; take 'over' out"],
        id="over for the open ones",
    ),
    pytest.param(
        when("usge_14d > 3", "measures: {usage_14d: {count: feature.used, over: 14d}}\n"),
        ["3:10: error: rule r when: unknown name 'usge_14d'; did you mean 'usage_14d'?"],
        id="a name unknown",
    ),
    pytest.param(
        when("zzz > 3"),
        ["3:10: error: rule r when: unknown name 'zzz'; declare it under attributes or measures"],
        id="a name that nothing is near to",
    ),
    pytest.param(
        when("ticket.open", "things: {ticket: {id: ticket_id, opened_by: ticket.opened}}\n"),
        ["3:10: error: rule r when: unknown name 'ticket.open'; 'ticket.' is known only in a rule for: each ticket"],
        id="a thing's name in a rule of the account",
    ),
    pytest.param(
        when("value.saved > 3"),
        [
            "3:10: error: rule r when: unknown name 'value.saved'; a report knows the values that it shows; anywhere else name the measure itself"
        ],
        id="a value outside of reports",
    ),
    pytest.param(
        when("known(seats) or email == 3"),
        [
            "3:26: error: rule r when: unknown name 'email'; declare it under attributes or measures, or write \"email\" in quotes if it is text"
        ],
        id="something personal",
    ),
    pytest.param(
        "rules:\n- id: r\n  for: each person\n  when: ['person.email == \"a\"']\n  send: {template: t, to: person, class: relationship}\n",
        ["4:11: error: rule r when: 'person.email' is personal; only known(person.email) may ask for it"],
        id="a person's personal trait",
    ),
    pytest.param(
        when("seats"),
        ["3:10: error: rule r when: this is a number, no condition; compare it with something"],
        id="a number as a condition",
    ),
    pytest.param(
        when("plan"),
        ["3:10: error: rule r when: this is text, no condition; compare it with something"],
        id="a text as a condition",
    ),
    pytest.param(
        when("3"),
        ["3:10: error: rule r when: this is a number, no condition; compare it with something"],
        id="a constant as a condition",
    ),
    pytest.param(
        when("seats + 1"),
        ["3:10: error: rule r when: this is a number, no condition; compare it with something"],
        id="arithmetic as a condition",
    ),
    pytest.param(
        when("seats = 1"), ["3:16: error: rule r when: not a condition: a single '='; compare with =="], id="a single ="
    ),
    pytest.param(
        when("seats > 1 && mrr > 1"),
        ["3:21: error: rule r when: not a condition; write 'and' and 'or' as words"],
        id="&& for and",
    ),
    pytest.param(
        when("plan is 3"),
        ["3:10: error: rule r when: 'is' is not known; compare with ==, or write known(x)"],
        id="is for ==",
    ),
    pytest.param(when("plan == none"), ["3:18: error: rule r when: there is no 'none'; write not known(x)"], id="none"),
    pytest.param(
        when("sum(seats) > 1"),
        [
            "3:10: error: rule r when: only abs, coalesce, known, len, max, min, round can be called; a measure counts and sums"
        ],
        id="a call that is none",
    ),
    pytest.param(
        when("plan.__class__ == 3"),
        ["3:10: error: rule r when: unknown name 'plan.__class__'; declare it under attributes or measures"],
        id="an attribute of Python",
    ),
    pytest.param(
        when("(lambda: 1)() > 0"),
        ["3:10: error: rule r when: a mapping where a condition belongs; quote the whole line (it has a ': ')"],
        id="a lambda",
    ),
    pytest.param(
        when("seats ** 9 > 1"), ["3:10: error: rule r when: this operator is not known; use + - * /"], id="a power"
    ),
    pytest.param(
        when("seats > 1e300"),
        ["3:18: error: rule r when: a number beyond 9 x 10^12; no measure reaches it"],
        id="a huge number",
    ),
    pytest.param(
        when("plan in 3"),
        ["3:18: error: rule r when: 'in' wants a list in brackets, or an attribute that is a list"],
        id="in without a list",
    ),
    pytest.param(
        when("plan == 3"),
        ["3:10: warning: rule r when: compares number with text; they are never equal"],
        id="kinds that are never equal",
    ),
    pytest.param(
        when("a > b", "measures:\n  a: {count: x, over: 7d}\n  b: {count: x, over: 14d}\n"),
        ["3:10: warning: rule r when: windows of different length are compared; give both per: day"],
        id="windows of different length",
    ),
    pytest.param(
        when("h + 1 > 3", "measures: {h: {hours_since: x}}\n"),
        ["3:10: error: rule r when: 'h' moves with the clock; write it alone against a number, such as h >= 4"],
        id="hours inside arithmetic",
    ),
    pytest.param(
        when("h > g", "measures: {h: {hours_since: x}, g: {hours_since: y}}\n"),
        [
            "3:10: error: rule r when: 'h' moves with the clock; write it alone against a number, such as h >= 4",
            "3:14: error: rule r when: 'g' moves with the clock; write it alone against a number, such as g >= 4",
        ],
        id="hours against hours",
    ),
    pytest.param(
        "scores: {s: {parts: {p: {value: h, from: 0, to: 1, weight: 1}}}}\nmeasures: {h: {hours_since: x}}\n",
        [
            "1:33: error: score s.p: 'h' moves with the clock and has no place in a score; use days",
            "1:33: error: score s.p: 'h' moves with the clock; write it alone against a number, such as h >= 4",
        ],
        id="hours in a score",
    ),
    pytest.param(
        when("d <= 60", "measures: {d: {days_to: renewal}}\nattributes: {account: {renewal: date}}\n"),
        ["3:10: error: rule r: 'd' is bounded from above alone, so the past counts too; write 0 <= d <= 60"],
        id="a bound from above alone",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n  unless: [mrr > 1]\n  notify: {template: n, to: rule owner}\n",
        ["4:12: error: rule r unless: can be unknown; say what that means: known(x) and ..., or coalesce(x, 0)"],
        id="an unless that can be unknown",
    ),
    pytest.param(
        "segments: {a: {when: b}, b: {when: a}}\n",
        [
            "1:15: error: 'a' is defined by itself; break the circle",
            "1:29: error: 'b' is defined by itself; break the circle",
        ],
        id="a segment defined by itself",
    ),
    pytest.param(
        "scores: {s: {parts: {}}}\n",
        ["1:21: error: score s: has no parts; name at least one"],
        id="a score without parts",
    ),
    pytest.param(
        "scores: {s: {parts: {p: {value: seats, from: 1, to: 1, weight: 1}}}}\n",
        ["1:25: error: part p: 'from' and 'to' are equal; they must differ"],
        id="a part from and to the same",
    ),
    pytest.param(
        "scores: {s: {parts: {p: {value: seats, from: 0, to: 1, weight: 0}}}}\n",
        ["1:25: error: part p: 'weight' must be above 0"],
        id="a part that weighs nothing",
    ),
    pytest.param(
        "rules:\n- when: [seats > 1]\n",
        ["2:3: error: rule: 'id' is missing; add it (its name for ever: decisions are remembered by it)"],
        id="a rule without an id",
    ),
    pytest.param(
        "rules:\n- id: my rule\n  when: [seats > 1]\n  notify: {template: n, to: rule owner}\n",
        ["2:7: error: id: 'my rule' is no id; use lower-case letters, digits and -"],
        id="an id with blanks",
    ),
    pytest.param(
        when("seats > 1", "- id: r\n  when: [seats > 2]\n  notify: {template: n, to: rule owner}\n"),
        ["6:3: error: rule 'r' stands twice, first at rules/a.yml:2:3; rename one"],
        id="two rules of one id",
    ),
    pytest.param(
        "rules:\n- id: r\n  notify: {template: n, to: rule owner}\n",
        ["2:3: error: rule: 'when' is missing; add it (all lines hold)"],
        id="a rule without when",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n",
        ["2:3: error: rule: has neither send nor notify; say whom to write to, or make it status: draft"],
        id="a rule that writes to nobody",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n  send: {template: t, to: champion, class: relationship}\n  notify: {template: n, to: rule owner}\n",
        ["5:11: error: rule: has both send and notify; keep one of them"],
        id="send and notify",
    ),
    pytest.param(
        "rules:\n- id: r\n  for: each tickt\n  when: [seats > 1]\n  notify: {template: n, to: rule owner}\nthings: {ticket: {id: ticket_id, opened_by: ticket.opened}}\n",
        ["3:8: error: for: unknown thing 'tickt'; did you mean 'ticket'?"],
        id="a thing that nobody declared",
    ),
    pytest.param(
        "rules:\n- id: r\n  for: every ticket\n  when: [seats > 1]\n  notify: {template: n, to: rule owner}\n",
        ["3:8: error: for: should be account, each THING, each EVENT.TYPE or portfolio; found 'every ticket'"],
        id="a subject that is none",
    ),
    pytest.param(
        "rules:\n- id: r\n  audience: payng\n  when: [seats > 1]\n  notify: {template: n, to: rule owner}\nsegments: {paying: {when: seats > 1}}\n",
        ["2:3: error: rule r: unknown segment 'payng'; did you mean 'paying'?"],
        id="an unknown audience",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n  re_entry: every month\n  notify: {template: n, to: rule owner}\n",
        ["4:13: error: re_entry: should be never, every 30d or every time; found 'every month'"],
        id="re_entry without a number",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n  re_entry: never\n  once_per: plan\n  notify: {template: n, to: rule owner}\n",
        ["5:13: error: once_per: stands instead of re_entry; keep one of them"],
        id="re_entry and once_per",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [h > 1]\n  once_per: h\n  notify: {template: n, to: rule owner}\nmeasures: {h: {hours_since: x}}\n",
        ["2:3: error: rule r: once_per: 'h' has no lasting value; name a date or text"],
        id="once_per of hours",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n  once_per: this_yaer\n  notify: {template: n, to: rule owner}\n",
        ["2:3: error: rule r: once_per: unknown name 'this_yaer'; did you mean 'this_week'?"],
        id="once_per of nothing known",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n  notify: {template: nn, to: rule owner}\n",
        ["4:11: error: rule r: unknown template 'nn'; did you mean 'n'?"],
        id="a template that is not there",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n  notify: {template: t, to: rule owner}\n",
        ["4:11: error: rule r: template 't' is for customer, the rule writes to us; take another template"],
        id="a customer's template for us",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n  send: {template: n, to: champion, class: relationship}\n",
        ["4:9: error: rule r: template 'n' is for staff, the rule writes to a customer; take another template"],
        id="our template for a customer",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n  notify: {template: n, to: champion}\n",
        [
            "4:11: error: rule r: to: 'champion' is none of account owner, rule owner, segment owner or an address of ours"
        ],
        id="notify to a customer",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n  notify: {template: n, to: a@acme.example}\n",
        ["4:11: error: rule r: to: '@acme.example' is no domain of ours; add it to policy.staff.domains"],
        id="notify to a foreign address",
    ),
    pytest.param(
        "policy: {staff: {domains: [straße.example, ours]}}\n",
        [
            "1:28: error: staff.domains: should be a domain such as acme.example; found 'straße.example'",
            "1:44: error: staff.domains: should be a domain such as acme.example; found 'ours'",
        ],
        id="staff domains that no address could ever be of",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n  send: {template: t, to: rule owner, class: relationship}\n",
        ["4:9: error: rule r: to: send goes to a customer's people, not to us; use notify"],
        id="send to one of us",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n  send: {template: t, to: person, class: relationship}\n",
        ["4:9: error: rule r: to: 'person' is known only in a rule for: each person; name a role"],
        id="send to a person of nothing",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n  send: {template: t, to: event.person, class: relationship}\n",
        ["4:9: error: rule r: to: 'event.person' is known only in a rule for: each EVENT.TYPE"],
        id="send to the person of no event",
    ),
    pytest.param(
        "rules:\n- id: r\n  for: each ticket\n  when: [seats > 1]\n  send: {template: t, to: ticket.requestr, class: relationship}\nthings: {ticket: {id: ticket_id, opened_by: ticket.opened, people: {requester: user_id}}}\n",
        ["5:9: error: rule r: to: unknown role 'ticket.requestr'; did you mean 'requester'?"],
        id="an unknown role of a thing",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n  send: {template: t, to: champion, class: relationshp}\n",
        ["4:44: error: class: found 'relationshp'; did you mean 'relationship'?"],
        id="a class that is none",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n  send: {template: t, to: champion}\n",
        [
            "4:9: error: send: 'class' is missing; add class: transactional, relationship or marketing (what kind of mail it is)"
        ],
        id="send without a class",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n  send: {template: t, to: 'champion or ', class: relationship}\n",
        ["4:27: error: to: 'champion or ' names nobody; write a role, or A or B"],
        id="to nobody",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n  holdout: 2\n  notify: {template: n, to: rule owner}\n",
        ["4:12: error: holdout: should be a share such as 10%; found 2"],
        id="a holdout of two",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n  holdout: half\n  notify: {template: n, to: rule owner}\n",
        ["4:12: error: holdout: should be a share such as 10%; found half"],
        id="a holdout in words",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n  priority: 1000000\n  notify: {template: n, to: rule owner}\n",
        ["4:13: error: priority: should be a whole number from 0 to 1000; found 1000000"],
        id="a priority of a million",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n  holds_for: three days\n  notify: {template: n, to: rule owner}\n",
        ["4:14: error: holds_for: should be a span such as 15m, 36h, 3d or 2w; found three days"],
        id="holds_for in words",
    ),
    pytest.param(
        "rules:\n- id: r\n  when: [seats > 1]\n  status: drfat\n  notify: {template: n, to: rule owner}\n",
        ["4:11: error: status: found 'drfat'; did you mean 'draft'?"],
        id="a status that is none",
    ),
    pytest.param(
        "rules:\n- id: r\n  for: portfolio\n  when: [a > 1]\n  send: {template: t, to: champion, class: relationship}\nmeasures: {a: {portfolio: b}, b: {count: x}}\n",
        ["2:3: error: rule r: a portfolio has nobody to send to; use notify"],
        id="a portfolio that sends",
    ),
    pytest.param(
        "rules:\n- id: r\n  for: portfolio\n  when: [b > 1]\n  notify: {template: n, to: rule owner}\nmeasures: {b: {count: x}}\n",
        ["2:3: error: rule r: 'b' is no portfolio measure; write {portfolio: NAME}"],
        id="a portfolio rule about an account",
    ),
    pytest.param(
        "rules:\n- id: r\n  for: portfolio\n  every: 1m\n  when: [a > 1]\n  notify: {template: n, to: rule owner}\nmeasures: {a: {portfolio: b}, b: {count: x}}\n",
        ["4:10: error: every: should be at least 5m; found 1m"],
        id="a portfolio looked at each minute",
    ),
    pytest.param(
        "measures: {a: {portfolio: b}}\n",
        ["1:15: error: measure a: unknown measure 'b'; declare it under measures"],
        id="a portfolio of nothing",
    ),
    pytest.param(
        "things: {kind: {id: kind, in: portfolio, opened_by: x.y, measures: {m: {median: n, of: x.y}}}}\n",
        ["1:72: error: measure m: a thing in the portfolio takes count and sum"],
        id="a median in a thing of the portfolio",
    ),
    pytest.param(
        "policy: {timezone: Europe/Berln}\n",
        ["1:20: error: timezone: 'Europe/Berln' is no zone; did you mean 'Europe/Berlin'?"],
        id="a zone that is none",
    ),
    pytest.param(
        'policy: {hours: {from: 8, until: "18:00"}}\n',
        ['1:24: error: from: should be a time such as "08:00"; found 8'],
        id="hours in numbers",
    ),
    pytest.param(
        'policy: {hours: {from: "08:00", until: "08:00"}}\n',
        ["1:17: error: hours: 'from' and 'until' are equal; a window must have a length"],
        id="hours of no length",
    ),
    pytest.param(
        "policy: {hours: {days: weekdays}}\n",
        ["1:24: error: days: should be days such as mon-fri; found 'weekdays'"],
        id="days that are none",
    ),
    pytest.param(
        "policy: {canary: many}\n",
        ["1:18: error: canary: should be a whole number from 0 to 10000; found many"],
        id="a canary in words",
    ),
    pytest.param(
        "policy:\n  breaker: {rule: often, base: 500%, bounces: 5%, complaints: 0% of 0}\n",
        [
            "2:19: error: breaker.rule: should be such as 2 per 7d; found often",
            "2:32: error: breaker.base: should be a share such as 10%; found 500%",
            "2:47: error: breaker.bounces: should be such as 5% of 200; found 5%",
            "2:63: error: breaker.complaints: should be such as 5% of 200; found 0% of 0",
        ],
        id="a breaker that cannot be read",
    ),
    pytest.param(
        "policy: {caps: {person: [0 per 7d, 4 in 30d, 2 per 7x], account: [], people: 3 per 2d}}\n",
        [
            "1:26: error: caps.person: should be such as 2 per 7d; found 0 per 7d",
            "1:36: error: caps.person: should be such as 2 per 7d; found 4 in 30d",
            "1:46: error: caps.person: should be a span such as 15m, 36h, 3d or 2w; found 7x",
            "1:70: error: caps: unknown key 'people'; it takes account, person",
        ],
        id="caps that are none",
    ),
    pytest.param(
        "policy: {pause_after: {call.anwered: 2d, feature.used: 1d, ticket.solved: soon}}\n",
        [
            "1:24: error: pause_after: 'call.anwered' is no event of contact; did you mean 'call.answered'?",
            (
                "1:42: error: pause_after: 'feature.used' is no event of contact; it takes call.answered, call.ended, "
                "meeting.held, outreach.replied, ticket.opened, ticket.replied, ticket.solved"
            ),
            "1:75: error: pause_after ticket.solved: should be a span such as 15m, 36h, 3d or 2w; found soon",
        ],
        id="pauses after what is no contact",
    ),
    pytest.param(
        "policy: {exclude: {domains: [nodomain, acme.example], accounts: {internal: true}}}\n",
        [
            (
                "1:9: warning: exclude.accounts: 'internal' is declared nowhere; it is read as true/false; look for a slip of "
                "the pen, or declare it under attributes.account"
            ),
            "1:30: error: exclude.domains: should be a domain such as acme.example; found 'nodomain'",
        ],
        id="nobody to exclude",
    ),
    pytest.param(
        "policy: {pause_after: 2d, gap: never}\n",
        [
            "1:23: error: pause_after: should be a mapping; found text; write call.answered: 2d",
            "1:32: error: gap: should be a span such as 15m, 36h, 3d or 2w; found never",
        ],
        id="a pause after nothing",
    ),
    pytest.param(
        "policy: {hours: {holidays: [DE, DE-XY, Germany, US-NY, 49]}}\n",
        [
            (
                "1:33: error: holidays: 'DE-XY' names no part of DE; it takes Augsburg, BB, BE, BW, BY, HB, HE, HH, MV, NI, "
                "NW, RP, SH, SL, SN, ST, TH"
            ),
            (
                "1:40: error: holidays: 'Germany' names no country; write one by two letters, as DE, or a part of it, as "
                "DE-BY"
            ),
            "1:56: error: holidays: should be text; found a number; put it in quotes",
        ],
        id="holidays of nowhere",
    ),
    pytest.param(
        "measures: {a: {count: feature.used, times: 1e99}}\n",
        ["1:44: error: times: should be a number or a ratio such as 1/60; found 1e99"],
        id="a huge factor",
    ),
]


@pytest.mark.parametrize(("text", "expected"), WRONG)
def test_what_is_wrong_is_said_with_its_place(text: str, expected: list[str]) -> None:
    assert [str(finding).removeprefix("rules/a.yml:") for finding in found_in(text)] == expected


@pytest.mark.parametrize(
    ("ours", "to"), [("bücher.example", "xn--bcher-kva.example"), ("Bücher.example", "bücher.example")]
)
def test_a_domain_of_ours_may_be_written_in_letters_of_any_language(ours: str, to: str) -> None:
    text = f"policy: {{staff: {{domains: [{ours}], names: {{a@{to}: Ann}}}}}}\nrules:\n- id: r\n"
    text += f"  when: [seats > 1]\n  notify: {{template: n, to: a@{to}}}\n"
    assert [one for one in found_in(text) if one.severity == "error"] == []


def test_a_book_with_a_warning_is_a_book_and_one_with_an_error_is_none() -> None:
    book, findings = load_rulebook({"rules/a.yml": when("plan == 3"), **TEMPLATES}, duties=False)
    assert book is not None
    assert [finding.severity for finding in findings] == ["warning"]
    assert load_rulebook({"rules/a.yml": when("plan"), **TEMPLATES}, duties=False)[0] is None


def test_all_faults_of_a_folder_come_at_once_and_in_order() -> None:
    files = {
        "rules/b.yml": "segmnets: {}\npolicy: {settle: soon}\n",
        "rules/deep/c.yml": when("usge > 1"),
        "rules/a.yml": "measures: {a: {cuont: x}, b: {count: x, ovr: 7d}}\nsegments: {c: {when: plan}}\n",
        "templates/m/template.yml": "for: stuff\n",
        **TEMPLATES,
    }
    places = [(finding.path, finding.line) for finding in load_rulebook(files, duties=False)[1]]
    assert places == [
        ("rules/a.yml", 1),
        ("rules/a.yml", 1),
        ("rules/a.yml", 2),
        ("rules/b.yml", 1),
        ("rules/b.yml", 2),
        ("rules/deep/c.yml", 3),
        ("templates/m/template.yml", 1),
    ]


def test_two_files_may_not_both_have_a_policy() -> None:
    (finding,) = found_in("policy: {settle: 5m}\n", **{"rules/b.yml": "\npolicy: {settle: 6m}\n"})
    assert str(finding) == "rules/b.yml:2:9: error: a second policy; the first is at rules/a.yml:1:9; keep one"


def test_two_files_may_not_have_a_rule_of_one_id() -> None:
    (finding,) = found_in(when("seats > 1"), **{"rules/b.yml": when("seats > 2")})
    assert str(finding) == "rules/b.yml:2:3: error: rule 'r' stands twice, first at rules/a.yml:2:3; rename one"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param("", "rule r: 'owner' and 'why' are missing; say who answers for it and why", id="nobody answers"),
        pytest.param("  owner: o\n", "rule r: 'why' is missing; say who answers for it and why", id="no why"),
        pytest.param(
            "  owner: o\n  why: w\n",
            "rule r: needs at least one case that sends and one that stays silent (or status: draft)",
            id="no case",
        ),
        pytest.param(
            "  owner: o\n  why: w\n  cases: [{name: a, given: [], at: day 1, expect: sends}]\n",
            "rule r: needs at least one case that sends and one that stays silent (or status: draft)",
            id="only a case that sends",
        ),
        pytest.param(
            "  owner: o\n  why: w\n  cases: [{name: a, given: [], at: day 1, expect: silent}]\n",
            "rule r: needs at least one case that sends and one that stays silent (or status: draft)",
            id="only a case that stays silent",
        ),
    ],
)
def test_a_rule_has_duties(more: str, expected: str) -> None:
    text = f"rules:\n- id: r\n  when: [seats > 1]\n  notify: {{template: n, to: rule owner}}\n{more}"
    _, findings = load_rulebook({"rules/a.yml": text, **TEMPLATES})
    assert expected in [finding.message for finding in findings]


def test_a_draft_has_none() -> None:
    book, findings = load_rulebook({"rules/a.yml": "rules:\n- id: r\n  when: [seats > 1]\n  status: draft\n"})
    assert book is not None
    assert findings == []


def test_a_bound_from_above_alone_is_a_warning_in_a_draft() -> None:
    text = "attributes: {account: {renewal: date}}\nmeasures: {d: {days_to: renewal}}\n"
    text += "rules:\n- id: r\n  when: [d <= 60]\n  status: draft\n"
    assert [finding.severity for finding in found_in(text)] == ["warning"]


def test_an_unless_that_can_be_unknown_may_stay_in_a_draft() -> None:
    assert found_in("rules:\n- id: r\n  when: [seats > 1]\n  unless: [mrr > 1]\n  status: draft\n") == []


@pytest.mark.parametrize(
    "line", ["known(mrr) and mrr > 1", "coalesce(mrr, 0) > 1", "account_age_days > 3", "not known(mrr)"]
)
def test_an_unless_that_says_what_unknown_means_is_good(line: str) -> None:
    text = f"rules:\n- id: r\n  when: [seats > 1]\n  unless: ['{line}']\n  notify: {{template: n, to: rule owner}}\n"
    assert found_in(text) == []


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("true", bool),
        ("True", bool),
        ("FALSE", bool),
        ("null", type(None)),
        ("~", type(None)),
        ("12", int),
        ("0x1F", int),
        ("yes", str),
        ("no", str),
        ("on", str),
        ("off", str),
        ("22:30", str),
        ("2026-03-01", str),
        ("1_000", str),
        ("0b1", str),
        ("tRUE", str),
        ("012", int),
        (".inf", str),
        (".nan", str),
        ("'12'", str),
    ],
)
def test_only_the_core_scalars_of_yaml_are_more_than_text(written: str, kind: type) -> None:
    text = f"rules:\n- id: r\n  when: [seats > 1]\n  status: draft\n  send: {{template: t, to: a, class: marketing, with: {{x: {written}}}}}\n"
    book, _ = load_rulebook({"rules/a.yml": text, **TEMPLATES}, duties=False)
    assert book is not None
    outreach = book.rules[0].outreach
    assert outreach is not None
    assert type(dict(outreach.extra)["x"]) is kind


# -- hostile rulebooks -----------------------------------------------------------------------------------------------


def many_rules(number: int) -> str:
    rule = "- {{id: r{0}, when: [seats > {0}], status: draft}}\n"
    return "rules:\n" + "".join(rule.format(at) for at in range(number))


HOSTILE = [
    pytest.param("a: " + "x" * 256 * 1024, "larger than 256 KB", id="a large file"),
    pytest.param("é" * 140_000, "larger than 256 KB", id="a file that is large in bytes"),
    pytest.param("[" * 30 + "]" * 30, "nested deeper than 20", id="deep lists"),
    pytest.param("{a: " * 30 + "1" + "}" * 30, "nested deeper than 20", id="deep mappings"),
    pytest.param("[" * 100_000, "nested deeper than 20", id="a hundred thousand brackets"),
    pytest.param("\n".join(" " * at + "a:" for at in range(60)), "nested deeper than 20", id="deep by indentation"),
    pytest.param("a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "anchors and aliases", id="a billion laughs"),
    pytest.param(when('"' + "a + " * 300 + 'a > 1"'), "longer than 1000 characters", id="a very long expression"),
    pytest.param(when("'" + "a+" * 150 + "a > 1'"), "too long or too deeply nested", id="an expression of many parts"),
    pytest.param(when("'" + "(" * 400 + "seats" + ")" * 400 + " > 1'"), "not a condition", id="very many brackets"),
    pytest.param(when("'" + "not " * 60 + "seats > 1'"), "too long or too deeply nested", id="sixty nots"),
    pytest.param(when("'seats > " + "9" * 900 + "'"), "a number beyond", id="a number of 900 digits"),
    pytest.param(when("'seats > 1e999'"), "a number beyond", id="an infinite number"),
    pytest.param(when("'seats ** 9 ** 9 ** 9 > 1'"), "this operator is not known", id="a power tower"),
    pytest.param(when("'plan * 999999999 == plan'"), "", id="a text times a billion"),
    pytest.param(when("'\"x\" * 9000000000 == plan'"), "", id="a constant text times a billion"),
    pytest.param("measures: {a: {count: x, over: 999999999w}}", "over: should be such as", id="a window of ages"),
    pytest.param("measures: {a: {count: x, times: 1e999999}}", "times: should be", id="a huge factor"),
    pytest.param("measures: {a: {count: x, times: 1/99999999999999999999}}", "times: should be", id="a tiny factor"),
    pytest.param(
        "rules: [{id: r, when: 'true', status: draft, priority: 1e999}]", "priority", id="an infinite priority"
    ),
    pytest.param("rules: [{id: r, when: 'true', status: draft, holdout: 1e999%}]", "holdout", id="an infinite holdout"),
    pytest.param(
        "rules: [{id: r, when: 'true', status: draft, holdout: nan%}]", "holdout", id="a holdout that is no number"
    ),
    pytest.param(
        "scores: {s: {parts: {p: {value: seats, from: -1e999, to: 1e999, weight: 1}}}}",
        "number within",
        id="infinite bounds",
    ),
    pytest.param("segments: {__class__: {when: seats > 1}}", "is no name", id="a name of Python"),
    pytest.param("segments: {'os.system(1)': {when: seats > 1}}", "is no name", id="a name that looks like code"),
    pytest.param('segments: {"a\\nimport os": {when: seats > 1}}', "is no name", id="a name of two lines"),
    pytest.param('segments: {"\\0": {when: seats > 1}}', "is no name", id="a name that is U+0000"),
    pytest.param("!!python/object/new:os.system [echo]", "tags are not allowed", id="an object of Python"),
    pytest.param("%TAG ! tag:x,2000:\n---\n!foo a: b", "tags are not allowed", id="a tag by a directive"),
    pytest.param("a: !!binary AAAA", "tags are not allowed", id="binary data"),
    pytest.param("<<: {a: 1}", "unknown key", id="a merge key"),
    pytest.param("? {a: b}\n: c", "a key must be a word", id="a mapping as a key"),
    pytest.param("\ufeffsegmnets: {}", "unknown key", id="a byte order mark"),
    pytest.param("a: \x07", "not YAML", id="a control character"),
    pytest.param("\x00", "not YAML", id="U+0000"),
    pytest.param("a: \ud800", "not UTF-8", id="a lone surrogate"),
    pytest.param(
        "segments: {" + ", ".join(f"s{n}: {{when: s{(n + 1) % 300}}}" for n in range(300)) + "}",
        "is defined by itself",
        id="a circle of 300",
    ),
    pytest.param(many_rules(2_001), "more than 2000 rules; split the rulebook", id="2,001 rules"),
    pytest.param("measures: {a: {count: [" + "x, " * 20_000 + "]}}", "", id="20,000 event types"),
    pytest.param("measures: {a: {count: x, where: {p: [" + "1, " * 20_000 + "]}}}", "", id="20,000 values"),
    pytest.param(
        "measures: {" + ", ".join(f"m{n}: {{cout: x}}" for n in range(3_000)) + "}",
        "did you mean 'count'",
        id="3,000 typing errors",
    ),
    pytest.param(
        "measures:\n" + "".join(f" m{n}: {{days_to: zz{n}}}\n" for n in range(3_000)),
        "unknown attribute",
        id="3,000 unknown names",
    ),
]


@pytest.mark.parametrize(("text", "expected"), HOSTILE)
def test_a_hostile_rulebook_is_refused_fast_and_breaks_nothing(text: str, expected: str) -> None:
    began = time.monotonic()
    findings = found_in(text)
    assert time.monotonic() - began < LIMIT_SECONDS
    if expected:
        assert any(expected in finding.message for finding in findings), findings[:5]
    assert all(len(str(finding)) < 1_000 for finding in findings)


def test_2000_rules_are_taken() -> None:
    began = time.monotonic()
    assert found_in(many_rules(2_000)) == []
    assert time.monotonic() - began < LIMIT_SECONDS


@pytest.mark.parametrize("name", ["/etc/passwd", "rules/../../x.yml", "rules/" + "a" * 5_000, "\n", "", "rules/é.yml"])
def test_a_path_is_only_a_name(name: str) -> None:
    _, findings = load_rulebook({name: "segmnets: {}\n"}, duties=False)
    assert [finding.path for finding in findings] == [name]


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_no_text_whatever_raises(text: str) -> None:
    book, findings = load_rulebook({"rules/a.yml": text}, duties=False)
    assert book is not None or findings


STARTER = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in sorted((ROOT / "rules").glob("**/*.yml"))
}
PIECES = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        ":",
        "- ",
        "\n",
        "  ",
        "#",
        "'",
        '"',
        "&a",
        "*a",
        "!!x",
        "|",
        ">",
        "? ",
        "null",
        "9" * 30,
        "é",
        "\0",
        ",",
    ]
)


@pytest.mark.slow
@given(st.data())
@settings(suppress_health_check=list(HealthCheck), max_examples=60)
def test_no_damaged_rulebook_raises(data: Any) -> None:
    files = dict(STARTER)
    path = data.draw(st.sampled_from(sorted(files)))
    text = files[path]
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 30))
        text = text[:at] + data.draw(PIECES | st.just("")) + text[at + cut :]
    book, findings = load_rulebook({**files, path: text})
    assert book is not None or any(finding.severity == "error" for finding in findings)
    assert all(finding.line >= 1 and finding.column >= 1 for finding in findings)


WORDS = st.sampled_from(
    [
        "when",
        "count",
        "over",
        "7d",
        "where",
        "id",
        "r",
        "send",
        "to",
        "champion",
        "each ticket",
        "true",
        "rules",
        "x > 1",
        "of",
    ]
)
TREES = st.recursive(
    WORDS | st.none() | st.booleans() | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
SECTIONS = st.sampled_from(["attributes", "things", "measures", "segments", "scores", "rules", "policy"])


@given(st.dictionaries(SECTIONS, TREES, min_size=1))
@settings(max_examples=200)
def test_no_shape_of_a_section_raises(data: dict[str, Any]) -> None:
    import yaml

    book, findings = load_rulebook({"rules/a.yml": yaml.safe_dump(data), **TEMPLATES})
    assert book is not None or findings


def cut(inside: str, case: str = "") -> list[str]:
    """What is said of a whole rule whose mail has these constants, and whose case has these properties."""
    text = f"""rules:
- id: r
  when: [seats > 1]
  why: w
  owner: o@ringfirst.example
  send: {{template: t, to: champion, class: relationship, with: {{{inside}}}}}
  cases:
  - {{name: a, given: [{{day: 0, event: x.y, with: {{{case}}}}}], at: day 1, expect: sends}}
  - {{name: b, at: day 1, expect: silent}}
"""
    return [str(one).removeprefix("rules/a.yml:") for one in load_rulebook({"rules/a.yml": text, **TEMPLATES})[1]]


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        pytest.param("advice: Call once, and go on", ["6:84: error: with: 'and go on' stands"], id="a text"),
        pytest.param("a: {advice: Call once, and go on}", ["6:88: error: with: 'and go on' stands"], id="one inside"),
        pytest.param("a: [x, {b: Call, now}]", ["6:82: error: with: 'now' stands"], id="one in a list"),
        pytest.param("advice: ", ["6:65: error: with: 'advice' stands"], id="nothing at all"),
        pytest.param('advice: "Call once, and go on"', [], id="in quotes it is whole"),
        pytest.param('a: null, b: ~, c: ""', [], id="nothing on purpose"),
    ],
)
def test_a_text_that_its_comma_cut_in_two_is_found(inside: str, said: list[str]) -> None:
    found = cut(inside)
    assert [one.split(" without")[0] for one in found] == said
    assert all(one.endswith("without a value; quote a text that has a comma") for one in found)
    assert [one.split(": ", 1)[1] for one in cut("", inside)] == [one.split(": ", 1)[1] for one in found], "cases too"


def test_properties_of_a_case_that_are_no_mapping_are_found() -> None:
    text = "rules:\n- {id: r, when: [true], status: draft, background: [{day: 0, event: x.y, with: [a]}]}\n"
    found = load_rulebook({"rules/a.yml": text})[1]
    assert [str(one) for one in found] == [
        "rules/a.yml:2:80: error: with: should be a mapping; found a list; write property: value"
    ]


def test_a_store_with_such_a_text_stays_open() -> None:
    line = when("seats > 1").replace("to: rule owner}", "to: rule owner, with: {advice: Call once, and go on}}")
    assert found_in(line) == [], "what a store holds was taken once; it is read without duties"


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        pytest.param("days: mon-fri", [], id="weekends"),
        pytest.param(
            "days: mon-fri, holidays: DE",
            [
                (
                    "rule r: nobody may be written to for up to 110 hours, and max_age is 96: what is decided then expires "
                    "before it may leave; raise max_age, to 5d say"
                )
            ],
            id="weekends and holidays",
        ),
    ],
)
def test_a_reason_must_outlast_the_longest_time_at_which_nobody_is_written_to(hours: str, expected: list[str]) -> None:
    text = when("seats > 1", f"  max_age: 4d\npolicy: {{hours: {{{hours}}}}}\n").replace(
        "notify: {template: n, to: rule owner}", "send: {template: t, to: champion, class: relationship}"
    )
    assert [finding.message for finding in found_in(text)] == expected
