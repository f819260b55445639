"""The built-in thing ``goal``: a number that was agreed with a customer, told by the value that measures it."""

from collections.abc import Iterable

from engine.rulebook.spec import Act, Measure, Thing, Types

GOAL = "goal"
CURRENT, REACHED = "current", "reached"
DERIVED = {CURRENT: "number", REACHED: "true/false"}
"""Names of a goal that are read from the account: the value that the goal's id names, and whether it is far enough."""
_SET = ("goal.set",)


def goal_thing(measures: Iterable[Measure] = ()) -> Thing:
    """The thing as every rulebook has it; a rulebook may add measures. It never closes; ``goal.set`` sets it anew."""
    due = Measure("days_to_due", "days_to", prop="due", scope=GOAL)
    return Thing(
        GOAL,
        id="metric",
        opened_by=(Act(Types(_SET)),),
        family=Types(_SET),
        declared=(("baseline", "number"), ("due", "date"), ("target", "number")),
        dates=("due",),
        measures=(due, *measures),
    )


def is_derived(name: str) -> bool:
    """Is it a name of a goal that rests on the account's values?

    >>> is_derived("goal.reached"), is_derived("goal.target"), is_derived("ticket.current")
    (True, False, False)
    """
    owner, _, rest = name.partition(".")
    return owner == GOAL and rest in DERIVED
