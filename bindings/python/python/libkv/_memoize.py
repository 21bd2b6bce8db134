"""Results of functions kept in a store: what ``Store.memoize`` returns.

A call looks its key up in the store. On a miss one caller, the first, computes and stores; those
that miss meanwhile wait for it and get what it got, also its exception, whatever that is. So a
value that many want and that expired is computed once (the "dog pile" is avoided).

Two options keep callers from ever waiting for a value that is about to expire or has just expired:

* ``stale_ttl``: for that long after ``ttl`` the old value is still returned, at once, while one
  background call computes the new one (RFC 5861, stale-while-revalidate).
* ``early_refresh``: a call that finds a value near its end may start the background call before it
  expires, the likelier the nearer the end and the longer the computation takes (Vattani, Chierichetti
  and Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015). The time that
  computing takes is learnt in this process.

What a caller gets is always what the serializer gives back, also from the call that computed it:
a result does not change its type when it comes from the store.
"""

import asyncio
import functools
import inspect
import math
import random
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, Final

from libkv._arguments import CallKey
from libkv._errors import InvalidError
from libkv._native import NEVER, Store, duration
from libkv._types import Ttl
from libkv.codecs import Codec, named

_BACKGROUND_THREADS: Final = 4


def memoize(
    store: Store,
    function: Callable[..., Any] | None,
    *,
    ttl: Ttl | None,
    key: Callable[..., bytes | str] | None,
    serializer: str | Codec[Any],
    stale_ttl: Ttl | None,
    early_refresh: float,
    name: str | None,
) -> Any:
    """`Store.memoize`, which see."""
    lifetime = _Lifetime(ttl, stale_ttl, early_refresh)
    codec = named(serializer)

    def decorate(function: Callable[..., Any]) -> Any:
        if not callable(function):
            raise TypeError("memoize decorates a function: write @store.memoize(ttl=...)")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("memoize takes functions that return a value, not generators")
        known_as = name if name is not None else f"{function.__module__}.{function.__qualname__}"
        make_key = key if key is not None else CallKey(function, known_as).of_call
        if inspect.iscoroutinefunction(function):
            return _wrap_coroutine(_Coroutine(store, function, make_key, codec, lifetime))
        return _wrap_function(_Function(store, function, make_key, codec, lifetime))

    return decorate if function is None else decorate(function)


def _wrap_function(kept: "_Function") -> Any:
    @functools.wraps(kept.function)
    def memoized(*args: Any, **kwargs: Any) -> Any:
        return kept.call(args, kwargs)

    @functools.wraps(kept.function)
    def refresh(*args: Any, **kwargs: Any) -> Any:
        return kept.refresh(args, kwargs)

    return _with_calls(memoized, refresh, kept)


def _wrap_coroutine(kept: "_Coroutine") -> Any:
    @functools.wraps(kept.function)
    async def memoized(*args: Any, **kwargs: Any) -> Any:
        return await kept.call(args, kwargs)

    @functools.wraps(kept.function)
    async def refresh(*args: Any, **kwargs: Any) -> Any:
        return await kept.refresh(args, kwargs)

    return _with_calls(memoized, refresh, kept)


def _with_calls(memoized: Any, refresh: Any, kept: "_Kept") -> Any:
    memoized.refresh = refresh
    memoized.cache_key = kept.cache_key
    memoized.forget = kept.forget
    return memoized


class _Lifetime:
    """How long a result is kept, and when it is computed anew before it goes."""

    __slots__ = ("_beta", "_stale", "kept")

    def __init__(self, ttl: Ttl | None, stale_ttl: Ttl | None, early_refresh: float) -> None:
        if not 0 <= early_refresh < math.inf:
            raise InvalidError("early_refresh is 0 (off) or a positive number, 1.0 as published")
        fresh = None if ttl is None else duration(ttl)
        if fresh is not None and fresh <= 0:
            raise InvalidError("ttl must be positive: use libkv.NEVER for no expiry")
        stale = 0.0 if stale_ttl is None else duration(stale_ttl)
        if stale < 0:
            raise InvalidError("stale_ttl must not be negative")
        if (stale or early_refresh) and (fresh is None or fresh == math.inf):
            raise InvalidError("stale_ttl and early_refresh need a ttl that ends")
        self._stale = stale
        self._beta = early_refresh
        self.kept: Ttl | None = ttl
        """The TTL that the store is given."""
        if fresh is not None and stale:
            self.kept = NEVER if stale == math.inf else fresh + stale

    @property
    def is_watched(self) -> bool:
        """Whether a hit has to look at the deadline at all."""
        return bool(self._stale or self._beta)

    def is_due(self, left: float | None, cost: float) -> bool:
        """Whether an entry with that many seconds left should be computed anew.

        `cost` is what computing takes, in seconds.
        """
        if left is None:
            return False
        fresh = left - self._stale
        if fresh <= 0:
            return True
        # 1 - random() is never 0.
        return bool(self._beta) and fresh <= -cost * self._beta * math.log(1.0 - random.random())


class _Flights:
    """Which keys are being computed, and the one future of each.

    The futures are those of threads also for coroutines, so that callers in several event loops
    share them.
    """

    __slots__ = ("_flights", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[bytes, tuple[Future[bytes], object]] = {}

    def join(self, key: bytes, who: object) -> tuple[Future[bytes], bool]:
        """The future of a key, and whether the caller is the one to compute it.

        A caller that is itself computing the key, by recursion, computes it again: it would wait
        for itself for ever.
        """
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None and flight[1] != who:
                return flight[0], False
            future: Future[bytes] = Future()
            if flight is None:
                self._flights[key] = future, who
            return future, True

    def hand_over(self, key: bytes, future: Future[bytes], who: object) -> None:
        """Says who computes the key in the end."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None and flight[0] is future:
                self._flights[key] = future, who

    def end(
        self, key: bytes, future: Future[bytes], outcome: bytes | BaseException | None
    ) -> None:
        """Ends a flight and tells all who wait: data, an exception, or None for a cancellation."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None and flight[0] is future:
                del self._flights[key]
        if outcome is None:
            future.cancel()
        elif isinstance(outcome, bytes):
            future.set_result(outcome)
        else:
            future.set_exception(outcome)


class _Kept:
    """What functions and coroutines have in common: keys, codec, and reading the store."""

    def __init__(
        self,
        store: Store,
        function: Callable[..., Any],
        make_key: Callable[..., bytes | str],
        codec: Codec[Any],
        lifetime: _Lifetime,
    ) -> None:
        self.function = function
        self._store = store
        self._make_key = make_key
        self._codec = codec
        self._lifetime = lifetime
        self._flights = _Flights()
        self._cost = 0.0

    def cache_key(self, *args: Any, **kwargs: Any) -> bytes:
        """The key in the store under which the result of these arguments is kept."""
        key = self._make_key(*args, **kwargs)
        return key.encode() if isinstance(key, str) else key

    def forget(self, *args: Any, **kwargs: Any) -> bool:
        """Remove the result of these arguments. Returns whether there was one."""
        return self._store.delete(self.cache_key(*args, **kwargs))

    def _is_due(self, key: bytes) -> bool:
        if not self._lifetime.is_watched:
            return False
        try:
            left = self._store.ttl(key)
        except KeyError:
            # It expired since it was read; the next call will miss.
            return False
        return self._lifetime.is_due(left, self._cost)

    def _learn(self, seconds: float) -> None:
        # A race between two calls loses one observation of many.
        self._cost = seconds if self._cost == 0.0 else 0.8 * self._cost + 0.2 * seconds

    def _keep(self, key: bytes, result: Any) -> bytes:
        try:
            data = self._codec.encode(result)
        except (TypeError, ValueError) as error:
            error.add_note(
                f"the result of {self.function.__qualname__} does not fit serializer="
                f"{self._codec!r}; see libkv.codecs for others"
            )
            raise
        self._store.set(key, data, ttl=self._lifetime.kept)
        return data

    def _report(self, error: BaseException) -> None:
        """Tells of an exception that no caller is there to get."""
        arguments: Any = SimpleNamespace(
            exc_type=type(error),
            exc_value=error,
            exc_traceback=error.__traceback__,
            err_msg="Exception ignored while a memoized result was refreshed by",
            object=self.function,
        )
        sys.unraisablehook(arguments)


class _Function(_Kept):
    """A function whose results are kept in a store."""

    @functools.cached_property
    def _background(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_BACKGROUND_THREADS, thread_name_prefix="libkv-memoize")

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The kept result, or what the function returns now."""
        key = self.cache_key(*args, **kwargs)
        found = self._store.get(key)
        if found is None:
            found = self._compute_once(key, args, kwargs)
        elif self._is_due(key):
            self._refresh_later(key, args, kwargs)
        return self._codec.decode(found)

    def refresh(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the function now, keep its result in the place of an older one, and return it."""
        return self._codec.decode(self._compute(self.cache_key(*args, **kwargs), args, kwargs))

    def _compute(self, key: bytes, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        started = time.perf_counter()
        result = self.function(*args, **kwargs)
        self._learn(time.perf_counter() - started)
        return self._keep(key, result)

    def _compute_once(self, key: bytes, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        flight, is_first = self._flights.join(key, threading.get_ident())
        if not is_first:
            return flight.result()
        try:
            # Another thread may have stored between the miss and here.
            data = self._store.get(key)
            if data is None:
                data = self._compute(key, args, kwargs)
        except BaseException as error:
            self._flights.end(key, flight, error)
            raise
        self._flights.end(key, flight, data)
        return data

    def _refresh_later(self, key: bytes, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        flight, is_first = self._flights.join(key, object())
        if not is_first:
            return

        def refresh() -> None:
            try:
                data = self._compute(key, args, kwargs)
            except BaseException as error:
                self._flights.end(key, flight, error)
                self._report(error)
            else:
                self._flights.end(key, flight, data)

        try:
            self._background.submit(refresh)
        except RuntimeError:
            # The interpreter is exiting: the old value will do.
            self._flights.end(key, flight, None)


class _Coroutine(_Kept):
    """A coroutine function whose results are kept in a store.

    The computation runs in a task of its own: a caller that is cancelled cancels only its waiting.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # An event loop itself holds its tasks weakly.
        self._tasks: set[asyncio.Task[None]] = set()

    async def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The kept result, or what the coroutine returns now."""
        key = self.cache_key(*args, **kwargs)
        found = self._store.get(key)
        if found is None:
            flight, is_first = self._flights.join(key, asyncio.current_task())
            if is_first:
                self._start(key, flight, args, kwargs, is_awaited=True)
            # Shielded: cancelling one caller must not cancel the future of all.
            found = await asyncio.shield(asyncio.wrap_future(flight))
        elif self._is_due(key):
            flight, is_first = self._flights.join(key, object())
            if is_first:
                self._start(key, flight, args, kwargs, is_awaited=False)
        return self._codec.decode(found)

    async def refresh(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the coroutine now, keep its result in the place of an older one, and return it."""
        key = self.cache_key(*args, **kwargs)
        return self._codec.decode(await self._compute(key, args, kwargs))

    async def _compute(self, key: bytes, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        started = time.perf_counter()
        result = await self.function(*args, **kwargs)
        self._learn(time.perf_counter() - started)
        if self._store.path is None:
            return self._keep(key, result)
        # A write to a directory may wait for the disk, which must not hold up the event loop.
        return await asyncio.to_thread(self._keep, key, result)

    def _start(
        self,
        key: bytes,
        flight: Future[bytes],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        is_awaited: bool,
    ) -> None:
        async def compute() -> None:
            try:
                # Another loop may have stored between the miss and here.
                data = self._store.get(key) if is_awaited else None
                if data is None:
                    data = await self._compute(key, args, kwargs)
            except asyncio.CancelledError:
                # The task's callback tells of it, also where the task never began.
                raise
            except BaseException as error:
                self._flights.end(key, flight, error)
                if not is_awaited:
                    self._report(error)
                if not isinstance(error, Exception):
                    raise
            else:
                self._flights.end(key, flight, data)

        def done(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if task.cancelled():
                self._flights.end(key, flight, None)

        task = asyncio.get_running_loop().create_task(compute())
        self._flights.hand_over(key, flight, task)
        self._tasks.add(task)
        task.add_done_callback(done)
