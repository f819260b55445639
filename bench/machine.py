"""How slow this machine is: steps of plain Python against what they take where the figures to reach come from."""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import msgspec

LINE = b'{"id":"evt-0001","type":"feature.used","account_id":"acme","time":"2026-03-01T09:00:00Z","properties":{"n":4}}'
COUNTERS = {f"feature-{number}": number * 7 for number in range(200)}


class _Wire(msgspec.Struct):
    id: str
    type: str
    account_id: str
    time: str
    properties: dict[str, Any]


def _count(days: dict[tuple[int, int], int]) -> None:
    for number in range(100):
        key = number % 12, number % 7
        days[key] = days.get(key, 0) + 1


def _steps() -> dict[str, tuple[Callable[[], object], int, float]]:
    """By name: the step, how many one call does, and the microseconds of one of them on the reference machine."""
    decode, days = msgspec.json.Decoder(_Wire).decode, dict[tuple[int, int], int]()
    return {
        "decode an event with json": (lambda: json.loads(LINE), 1, 2.7),
        "decode an event with msgspec": (lambda: decode(LINE), 1, 0.30),
        "count into a dict by (feature, day)": (lambda: _count(days), 100, 0.23),
        "encode 200 counters with json": (lambda: json.dumps(COUNTERS), 1, 38.0),
        "encode 200 counters with msgspec": (lambda: msgspec.json.encode(COUNTERS), 1, 2.9),
    }


def slowness() -> tuple[float, dict[str, float]]:
    """How many times slower this machine is than the reference one, as the median of some steps, and each of them.

    What the steps took there: CPython 3.11 on one core of a small quiet virtual machine.
    """
    found = {name: _took(step) / each / reference for name, (step, each, reference) in _steps().items()}
    return statistics.median(found.values()), found


def _took(step: Callable[[], object]) -> float:
    """Microseconds of CPU a call, the best of five rounds."""
    rounds = []
    for _ in range(5):
        count, began = 0, time.process_time()
        while (spent := time.process_time() - began) < 0.02:
            for _ in range(50):
                step()
            count += 50
        rounds.append(spent / count * 1e6)
    return min(rounds)
