"""A store belongs to the process that opened it."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable
from typing import Any

import pytest

import libkv
from test_lifecycle import CALLS


def in_child(work: Callable[[], None]) -> int:
    """Runs `work` in a forked child and returns its exit status; the test process waits."""
    child = os.fork()
    if child == 0:
        signal.alarm(300)
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def raises_forked(call: Callable[[], Any]) -> None:
    try:
        call()
    except libkv.ForkedError:
        return
    raise AssertionError("no ForkedError")


def test_every_call_raises_forked_error(store: libkv.Store) -> None:
    store["k"] = "v"

    def work() -> None:
        for name, call in [*CALLS.items(), ("close", libkv.Store.close)]:
            try:
                call(store)
            except libkv.ForkedError:
                continue
            raise AssertionError(name)

    assert in_child(work) == 0
    assert store["k"] == b"v", "the parent's store is as it was"


def test_an_iterator_raises_forked_error(store: libkv.Store) -> None:
    store.update({str(number): "v" for number in range(100)})
    iterator = iter(store)
    next(iterator)
    assert in_child(lambda: raises_forked(lambda: list(iterator))) == 0
    assert len(list(iterator)) == 99


def test_a_child_may_look_at_the_store(store: libkv.Store) -> None:
    def work() -> None:
        assert store
        assert "parent" in repr(store)

    assert in_child(work) == 0


def test_a_child_may_drop_the_store() -> None:
    stores = [libkv.open(), libkv.open()]

    def work() -> None:
        stores.clear()

    assert in_child(work) == 0
    assert len(stores[0]) == 0


def test_a_child_opens_its_own_store(store: libkv.Store) -> None:
    store["k"] = "parent"

    def work() -> None:
        with libkv.open() as own:
            own["k"] = "child"
            assert own["k"] == b"child"
            assert len(own) == 1

    assert in_child(work) == 0
    assert store["k"] == b"parent"


@pytest.mark.parametrize("code", [0, 7])
def test_a_child_leaves_the_with_block_cleanly(code: int) -> None:
    # The whole way out: SystemExit through the block, then the interpreter's own end.
    child = None
    try:
        with libkv.open() as store:
            store["k"] = "v"
            child = os.fork()
            if child == 0:
                signal.alarm(300)
                raise SystemExit(code)
    except SystemExit as leaving:
        os._exit(leaving.code if isinstance(leaving.code, int) else 99)
    except BaseException:
        if child == 0:
            os._exit(98)
        raise
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code


PROGRAM = """
import libkv, os, signal, sys
store = libkv.open(cleanup_interval="1ms")
store.set_many({str(n): "v" for n in range(1000)}, ttl=0.5)
child = os.fork()
if child == 0:
    signal.alarm(300)
    try:
        store["k"]
    except libkv.ForkedError:
        sys.exit(7)
    sys.exit(8)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
store["k"] = "v"
print(code, len(store) >= 1)
"""


def test_the_interpreter_of_a_child_ends_cleanly() -> None:
    from test_lifecycle import run

    done = run(PROGRAM)
    assert (done.returncode, done.stdout, done.stderr) == (0, "7 True\n", "")


def test_a_busy_parent_forks_safely() -> None:
    # Threads hold locks of the store at the moment of the fork; the child must not wait for them.
    program = """
import libkv, os, signal, threading
store = libkv.open()
stop = threading.Event()
def work():
    while not stop.is_set():
        store.set_many({str(n): "v" for n in range(200)})
        store.get_many([str(n) for n in range(200)])
threads = [threading.Thread(target=work) for _ in range(2)]
[t.start() for t in threads]
codes = []
for _ in range(20):
    child = os.fork()
    if child == 0:
        signal.alarm(300)
        try:
            len(store)
        except libkv.ForkedError:
            with libkv.open() as own:
                own["k"] = "v"
            os._exit(7)
        os._exit(8)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
[t.join() for t in threads]
print(set(codes))
"""
    from test_lifecycle import run

    done = run(program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{7}\n", "")
