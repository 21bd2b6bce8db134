"""Watches: the Python half of ``store.watch``."""

import asyncio
from types import TracebackType
from typing import Any, Self, cast

from libkv._errors import LaggedError
from libkv._records import Event, EventKind


class Watch:
    """Changes of a store, one Event after the other, with ``for`` or ``async for``.

    Made by ``store.watch``. Iterating waits for the next change, and ends once the watch is
    closed; closing works from any thread, and ``with`` closes at its end. It raises LaggedError
    where events were missed, and can be iterated further then; ClosedError once the store is closed.
    One thread or task at a time may wait.
    """

    __module__ = "libkv"

    def __init__(self, raw: Any, what: str) -> None:
        self._raw = raw
        self._what = what
        self._closed = False

    def __repr__(self) -> str:
        return f"<libkv.Watch of {self._what}{', closed' if self._closed else ''}>"

    def next(self, timeout: float | None = None) -> Event | None:
        """Return the next event, or None after timeout seconds or once the watch is closed.

        A timeout of 0 does not wait, and None waits for ever.
        """
        found = self._raw.next(timeout)
        return _event(found) if found else None

    def fileno(self) -> int:
        """Return a descriptor that is readable while ``next`` has something to give.

        It is for select and its like, level triggered, never to be read or closed, and -1 if the
        system has none.
        """
        return cast(int, self._raw.fileno())

    def close(self) -> None:
        """End the watch. From any thread; who waits for an event is woken."""
        self._closed = True
        self._raw.cancel()

    @property
    def closed(self) -> bool:
        """Whether close was called. A watch of a closed store is not; it raises ClosedError."""
        return self._closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        found = self._raw.next(None)
        if not found:
            raise StopIteration
        return _event(found)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while (found := self._raw.next(0.0)) is None:
            await self._readable()
        if not found:
            raise StopAsyncIteration
        return _event(found)

    async def _readable(self) -> None:
        """Wait for the descriptor, without a thread."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        fd = self.fileno()
        if fd < 0:
            await asyncio.sleep(0.01)
            return

        def wake() -> None:
            if not ready.done():
                ready.set_result(None)

        loop.add_reader(fd, wake)
        try:
            await ready
        finally:
            loop.remove_reader(fd)


def _event(found: tuple[Any, ...]) -> Event:
    if found[0] == "lagged":
        _, revision, missed = found
        message = f"{missed} events were missed; the watch goes on at revision {revision}"
        raise LaggedError(message, revision, missed)
    kind, key, value, revision, expire_at = found
    return Event(cast(EventKind, kind), key, value, revision, expire_at)
