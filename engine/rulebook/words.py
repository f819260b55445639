"""The vocabulary of rulebooks: sections, keys and what each takes. Reader, JSON Schema and reference page share it."""

from typing import NamedTuple


class Key(NamedTuple):
    """A key: what kind of value it takes, and one sentence that says what for."""

    takes: str
    says: str
    required: bool = False


Shape = dict[str, Key]

SECTIONS: Shape = {
    "attributes": Key("attributes", "What accounts and people carry: name and type."),
    "things": Key("map of thing", "What lives inside an account, has an id, opens and closes."),
    "measures": Key("map of measure", "Numbers and values of an account, named once."),
    "segments": Key("map of segment", "Named groups of accounts."),
    "scores": Key("map of score", "Weighted means of parts, held down by the worst."),
    "rules": Key("list of rule", "When to reach out, to whom, with what."),
    "policy": Key("policy", "What holds for all rules; one per rulebook."),
    "values": Key("map of value", "What customers get, in numbers and in money; for reports."),
    "reports": Key("list of report", "Recurring reports of what a customer got."),
}
ATTRIBUTES: Shape = {
    "account": Key("map of type", "Attributes of accounts, from account.updated."),
    "person": Key("map of type", "Attributes of people, from user.updated."),
}
THING: Shape = {
    "id": Key("text", "The property that holds the thing's id.", required=True),
    "where": Key("where", "Asked of the thing's newest properties; others are no such thing."),
    "opened_by": Key("acts", "Events that open it."),
    "asked_by": Key("acts", "Events that put the ball with us."),
    "answered_by": Key("acts", "Events that answer: the waiting stops."),
    "closed_by": Key("acts", "Events that close it."),
    "updated_by": Key("types", "Further events whose properties are the thing's."),
    "people": Key("map of text", "Roles: the property that holds a person's id (user_id: the opening event's)."),
    "properties": Key("map of type", "Declared types of properties; dates must be declared."),
    "measures": Key("map of measure", "Measures over the thing's own events."),
    "each_in": Key("text", "A list attribute: one thing for each element, open while it stands there."),
    "in": Key("word portfolio", "portfolio: the thing is counted over all accounts."),
}
PERSON: Shape = {"measures": Key("map of measure", "Measures over the person's own events.")}
PERIODS = ("previous week", "previous month", "previous quarter")
COMPARISONS = ("previous period", "same period last year", "goal")
LEADS = ("goals",)
CHILDREN = ("own", "with parent")
VERBS: dict[str, tuple[str, str]] = {
    "count": ("types", "How many events."),
    "unique": ("property", "How many different values of a property (user_id: people)."),
    "sum": ("property", "Exact sum of a property, or of a name over a thing's open ones."),
    "average": ("property", "Mean."),
    "median": ("property", "Median."),
    "minimum": ("property", "Least value."),
    "maximum": ("property", "Greatest value."),
    "first": ("property", "The property of the first event in the window."),
    "last": ("property", "The property of the last event in the window."),
    "days_since": ("types", "Calendar days since the last event; if never, since first seen."),
    "hours_since": ("types", "Exact hours since the last event; if never, since first seen."),
    "days_since_first": ("types", "Calendar days since the first event; any = any type."),
    "days_active": ("types", "How many different days had such an event."),
    "attribute": ("property", "A trait, also nested (a.b) or with a name of Python's."),
    "held_days": ("property", "Days since an attribute has had its present value."),
    "days_to": ("property", "Calendar days to a date; negative after it."),
    "hours_to": ("property", "Exact hours to a date; negative after it."),
    "moved_later": ("property", "How often a date was put off."),
    "portfolio": ("name", "A measure over all accounts."),
    "open": ("thing", "How many are open now."),
    "opened": ("thing", "How many spells began in the window."),
    "answered": ("thing", "How many spells were answered in the window."),
    "closed": ("thing", "How many spells ended in the window."),
    "list": ("name", "Names of things, for templates."),
}
MEASURE: Shape = {
    "of": Key("types or thing", "The events (or the thing) that a property is of."),
    "where": Key("where", "Only events (things) whose properties match."),
    "over": Key(
        "window", "28d or 4w: calendar days; 36h, 90m, 30s: exact; this or previous week, month, quarter, year."
    ),
    "ending": Key("ago", "14d ago: shifts the window."),
    "per": Key("word day|week", "Divide by the window's days or weeks."),
    "full": Key("true/false", "Unknown while the window begins before the subject was first seen."),
    "times": Key("factor", "Scale: 60 or 1/60."),
    "never": Key("word unknown", "What never happened is unknown instead of counting from when first seen."),
    "as": Key("word number", "Read text that is exactly a number."),
    "at_most": Key("whole number", "How many a list holds."),
    "take": Key("word sum|average|maximum|minimum|median", "How a portfolio measure adds up accounts."),
    "segment": Key("text", "Only accounts of this segment, in a portfolio measure."),
}
TEST = ("not", "at_least", "more_than", "at_most", "less_than", "known")
SEGMENT: Shape = {
    "when": Key("conditions", "Who is inside: all lines hold.", required=True),
    "owner": Key("text", "Who answers for the segment."),
}
SCORE: Shape = {
    "parts": Key("map of part", "Parts by name.", required=True),
    "cap_above_worst": Key("number", "The score is never more than this above its worst known part."),
    "needs": Key("share", "Less known weight than this: unknown."),
    "bands": Key("map of number", "Names for ranges, by lower bound."),
}
PART: Shape = {
    "value": Key("expression", "What it measures.", required=True),
    "from": Key("number", "The value that gives 0.", required=True),
    "to": Key("number", "The value that gives 100.", required=True),
    "weight": Key("number", "How much it counts.", required=True),
    "if_unknown": Key("number", "Points when the value is unknown; without it the part is left out."),
}
RULE_KINDS = (
    "underused_feature",
    "churn_risk",
    "nervous_moment",
    "support_load",
    "value",
    "advocate",
    "internal",
)
RULE: Shape = {
    "id": Key("slug", "Its name for ever: decisions are remembered by it.", required=True),
    "title": Key("text", "One line for people."),
    "kind": Key("word " + "|".join(RULE_KINDS), "The family it belongs to."),
    "why": Key("text", "Why somebody should be written to."),
    "false_alarms": Key("text", "When it is wrong."),
    "owner": Key("text", "Who feels it if this goes wrong."),
    "for": Key("subject", "account, each THING, each EVENT.TYPE, or portfolio."),
    "audience": Key("text", "A segment; others are never written to."),
    "when": Key("conditions", "All lines hold.", required=True),
    "unless": Key("conditions", "None of these holds."),
    "clear_when": Key("expression", "Until this holds, the when lines count as true."),
    "holds_for": Key("span", "True at every look for this long."),
    "re_entry": Key("re-entry", "never, every 30d, every time."),
    "once_per": Key("name", "Each value of this name once, instead of re_entry."),
    "send": Key("send", "A mail to people of the customer."),
    "notify": Key("notify", "A mail to us."),
    "status": Key("word live|draft", "draft: decided and shown, never sent."),
    "holdout": Key("share", "Share of accounts that is never written to, for comparison."),
    "backfill": Key("true/false", "Subjects already inside when the rule is new or changed fire then."),
    "withdraw": Key("word never", "never: a mail stays planned when its reason is gone."),
    "priority": Key("whole number", "Higher goes first."),
    "max_age": Key("span", "How old a reason may be when the mail leaves."),
    "each_alone": Key("true/false", "One mail per subject, though the template ignores the plural."),
    "every": Key("span", "How often a portfolio rule is looked at."),
    "goal": Key("goal", "What the mail is for, measured later."),
    "next_step": Key("text", "What the customer could do, in one sentence for the customer; for reports."),
    "across_accounts": Key(
        "word one|each", "One person in several accounts gets the mail for one of them, or for each."
    ),
    "in_doubt": Key("word hold|resend", "A mail that may have left: never again, or again though it may arrive twice."),
    "background": Key("list of given", "Events before every case."),
    "cases": Key("list of case", "What the rule must do, tested by `ringfirst test`."),
}
SEND: Shape = {
    "template": Key("text", "A folder under templates/.", required=True),
    "to": Key("readers", "person, event.person, THING.ROLE, a role, each ROLE, A or B, a list.", required=True),
    "class": Key("word transactional|relationship|marketing", "What kind of mail it is.", required=True),
    "mode": Key("word auto|review", "review (default): somebody approves each mail."),
    "topic": Key("text", "What a reader can stop it by; default: the topic of the rule's kind."),
    "with": Key("literals", "Constants for the template."),
}
NOTIFY: Shape = {
    "template": Key("text", "A folder under templates/.", required=True),
    "to": Key("readers", "account owner, segment owner, rule owner, or an address of ours.", required=True),
    "mode": Key("word auto|review", "auto (default) or review."),
    "with": Key("literals", "Constants for the template."),
}
GOAL: Shape = {
    "when": Key("expression", "The goal is reached when this holds.", required=True),
    "within": Key("span", "How long after the decision."),
}
VALUE: Shape = {
    "measure": Key("name", "A measure of the account; a report asks it of its own period.", required=True),
    "label": Key("text", "What readers see.", required=True),
    "unit": Key("text", "One of what it counts, as hour or order."),
    "worth": Key("worth", "What it is worth in money: a rate, or a sum over its events."),
}
WORTH: Shape = {
    "rate": Key("number", "Money for one unit; goes with currency and per."),
    "per": Key("text", "The unit that the rate is for."),
    "sum": Key("property", "Instead of a rate: the property of each counted event that holds money."),
    "currency": Key("currency", "Three letters, as EUR."),
}
REPORT: Shape = {
    "id": Key("slug", "Its name for ever.", required=True),
    "title": Key("text", "One line for people."),
    "audience": Key("text", "A segment; others get no report."),
    "period": Key("word " + "|".join(PERIODS), "What one report is about.", required=True),
    "values": Key("list of text", "What it shows, in this order: names under values.", required=True),
    "price": Key("name", "The attribute that says what the account pays a month."),
    "compare": Key("comparisons", "With which periods each figure is compared; goal: with what was agreed."),
    "lead_with": Key("word " + "|".join(LEADS), "What comes first: the goals that were agreed."),
    "children": Key(
        "word " + "|".join(CHILDREN),
        "Accounts whose trait parent_id names another: each its own report (default), or a part of their parent's.",
    ),
    "send_if": Key(
        "conditions", "No report unless all of these hold; may use value.NAME, value_total, value_to_price."
    ),
    "unless": Key("conditions", "No report while one of these holds."),
    "adoption": Key("adoption", "How many people and bought parts of the product were active in the period."),
    "next_steps": Key("next steps", "What the reader could do next, taken from rules that hold."),
    "support": Key("support", "Tickets opened and solved, and how long answers took, against the period before."),
    "schedule": Key("schedule", "When it goes out; goes with to. Without both it is only looked at."),
    "to": Key("readers", "A role, each ROLE, A or B, a list: one mail to each."),
    "close_after": Key(
        "span", "A period is closed when every lane's clock is so far past its end, from 1h to 6d; default 24h."
    ),
    "readers_may_choose": Key(
        "word quarterly", "Of a monthly report: a reader may have one for the quarter instead, on the page for choices."
    ),
    "template": Key("text", "A folder under templates/; default: monthly-value."),
    "class": Key("word relationship|marketing", "What kind of mail it is; default: relationship."),
    "mode": Key("word auto|review", "review (default): somebody approves each mail."),
    "review_if": Key("conditions", "Somebody approves the mail if one of these holds, or is unknown."),
    "topic": Key("text", "What a reader can stop it by; default: reports."),
    "owner": Key("text", "Who is told where no report goes, if the account and the segment have no owner."),
    "holdout": Key("share", "Share of accounts that gets no report, for comparison."),
    "priority": Key("whole number", "Higher goes first."),
    "goal": Key("goal", "What the report is for, measured later."),
}
ADOPTION: Shape = {
    "people": Key("name", "A measure by unique user_id: who was active, asked of the period."),
    "seats": Key("name", "The attribute that says how many seats are paid for; default seats."),
    "features": Key("name", "THING.MEASURE: a count of each thing of a list that is paid for, as module.uses_28d."),
}
NEXT_STEPS: Shape = {
    "from_rules": Key("list of text", "Rules that hold at the period's end; each says next_step.", required=True),
    "at_most": Key("whole number", "How many are shown; default 3."),
}
SCHEDULE: Shape = {
    "every": Key("word week|month|quarter", "The unit of its period.", required=True),
    "on_day": Key("whole number", "The day after the period's end, from 1; the next one that is open.", required=True),
    "at": Key("clock", "Local time of the account.", required=True),
}
SUPPORT: Shape = {
    "of": Key("name", "The thing that is asked and answered, as ticket.", required=True),
    "hours": Key("name", "A calendar of the policy: times are counted in its hours too."),
}
POLICY: Shape = {
    "timezone": Key("zone", "For accounts without a valid one of their own."),
    "staff": Key("staff", "Our own mail domains."),
    "settle": Key("span", "A mail waits this long for the picture to settle."),
    "hours": Key("hours", "When customers may be written to."),
    "hold_for": Key("span", "How long a held mail waits before it expires."),
    "exclude": Key("exclude", "Who is never written to."),
    "caps": Key("caps", "How many contacts a person or account may have."),
    "gap": Key("span", "Least time between two mails to one person."),
    "pause_after": Key("map of span", "After such an event no mail goes to the account for so long."),
    "near_meeting": Key("span", "No mail goes to the account so long before and after a meeting with it begins."),
    "breaker": Key("breaker", "What makes the mails of a rule wait for a person until somebody resets it."),
    "canary": Key("whole number", "So many first mails of a new or changed rule wait for a person."),
    "calendars": Key("map of calendar", "Working hours of ours by name, for reports."),
    "sources": Key("map of source", "Streams whose silence must not be read as silent customers."),
    "topics": Key("map of topic", "What readers can stop mails by, beside the built-in topics."),
}
HOURS: Shape = {
    "from": Key("clock", 'First minute, as "08:00".'),
    "until": Key("clock", "The minute after the last."),
    "days": Key("weekdays", "mon-fri, a day, or a list."),
    "holidays": Key("places", "Not on public holidays of a country, as DE, of a part of it, as DE-BY, or of a list."),
}
CALENDAR: Shape = {"zone": Key("zone", "Where these hours are; default UTC."), **HOURS}
CAPS: Shape = {
    "person": Key("texts", "As `2 per 7d`, or a list of these."),
    "account": Key("texts", "The same for all people of an account together."),
}
BREAKER: Shape = {
    "rule": Key("text", "More mails of one rule than that, as `30 per 1h`."),
    "base": Key("share", "One rule writes to more than this share of all accounts in 24 hours, and to 10 or more."),
    "bounces": Key("text", "More of its last mails bounced than that, as `5% of 200`."),
    "complaints": Key("text", "More of its last mails were complained about, as `0.1% of 200`."),
}
EXCLUDE: Shape = {
    "domains": Key("list of text", "Addresses of these domains, and of those below them."),
    "accounts": Key("literals", "Accounts with one of these traits, as `test: true`."),
    "cancelled": Key("true/false", "Accounts whose subscription was cancelled; transactional mails still leave."),
}
SOURCE: Shape = {
    "events": Key("types", "The event types that come by this stream.", required=True),
    "late_after": Key("span", "Late when a live record of it was this old when it was taken in; default 2h."),
    "least": Key("share", "Late below this share of the usual number of events in 24 hours; default 50%."),
}
TOPIC: Shape = {
    "title": Key("text", "What readers see, on the page where they choose.", required=True),
    "needs_consent": Key("consent", "true: only who asked for these mails gets them; or a trait that says so."),
}
BUILT_IN_TOPICS = {
    "tips": "Tips on parts of the product that you may not use yet",
    "check_ins": "Asking how things are going",
    "moments": "Help around appointments, contracts and renewals",
    "help": "Help with what you asked our support",
    "reports": "What you got out of it, in numbers",
    "opinions": "Asking for your opinion",
    "other": "Other mails",
}
"""Names of topics that need not be declared, with the titles that readers see."""
TOPIC_OF_KIND = {
    "underused_feature": "tips",
    "churn_risk": "check_ins",
    "nervous_moment": "moments",
    "support_load": "help",
    "value": "reports",
    "advocate": "opinions",
}
STAFF: Shape = {
    "domains": Key("list of text", "Our own mail domains.", required=True),
    "names": Key("map of text", "Names of our people by address, for mails that go out in their name."),
}
CASE: Shape = {
    "name": Key("text", "What it shows.", required=True),
    "given": Key("list of given", "Events, in order."),
    "like": Key("text", "Takes over another case's given and adds to it."),
    "until": Key("day", "The last day that is looked at."),
    "at": Key("day", "Short form: the day by whose end."),
    "expect": Key("expect", "sends, silent, or the complete list of decisions.", required=True),
}
GIVEN: Shape = {
    "day": Key("whole number", "Day 0 is Monday 2026-03-02.", required=True),
    "at": Key("clock", "Local time; noon without it."),
    "event": Key("text", "The event's type.", required=True),
    "user": Key("text", "The person's id."),
    "account": Key("text", "Another account than acme."),
    "with": Key("literals", "Properties."),
    "until": Key("whole number", "Repeat up to this day."),
    "every": Key("text", "Step of the repeat: 2d, weekday."),
    "times": Key("whole number", "Total number of repeats."),
}
EXPECT: Shape = {
    "day": Key("whole number", "The local day of the decision.", required=True),
    "at": Key("clock", "Its local time."),
    "about": Key("text or list", "The subject's id, or the ids of joined ones."),
    "to": Key("text or list", "Who is written to."),
    "outcome": Key("word planned|draft|held_out|withdrawn", "What became of it."),
    "reason": Key("text", "Why it is in review."),
    "values": Key("literals", "Values of names."),
    "mail": Key("text", "Text of the rendered mail."),
    "account": Key("text", "The account, if not acme."),
}
USUAL_ACCOUNT = {
    "plan": "text",
    "seats": "number",
    "mrr": "number",
    "currency": "text",
    "created_at": "date",
    "locale": "text",
    "timezone": "text",
    "owner": "text",
}
USUAL_PERSON = {
    "role": "text",
    "email": "personal",
    "name": "personal",
    "first_name": "personal",
    "last_name": "personal",
    "phone": "personal",
    "address": "personal",
    "locale": "text",
    "timezone": "text",
}
THING_NAMES = {
    "id": "text",
    "open": "true/false",
    "opened_at": "date",
    "open_days": "number",
    "open_hours": "number",
    "answered": "true/false",
    "waiting": "true/false",
    "waiting_since": "date",
    "waiting_hours": "number",
    "closed_at": "date",
}
HOUR_NAMES = frozenset({"open_hours", "waiting_hours"})
SPELL_NAMES = ("answer_hours", "solve_hours")
CONTACTS = {
    "call.answered": "call",
    "call.ended": "call",
    "meeting.held": "meeting",
    "ticket.opened": "ticket",
    "ticket.replied": "ticket",
    "ticket.solved": "ticket",
    "outreach.sent": "mail",
    "outreach.replied": "mail",
}
"""Events that are contact with a customer, and the channel they came by; they make the rows of ``touches``."""
MEETINGS = {"meeting.scheduled": True, "meeting.rescheduled": True, "meeting.cancelled": False, "meeting.held": False}
"""Events of meetings, and whether the meeting is ahead after one."""
SUBSCRIPTIONS = ("subscription.created", "subscription.renewed", "subscription.cancelled")
"""Events that say whether an account is still a customer: the newest counts."""
MOMENTS = ("today", "this_week", "this_month")
SHAPES: dict[str, Shape] = {
    "sections": SECTIONS,
    "attributes": ATTRIBUTES,
    "thing": THING,
    "measure": MEASURE,
    "segment": SEGMENT,
    "score": SCORE,
    "part": PART,
    "rule": RULE,
    "send": SEND,
    "notify": NOTIFY,
    "goal": GOAL,
    "value": VALUE,
    "worth": WORTH,
    "report": REPORT,
    "adoption": ADOPTION,
    "next steps": NEXT_STEPS,
    "support": SUPPORT,
    "schedule": SCHEDULE,
    "policy": POLICY,
    "hours": HOURS,
    "calendar": CALENDAR,
    "caps": CAPS,
    "breaker": BREAKER,
    "exclude": EXCLUDE,
    "staff": STAFF,
    "source": SOURCE,
    "topic": TOPIC,
    "case": CASE,
    "given": GIVEN,
    "expect": EXPECT,
}
"""Every shape by its name; the JSON Schema and the reference page are made from these."""
