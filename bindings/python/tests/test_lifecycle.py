"""From open to close: the context manager, the closed store, repr, stats, threads."""

from __future__ import annotations

import copy
import gc
import inspect
import json
import subprocess
import sys
import threading
import types
import weakref
from typing import Any

import pytest

import libkv

CALLS: dict[str, Any] = {
    "getitem": lambda store: store["k"],
    "setitem": lambda store: store.__setitem__("k", "v"),
    "delitem": lambda store: store.__delitem__("k"),
    "contains": lambda store: "k" in store,
    "len": len,
    "iter": iter,
    "list": list,
    "keys": lambda store: list(store.keys()),
    "items": lambda store: list(store.items()),
    "values": lambda store: list(store.values()),
    "eq": lambda store: store == {},
    "get": lambda store: store.get("k"),
    "get_many": lambda store: store.get_many(["k"]),
    "get_many of many": lambda store: store.get_many(["k"] * 100),
    "entry": lambda store: store.entry("k"),
    "set": lambda store: store.set("k", "v"),
    "set ttl": lambda store: store.set("k", "v", ttl=5),
    "set_many": lambda store: store.set_many({"k": "v"}),
    "set_many of many": lambda store: store.set_many({str(n): "v" for n in range(100)}),
    "batch": lambda store: store.batch(),
    "delete": lambda store: store.delete("k"),
    "delete_many": lambda store: store.delete_many(["k"]),
    "delete_many of many": lambda store: store.delete_many(["k"] * 100),
    "take": lambda store: store.take("k"),
    "pop": lambda store: store.pop("k", None),
    "popitem": lambda store: store.popitem(),
    "setdefault": lambda store: store.setdefault("k", "v"),
    "update": lambda store: store.update(k="v"),
    "clear": lambda store: store.clear(),
    "incr": lambda store: store.incr("k"),
    "append": lambda store: store.append("k", "v"),
    "expire": lambda store: store.expire("k", 5),
    "expire_at": lambda store: store.expire_at("k", 5),
    "persist": lambda store: store.persist("k"),
    "ttl": lambda store: store.ttl("k"),
    "purge_expired": lambda store: store.purge_expired(),
    "configure": lambda store: store.configure("max_entries", 5),
    "stats": lambda store: store.stats(),
    "scan": lambda store: list(store.scan()),
    "shard_stats": lambda store: store.shard_stats(),
    "stats_text": lambda store: store.stats_text(),
    "latency": lambda store: store.latency("get"),
    "sync": lambda store: store.sync(),
    "watch": lambda store: store.watch(),
    "snapshot": lambda store: store.snapshot("no folder/never written"),
    "restore": lambda store: store.restore("no folder/never read"),
}
"""Every call but close. test_fork uses them too."""

OF_THE_HANDLE = {"capabilities", "last_fault", "memoize", "path", "recovery", "view"}
"""What does not reach for the contents, and is there after close as well."""


def test_the_table_names_every_method() -> None:
    public = {name for name in vars(libkv.Store) if not name.startswith("_")}
    assert public - {name.split()[0] for name in CALLS} == {"close", *OF_THE_HANDLE}


def test_every_method_says_what_it_does() -> None:
    for name, method in vars(libkv.Store).items():
        if not name.startswith("_"):
            assert inspect.getdoc(method), name
            assert isinstance(method, types.GetSetDescriptorType) or inspect.signature(method), name
    assert inspect.getdoc(libkv.open)
    assert "libkv" in (inspect.getdoc(libkv.Store) or "")


def test_the_context_manager_closes() -> None:
    with libkv.open() as store:
        store["k"] = "v"
    with pytest.raises(libkv.ClosedError):
        store["k"]


def test_the_context_manager_lets_exceptions_through() -> None:
    with pytest.raises(ZeroDivisionError), libkv.open() as store:
        raise ZeroDivisionError
    with pytest.raises(libkv.ClosedError):
        len(store)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_closed_store_says_so(call: Any) -> None:
    store = libkv.open()
    store["k"] = "v"
    store.close()
    with pytest.raises(libkv.ClosedError) as caught:
        call(store)
    assert isinstance(caught.value, ValueError)


def test_closing_twice_does_nothing(store: libkv.Store) -> None:
    store.close()
    store.close()
    assert store
    assert "closed" in repr(store)


def test_an_iterator_outlives_its_store(store: libkv.Store) -> None:
    store.update({str(number): "v" for number in range(5000)})
    iterator = iter(store)
    next(iterator)
    store.close()
    with pytest.raises(libkv.ClosedError):
        list(iterator)


def test_repr(store: libkv.Store) -> None:
    assert repr(store) == "<libkv.Store ':memory:', 0 entries>"
    store["k"] = "v"
    assert repr(store) == "<libkv.Store ':memory:', 1 entry>"


def test_capabilities_of_a_store_of_this_process(store: libkv.Store) -> None:
    everything = libkv.Capabilities._make([True] * 9 + [False])
    assert store.capabilities() == everything
    store.close()
    assert store.capabilities() == everything


def test_a_store_is_made_by_open_alone() -> None:
    with pytest.raises(TypeError):
        libkv.Store()
    with pytest.raises(TypeError):
        copy.copy(libkv.open())


def test_weak_references() -> None:
    store = libkv.open()
    reference = weakref.ref(store)
    assert reference() is store
    del store
    gc.collect()
    assert reference() is None


def test_stats(store: libkv.Store) -> None:
    store.update(a="12", b="345")
    store.set("c", "6", ttl=1000)
    store.get("a")
    store.get("absent")
    store.delete("b")
    stats = store.stats()
    assert isinstance(stats, libkv.Stats)
    assert stats.entries == 2
    assert stats.expiring_entries == 1
    assert stats.key_bytes == 2
    assert stats.value_bytes == 3
    assert stats.memory_bytes > 5
    assert (stats.gets, stats.hits, stats.misses) == (2, 1, 1)
    assert (stats.sets, stats.deletes) == (3, 1)
    assert stats.revision >= 4
    assert all(type(number) is int and number >= 0 for number in stats)
    assert stats.hit_ratio == 0.5
    parts = (stats.index_bytes, stats.entry_bytes, stats.large_bytes, stats.expiry_bytes, stats.policy_bytes)
    assert sum(parts) + stats.order_bytes == stats.memory_bytes


def test_stats_of_shards() -> None:
    with libkv.open(shards=4) as store:
        store.update({str(number): "v" for number in range(100)})
        shards = store.shard_stats()
        assert len(shards) == 4
        assert sum(shard.sets for shard in shards) == 100
        assert {shard.revision for shard in shards} == {0}


def test_stats_as_text(store: libkv.Store) -> None:
    store["k"] = "v"
    told = json.loads(store.stats_text())
    assert told["entries"] == 1
    assert sum(shard["entries"] for shard in told["shards"]) == 1
    assert "\nkv_entries 1\n" in store.stats_text("prometheus")
    with pytest.raises(libkv.UnsupportedError):
        store.stats_text("xml")  # type: ignore[arg-type]


def test_latency(store: libkv.Store) -> None:
    assert store.latency("get") == (0, 0, 0, 0, 0, 0, 0)
    store.configure("latency", "full")
    store["k"] = "v"
    store.get("k")
    store.get("absent")
    latency = store.latency("get")
    assert latency.calls == 2
    assert 0 < latency.p50 <= latency.max <= latency.sum * 9 / 8
    assert store.latency("set").calls == 1
    with pytest.raises(libkv.InvalidError):
        store.latency("take")  # type: ignore[arg-type]


def test_stores_are_apart(store: libkv.Store) -> None:
    with libkv.open() as other:
        other["k"] = "v"
        assert "k" not in store


def test_threads_share_a_store(store: libkv.Store) -> None:
    def work(name: int) -> None:
        for number in range(2000):
            store.incr("sum")
            store[f"{name}:{number}"] = "v"
            store.get_many([f"{name}:{n}" for n in range(number % 64)])
            if number % 500 == 0:
                store.purge_expired()
                list(store.items())

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store["sum"] == b"8000"
    assert len(store) == 8001


def test_if_absent_has_one_winner(store: libkv.Store) -> None:
    barrier = threading.Barrier(4)
    wins: list[int] = []

    def work() -> None:
        barrier.wait()
        for number in range(500):
            if store.set(str(number), "v", if_absent=True) is not None:
                wins.append(number)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wins) == list(range(500))


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "ignore::DeprecationWarning", "-c", program],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_a_program_may_end_with_open_stores() -> None:
    program = """
import libkv, threading
kept = libkv.open(cleanup_interval="1ms")
kept.set_many({str(n): "v" for n in range(1000)}, ttl=0.001)
class Holder: pass
holder = Holder(); holder.store = kept; holder.me = holder
iterator = iter(kept)
threading.Thread(target=lambda: [kept.set("k", "v") for _ in range(10_000_000)], daemon=True).start()
print("end")
"""
    done = run(program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_names_of_the_package() -> None:
    assert libkv.__version__.count(".") == 2
    for name in libkv.__all__:
        assert hasattr(libkv, name)
    assert libkv.Store.__module__ == "libkv"
