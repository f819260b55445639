"""A piece of work in a process of its own, so that its CPU and its memory are nobody else's."""

import gc
import importlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[1]
CHEAP_SECONDS = 20.0
"""Work that took less is done twice more, and the median counts."""


class Figures(msgspec.Struct):
    """What a piece of work cost: seconds of CPU and of the clock, peak memory in MiB of its process, its answer."""

    cpu: float
    wall: float
    peak_mib: float
    answer: Any = None
    decided: list[Any] = []


class Meter:
    """The part of the work that counts; what stands outside of it (making the workload) does not."""

    def __init__(self) -> None:
        self.cpu = self.wall = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure the block."""
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.cpu += time.process_time() - cpu
        self.wall += time.perf_counter() - wall


Job = Callable[..., tuple[Any, list[Any]]]
"""Takes a meter and parameters, gives its answer and what was decided."""


def alone(job: Job, *, times: int = 3, **given: Any) -> Figures:
    """Do a job in a new process; what it cost is the median of three runs, or one run where it is not cheap.

    Ends the program if the job fails.
    """
    runs = [_once(job, given)]
    if runs[0].cpu < CHEAP_SECONDS:
        runs += [_once(job, given) for _ in range(times - 1)]
    median = {name: statistics.median(getattr(run, name) for run in runs) for name in ("cpu", "wall", "peak_mib")}
    return msgspec.structs.replace(runs[0], **median)


def _once(job: Job, given: dict[str, Any]) -> Figures:
    with tempfile.NamedTemporaryFile(suffix=".msgpack") as file:
        told = msgspec.json.encode([f"{job.__module__}:{job.__qualname__}", given, file.name]).decode()
        done = subprocess.run([sys.executable, "-m", "bench.alone", told], check=False, cwd=ROOT)
        if done.returncode:
            sys.exit(f"{job.__qualname__} {given}: ended with {done.returncode}; what it said stands above")
        return msgspec.msgpack.decode(Path(file.name).read_bytes(), type=Figures)


def command(*words: str, environment: dict[str, str] | None = None) -> Figures:
    """Run a command and measure all of it, start included; the median of three. Ends the program if it fails."""
    runs = [_command(words, environment) for _ in range(3)]
    return sorted(runs, key=lambda run: run.wall)[1]


def _command(words: tuple[str, ...], environment: dict[str, str] | None) -> Figures:
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(words, check=False, capture_output=True, text=True, env=os.environ | (environment or {}))
    if done.returncode:
        sys.exit(f"{' '.join(words)}: ended with {done.returncode}: {done.stderr[-500:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Figures(cpu, time.perf_counter() - wall, 0.0, done.stdout)


def family_cpu(pid: int | None) -> float:
    """CPU seconds so far of a process, its children and those that have ended; 0 where that cannot be seen."""
    if pid is None or not Path(f"/proc/{pid}/stat").exists():
        return 0.0
    ticks = sum(_ticks(pid)[:4])
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(FileNotFoundError):
            ticks += sum(_ticks(int(child))[:2])
    return ticks / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> list[int]:
    """User, system, and both of the children that have ended (proc(5), fields 14 to 17)."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [int(ticks) for ticks in after_name[11:15]]


def _peak_mib() -> float:
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage says here also counts the process that started this one
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> int:
    """The other side of ``alone``."""
    name, given, path = msgspec.json.decode(sys.argv[1])
    module, _, function = name.partition(":")
    meter = Meter()
    answer, decided = getattr(importlib.import_module(module), function)(meter, **given)
    figures = Figures(meter.cpu, meter.wall, _peak_mib(), answer, decided)
    Path(path).write_bytes(msgspec.msgpack.encode(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
