"""Topics: what a rule's mails can be stopped by, as the rulebook says it."""

import pytest

from engine.rulebook.book import load_rulebook
from engine.rulebook.spec import Topic
from engine.rulebook.topics import shown_topics, topic_of

RULE = """
  - id: {id}
    title: A rule
    kind: {kind}
    why: Because.
    owner: us@ringfirst.example
    status: draft
    when: [account_age_days > 3]
    send: {{template: t, to: champion, class: {mail_class}{topic}}}
"""


def book(*rules, policy="{}"):
    written = [{"kind": "churn_risk", "mail_class": "relationship", "topic": "", **one} for one in rules]
    text = "rules:" + "".join(RULE.format(**one) for one in written) + f"policy: {policy}\n"
    template = {"templates/t/template.yml": "for: customer\nclass: relationship\nexample: {you: {name: Ada}}\n"}
    return load_rulebook({"rules/a.yml": text, **template})


def topics(*rules, policy="{}"):
    made, findings = book(*rules, policy=policy)
    assert made is not None, findings
    return made.policy.topics


def errors(*rules, policy="{}"):
    return [one.message for one in book(*rules, policy=policy)[1] if one.severity == "error"]


def test_a_rule_that_names_no_topic_has_that_of_its_kind():
    found = topics({"id": "a"}, {"id": "b", "kind": "underused_feature"}, {"id": "c", "kind": "internal"})
    assert [topic_of(found, rule, "").name for rule in "abc"] == ["check_ins", "tips", "other"]
    assert topic_of(found, "gone", "value").name == "reports", "a rule that is gone still has mails under way"


def test_a_rule_may_name_a_topic_of_the_policy_or_a_built_in_one():
    policy = "{topics: {news: {title: News of the product, needs_consent: likes_news}, tips: {title: Hints}}}"
    found = topics({"id": "a", "topic": ", topic: news"}, {"id": "b", "topic": ", topic: tips"}, policy=policy)
    assert topic_of(found, "a", "") == Topic("news", "News of the product", True, "likes_news")
    assert topic_of(found, "b", "") == Topic("tips", "Hints")


def test_readers_are_asked_about_topics_of_rules_whose_mails_can_be_stopped():
    found = topics(
        {"id": "a", "kind": "value"}, {"id": "b"}, {"id": "c", "kind": "advocate", "mail_class": "transactional"}
    )
    assert [topic.name for topic in shown_topics(found)] == ["reports", "check_ins"]


@pytest.mark.parametrize(
    ("rule", "policy", "message"),
    [
        ({"topic": ", topic: newz"}, "{topics: {news: {title: News}}}", "unknown topic 'newz'; did you mean 'news'"),
        ({"topic": ", topic: zzz"}, "{}", "unknown topic 'zzz'; declare it under policy.topics"),
        ({}, "{topics: {news: {}}}", "topic news: 'title' is missing"),
        ({}, "{topics: {news: {title: N, needs_consent: 3}}}", "needs_consent: should be text"),
        ({}, "{topics: {no-name: {title: N}}}", "'no-name' is no name"),
        ({}, "{topics: {%s: {title: N}}}" % ("x" * 41), "longer than 40"),
    ],
)
def test_what_is_no_topic_is_said(rule, policy, message):
    assert any(message in one for one in errors({"id": "a", **rule}, policy=policy))
