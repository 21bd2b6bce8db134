"""A change feed: a search index that follows a store, also across the end of its own program.

The store is the truth. The index is made of it and follows it by a watch: every change of an article comes
as an event, in order, with a revision. The revision of the last one is kept with the index, so that a
follower that was away asks for everything since. What a follower has missed it is told, and then it builds
its index anew.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict

import libkv

PREFIX = b"article:"


class Index:
    """Which articles have a word. Follows the store up to `revision`."""

    def __init__(self) -> None:
        self.words: dict[str, set[bytes]] = defaultdict(set)
        self.revision = 0

    def put(self, key: bytes, text: bytes) -> None:
        """Takes an article in, in the place of what it was before."""
        self.drop(key)
        for word in text.decode().lower().split():
            self.words[word].add(key)

    def drop(self, key: bytes) -> None:
        """Forgets an article."""
        for found in self.words.values():
            found.discard(key)

    def apply(self, event: libkv.Event) -> None:
        """Does to the index what was done to the store."""
        if event.kind == "cleared":
            self.words.clear()
        elif event.kind == "set" and event.value is not None:
            self.put(event.key, event.value)
        elif event.kind in ("deleted", "expired", "evicted"):
            self.drop(event.key)
        self.revision = event.revision

    def rebuild(self, store: libkv.Store, revision: int) -> None:
        """Makes the index of what is there. What changes meanwhile comes as events afterwards."""
        self.words.clear()
        for key, text in store.scan(prefix=PREFIX):
            self.put(key, text)
        self.revision = revision

    def find(self, word: str) -> list[str]:
        """The articles that have a word."""
        return sorted(key.removeprefix(PREFIX).decode() for key in self.words.get(word, ()))


async def follow(store: libkv.Store, index: Index, up_to: int) -> None:
    """Brings an index up to a revision, and on as changes come."""
    with store.watch(prefix=PREFIX, from_revision=index.revision + 1) as watch:
        while index.revision < up_to:
            try:
                index.apply(await anext(watch))
            except libkv.LaggedError as lagged:
                print("missed events: the index is built anew")
                index.rebuild(store, lagged.revision - 1)


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        index = Index()
        # A log, and no snapshots that would take the place of its beginning: it has the whole past.
        with libkv.open(folder, persistence="wal") as store:
            following = asyncio.create_task(follow(store, index, up_to=3))
            store["article:tea"] = "Tea is a drink"
            store["article:coffee"] = "Coffee is a drink too"
            await asyncio.sleep(0)
            store["article:chess"] = "Chess is a game"
            await following
            print("drink:", index.find("drink"), "- game:", index.find("game"))

            # While nobody follows.
            with store.batch() as batch:
                batch.delete("article:tea")
                batch.set("article:go", "Go is a game")
            latest = store.stats().revision

        # The next life of the program: the events of the one before come out of the log.
        with libkv.open(folder, persistence="wal") as store:
            await follow(store, index, up_to=latest)
            print("drink:", index.find("drink"), "- game:", index.find("game"))

        # A buffer that is too small for what happens while nobody reads.
        with libkv.open(watch_buffer=4) as store:
            late = Index()
            for number in range(100):
                store[f"article:{number}"] = f"number {number}"
            await follow(store, late, up_to=100)
            print("articles with a number:", len(late.find("number")))


if __name__ == "__main__":
    asyncio.run(main())
