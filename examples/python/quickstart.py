"""libkv in five minutes: a dict whose entries expire.

Run it after ``pip install libkv`` (or ``pip install ./bindings/python`` from a checkout).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import libkv


def main() -> None:
    # In memory, at most 64 MiB; when it is full, random entries go.
    with libkv.open(max_memory="64MiB", eviction="random") as store:
        # A store is a MutableMapping. Keys are bytes or str, values come back as bytes.
        store["user:1"] = "Ada"
        assert store["user:1"] == b"Ada"
        assert store.get("user:2") is None
        assert "user:1" in store and len(store) == 1

        # A TTL is seconds, a timedelta, text, or libkv.NEVER; a deadline is a time.
        store.set("session:9", b"token", ttl="5m")
        store.set("offer", b"-20 %", expire_at=datetime.now(UTC) + timedelta(hours=1))
        left = store.ttl("session:9")
        assert left is not None and 0 < left <= 300
        store.set("flash", b"!", ttl=0.01)
        time.sleep(0.02)
        assert "flash" not in store, "from its deadline on, no call sees an entry"

        # Every write gives a version; a condition makes it a compare-and-set.
        version = store.set("config", b"v1")
        assert store.set("config", b"v2", if_version=version) is not None
        assert store.set("config", b"v3", if_version=version) is None
        assert store.set("config", b"v3", if_absent=True) is None
        assert store["config"] == b"v2"

        # Atomic steps: count, append, take.
        store.incr("visits")
        assert store.incr("visits", 41) == 42
        assert store.append("log", b"line\n") == 5
        assert store.take("log") == b"line\n"

        # Many keys at once; set_many stores all or nothing.
        store.set_many({f"page:{number}": f"<p>{number}</p>" for number in range(100)}, ttl=60)
        assert store.get_many(["page:1", "page:1000"]) == [b"<p>1</p>", None]

        # Iteration never fails because of concurrent change.
        pages = sorted(key for key in store if key.startswith(b"page:"))
        for key, value in store.items():
            if key in pages[50:]:
                del store[key]
                assert value.startswith(b"<p>")

        # Errors are libkv's own and the built-in that fits.
        try:
            store.incr("user:1")
        except ValueError as error:
            assert isinstance(error, libkv.WrongTypeError)
            print("refused:", error)

        stats = store.stats()
        print(f"{stats.entries} entries in {stats.memory_bytes} bytes, {stats.hits} hits")


if __name__ == "__main__":
    main()
