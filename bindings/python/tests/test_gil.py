"""Where the GIL is held and where it is released, and that no reference is lost."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import libkv
from test_lifecycle import CALLS

MANY = 50_000


@pytest.fixture
def one_switch_interval() -> Iterator[None]:
    """No thread is asked to hand over the GIL: others run only when it is given up."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(3600)
    yield
    sys.setswitchinterval(before)


def gives_up_the_gil(call: Callable[[], object]) -> bool:
    """Whether another thread ran between the beginning of a call and its end."""
    begun = threading.Event()
    ended: list[bool] = []

    def work() -> None:
        begun.set()
        call()
        ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    # This line runs once the worker gives up the GIL: in the call, or when it has ended.
    within = not ended
    thread.join()
    return within


PAIRS = [(b"%d" % number, b"v" * 100) for number in range(MANY)]
KEYS = [key for key, _ in PAIRS]


def write_batch(store: libkv.Store) -> None:
    with store.batch() as batch:
        for key, value in PAIRS:
            batch.set(key, value)


def write_all(store: libkv.Store, *keys: Any) -> None:
    with store.batch() as batch:
        for key in keys:
            batch.set(key, key, ttl=5)
            batch.delete(key)


RELEASED: dict[str, Callable[[libkv.Store], object]] = {
    "set_many": lambda store: store.set_many(PAIRS),
    "get_many": lambda store: store.get_many(KEYS),
    "delete_many": lambda store: store.delete_many(KEYS),
    "batch": write_batch,
    "scan": lambda store: list(store.scan(prefix="absent")),
    "clear": lambda store: store.clear(),
    "purge_expired": lambda store: store.purge_expired(),
    "close": lambda store: store.close(),
}


@pytest.mark.usefixtures("one_switch_interval")
@pytest.mark.parametrize("call", RELEASED.values(), ids=RELEASED)
def test_long_calls_release_the_gil(call: Callable[[libkv.Store], object]) -> None:
    # A busy machine may be slow to wake the other thread, so one time out of many is enough; a
    # call that holds the GIL cannot pass even once.
    for _ in range(200):
        with libkv.open(cleanup_interval="1h") as store:
            store.set_many(PAIRS, ttl=0.001)
            if gives_up_the_gil(lambda store=store: call(store)):  # type: ignore[misc]
                return
    pytest.fail("no other thread ran meanwhile")


@pytest.mark.usefixtures("one_switch_interval")
def test_short_calls_hold_the_gil(store: libkv.Store) -> None:
    def work() -> None:
        for key, value in PAIRS[:5000]:
            store[key] = value
            store.get(key)
            store.get_many([key] * 10)
            store.delete_many([key])
            store.set(key, value, ttl=5)
            store.delete(key)

    assert not gives_up_the_gil(work)


def test_get_many_survives_a_list_that_changes_meanwhile(store: libkv.Store) -> None:
    store.set_many(PAIRS[:2000])
    keys = [bytes(bytearray(key)) for key in KEYS[:2000]]
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            kept = list(keys)
            keys.clear()
            keys.extend(bytes(bytearray(key)) for key in kept)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(50):
            for value in store.get_many(keys):
                assert value == b"v" * 100
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("state", ["empty", "full", "closed"])
def test_calls_leave_reference_counts_as_they_were(state: str) -> None:
    key: Any = b"key-" + bytes(16)
    value: Any = b"value-" + bytes(16)
    absent: Any = object()
    text: Any = "text-" + "x" * 16
    buffer: Any = bytearray(16)
    calls: list[Callable[[libkv.Store], Any]] = [
        *CALLS.values(),
        lambda store: store.get(key, absent),
        lambda store: store[key],
        lambda store: store.set(key, value),
        lambda store: store.set(key, buffer, ttl=5),
        lambda store: store.set(text, text, ttl=text),
        lambda store: store.set_many({key: value, text: buffer}),
        lambda store: store.get_many([key, text, "absent"] * 20),
        lambda store: store.get_many([key, text, "absent"] * 200),
        lambda store: store.delete_many(["absent", text] * 50),
        lambda store: store.pop(key, absent),
        lambda store: store.pop(key),
        lambda store: store.take(key, absent),
        lambda store: store.setdefault(key, value),
        lambda store: store.setdefault(key, absent),
        lambda store: store.update({key: value}, other=text),
        lambda store: store.update([(key, absent)]),
        lambda store: store.append(key, value),
        lambda store: store.get(absent),
        lambda store: write_all(store, key, value, text),
        lambda store: write_all(store, key, absent),
        lambda store: list(store.scan(prefix=text, start=key, end=key)),
        lambda store: next(store.scan(keys_only=True)),
    ]
    watched = [key, value, absent, text, buffer, None, libkv.NEVER, libkv.Store]

    def run() -> None:
        for call in calls:
            with libkv.open() as store:
                if state == "full":
                    store[key] = value
                    store.configure("max_entries", 1)
                elif state == "closed":
                    store.close()
                try:
                    call(store)
                except (libkv.Error, StopIteration, TypeError):
                    pass

    def leaks() -> str:
        run()
        gc.collect()
        before = [sys.getrefcount(each) for each in watched]
        for _ in range(20):
            run()
        gc.collect()
        after = [sys.getrefcount(each) for each in watched]
        # None and the like may move by a few for reasons of the interpreter's own.
        same = all(abs(now - then) < 10 for now, then in zip(after, before, strict=True))
        return "" if same else f"{before} became {after}"

    # What other tests left behind may still be going away. A leak is there every time.
    assert not all([leaks() for _ in range(3)]), leaks()
