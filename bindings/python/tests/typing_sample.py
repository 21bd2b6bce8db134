"""What a typed program may write. Checked by mypy --strict, and run by test_typing.py."""

from __future__ import annotations

import array
import asyncio
from collections.abc import Iterator, MutableMapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, assert_type

import libkv


def takes_mapping(mapping: MutableMapping[bytes, bytes]) -> int:
    mapping[b"typed"] = b"yes"
    return len(mapping)


def reads(store: libkv.Store) -> None:
    assert_type(store["k"], bytes)
    assert_type(store[b"k"], bytes)
    assert_type(store.get("k"), bytes | None)
    assert_type(store.get("k", b""), bytes)
    assert_type(store.get("k", 5), bytes | int)
    assert_type(store.get_many(["k", b"l"]), list[bytes | None])
    assert_type(store.get_many({"k"}), list[bytes | None])
    assert_type(store.entry("k"), libkv.Entry | None)
    assert_type(store.ttl("k"), float | None)
    assert_type("k" in store, bool)
    assert_type(b"k" in store, bool)
    assert_type(list(store), list[bytes])
    assert_type(sorted(store)[0], bytes)
    assert_type(dict(store), dict[bytes, bytes])
    entry = store.entry("k")
    if entry is not None:
        assert_type(entry.value, bytes)
        assert_type(entry.expire_at, float | None)
        value, version, *_ = entry
        assert_type(value, bytes)
        assert_type(version, int)


def writes(store: libkv.Store) -> None:
    store["k"] = "text"
    store[b"k"] = bytearray(b"buffer")
    store["k"] = array.array("i", [1])
    assert_type(store.set("k", memoryview(b"v")), int | None)
    store.set("k", "v", ttl=5, if_absent=True)
    store.set("k", "v", ttl=0.5, if_present=True)
    store.set("k", "v", ttl=timedelta(minutes=5), if_version=1)
    store.set("k", "v", ttl="5m")
    store.set("k", "v", ttl=libkv.NEVER)
    store.set("k", "v", expire_at=datetime.now(UTC) + timedelta(hours=1))
    store.set("k", "v", expire_at=4e9)
    store.set("k", "v", keep_ttl=True)
    store.set_many({"a": "1"}, ttl=60)
    store.set_many({b"a": b"1"})
    store.set_many([("a", b"1"), (b"b", "2")])
    store.update({"a": "1"}, b="2")
    store.update([("a", bytearray())])
    assert_type(store.incr("n", 5), int)
    assert_type(store.append("k", "more"), int)
    assert_type(store.delete("k"), bool)
    assert_type(store.take("a"), bytes | None)
    assert_type(store.pop("b"), bytes)
    assert_type(store.pop("b", None), bytes | None)
    assert_type(store.setdefault("k", "v"), bytes)
    assert_type(store.popitem(), tuple[bytes, bytes])


def groups(store: libkv.Store) -> None:
    with store.batch() as batch:
        assert_type(batch, libkv.Batch)
        batch.set("a", "1", ttl="5m", if_absent=True)
        batch.set(b"b", bytearray(b"2"))
        batch.expire("a", timedelta(hours=1))
        batch.delete("b")
    assert_type(batch.result, libkv.BatchResult | None)
    assert_type(store.batch().write().applied, int)
    view = store.view(keys="str", values="json")
    assert_type(view.batch(), libkv.ViewBatch[str, Any])
    assert_type(store.delete("a", if_version=5), bool)
    assert_type(store.last_fault(), libkv.Error | None)
    assert_type(store.capabilities(), libkv.Capabilities)
    assert_type(store.capabilities().versions, bool)


def scans(store: libkv.Store, keys_only: bool) -> None:
    assert_type(store.scan(prefix="a"), libkv.Scan[tuple[bytes, bytes]])
    assert_type(store.scan(keys_only=True), libkv.Scan[bytes])
    assert_type(list(store.scan(start="a", end=b"b", order="asc", limit=5, keys_only=True)), list[bytes])
    for key, value in store.scan(order="desc"):
        assert_type(key, bytes)
        assert_type(value, bytes)
    for found in store.scan(keys_only=keys_only):
        assert_type(found, tuple[bytes, bytes] | bytes)


async def watches(store: libkv.Store) -> None:
    with store.watch(prefix="a", kinds=["set", "deleted"]) as watch:
        assert_type(watch, libkv.Watch)
        assert_type(watch.next(timeout=0), libkv.Event | None)
        assert_type(watch.closed, bool)
        store["a"] = "1"
        async for event in watch:
            assert_type(event.key, bytes)
            assert_type(event.value, bytes | None)
            assert_type(event.revision, int)
            break


def memoizes(store: libkv.Store) -> None:
    @store.memoize(ttl="5m", stale_ttl=60)
    def double(number: int) -> int:
        return 2 * number

    assert_type(double(5), int)
    assert_type(double.refresh(5), int)
    assert_type(double.forget(5), bool)


def iterates(store: libkv.Store) -> Iterator[bytes]:
    for key, value in store.items():
        assert_type(key, bytes)
        assert_type(value, bytes)
    assert_type(store.keys() & {b"a"}, set[bytes])
    yield from store
    yield from store.values()


def files(store: libkv.Store, folder: Path) -> None:
    store.sync()
    snapshot = store.snapshot(folder / "file.kvs")
    assert_type(snapshot, libkv.Snapshot)
    assert_type(snapshot.path, str)
    assert_type(snapshot.bytes, int)
    store.restore(snapshot.path)
    assert_type(store.recovery, libkv.Recovery)
    assert_type(store.recovery.reason, str)


def opens() -> None:
    libkv.open(None, max_memory="64MiB", max_entries=10, entry_stats=True, ttl_jitter=0.1)
    try:
        libkv.open(Path("no such directory"), create=False, default_ttl=timedelta(hours=1))
    except libkv.InvalidError as error:
        assert_type(error.status, int)
        assert_type(error.status_name, str)


def main() -> None:
    with libkv.open() as store:
        assert_type(store, libkv.Store)
        takes_mapping(store)
        writes(store)
        store["k"] = "v"
        reads(store)
        list(iterates(store))
        groups(store)
        scans(store, keys_only=True)
        memoizes(store)
        asyncio.run(watches(store))
        assert_type(store.stats().memory_bytes, int)
        store.configure("default_ttl", timedelta(minutes=5))
        with TemporaryDirectory() as folder:
            files(store, Path(folder))
    opens()


if __name__ == "__main__":
    main()
