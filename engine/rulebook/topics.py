"""Topics: what a reader can stop mails by. A rule's mails belong to the topic it names, or to that of its kind."""

from collections.abc import Iterable

from engine.rulebook.findings import Findings, suggestion
from engine.rulebook.nodes import Node
from engine.rulebook.reading import Reading
from engine.rulebook.spec import Rule, Topic, Topics
from engine.rulebook.words import BUILT_IN_TOPICS, TOPIC, TOPIC_OF_KIND

BUILT_IN = tuple(Topic(name, title) for name, title in BUILT_IN_TOPICS.items())
_LONGEST_NAME, _LONGEST_TITLE = 40, 100


def read_topics(reading: Reading, node: Node) -> tuple[Topic, ...]:
    """The topics under ``topics``; the name of a built-in one gives that one another title, or asks for consent."""
    found = []
    for name, at, inner in reading.named(node, "topics"):
        what = f"topic {name}"
        keys = reading.mapping(inner, what, TOPIC)
        if len(name) > _LONGEST_NAME:
            reading.error(at, f"{what}: longer than {_LONGEST_NAME} characters; it stands in links; shorten it")
            continue
        title = reading.text(keys["title"], f"{what}: title", _LONGEST_TITLE) if "title" in keys else name
        consent, trait = _consent(reading, keys["needs_consent"], what) if "needs_consent" in keys else (False, "")
        found.append(Topic(name, title, consent, trait))
    return tuple(found)


def topics_of(rules: Iterable[Rule], declared: tuple[Topic, ...], findings: Findings) -> Topics:
    """All topics, and which of them each rule's mails to customers belong to; an unknown one is a finding."""
    known = {topic.name: topic for topic in (*BUILT_IN, *declared)}
    of_rules = []
    for rule in rules:
        if rule.outreach is None or rule.outreach.audience != "customer":
            continue
        name = rule.outreach.topic or TOPIC_OF_KIND.get(rule.kind, "other")
        if name not in known:
            near = suggestion(name, known) or f"; declare it under policy.topics, or take one of {', '.join(known)}"
            findings.error(rule.outreach.at, f"rule {rule.id}: unknown topic '{name[:60]}'{near}")
            continue
        of_rules.append((rule.id, name, rule.outreach.mail_class))
    return Topics(tuple(known.values()), tuple(of_rules))


def topic_of(topics: Topics, rule: str, kind: str) -> Topic:
    """The topic of a rule's mails; of a rule that the book does not hold any more, the one of its kind.

    >>> topic_of(Topics(), "gone", "churn_risk").name
    'check_ins'
    """
    name = next((name for rule_id, name, _ in topics.of_rules if rule_id == rule), TOPIC_OF_KIND.get(kind, "other"))
    return named_topic(topics, name)


def named_topic(topics: Topics, name: str) -> Topic:
    """The topic of that name; one that is gone is known by its name alone."""
    found = [topic for topic in (*BUILT_IN, *topics.known) if topic.name == name]
    return found[-1] if found else Topic(name, name.replace("_", " ").capitalize())


def shown_topics(topics: Topics) -> tuple[Topic, ...]:
    """The topics that a reader is asked about, by the order of the rules: those of mails that can be stopped."""
    known = {topic.name: topic for topic in topics.known}
    return tuple(known[name] for name in dict.fromkeys(n for _, n, kind in topics.of_rules if kind != "transactional"))


def _consent(reading: Reading, node: Node, what: str) -> tuple[bool, str]:
    if isinstance(node.value, bool):
        return node.value, ""
    trait = reading.text(node, f"{what}: needs_consent", 100)
    return bool(trait), trait
