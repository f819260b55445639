"""Workers in processes of their own, for tests that type their command."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Workers:
    """Workers in processes of their own, and what each of them said."""

    def __init__(self, place):
        self._place = place
        self._started = []

    def start(self, *words):
        return self.start_command("worker", *words)

    def start_command(self, *words):
        path = self._place / f"worker-{len(self._started)}.log"
        with path.open("wb") as log, path.with_suffix(".out").open("wb") as out:
            worker = subprocess.Popen(
                [sys.executable, "-m", "ringfirst", *map(str, words)],
                cwd=self._place,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=out,
                stderr=log,
            )
        self._started.append((worker, path))
        return worker

    def said(self, worker):
        return next(path for one, path in self._started if one is worker).read_text()

    def answered(self, worker):
        return next(path for one, path in self._started if one is worker).with_suffix(".out").read_text()

    def joined(self):
        """The lanes that each was given last."""
        found = [re.findall(r"its lanes here: (.*)", path.read_text()) for _, path in self._started]
        return [one[-1] if one else "" for one in found]

    def close(self):
        for worker, _ in self._started:
            if worker.poll() is None:
                worker.kill()
            worker.wait()
