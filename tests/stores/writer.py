"""A process of its own for the store's tests: ``claim`` once, or ``write`` until it is killed."""

import sys
from itertools import count

from engine.errors import LaneTaken
from engine.store import Batch, Claim, Offset, Share, Store, Touch, Trait
from engine.stores import open_store
from tests.stores.made import T0, account_in, batch, decision, ended, entry, event, letter, withdrawn

LANES = (0, 1)
EVENTS = 20


def whole(claim: Claim, n: int) -> Batch:
    """Batch number ``n`` of a lane (from 1): something in every table."""
    lane, first = claim.lane, (n - 1) * (EVENTS + 1)
    account = account_in(lane)
    plan = decision(f"r{n}", account)
    return batch(
        claim,
        events=[event(first + k, account) for k in range(1, EVENTS + 1)],
        entries=[entry(first + EVENTS + 1, n=n)],
        facts=[plan, ended(plan, T0), withdrawn(plan, T0)] if n % 2 else [plan],
        traits=[Trait(account, f"u{n}", "email", f"u{n}@example.org", T0, first)],
        touches=[Touch(account, f"u{n}", T0 + n, "mail", "sent")],
        dead_letters=[letter(1_000_000 * lane + n, source=f"lane {lane}")],
        offsets=[Offset("import", "a.jsonl", lane, n - 1 if n > 1 else None, n)],
        shares=[Share(lane, T0 + n, {"n": n})],
        follow=frozenset({"decision", "dead-letter"}),
    )


def write(store: Store) -> None:
    """Commit batch after batch to both lanes at once, saying so after each, until killed."""
    claims = store.claim(LANES, "writer", at=T0, take_over=True)
    done = claims[0].position // (EVENTS + 1)
    for n in count(done + 1):
        claims = store.commit([whole(claim, n) for claim in claims])
        print(n, flush=True)


def claim(store: Store) -> None:
    """Wait for the word, then try to become the owner of a lane."""
    print("ready", flush=True)
    name = sys.stdin.readline().strip()
    try:
        print(store.claim([0, 1], name, at=T0)[0].epoch, flush=True)
    except LaneTaken:
        print("taken", flush=True)


if __name__ == "__main__":
    {"write": write, "claim": claim}[sys.argv[1]](open_store(sys.argv[2]))
