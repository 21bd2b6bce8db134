"""Scans: the iterator. Which entries come, and in which order, is in the cases of all surfaces."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

import libkv

KEYS = [b"user:%04d" % number for number in range(3000)]
"""More than the longest stretch that is read ahead."""


@pytest.fixture
def users(store: libkv.Store) -> libkv.Store:
    store.set_many([(key, key[5:]) for key in KEYS])
    store["other"] = "x"
    return store


def test_pairs_and_keys(users: libkv.Store) -> None:
    scan = users.scan(prefix="user:", order="asc")
    assert isinstance(scan, libkv.Scan) and iter(scan) is scan
    assert list(scan) == [(key, key[5:]) for key in KEYS]
    assert list(scan) == [], "the end stays the end"
    assert list(users.scan(prefix=b"user:", order="desc", keys_only=True)) == KEYS[::-1]
    assert sorted(users.scan(keys_only=True)) == [b"other", *KEYS]


def test_ranges_and_limits(users: libkv.Store) -> None:
    assert list(users.scan(start=KEYS[7], end=KEYS[9], order="asc", keys_only=True)) == KEYS[7:9]
    assert list(users.scan(prefix="user:", order="asc", limit=2, keys_only=True)) == KEYS[:2]
    assert len(list(users.scan(limit=20))) == 20
    assert list(users.scan(limit=0)) == []
    assert list(users.scan(end="")) == []
    assert list(users.scan(prefix="absent")) == []


@pytest.mark.parametrize(
    ("error", "wrong"),
    [
        (libkv.InvalidError, {"order": "ascending"}),
        (TypeError, {"order": 1}),
        (TypeError, {"prefix": 1}),
        (TypeError, {"start": bytearray()}),
        (OverflowError, {"limit": -1}),
        (TypeError, {"reverse": True}),
    ],
)
def test_what_is_refused(store: libkv.Store, error: type[Exception], wrong: Any) -> None:
    with pytest.raises(error):
        store.scan(**wrong)


@pytest.mark.parametrize("order", [None, "asc", "desc"])
def test_one_moment_is_shown_whatever_the_loop_changes(users: libkv.Store, order: Any) -> None:
    found = []
    for key, value in users.scan(prefix="user:", order=order, point_in_time=True):
        found.append((key, value))
        users[KEYS[-len(found)]] = "later"
        users[b"user:later:" + key] = "new"
        users.delete(KEYS[len(found) - 1])
    assert sorted(found) == [(key, key[5:]) for key in KEYS]


def test_a_moment_ends_when_too_much_changes_or_the_store_is_cleared() -> None:
    with libkv.open(scan_buffer_bytes="1KiB") as store:
        store.set_many([(key, "v") for key in KEYS])
        scan = store.scan(order="asc", point_in_time=True)
        store.set_many([(key, "w") for key in KEYS])
        with pytest.raises(libkv.ConflictError, match="scan_buffer_bytes"):
            next(scan)
        scan = store.scan(point_in_time=True)
        store.clear()
        with pytest.raises(libkv.ConflictError, match="cleared"):
            next(scan)


@pytest.mark.parametrize("ordered", [False, True])
def test_what_stays_comes_once_while_the_loop_changes_the_store(ordered: bool) -> None:
    with libkv.open(ordered_index=ordered) as store:
        store.set_many([(key, b"v") for key in KEYS])
        seen = []
        for key, _ in store.scan(prefix="user:"):
            seen.append(key)
            store[b"new:" + key] = b"v"
            store[key] = b"w" * (len(seen) % 300)
        assert sorted(seen) == KEYS


def test_what_expires_after_it_was_read_ahead_does_not_come(store: libkv.Store) -> None:
    keys = [b"%04d" % number for number in range(200)]
    store.set_many([(key, b"v") for key in keys[100:]])
    with store.batch() as batch:
        for key in keys[:100]:
            batch.set(key, b"v", ttl=0.05)
    scan = store.scan(order="asc", keys_only=True)
    left = (entry for key in keys[:100] if (entry := store.entry(key)))
    deadline = max((entry.expire_at or 0 for entry in left), default=0)
    first = next(scan)
    while time.time() <= deadline:
        time.sleep(0.01)
    # A slow machine may have been late for the first one too.
    assert [first, *scan] in ([keys[0], *keys[100:]], keys[100:])


def test_a_closed_store_ends_its_scans(users: libkv.Store) -> None:
    scan = users.scan()
    next(scan)
    users.close()
    for _ in range(2):
        with pytest.raises(libkv.ClosedError):
            next(scan)


def test_a_restore_ends_its_scans(users: libkv.Store, tmp_path: Path) -> None:
    snapshot = users.snapshot(tmp_path / "file.kvs")
    scan = users.scan()
    next(scan)
    users.restore(snapshot.path)
    for _ in range(2):
        with pytest.raises(libkv.ConflictError, match="restore") as caught:
            next(scan)
        assert caught.value.index is None
    assert len(list(users.scan())) == len(KEYS) + 1


def test_memory_is_bounded(store: libkv.Store) -> None:
    large = b"x" * 1_000_000
    for number in range(20):
        store[f"{number}"] = large
    scan = store.scan()
    before = store.stats().pinned_bytes
    assert next(scan)[1] == large
    assert store.stats().pinned_bytes - before < 4_000_000


def test_threads_that_share_a_scan_lose_nothing(users: libkv.Store) -> None:
    scan = users.scan(prefix="user:", keys_only=True)
    seen: list[bytes] = []

    def work() -> None:
        while True:
            try:
                seen.append(next(scan))
            except StopIteration:
                return
            except RuntimeError:
                # Another thread is reading ahead.
                time.sleep(0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == KEYS


def test_annotations(store: libkv.Store) -> None:
    scan: libkv.Scan[tuple[bytes, bytes]] = store.scan()
    assert list(scan) == []
    assert str(libkv.Scan[bytes]) == "libkv.Scan[bytes]"
    with pytest.raises(TypeError):
        libkv.Scan()
