"""Stores on servers, which `cargo xtask test remote` starts: what Python has beyond the conformance cases."""

from __future__ import annotations

import asyncio
import select
import threading
import time
from collections.abc import Callable

import pytest

import libkv
from places import SERVERS
from test_gil import gives_up_the_gil, one_switch_interval

__all__ = ["one_switch_interval"]

pytestmark = pytest.mark.skipif(not SERVERS, reason="needs the servers that `cargo xtask test remote` starts")


def at(name: str, query: str = "") -> str:
    scheme = "valkey-cluster" if name == "cluster" else "valkey"
    return f"{scheme}://{SERVERS[name]}/?{query}"


def until(holds: Callable[[], object]) -> None:
    for _ in range(6000):
        if holds():
            return
        time.sleep(0.02)
    pytest.fail("it did not come to that in two minutes")


@pytest.mark.parametrize("name", ["one", "cluster"])
def test_capabilities(name: str) -> None:
    with libkv.open(at(name, "prefix=can:")) as store:
        can = store.capabilities()
    assert can == libkv.Capabilities(
        versions=False,
        cross_slot_batches=name == "one",
        ordered_scans=False,
        exact_scans=False,
        watches=True,
        watch_history=False,
        snapshots=False,
        eviction=False,
        clear=True,
        near_cache=False,
    )


@pytest.mark.parametrize("name", ["one", "cluster"])
def test_a_dict(name: str) -> None:
    with libkv.open(at(name, "prefix=dict:")) as store:
        store.clear()
        store.update({f"k{number}": f"v{number}" for number in range(50)})
        expected = {b"k%d" % number: b"v%d" % number for number in range(50)}
        assert dict(store.items()) == expected
        assert store == expected
        assert len(store) == 50
        assert sorted(store) == sorted(expected)
        assert set(store.scan(keys_only=True)) == set(expected)
        assert b"k7" in store
        assert store["k7"] == b"v7"
        assert store.pop("k7") == b"v7"
        with pytest.raises(KeyError):
            store["k7"]
        key, value = store.popitem()
        assert expected[key] == value
        assert store.setdefault("k7", "again") == b"again"
        assert store.get_many(["k7", "gone", b"k7"]) == [b"again", None, b"again"]
        large = bytes(100_000)
        store.set("large", large)
        assert store.get_many(["large"]) == [large]
        entry = store.entry("large")
        assert entry is not None
        assert entry.version == 0
        store.clear()
        assert store.path is None


def test_a_view_and_memoized_results() -> None:
    with libkv.open(at("cluster", "prefix=view:")) as store:
        store.clear()
        view = store.view(keys="str", values="json")
        view["a"] = {"b": [1, None]}
        assert view["a"] == {"b": [1, None]}
        assert list(view.items()) == [("a", {"b": [1, None]})]
        calls = []

        @store.memoize(ttl=60)
        def double(number: int) -> int:
            calls.append(number)
            return number * 2

        assert [double(4), double(4), double(5)] == [8, 8, 10]
        assert calls == [4, 5]
        store.clear()


def test_a_watch_tells_keys() -> None:
    with libkv.open(at("one", "prefix=watch:")) as store, store.watch(prefix="a") as watch:
        store.set("a1", "v")
        store.delete("a1")
        first, second = watch.next(120), watch.next(120)
        assert first is not None
        assert second is not None
        assert (first.kind, first.key, first.value, first.revision) == ("set", b"a1", None, 0)
        assert second.kind == "deleted"


def test_a_watch_has_a_descriptor() -> None:
    with libkv.open(at("one", "prefix=watchfd:")) as store, store.watch() as watch:
        fd = watch.fileno()

        def is_readable(seconds: float) -> bool:
            return bool(select.select([fd], [], [], seconds)[0])

        assert fd >= 0
        assert fd == watch.fileno()
        assert not is_readable(0)
        store.set("a", "v")
        assert is_readable(30)
        assert watch.next(0) is not None
        assert not is_readable(0)
        store.close()
        assert is_readable(30)
        with pytest.raises(libkv.ClosedError):
            watch.next(0)


def test_a_watch_is_awaited() -> None:
    async def first(store: libkv.Store) -> libkv.Event:
        with store.watch(prefix="a") as watch:
            waiting = asyncio.ensure_future(anext(watch))
            await asyncio.sleep(0)
            store.set("a1", "v")
            return await asyncio.wait_for(waiting, 30)

    with libkv.open(at("one", "prefix=watchasync:")) as store:
        assert asyncio.run(first(store)).key == b"a1"


def test_the_near_cache_is_in_the_statistics() -> None:
    with libkv.open(at("cluster", "prefix=near:"), near="1MiB") as store:
        assert store.capabilities().near_cache
        store.set("k", "v")

        def answered() -> bool:
            assert store.get("k") == b"v"
            return store.stats().near_hits > 0

        until(answered)
        stats = store.stats()
        assert stats.near_fills > 0
        assert stats.hits >= stats.near_hits
        assert '"near_hits"' in store.stats_text("json")
        with libkv.open(at("cluster", "prefix=near:")) as other:

            def told() -> bool:
                other.set("k", "w")
                return store.get("k") == b"w" and store.stats().near_invalidations > 0

            until(told)
        store.delete("k")


CALLS: list[Callable[[libkv.Store], object]] = [
    lambda store: store.get("k"),
    lambda store: store.set("k", "v"),
    lambda store: "k" in store,
    lambda store: store.entry("k"),
    lambda store: store.get_many(["k"]),
    lambda store: store.stats(),
    lambda store: len(store),
    lambda store: list(store),
]


@pytest.mark.usefixtures("one_switch_interval")
@pytest.mark.parametrize("number", range(len(CALLS)))
def test_a_call_lets_other_threads_run(number: int) -> None:
    with libkv.open(at("one", "prefix=gil:")) as store:
        # The answer may be there before another thread has woken. One that holds the GIL never lets it.
        until(lambda: gives_up_the_gil(lambda: CALLS[number](store)))


def test_many_threads_share_a_store() -> None:
    with libkv.open(at("cluster", "prefix=threads:")) as store:
        store.clear()

        def count() -> None:
            for _ in range(50):
                store.incr("n")

        threads = [threading.Thread(target=count) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store["n"] == b"400"
        store.clear()


def test_no_password_is_shown() -> None:
    location = at("silent").replace("valkey://", "valkey://:right@")
    with libkv.open(location) as store:
        assert repr(store) == f"<libkv.Store 'valkey://{SERVERS['silent']}'>"
    assert "closed" in repr(store)
    with pytest.raises(libkv.InvalidError) as refused:
        libkv.open(at("silent").replace("valkey://", "valkey://me:hush@"))
    assert "hush" not in str(refused.value)


def test_a_closed_store() -> None:
    store = libkv.open(at("one", "prefix=closed:"))
    store.close()
    store.close()
    for call in (store.batch, lambda: store.get("k"), lambda: list(store), lambda: len(store)):
        with pytest.raises(libkv.ClosedError):
            call()
