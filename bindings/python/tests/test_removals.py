"""on_remove: what it is told, on which thread, what it raises, and how it ends."""

import gc
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import libkv

Told = tuple[str, bytes, bytes]


class Record:
    """What a callback was told, and a gate that it waits at."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.moved = threading.Condition()
        self.open = True
        self.threads: set[int] = set()

    def __call__(self, cause: str, key: bytes, value: bytes) -> None:
        with self.moved:
            self.told.append((cause, key, value))
            self.threads.add(threading.get_ident())
            self.moved.notify_all()
            self.moved.wait_for(lambda: self.open)

    def wait_for(self, count: int) -> None:
        with self.moved:
            assert self.moved.wait_for(lambda: len(self.told) >= count, timeout=60)

    def set_open(self, is_open: bool) -> None:
        with self.moved:
            self.open = is_open
            self.moved.notify_all()


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    seen: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: seen.append(args.exc_value))
    yield seen


def test_every_cause_is_told() -> None:
    record = Record()
    with libkv.open(eviction="random", on_remove=record) as store:
        store["a"] = "1"
        store["a"] = "2"
        store.append("a", "0")
        del store["a"]
        store.set("b", "3", ttl=0.001)
        record.wait_for(4)
        store["c"] = "4"
        store.configure("max_entries", 1)
        store["d"] = ""
        store.clear()
        store["closing"] = "tells nothing"
    assert record.told == [
        ("replaced", b"a", b"1"),
        ("replaced", b"a", b"2"),
        ("deleted", b"a", b"20"),
        ("expired", b"b", b"3"),
        ("evicted", b"c", b"4"),
        ("cleared", b"d", b""),
    ]
    assert len(record.threads) == 1
    assert threading.get_ident() not in record.threads


@pytest.mark.parametrize(
    ("causes", "expected"),
    [
        ("replaced", ["replaced"]),
        (["cleared", "deleted"], ["deleted", "cleared"]),
        (None, ["replaced", "deleted", "cleared"]),
        ([], []),
    ],
)
def test_only_the_causes_asked_for(causes: Any, expected: list[str]) -> None:
    record = Record()
    with libkv.open(on_remove=record, on_remove_causes=causes) as store:
        store["a"] = "1"
        store["a"] = "2"
        del store["a"]
        store["b"] = "3"
        store.clear()
    assert [cause for cause, _, _ in record.told] == expected


def test_arguments_that_do_not_fit() -> None:
    with pytest.raises(TypeError, match="callable"):
        libkv.open(on_remove=3)  # type: ignore[arg-type]
    with pytest.raises(libkv.InvalidError, match="'gone'.*evicted"):
        libkv.open(on_remove=print, on_remove_causes="gone")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        libkv.open(on_remove=print, on_remove_causes=3)  # type: ignore[arg-type]
    with pytest.raises(libkv.InvalidError, match="needs on_remove"):
        libkv.open(on_remove_causes="expired")


def test_a_slow_callback_delays_no_write() -> None:
    record = Record()
    record.set_open(False)
    with libkv.open(on_remove=record, on_remove_causes="deleted", callback_buffer=2) as store:
        store["first"] = ""
        del store["first"]
        record.wait_for(1)
        for n in range(10):
            store[str(n)] = ""
            del store[str(n)]
        stats = store.stats()
        record.set_open(True)
        assert stats.callbacks_dropped == 8
        assert stats.pinned_bytes > 0
    assert [key for _, key, _ in record.told] == [b"first", b"0", b"1"]


def test_it_may_call_its_store_but_not_close_it(unraisable: list[Any]) -> None:
    done = threading.Event()

    def on_remove(cause: str, key: bytes, value: bytes) -> None:
        if key == b"k":
            store["copy"] = value
            assert store["copy"] == b"v"
            try:
                store.close()
            finally:
                done.set()

    store = libkv.open(on_remove=on_remove, on_remove_causes=["deleted"])
    store["k"] = "v"
    del store["k"]
    assert done.wait(60)
    assert store["copy"] == b"v"
    store.close()
    assert [type(error) for error in unraisable] == [libkv.InvalidError]
    assert "callback" in str(unraisable[0])


def test_an_exception_ends_one_call_only(unraisable: list[Any]) -> None:
    told: list[bytes] = []

    def on_remove(cause: str, key: bytes, value: bytes) -> None:
        told.append(key)
        if key == b"a":
            raise ValueError("planted")
        if key == b"b":
            raise SystemExit(3)

    with libkv.open(on_remove=on_remove) as store:
        for key in "abc":
            store[key] = ""
            del store[key]
    assert told == [b"a", b"b", b"c"]
    assert [type(error) for error in unraisable] == [ValueError, SystemExit]


def test_closing_from_many_threads_tells_all() -> None:
    record = Record()
    store = libkv.open(on_remove=record)
    for n in range(1000):
        store[str(n)] = str(n)
        del store[str(n)]
    threads = [threading.Thread(target=store.close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(record.told) == 1000


def test_a_cycle_with_the_store_is_collected() -> None:
    class Owner:
        def __init__(self) -> None:
            self.store = libkv.open(on_remove=self.removed)

        def removed(self, cause: str, key: bytes, value: bytes) -> None:
            self.store.delete(key)

    owner = Owner()
    owner.store["a"] = "1"
    del owner.store["a"]
    seen = weakref.ref(owner)
    del owner
    for _ in range(1000):
        gc.collect()
        if seen() is None:
            break
        threading.Event().wait(0.01)
    assert seen() is None


def test_a_store_dropped_in_its_own_callback() -> None:
    holder: list[libkv.Store] = []
    done = threading.Event()

    def on_remove(cause: str, key: bytes, value: bytes) -> None:
        if cause == "deleted":
            holder.clear()
            done.set()

    holder.append(libkv.open(on_remove=on_remove))
    holder[0]["k"] = "v"
    holder[0].delete("k")
    assert done.wait(60)
    assert not holder


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_python_exits_beside_callbacks_that_run() -> None:
    said = run("""
        import libkv, time
        told = []
        def on_remove(cause, key, value):
            told.append(key)
            time.sleep(0.001)
        store = libkv.open(on_remove=on_remove)
        for n in range(1000):
            store[str(n)] = ""
            del store[str(n)]
        while not told:
            time.sleep(0.001)
        print("end")
    """)
    assert said == "end\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_of_fork_exits_while_its_parent_is_told() -> None:
    said = run("""
        import libkv, os, sys, threading, warnings
        warnings.simplefilter("ignore")
        inside, leave = threading.Event(), threading.Event()
        def on_remove(cause, key, value):
            inside.set()
            leave.wait()
        store = libkv.open(on_remove=on_remove)
        store["k"] = "v"
        del store["k"]
        inside.wait()
        child = os.fork()
        if child == 0:
            sys.exit(7)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        leave.set()
        store.close()
        print(status)
    """)
    assert said == "7\n"


def test_the_callable_goes_with_the_store() -> None:
    def make() -> tuple[libkv.Store, "weakref.ref[Callable[..., None]]"]:
        def on_remove(cause: str, key: bytes, value: bytes) -> None:
            pass

        return libkv.open(on_remove=on_remove), weakref.ref(on_remove)

    store, seen = make()
    store.close()
    assert seen() is not None
    del store
    gc.collect()
    assert seen() is None
