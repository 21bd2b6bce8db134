"""A store seen through codecs: what ``Store.view`` returns.

A view holds nothing of its own. Every call encodes its arguments, calls the store once, and decodes
the answer; so views are cheap, as safe among threads as the store, and several views of one store
may be used side by side, if their keys do not meet.
"""

from collections.abc import ItemsView, Iterable, Iterator, Mapping, MutableMapping, ValuesView
from datetime import datetime
from types import TracebackType
from typing import Any, Generic, Self, TypeAlias, TypeVar, overload

from libkv._errors import NotFoundError
from libkv._native import Batch, Store
from libkv._records import BatchResult, ViewEntry
from libkv._types import Ttl
from libkv.codecs import Codec, named

_K = TypeVar("_K")
_V = TypeVar("_V")
_T = TypeVar("_T")

_Pairs: TypeAlias = Mapping[_K, _V] | Iterable[tuple[_K, _V]]
_ABSENT: Any = object()


class View(MutableMapping[_K, _V], Generic[_K, _V]):
    """A MutableMapping over a store, with a codec for its keys and one for its values.

    It shows all entries of the store: a key or value that its codec cannot decode raises what the
    codec raises. Unlike a store, and like a dict, an empty view is false. Iteration never fails
    because of concurrent change. Errors of the store are raised as they are.
    """

    __slots__ = ("_keys", "_store", "_values")

    def __init__(self, store: Store, keys: str | Codec[_K], values: str | Codec[_V]) -> None:
        self._store = store
        self._keys: Codec[_K] = named(keys, of_keys=True)
        self._values: Codec[_V] = named(values)

    @property
    def store(self) -> Store:
        """The store that is seen."""
        return self._store

    def __repr__(self) -> str:
        return f"<libkv.View of {self._store!r}, keys={self._keys!r}, values={self._values!r}>"

    # Reading

    def __getitem__(self, key: _K, /) -> _V:
        found = self._store.get(self._keys.encode(key))
        if found is None:
            raise NotFoundError(key)
        return self._values.decode(found)

    @overload
    def get(self, key: _K, default: None = None) -> _V | None: ...
    @overload
    def get(self, key: _K, default: _V) -> _V: ...
    @overload
    def get(self, key: _K, default: _T) -> _V | _T: ...
    def get(self, key: _K, default: Any = None) -> Any:
        """The value of a key, or the default when it is absent or expired."""
        found = self._store.get(self._keys.encode(key))
        return default if found is None else self._values.decode(found)

    def get_many(self, keys: Iterable[_K]) -> list[_V | None]:
        """A list with the value of each key, None where it is absent."""
        encode, decode = self._keys.encode, self._values.decode
        found = self._store.get_many([encode(key) for key in keys])
        return [None if data is None else decode(data) for data in found]

    def entry(self, key: _K) -> ViewEntry | None:
        """The entry of a key, its value decoded, or None when it is absent."""
        found = self._store.entry(self._keys.encode(key))
        if found is None:
            return None
        return ViewEntry(self._values.decode(found.value), *found[1:])

    def __contains__(self, key: object, /) -> bool:
        try:
            data = self._keys.encode(key)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            # No key of this view can be equal to it.
            return False
        return data in self._store

    def __len__(self) -> int:
        return len(self._store)

    def __iter__(self) -> Iterator[_K]:
        decode = self._keys.decode
        for key in self._store:
            yield decode(key)

    def items(self) -> ItemsView[_K, _V]:
        """A view of the pairs; a key removed meanwhile is passed over."""
        return _Items(self)

    def values(self) -> ValuesView[_V]:
        """A view of the values; a key removed meanwhile is passed over."""
        return _Values(self)

    def copy(self) -> dict[_K, _V]:
        """The pairs as a dict."""
        return dict(self.items())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return self is other or self.copy() == dict(other.items())

    __hash__ = None  # type: ignore[assignment]

    # Writing

    def __setitem__(self, key: _K, value: _V, /) -> None:
        self._store[self._keys.encode(key)] = self._values.encode(value)

    def set(
        self,
        key: _K,
        value: _V,
        *,
        ttl: Ttl | None = None,
        expire_at: float | datetime | None = None,
        keep_ttl: bool = False,
        if_absent: bool = False,
        if_present: bool = False,
        if_version: int | None = None,
    ) -> int | None:
        """Store a value and return its version, or None when the condition failed: Store.set."""
        return self._store.set(
            self._keys.encode(key),
            self._values.encode(value),
            ttl=ttl,
            expire_at=expire_at,
            keep_ttl=keep_ttl,
            if_absent=if_absent,
            if_present=if_present,
            if_version=if_version,
        )

    def set_many(self, mapping: _Pairs[_K, _V], *, ttl: Ttl | None = None) -> None:
        """Store all pairs, or none of them (on a cluster, perhaps some)."""
        # Type checkers disagree about the items of what may be a mapping with pairs for keys.
        pairs: Any = mapping.items() if isinstance(mapping, Mapping) else mapping
        encode_key, encode = self._keys.encode, self._values.encode
        self._store.set_many([(encode_key(k), encode(v)) for k, v in pairs], ttl=ttl)

    def batch(self) -> "ViewBatch[_K, _V]":
        """An empty batch of changes that are made all together or not at all: Store.batch."""
        return ViewBatch(self._store.batch(), self._keys, self._values)

    def setdefault(self, key: _K, default: _V = None, /) -> _V:  # type: ignore[assignment]
        """The value of a key; when it is absent, store the default and return that. Atomic."""
        data = self._keys.encode(key)
        found = self._store.get(data)
        if found is None:
            found = self._store.setdefault(data, self._values.encode(default))
        return self._values.decode(found)

    def __delitem__(self, key: _K, /) -> None:
        if not self.delete(key):
            raise NotFoundError(key)

    def delete(self, key: _K, *, if_version: int | None = None) -> bool:
        """Remove a key, if it has that version. Returns whether it was removed: Store.delete."""
        return self._store.delete(self._keys.encode(key), if_version=if_version)

    def delete_many(self, keys: Iterable[_K]) -> int:
        """Remove keys. Returns how many were there."""
        encode = self._keys.encode
        return self._store.delete_many([encode(key) for key in keys])

    @overload
    def take(self, key: _K, default: None = None) -> _V | None: ...
    @overload
    def take(self, key: _K, default: _T) -> _V | _T: ...
    def take(self, key: _K, default: Any = None) -> Any:
        """Remove a key and return its value, atomically; the default when it is absent."""
        found = self._store.take(self._keys.encode(key))
        return default if found is None else self._values.decode(found)

    @overload
    def pop(self, key: _K, /) -> _V: ...
    @overload
    def pop(self, key: _K, default: _V, /) -> _V: ...
    @overload
    def pop(self, key: _K, default: _T, /) -> _V | _T: ...
    def pop(self, key: _K, default: Any = _ABSENT, /) -> Any:
        """Remove a key and return its value, atomically.

        Raises KeyError when it is absent and no default is given.
        """
        found = self._store.take(self._keys.encode(key))
        if found is not None:
            return self._values.decode(found)
        if default is _ABSENT:
            raise NotFoundError(key)
        return default

    def popitem(self) -> tuple[_K, _V]:
        """Remove some pair and return it. Raises KeyError when the store is empty."""
        key, value = self._store.popitem()
        return self._keys.decode(key), self._values.decode(value)

    def clear(self) -> None:
        """Remove all entries of the store."""
        self._store.clear()

    # Deadlines

    def expire(self, key: _K, ttl: Ttl) -> bool:
        """Give a key a new ttl; zero or less removes it at once. Returns whether it was there."""
        return self._store.expire(self._keys.encode(key), ttl)

    def expire_at(self, key: _K, when: float | datetime) -> bool:
        """Let a key expire at a timestamp or an aware datetime. Returns whether it was there."""
        return self._store.expire_at(self._keys.encode(key), when)

    def persist(self, key: _K) -> bool:
        """Remove the deadline of a key. Returns whether it was there."""
        return self._store.persist(self._keys.encode(key))

    def ttl(self, key: _K) -> float | None:
        """The seconds that a key has left, None if it never expires. KeyError when absent."""
        try:
            return self._store.ttl(self._keys.encode(key))
        except NotFoundError:
            raise NotFoundError(key) from None


class ViewBatch(Generic[_K, _V]):
    """A Batch whose keys and values go through the codecs of a view. Made by View.batch."""

    __slots__ = ("_batch", "_keys", "_values")

    def __init__(self, batch: Batch, keys: Codec[_K], values: Codec[_V]) -> None:
        self._batch = batch
        self._keys = keys
        self._values = values

    def set(
        self,
        key: _K,
        value: _V,
        *,
        ttl: Ttl | None = None,
        expire_at: float | datetime | None = None,
        keep_ttl: bool = False,
        if_absent: bool = False,
        if_present: bool = False,
        if_version: int | None = None,
    ) -> None:
        """Set a key when the batch is written: Batch.set."""
        self._batch.set(
            self._keys.encode(key),
            self._values.encode(value),
            ttl=ttl,
            expire_at=expire_at,
            keep_ttl=keep_ttl,
            if_absent=if_absent,
            if_present=if_present,
            if_version=if_version,
        )

    def delete(self, key: _K) -> None:
        """Remove a key when the batch is written: Batch.delete."""
        self._batch.delete(self._keys.encode(key))

    def expire(self, key: _K, ttl: Ttl) -> None:
        """Give a key a new ttl when the batch is written: Batch.expire."""
        self._batch.expire(self._keys.encode(key), ttl)

    def expire_at(self, key: _K, when: float | datetime) -> None:
        """Let a key expire at a timestamp or an aware datetime: Batch.expire_at."""
        self._batch.expire_at(self._keys.encode(key), when)

    def write(self) -> BatchResult:
        """Make all changes, or none, and return a BatchResult: Batch.write."""
        return self._batch.write()

    def clear(self) -> None:
        """Take all changes out, so that nothing is left to write."""
        self._batch.clear()

    @property
    def result(self) -> BatchResult | None:
        """The BatchResult of the last write, or None before the first one."""
        return self._batch.result

    def __len__(self) -> int:
        return len(self._batch)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self._batch.__exit__(exc_type, exc_value, traceback)

    def __repr__(self) -> str:
        return f"<libkv.ViewBatch of {self._batch!r}, keys={self._keys!r}, values={self._values!r}>"


class _Items(ItemsView[_K, _V]):
    __slots__ = ()
    _mapping: View[_K, _V]

    def __iter__(self) -> Iterator[tuple[_K, _V]]:
        view = self._mapping
        decode_key, decode = view._keys.decode, view._values.decode
        for key, value in view._store.items():
            yield decode_key(key), decode(value)

    def __repr__(self) -> str:
        return f"{self._mapping!r}.items()"


class _Values(ValuesView[_V]):
    __slots__ = ()
    _mapping: View[Any, _V]

    def __iter__(self) -> Iterator[_V]:
        for _, value in self._mapping.items():
            yield value

    def __contains__(self, value: object) -> bool:
        return any(value is found or value == found for found in self)

    def __repr__(self) -> str:
        return f"{self._mapping!r}.values()"
