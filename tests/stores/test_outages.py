"""What every store promises about channels that are away: all senders see them, and one of them tries."""

from concurrent.futures import ThreadPoolExecutor

from engine.store import Outage, Store
from engine.stores import open_store
from tests.stores.made import MINUTE, T0

AWAY = Outage(channel="smtp", since=T0, until=T0 + MINUTE, why="away", ours=False, failures=1, by="a")


def later(**changes: object) -> Outage:
    return Outage(**{**{name: getattr(AWAY, name) for name in AWAY.__struct_fields__}, **changes})


def test_a_channel_that_is_away_stands_there_with_its_last_word_until_it_is_back(store: Store) -> None:
    store.put_outage(AWAY)
    store.put_outage(later(channel="sendgrid", ours=True))
    again = later(since=T0 + MINUTE, until=T0 + 3 * MINUTE, why="refused", ours=True, failures=2, by="b")
    store.put_outage(again)
    assert [one.channel for one in store.outages()] == ["sendgrid", "smtp"]
    assert store.outages()[1] == later(until=T0 + 3 * MINUTE, why="refused", ours=True, failures=2, by="b")
    store.end_outage("smtp")
    assert [one.channel for one in store.outages()] == ["sendgrid"]
    assert not store.try_channel(again, until=T0)


def test_of_several_senders_one_tries(durable: Store, durable_url: str) -> None:
    durable.put_outage(AWAY)

    def sender(_: int) -> bool:
        other = open_store(durable_url)
        try:
            return other.try_channel(AWAY, until=T0 + 3 * MINUTE)
        finally:
            other.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(sender, range(4))) == 1
