"""The views of a store: what ``keys()``, ``items()`` and ``values()`` return.

They read the store when they are iterated, key by key, and pass over a key that was removed
meanwhile: concurrent change never makes them fail.
"""

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any

from libkv._native import Store


class StoreKeys(KeysView[bytes]):
    """The keys, as bytes."""

    __slots__ = ()
    _mapping: Store

    def __repr__(self) -> str:
        return f"{self._mapping!r}.keys()"


class StoreItems(ItemsView[bytes, bytes]):
    """The pairs of key and value."""

    __slots__ = ()
    _mapping: Store

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        get = self._mapping.get
        for key in self._mapping:
            value = get(key)
            if value is not None:
                yield key, value

    def __repr__(self) -> str:
        return f"{self._mapping!r}.items()"


class StoreValues(ValuesView[bytes]):
    """The values."""

    __slots__ = ()
    _mapping: Store

    def __iter__(self) -> Iterator[bytes]:
        for _, value in StoreItems(self._mapping):
            yield value

    def __contains__(self, value: object) -> bool:
        return any(value == found for found in self)

    def __repr__(self) -> str:
        return f"{self._mapping!r}.values()"


def equal(store: Store, other: Any) -> Any:
    """``store == other``: as mappings compare, by their pairs."""
    if store is other:
        return True
    if not isinstance(other, Mapping):
        return NotImplemented
    return dict(store.items()) == dict(other.items())
