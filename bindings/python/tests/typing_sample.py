"""What a typed program may write. Checked by mypy --strict, and run by test_typing.py."""

from __future__ import annotations

import array
from collections.abc import Iterator, MutableMapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import assert_type

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
        assert_type(store.stats().memory_bytes, int)
        store.configure("default_ttl", timedelta(minutes=5))
        with TemporaryDirectory() as folder:
            files(store, Path(folder))
    opens()


if __name__ == "__main__":
    main()
