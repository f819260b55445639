"""An intake in a process of its own, which dies when its events are sent and nothing is said of it."""

import json
import os
import signal
import sys
import threading

from ringfirst.intake import now
from streams.intake import Intake
from streams.settings import KafkaSettings, Topics


class Dying(Intake):
    def _commit(self, consumer, records):
        os.kill(os.getpid(), signal.SIGKILL)


def main():
    told = json.loads(sys.argv[1])
    kafka = KafkaSettings(servers=(told["brokers"],), group=told["group"], topics=Topics(**told["topics"]))
    Dying(kafka, lambda letters: letters, now=now).run(threading.Event())


if __name__ == "__main__":
    main()
