"""A publisher in a process of its own, over the store and topic that its JSON argument names; it may die young."""

import json
import os
import signal
import sys
import time

from engine.stores import open_store
from streams.outgoing import Publisher
from streams.settings import KafkaSettings


def main():
    told = json.loads(sys.argv[1])
    store = open_store(told["store"], create=False)
    if told["dies"]:  # the brokers have confirmed, and nothing is written of it
        setattr(store, "published", lambda _: os.kill(os.getpid(), signal.SIGKILL))  # noqa: B010 - for mypy
    kafka = KafkaSettings(servers=(told["brokers"],))
    publisher = Publisher(store, kafka, {"decision": told["topic"]}, lanes=lambda: range(store.lanes))
    publisher.start()
    time.sleep(60)


if __name__ == "__main__":
    main()
