"""Results of functions in a store: one computation, whatever comes of it."""

from __future__ import annotations

import asyncio
import enum
import inspect
import math
import sys
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

import libkv
from libkv import codecs


class Counted:
    """Counts its calls, and can be held until it is let go."""

    def __init__(self, outcome: Callable[[int], Any]) -> None:
        self.calls = 0
        self.outcome = outcome
        self.entered = threading.Event()
        self.released = threading.Event()

    def __call__(self, argument: Any = None) -> Any:
        self.calls += 1
        self.entered.set()
        assert self.released.wait(60)
        return self.outcome(self.calls)


def test_a_result_is_computed_once_and_kept(store: libkv.Store) -> None:
    calls = []

    @store.memoize(ttl=60)
    def square(n: int, *, scale: float = 1.0) -> float:
        """Squares."""
        calls.append(n)
        return n * n * scale

    assert square(3) == square(3) == square(n=3) == square(3, scale=1.0) == 9
    assert square(3, scale=2.0) == 18
    assert calls == [3, 3]
    assert square.__name__ == "square"  # type: ignore[attr-defined]
    assert square.__doc__ == "Squares."
    left = store.ttl(square.cache_key(3))
    assert left is not None and 0 < left <= 60
    assert square.forget(3)
    assert not square.forget(3)
    assert square(3) == 9
    assert square.refresh(3) == 9
    assert calls == [3, 3, 3, 3]


def test_without_parentheses(store: libkv.Store) -> None:
    @store.memoize
    def one() -> int:
        return 1

    assert one() == one() == 1
    assert len(store) == 1


def test_none_and_empty_results_are_results(store: libkv.Store) -> None:
    calls = []

    @store.memoize(serializer="bytes")
    def empty() -> bytes:
        calls.append(1)
        return b""

    @store.memoize()
    def nothing() -> None:
        calls.append(2)

    for _ in range(3):
        assert empty() == b""
        assert nothing() is None
    assert calls == [1, 2]


def test_what_a_caller_gets_is_what_is_kept(store: libkv.Store) -> None:
    @store.memoize()
    def pair() -> Any:
        return (1, 2)

    assert pair() == [1, 2], "also from the call that computes"
    assert pair() == [1, 2]


def test_a_result_that_does_not_fit_the_serializer(store: libkv.Store) -> None:
    @store.memoize()
    def strange() -> object:
        return object()

    with pytest.raises(TypeError) as caught:
        strange()
    assert "serializer=libkv.codecs.Json()" in caught.value.__notes__[0]
    assert len(store) == 0

    @store.memoize(serializer=codecs.UnsafePickle())
    def pickled() -> object:
        return {1, 2}

    assert pickled() == pickled() == {1, 2}


class Colour(enum.Enum):
    RED = 1


PLAIN = [
    *(None, True, 1, 1.0, "1", b"1", (1,), [1], (1, (2,)), {"a": 1}, {1, 2}, frozenset({1}), ...),
    *(Decimal("1.0"), date(2020, 1, 1), datetime(2020, 1, 1), datetime(2020, 1, 1, tzinfo=UTC)),
    *(Colour.RED, uuid.UUID(int=1), math.nan, 1j, "a,b", ("a", "b"), "a", ("a,b",), ["a", "b"], ""),
    *((), [], {}, set()),
]


def test_arguments_that_differ_have_keys_that_differ(store: libkv.Store) -> None:
    @store.memoize()
    def function(*args: Any, **kwargs: Any) -> int:
        return 1

    keys = [function.cache_key(it) for it in PLAIN]
    keys += [function.cache_key(a=it) for it in PLAIN]
    keys += [function.cache_key(), function.cache_key(1, 2), function.cache_key("1,2")]
    keys += [function.cache_key("x" * 1000), function.cache_key("x" * 1001)]
    assert len(set(keys)) == len(keys)
    assert max(map(len, keys)) < 300
    assert function.cache_key({"a": 1, "b": 2}) == function.cache_key({"b": 2, "a": 1})
    assert function.cache_key({1, 2, 3}) == function.cache_key({3, 2, 1})


def test_an_argument_without_a_stable_text(store: libkv.Store) -> None:
    class Text(str):
        pass

    @store.memoize()
    def function(it: Any) -> int:
        return 1

    for argument in (object(), Text("a"), [object()], lambda: 1):
        with pytest.raises(TypeError, match="argument 0: no key can be made of .* by key="):
            function(argument)
    with pytest.raises(TypeError, match="missing a required argument"):
        function(other=1)  # type: ignore[call-arg]


def test_a_key_of_ones_own(store: libkv.Store) -> None:
    class User:
        def __init__(self, name: str) -> None:
            self.name = name

        @store.memoize(key=lambda self: f"user:{self.name}", serializer="str")
        def greeting(self) -> str:
            return f"hello {self.name}"

    assert User("Ada").greeting() == "hello Ada"
    assert store["user:Ada"] == b"hello Ada"

    @store.memoize(name="stable", serializer="str")
    def renamed(n: int) -> str:
        return "x"

    assert renamed.cache_key(1) == b"stable(1)"


def test_misses_at_once_compute_once(store: libkv.Store) -> None:
    work = Counted(lambda n: n)
    memoized = store.memoize(name="work")(work)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(memoized)
        assert work.entered.wait(60)
        others = [pool.submit(memoized) for _ in range(7)]
        work.released.set()
        assert [it.result(60) for it in [first, *others]] == [1] * 8
    assert work.calls == 1


class Unusual(BaseException):
    """Not an Exception."""


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, Unusual])
def test_all_get_what_the_first_raised(store: libkv.Store, kind: type[BaseException]) -> None:
    def fail(n: int) -> Any:
        raise kind("no luck")

    work = Counted(fail)
    memoized = store.memoize(name="work")(work)
    caught: list[BaseException] = []

    def call() -> None:
        try:
            memoized()
        except BaseException as error:
            caught.append(error)

    threads = [threading.Thread(target=call) for _ in range(8)]
    threads[0].start()
    assert work.entered.wait(60)
    waiting = memoized.__wrapped__  # type: ignore[attr-defined]
    assert waiting is work
    for thread in threads[1:]:
        thread.start()
    _until_waiting(memoized, threads[1:])
    work.released.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert [type(it) for it in caught] == [kind] * 8
    assert work.calls == 1
    assert len(store) == 0
    # What failed is not kept: the next call tries again.
    with pytest.raises(kind):
        memoized()
    assert work.calls == 2


def _until_waiting(memoized: Any, threads: list[threading.Thread]) -> None:
    """Returns once each thread is inside of Future.result."""
    while True:
        frames = sys._current_frames()
        inside = 0
        for thread in threads:
            frame = frames.get(thread.ident or 0)
            while frame is not None:
                if frame.f_code.co_name == "result":
                    inside += 1
                    break
                frame = frame.f_back
        if inside == len(threads):
            return
        threading.Event().wait(0.001)


def test_recursion_with_the_same_arguments_does_not_wait_for_itself(store: libkv.Store) -> None:
    depth = []

    @store.memoize()
    def again(n: int) -> int:
        depth.append(n)
        return 7 if len(depth) > 1 else again(n)

    assert again(1) == 7
    assert again(1) == 7
    assert len(depth) == 2

    @store.memoize()
    def fibonacci(n: int) -> int:
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    assert fibonacci(80) == 23416728348467685


def test_stale_while_revalidate(store: libkv.Store) -> None:
    work = Counted(lambda n: n)
    work.released.set()
    memoized = store.memoize(name="work", ttl="1h", stale_ttl="1h")(work)
    key = memoized.cache_key()
    assert memoized() == 1
    left = store.ttl(key)
    assert left is not None and 7100 < left <= 7200
    assert memoized() == 1
    assert work.calls == 1
    # As if the hour had passed.
    store.expire(key, 3000)
    work.entered.clear()
    work.released.clear()
    assert [memoized() for _ in range(5)] == [1] * 5, "at once, though the new value is held up"
    assert work.entered.wait(60)
    work.released.set()
    while memoized() != 2:
        threading.Event().wait(0.001)
    assert work.calls == 2
    left = store.ttl(key)
    assert left is not None and left > 7100


def test_a_refresh_that_fails_keeps_the_old_value(
    store: libkv.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = threading.Event()
    seen: list[Any] = []

    def hook(unraisable: Any) -> None:
        seen.append(unraisable)
        told.set()

    monkeypatch.setattr(sys, "unraisablehook", hook)

    def second_fails(n: int) -> int:
        if n == 2:
            raise ValueError("no luck")
        return n

    work = Counted(second_fails)
    work.released.set()
    memoized = store.memoize(name="work", ttl="1h", stale_ttl="1h")(work)
    assert memoized() == 1
    store.expire(memoized.cache_key(), 3000)
    assert memoized() == 1
    assert told.wait(60)
    assert isinstance(seen[0].exc_value, ValueError)
    while memoized() != 3:
        threading.Event().wait(0.001)
    assert work.calls == 3


def test_early_refresh_is_likelier_near_the_end() -> None:
    from libkv._memoize import _Lifetime

    lifetime = _Lifetime(60, None, 1.0)
    assert not any(lifetime.is_due(59.0, 0.001) for _ in range(1000))
    assert all(lifetime.is_due(0.0, 0.001) for _ in range(1000))
    due = sum(lifetime.is_due(1.0, 1.0) for _ in range(10_000))
    assert 3000 < due < 4400, "the chance is e**-1 when as much time is left as computing takes"
    assert not lifetime.is_due(None, 1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ttl": 0}, "ttl must be positive"),
        ({"stale_ttl": 5}, "need a ttl"),
        ({"ttl": libkv.NEVER, "early_refresh": 1.0}, "need a ttl"),
        ({"ttl": 5, "stale_ttl": -1}, "not be negative"),
        ({"ttl": 5, "early_refresh": -1.0}, "early_refresh"),
        ({"ttl": 5, "early_refresh": math.nan}, "early_refresh"),
        ({"serializer": "pickle"}, "UnsafePickle"),
    ],
)
def test_options_that_do_not_fit(store: libkv.Store, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        store.memoize(**options)


def test_only_functions(store: libkv.Store) -> None:
    def generator() -> Any:
        yield 1

    with pytest.raises(TypeError, match="generators"):
        store.memoize()(generator)
    with pytest.raises(TypeError, match="decorates a function"):
        store.memoize()("name")  # type: ignore[arg-type]


# Coroutines


def test_coroutines_compute_once(store: libkv.Store) -> None:
    calls = 0

    @store.memoize(ttl=60)
    async def load(n: int) -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        return n

    assert inspect.iscoroutinefunction(load)

    async def main() -> None:
        assert await asyncio.gather(*(load(5) for _ in range(100))) == [5] * 100
        assert calls == 1
        assert await load(5) == 5
        assert await load.refresh(5) == 5

    asyncio.run(main())
    assert calls == 2


@pytest.mark.parametrize("kind", [ValueError, asyncio.CancelledError])
def test_all_coroutines_get_what_the_first_raised(
    store: libkv.Store, kind: type[BaseException]
) -> None:
    calls = 0

    @store.memoize()
    async def load() -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        raise kind("no luck")

    async def main() -> None:
        results = await asyncio.gather(*(load() for _ in range(10)), return_exceptions=True)
        assert [type(it) for it in results] == [kind] * 10
        assert calls == 1

    asyncio.run(main())


def test_a_cancelled_caller_does_not_cancel_the_others(store: libkv.Store) -> None:
    async def main() -> None:
        entered, released = asyncio.Event(), asyncio.Event()
        calls = 0

        @store.memoize()
        async def load() -> int:
            nonlocal calls
            calls += 1
            entered.set()
            await released.wait()
            return 9

        first = asyncio.create_task(load())
        await entered.wait()
        second = asyncio.create_task(load())
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        released.set()
        assert await second == 9
        assert calls == 1

    asyncio.run(main())


def test_coroutines_of_several_loops_share_a_computation(store: libkv.Store) -> None:
    calls = 0
    entered, released = threading.Event(), threading.Event()

    @store.memoize()
    async def load() -> int:
        nonlocal calls
        calls += 1
        entered.set()
        while not released.is_set():
            await asyncio.sleep(0.001)
        return 3

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(lambda: asyncio.run(load()))
        assert entered.wait(60)
        second = pool.submit(lambda: asyncio.run(load()))
        released.set()
        assert first.result(60) == second.result(60) == 3
    assert calls == 1


def test_a_coroutine_that_awaits_itself_does_not_wait_for_ever(store: libkv.Store) -> None:
    calls = 0

    @store.memoize()
    async def again() -> int:
        nonlocal calls
        calls += 1
        return 7 if calls > 1 else await again()

    assert asyncio.run(again()) == 7
    assert calls == 2


def test_coroutines_refresh_in_the_background(store: libkv.Store) -> None:
    calls = 0

    @store.memoize(ttl="1h", stale_ttl="1h", name="load")
    async def load() -> int:
        nonlocal calls
        calls += 1
        return calls

    async def main() -> None:
        assert await load() == 1
        store.expire(load.cache_key(), 3000)
        assert await load() == 1
        while await load() != 2:
            await asyncio.sleep(0.001)
        assert calls == 2

    asyncio.run(main())


def test_a_store_in_a_directory(tmp_path: Any) -> None:
    calls = []

    def run() -> None:
        with libkv.open(tmp_path) as store:

            @store.memoize(name="load")
            async def load(n: int) -> int:
                calls.append(n)
                return n

            assert asyncio.run(load(1)) == 1

    run()
    run()
    assert calls == [1]
