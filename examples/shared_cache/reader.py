"""The other half of a cache that two programs share: reads the prices that writer.c publishes.

    python reader.py PATH/TO/writer

Starts the writer, which replaces a snapshot file again and again, and follows it: each time the file is
another one, its contents take the place of those in memory, in one step.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import libkv

ROUNDS = 20
PRICES = 1000


class SharedCache:
    """A copy in memory of what another program publishes in a file."""

    def __init__(self, path: Path) -> None:
        self.store = libkv.open()
        self._path = path
        self._seen: tuple[int, int, int] | None = None

    def refresh(self) -> bool:
        """Loads the file if it is another one than before. Returns whether it was."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return False
        identity = (found.st_ino, found.st_mtime_ns, found.st_size)
        if identity == self._seen:
            return False
        # All or nothing: a damaged file raises, and what was there stays. It may be a newer file by now,
        # which is then loaded once more.
        self.store.restore(self._path)
        self._seen = identity
        return True


def check(store: libkv.Store) -> int:
    """The round that the cache shows. Fails unless it shows all of that round and nothing else."""
    shown = store["round"]
    prices = dict(store.scan(prefix="price:"))
    if len(prices) != PRICES:
        raise SystemExit(f"round {shown!r} has {len(prices)} prices")
    for key, price in prices.items():
        if not price.endswith(b" in round " + shown):
            raise SystemExit(f"{key!r} is {price!r} in round {shown!r}")
    left = store.ttl("price:0")
    if left is None or left > 3600:
        raise SystemExit(f"a price has {left} seconds left, where the writer gave it an hour")
    return int(shown)


def main(writer: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prices.kvs"
        cache = SharedCache(file)
        loaded, shown = 0, 0
        with subprocess.Popen([writer, file, str(ROUNDS)], stdout=subprocess.DEVNULL) as publishing:
            is_over = False
            while not is_over:
                # Asked before the file is looked at: what came last is seen in any case.
                is_over = publishing.poll() is not None
                if cache.refresh():
                    loaded += 1
                    before, shown = shown, check(cache.store)
                    if shown < before:
                        raise SystemExit(f"round {shown} came after round {before}")
                elif not is_over:
                    time.sleep(0.001)
        if publishing.returncode != 0 or shown != ROUNDS:
            raise SystemExit(f"the writer ended with {publishing.returncode}, at round {shown}")
        print("loaded", loaded, "snapshots, each of which showed one round; the last one", shown)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
