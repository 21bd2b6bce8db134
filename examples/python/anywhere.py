"""One program for every place: a ticket office that runs in memory, in a directory, on a server and on a cluster. Only
the location that it is given differs.

    python anywhere.py tickets.d
    python anywhere.py 'valkey://127.0.0.1:6379/?prefix=tickets:'
    python anywhere.py 'valkey-cluster://h1:7000,h2:7001/?prefix=tickets:&near=64MiB'

What it does to run anywhere: the keys that change together share a hash tag, {order:1}; it asks what the store can do
before it relies on it; and it takes "no answer" and "outcome unknown" for what they are. Without an argument it runs in
memory.
"""

from __future__ import annotations

import sys

import libkv


def count_visitor(store: libkv.Store) -> int | None:
    """The number of visitors, with this one; None if that is unknown."""
    try:
        return store.incr("visitors")
    except libkv.IoError:
        if store.capabilities().snapshots:
            # A disk that failed takes no more writes.
            raise
        # A server's reply was lost, and counting again might count twice.
        return None


def main(location: str) -> None:
    with libkv.open(location) as store:
        print("visitors:", count_visitor(store))

        for who in ("ada", "bob"):
            done = store.set("seat:7", who, ttl="10m", if_absent=True) is not None
            print(f"{who} reserves seat 7:", "done" if done else "taken")

        # The order and its state appear together, or not at all.
        with store.batch() as batch:
            batch.set("{order:1}:buyer", "ada")
            batch.set("{order:1}:state", "paid")

        # Servers give a key at least once, and in no order.
        order = dict(store.scan(prefix="{order:1}:"))
        buyer, state = order[b"{order:1}:buyer"].decode(), order[b"{order:1}:state"].decode()
        print(f"the order is {state} by {buyer}")

        # How safe a write is, a server says in its own configuration.
        if store.capabilities().snapshots:
            store.sync()

        store.delete_many(["seat:7", "visitors", *order])


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(__doc__)
    main(sys.argv[1] if len(sys.argv) == 2 else ":memory:")
