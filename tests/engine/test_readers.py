"""Readers that the rulebook alone settles are those whom a decision would find."""

from dataclasses import replace

import pytest

from engine.program import always_read_by
from engine.recipients import recipients
from engine.rulebook.spec import Outreach, Reader, Rule


@pytest.mark.parametrize(
    ("to", "known"),
    [
        ((("bo@ringfirst.example",),), ("bo@ringfirst.example",)),
        ((("rule owner", "bo@ringfirst.example"),), ("ada@ringfirst.example",)),
        (
            (("rule owner",), ("bo@ringfirst.example",), ("rule owner",)),
            ("ada@ringfirst.example", "bo@ringfirst.example"),
        ),
        ((("bo@ringfirst.example", "account owner"),), ("bo@ringfirst.example",)),
        ((("account owner", "bo@ringfirst.example"),), ()),
        ((("rule owner",), ("account owner",)), ()),
    ],
)
def test_only_readers_that_nothing_else_can_change_are_settled_beforehand(
    to: tuple[tuple[str, ...], ...], known: tuple[str, ...]
) -> None:
    outreach = Outreach("staff", "told", tuple(Reader(one) for one in to), "internal", "auto")
    rule = Rule("r", owner="ada@ringfirst.example", outreach=outreach)
    assert always_read_by(rule) == known
    assert not known or recipients(rule, outreach, None, None) == list(known)  # type: ignore[arg-type]  # read by none
    assert always_read_by(replace(rule, outreach=replace(outreach, audience="customer"))) == ()
