"""Goals agreed with a customer, as slots: the value that a goal's id names, and whether it is as far as was agreed."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from engine.instants import Instant
from engine.values import Value
from engine.views import Slot, ThingView


class OfMetric:
    """``goal.current``: the account's own value of the goal's metric; unknown where the rulebook has no such value.

    ``at`` gives by value the account's slot of its measure; ``slots`` are the account's.
    """

    def __init__(self, at: Mapping[str, int], slots: Sequence[Slot]) -> None:
        self._at = at
        self._slots = slots
        self.moves = any(slots[index].moves for index in at.values())

    def read(self, view: ThingView) -> Value:
        """The value as of the view's moment."""
        index = self._at.get(view.id)
        return None if index is None else view.account[index]

    def turns(self, view: ThingView, constants: Sequence[float]) -> Iterable[Instant]:
        """As the measure says."""
        index = self._at.get(view.id)
        return () if index is None else self._slots[index].turns(view.account, constants)


class IsReached(OfMetric):
    """``goal.reached``: is the value at the target or beyond it, seen from the baseline?"""

    def __init__(self, at: Mapping[str, int], slots: Sequence[Slot], of: Callable[[ThingView, str], Value]) -> None:
        super().__init__(at, slots)
        self._of = of

    def read(self, view: ThingView) -> Value:
        """Unknown while the value or the target is."""
        return reached(super().read(view), self._of(view, "target"), self._of(view, "baseline"))


def reached(current: Value, target: Value, baseline: Value) -> bool | None:
    """Is a goal reached? One that lies below its baseline is reached from above.

    >>> reached(12.0, 10.0, 4.0), reached(12.0, 10.0, 20.0), reached(12.0, 10.0, None), reached(None, 10.0, 4.0)
    (True, False, True, None)
    """
    if not isinstance(current, float) or not isinstance(target, float):
        return None
    falls = isinstance(baseline, float) and target < baseline
    return current <= target if falls else current >= target
