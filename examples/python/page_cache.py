"""Replays a trace of page requests against libkv as a cache, and prints what happened.

    python page_cache.py TRACE        one decimal page number a line

Each page is looked up; on a miss it is stored with a TTL. Every third page shows a price and may be
served only until prices change; the others live for an hour. Prices change after every 12,000
requests, an era: price pages get a short TTL, and at the end of the era the program waits until the
last one has run out.

Every count that is printed depends on the trace alone, never on the speed of the machine:

* No page may expire in the middle of its era. All price pages have the same TTL, so the one stored
  first expires first. If it was stored once and is still there after the era's last request, no
  lookup missed a page that had expired. Otherwise the machine was too slow for this TTL: the run
  does not count, and the program starts over with twice the TTL.
* No price page may live into the next era. The one stored last expires last, so the next era starts
  when that one is gone.

The store alone says what has expired. The program's own clock only measures the time of a call.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import libkv

ERA_REQUESTS = 12_000
PRICE_EVERY = 3
HOUR = 3600.0
FIRST_TTL = 0.25
LAST_TTL = 60.0


class TooSlow(Exception):
    """A price page expired in the middle of its era."""


@dataclass
class Counts:
    hits: int = 0
    misses: int = 0
    served_bytes: int = 0
    nanoseconds: int = 0


def render(page: int) -> tuple[bytes, bytes]:
    """Key and body of a page. Stands for templates: each page has its own length and letters."""
    body = bytes([ord("a") + page % 26]) * (200 + page * 7919 % 1800)
    return b"page:%d" % page, body


def replay_era(store: libkv.Store, era: list[int], pages: list[tuple[bytes, bytes]],
               price_ttl: float, counts: Counts) -> tuple[bytes, bytes] | None:
    """Answers the requests of one era. Returns the price pages stored first and last."""
    first = last = None
    for number in era:
        key, body = pages[number]
        cached = store.get(key)
        if cached is not None:
            if cached != body:
                raise SystemExit(f"page_cache: {key!r} holds another page's body")
            counts.hits += 1
            counts.served_bytes += len(cached)
            continue
        counts.misses += 1
        if number % PRICE_EVERY:
            store.set(key, body, ttl=HOUR)
            continue
        store.set(key, body, ttl=price_ttl)
        if key == first:  # stored twice in one era: it expired in between
            raise TooSlow
        first, last = first or key, key
    return None if first is None or last is None else (first, last)


def wait_until_gone(store: libkv.Store, key: bytes) -> None:
    """Waits until a price page has run out, and frees what expired with it."""
    give_up = time.monotonic() + 2 * LAST_TTL
    while key in store:
        if time.monotonic() > give_up:
            raise SystemExit("page_cache: a price page outlived its TTL")
        time.sleep(0.002)
    store.purge_expired()


def replay(store: libkv.Store, trace: list[int], pages: list[tuple[bytes, bytes]],
           price_ttl: float) -> Counts:
    """Replays the whole trace, or raises TooSlow."""
    counts = Counts()
    for start in range(0, len(trace), ERA_REQUESTS):
        era = trace[start:start + ERA_REQUESTS]
        started = time.perf_counter_ns()
        stored = replay_era(store, era, pages, price_ttl, counts)
        counts.nanoseconds += time.perf_counter_ns() - started
        if stored is None:
            continue
        first, last = stored
        if first not in store:
            raise TooSlow
        wait_until_gone(store, last)
    return counts


def print_counts(store: libkv.Store, trace: list[int], counts: Counts) -> None:
    stats = store.stats()
    print("requests", len(trace))
    print("hits", counts.hits)
    print("misses", counts.misses)
    print("served_bytes", counts.served_bytes)
    print("expired", stats.expired)
    print("live", stats.entries)
    print("payload_bytes", stats.key_bytes + stats.value_bytes)
    print("memory_bytes", stats.memory_bytes)
    print("ns_per_call", counts.nanoseconds // (len(trace) + counts.misses))


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("usage: page_cache.py TRACE")
    with open(sys.argv[1], encoding="ascii") as file:
        trace = [int(line) for line in file]
    if not trace:
        raise SystemExit("page_cache: the trace is empty")
    pages = [render(page) for page in range(max(trace) + 1)]

    price_ttl = FIRST_TTL
    while price_ttl <= LAST_TTL:
        with libkv.open() as store:
            try:
                counts = replay(store, trace, pages, price_ttl)
            except TooSlow:
                print(f"page_cache: an era took longer than {price_ttl} s; starting over", file=sys.stderr)
                price_ttl *= 2
                continue
            print_counts(store, trace, counts)
            return
    raise SystemExit("page_cache: this machine is too slow for any TTL tried")


if __name__ == "__main__":
    main()
