"""Sessions of a web application: what is kept of a visitor, as JSON, for as long as they come.

A session lives for half an hour after it was last used. Its id is the secret: whoever has it is
logged in, so it is made by `secrets` and never printed.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

import libkv

IDLE = timedelta(minutes=30)


class Sessions:
    """Sessions in a store."""

    def __init__(self, store: libkv.Store) -> None:
        self._data: libkv.View[str, Any] = store.view(keys="str", values="json")

    def begin(self, user: str) -> str:
        """A new session. Returns its id."""
        while True:
            session = secrets.token_urlsafe(16)
            if self._data.set(session, {"user": user, "basket": []}, ttl=IDLE, if_absent=True):
                return session

    def use(self, session: str) -> dict[str, Any] | None:
        """What is kept of a session, which lives on; None when it is over."""
        found: dict[str, Any] | None = self._data.get(session)
        # The session may end between the two calls; then it is over.
        return found if found is not None and self._data.expire(session, IDLE) else None

    def add_to_basket(self, session: str, item: str) -> bool:
        """Two requests of one visitor at the same time lose nothing: the later one tries again."""
        while True:
            entry = self._data.entry(session)
            if entry is None:
                return False
            entry.value["basket"].append(item)
            if self._data.set(session, entry.value, ttl=IDLE, if_version=entry.version):
                return True

    def end(self, session: str) -> bool:
        """Ends a session. Returns whether there was one."""
        return self._data.delete(session)


def main() -> None:
    with libkv.open(max_memory="256MiB", eviction="lru") as store:
        sessions = Sessions(store)
        session = sessions.begin("Ada")
        sessions.add_to_basket(session, "a book")
        sessions.add_to_basket(session, "a lamp")
        print("the session is", sessions.use(session))
        print("it ended:", sessions.end(session))
        print("afterwards it is", sessions.use(session))


if __name__ == "__main__":
    main()
