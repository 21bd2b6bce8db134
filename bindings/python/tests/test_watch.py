"""Watches: iteration in threads and in asyncio, ends, and what was missed."""

import asyncio
import select
import threading
from typing import Any

import pytest

import libkv


def test_events_in_order() -> None:
    with libkv.open() as store, store.watch(prefix="user:") as watch:
        version = store.set("user:1", "Ada", ttl=600)
        store["other"] = b"x"
        store.persist("user:1")
        del store["user:1"]
        store.clear()
        first = next(watch)
        assert (first.kind, first.key, first.value) == ("set", b"user:1", b"Ada")
        assert first.revision == version and first.expire_at is not None
        assert [(event.kind, event.key) for event in (next(watch), next(watch), next(watch))] == [
            ("touched", b"user:1"),
            ("deleted", b"user:1"),
            ("cleared", b""),
        ]
        assert watch.next(0) is None and watch.next(timeout=0.001) is None
        again = store.watch(key="user:1", from_revision=version, kinds="set")
        assert next(again) == first


def test_kinds() -> None:
    with libkv.open() as store:
        watch = store.watch(kinds=["deleted", "cleared"])
        store["k"] = b""
        del store["k"]
        assert next(watch).kind == "deleted"
        refused: list[Any] = ["replaced", ["set", "nothing"], []]
        for bad in refused:
            with pytest.raises(libkv.InvalidError):
                store.watch(kinds=bad)
        with pytest.raises(libkv.InvalidError):
            store.watch(key="a", prefix="b")
        with pytest.raises(TypeError):
            store.watch(key=1)  # type: ignore[arg-type]


def test_lagged() -> None:
    with libkv.open(watch_buffer=4) as store:
        watch = store.watch()
        for n in range(10):
            store["k"] = str(n)
        with pytest.raises(libkv.LaggedError) as caught:
            next(watch)
        assert (caught.value.revision, caught.value.missed) == (7, 6)
        assert "missed" in str(caught.value)
        assert [next(watch).value for _ in range(4)] == [b"6", b"7", b"8", b"9"]


def test_closing_ends_the_iteration() -> None:
    with libkv.open() as store:
        watch = store.watch()
        seen: list[libkv.Event] = []
        thread = threading.Thread(target=lambda: seen.extend(watch))
        thread.start()
        store["k"] = b""
        while not seen:
            pass
        watch.close()
        thread.join()
        assert len(seen) == 1 and list(watch) == [] and watch.next() is None


def test_a_closed_store_ends_its_watches() -> None:
    store = libkv.open()
    watch = store.watch()
    store.close()
    with pytest.raises(libkv.ClosedError):
        next(watch)
    with pytest.raises(libkv.ClosedError):
        store.watch()


def test_select() -> None:
    with libkv.open() as store, store.watch(key="k") as watch:
        assert select.select([watch], [], [], 0)[0] == []
        store["other"] = b""
        assert select.select([watch], [], [], 0)[0] == []
        store["k"] = b""
        assert select.select([watch], [], [])[0] == [watch]
        assert watch.next(0) is not None
        assert select.select([watch], [], [], 0)[0] == []


def test_asyncio() -> None:
    async def collect(watch: libkv.Watch, count: int) -> list[bytes]:
        keys = []
        async for event in watch:
            keys.append(event.key)
            if len(keys) == count:
                break
        return keys

    async def main() -> None:
        with libkv.open() as store:
            tasks = [asyncio.create_task(collect(store.watch(), 20)) for _ in range(3)]
            await asyncio.sleep(0)
            for n in range(20):
                store[f"k{n}"] = b""
                await asyncio.sleep(0)
            expected = [f"k{n}".encode() for n in range(20)]
            assert await asyncio.gather(*tasks) == [expected] * 3
            watch = store.watch()
            endless = asyncio.create_task(collect(watch, 1000))
            await asyncio.sleep(0)
            watch.close()
            assert await endless == []

    asyncio.run(main())
