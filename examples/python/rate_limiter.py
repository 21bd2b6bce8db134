"""A rate limiter: so many requests of a client in so many seconds.

The count of a window is one key that expires with the window. `incr` is atomic and gives only a new
key the TTL, so threads need no lock, and nothing has to be cleaned up.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import libkv


class RateLimiter:
    """At most `limit` requests of a client in each window of `seconds`."""

    def __init__(self, store: libkv.Store, limit: int, seconds: float) -> None:
        self._store = store
        self._limit = limit
        self._seconds = seconds

    def allows(self, client: str) -> bool:
        """Counts a request, and says whether it is within the limit."""
        return self._store.incr(f"rate:{client}", ttl=self._seconds) <= self._limit

    def retry_after(self, client: str) -> float:
        """Seconds until the window ends; 0 if none is open."""
        try:
            return self._store.ttl(f"rate:{client}") or 0.0
        except KeyError:
            return 0.0


def main() -> None:
    with libkv.open() as store:
        limiter = RateLimiter(store, limit=100, seconds=60)
        with ThreadPoolExecutor(8) as pool:
            allowed = sum(pool.map(lambda _: limiter.allows("10.0.0.1"), range(250)))
        print("of 250 requests at once", allowed, "were allowed")
        print("another client is allowed:", limiter.allows("10.0.0.2"))
        print("the window ends within a minute:", 0 < limiter.retry_after("10.0.0.1") <= 60)

        short = RateLimiter(store, limit=1, seconds=0.05)
        print("first:", short.allows("10.0.0.3"), "- second:", short.allows("10.0.0.3"))
        while wait := short.retry_after("10.0.0.3"):
            time.sleep(wait)
        print("in the next window:", short.allows("10.0.0.3"))


if __name__ == "__main__":
    main()
