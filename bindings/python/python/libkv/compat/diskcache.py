"""The common calls of ``diskcache.Cache`` on a libkv store, and an importer of its files.

>>> from libkv.compat.diskcache import Cache
>>> with Cache() as cache:
...     _ = cache.set("user:1", {"name": "Ada"}, expire=60)
...     cache["user:1"]
{'name': 'Ada'}

What differs, on purpose:

* **No pickle unless asked for.** str, bytes, int and float are kept as they are, as diskcache does;
  None, bool, lists and dicts as JSON. Anything else raises TypeError unless the cache has
  ``unsafe_codec=libkv.codecs.UnsafePickle()``: to load a pickle is to run the code that it names, so
  whoever can write to the files of such a cache can run code in every process that opens it.
* **One process at a time** has the directory open; another gets LockedError at once.
* All of the data is in memory, and the directory makes it durable. ``size_limit`` is ``max_memory``.
* ``transact``, ``push``, ``pull``, ``peek`` and files (``read=True``) are not there.
"""

import functools
import os
import sqlite3
import struct
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Final, NamedTuple

import libkv
from libkv._arguments import CallKey
from libkv._errors import InvalidError, NotFoundError, UnsupportedError
from libkv.codecs import Codec, Json

__all__ = ["ENOVAL", "EVICTION", "Cache", "Imported", "import_cache"]


class _Enoval:
    def __repr__(self) -> str:
        return "ENOVAL"


ENOVAL: Final = _Enoval()
"""What stands for "no value", where None is one."""

EVICTION: Final = {
    "none": "none",
    "least-recently-stored": "lru",
    "least-recently-used": "lru",
    "least-frequently-used": "lfu",
}
"""The eviction of libkv for each policy of diskcache. libkv has no "stored" order: reads count."""

_WHY_UNSAFE: Final = (
    "needs unsafe_codec=libkv.codecs.UnsafePickle(): to load a pickle is to run the code that it"
    " names, so give it only for files that nobody else can write"
)


class _Format:
    """Objects as bytes: a letter for the type, the tag of the entry if it has one, the data.

    The letters: b bytes, s str, i int, f float, j JSON, p the unsafe codec. A capital letter says
    that a tag follows: its length in 4 bytes, little endian, then the tag in this same form.
    """

    __slots__ = ("_unsafe",)

    def __init__(self, unsafe: Codec[Any] | None) -> None:
        self._unsafe = unsafe

    def encode(self, value: Any, tag: Any = None) -> bytes:
        letter, data = self._typed(value)
        if tag is None:
            return letter + data
        packed = self.encode(tag)
        return letter.upper() + struct.pack("<I", len(packed)) + packed + data

    def decode(self, data: bytes) -> tuple[Any, Any]:
        """The value and its tag."""
        letter, rest, tag = data[:1], data[1:], None
        if letter.isupper():
            (length,) = struct.unpack_from("<I", rest)
            tag, _ = self.decode(rest[4 : 4 + length])
            rest = rest[4 + length :]
        return self._value(letter.lower(), rest), tag

    def _typed(self, value: Any) -> tuple[bytes, bytes]:
        kind = type(value)
        if kind is bytes:
            return b"b", value
        if kind is str:
            return b"s", value.encode()
        if kind is int:
            return b"i", str(value).encode()
        if kind is float:
            return b"f", repr(value).encode()
        if _is_json(value):
            return b"j", Json().encode(value)
        if self._unsafe is not None:
            return b"p", self._unsafe.encode(value)
        raise TypeError(f"a value of type {kind.__qualname__} {_WHY_UNSAFE}")

    def _value(self, letter: bytes, data: bytes) -> Any:
        match letter:
            case b"b":
                return data
            case b"s":
                return data.decode()
            case b"i":
                return int(data)
            case b"f":
                return float(data)
            case b"j":
                return Json().decode(data)
            case b"p" if self._unsafe is not None:
                return self._unsafe.decode(data)
            case b"p":
                raise UnsupportedError(f"an entry was stored by an unsafe codec, and {_WHY_UNSAFE}")
        raise InvalidError(f"the store has an entry that is not of this cache: type {letter!r}")


def _is_json(value: Any) -> bool:
    """Whether a value comes back from JSON as what it was."""
    if value is None or type(value) in (bool, int, str):
        return True
    if type(value) is float:
        return value - value == 0.0
    if type(value) is list:
        return all(map(_is_json, value))
    if type(value) is dict:
        return all(type(key) is str and _is_json(part) for key, part in value.items())
    return False


class Cache:
    """The common calls of ``diskcache.Cache``: see the module for what differs.

    ``directory`` is a directory of libkv, made if it is missing; None makes a temporary one.
    ``settings`` are ``size_limit``, ``eviction_policy`` and ``statistics`` of diskcache, and any option
    of ``libkv.open``. ``timeout``, ``disk`` and the settings of SQLite have no meaning here and are
    refused if they are named.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        unsafe_codec: Codec[Any] | None = None,
        **settings: Any,
    ) -> None:
        options = dict(settings)
        limit = options.pop("size_limit", 1 << 30)
        policy = options.pop("eviction_policy", "least-recently-stored")
        options.pop("statistics", None)
        if policy is None:
            policy = "none"
        if policy not in EVICTION:
            known = ", ".join(EVICTION)
            raise InvalidError(f"eviction_policy '{policy}' is none of: {known}")
        options.setdefault("max_memory", limit)
        options.setdefault("eviction", EVICTION[policy])
        self._directory = os.fspath(directory or tempfile.mkdtemp(prefix="libkv-"))
        self._store = libkv.open(os.path.expanduser(self._directory), **options)
        self._format = _Format(unsafe_codec)
        self._counted = (0, 0)

    @property
    def directory(self) -> str:
        """The directory."""
        return self._directory

    @property
    def store(self) -> libkv.Store:
        """The store behind the cache, for calls that diskcache has not."""
        return self._store

    def __repr__(self) -> str:
        return f"<libkv.compat.diskcache.Cache of {self._store!r}>"

    def __enter__(self) -> "Cache":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Flush and close the store. Calls after this raise ClosedError."""
        self._store.close()

    # Keys and values

    def set(
        self,
        key: Any,
        value: Any,
        expire: float | None = None,
        read: bool = False,
        tag: Any = None,
        retry: bool = False,
    ) -> bool:
        """Store a value, for ``expire`` seconds if they are given. Returns True."""
        self._put(key, value, expire, read, tag)
        return True

    def add(
        self,
        key: Any,
        value: Any,
        expire: float | None = None,
        read: bool = False,
        tag: Any = None,
        retry: bool = False,
    ) -> bool:
        """Store a value if the key is absent. Atomic. Returns whether it was stored."""
        return self._put(key, value, expire, read, tag, if_absent=True)

    def _put(
        self,
        key: Any,
        value: Any,
        expire: float | None,
        read: bool,
        tag: Any,
        if_absent: bool = False,
    ) -> bool:
        if read:
            # A file object: diskcache keeps it as a file, here it is read whole.
            value = value.read()
        name, data = self._format.encode(key), self._format.encode(value, tag)
        if expire is not None and expire <= 0:
            # diskcache stores it, expired.
            if if_absent:
                return name not in self._store
            self._store.delete(name)
            return True
        return self._store.set(name, data, ttl=_ttl(expire), if_absent=if_absent) is not None

    def get(
        self,
        key: Any,
        default: Any = None,
        read: bool = False,
        expire_time: bool = False,
        tag: bool = False,
        retry: bool = False,
    ) -> Any:
        """The value of a key, or the default.

        With ``expire_time`` or ``tag`` a tuple: the value, when it expires as a timestamp, its tag.
        """
        if read:
            raise UnsupportedError("read=True is not supported: values are not files here")
        name = self._format.encode(key)
        if not expire_time:
            found = self._store.get(name)
            value, label = (default, None) if found is None else self._format.decode(found)
            return (value, label) if tag else value
        entry = self._store.entry(name)
        if entry is None:
            return (default, None, None) if tag else (default, None)
        value, label = self._format.decode(entry.value)
        return (value, entry.expire_at, label) if tag else (value, entry.expire_at)

    def pop(
        self,
        key: Any,
        default: Any = None,
        expire_time: bool = False,
        tag: bool = False,
        retry: bool = False,
    ) -> Any:
        """Remove a key and return its value, atomically; the default when it is absent."""
        name = self._format.encode(key)
        when = self._store.entry(name) if expire_time else None
        found = self._store.take(name)
        value, label = (default, None) if found is None else self._format.decode(found)
        extra: tuple[Any, ...] = ()
        if expire_time:
            extra += (when.expire_at if when is not None and found is not None else None,)
        if tag:
            extra += (label,)
        return (value, *extra) if extra else value

    def __getitem__(self, key: Any) -> Any:
        value = self.get(key, ENOVAL)
        if value is ENOVAL:
            raise NotFoundError(key)
        return value

    def __setitem__(self, key: Any, value: Any) -> None:
        self._put(key, value, None, False, None)

    def __delitem__(self, key: Any) -> None:
        if not self.delete(key):
            raise NotFoundError(key)

    def delete(self, key: Any, retry: bool = False) -> bool:
        """Remove a key. Returns whether it was there."""
        return self._store.delete(self._format.encode(key))

    def __contains__(self, key: Any) -> bool:
        return self._format.encode(key) in self._store

    def touch(self, key: Any, expire: float | None = None, retry: bool = False) -> bool:
        """Give a key new seconds to live, None for ever. Returns whether it was there."""
        name = self._format.encode(key)
        return self._store.persist(name) if expire is None else self._store.expire(name, expire)

    def incr(self, key: Any, delta: int = 1, default: int | None = 0, retry: bool = False) -> int:
        """Add to an integer and return the sum, atomically; an absent key counts from the default.

        Raises KeyError for an absent key if the default is None, TypeError for what is no int.
        """
        name = self._format.encode(key)
        while True:
            entry = self._store.entry(name)
            if entry is None:
                if default is None:
                    raise NotFoundError(key)
                total = default + delta
                if self._store.set(name, self._format.encode(total), if_absent=True) is not None:
                    return total
                continue
            value, label = self._format.decode(entry.value)
            if type(value) is not int:
                raise TypeError(f"the value of {key!r} is no int but {type(value).__qualname__}")
            total = value + delta
            data = self._format.encode(total, label)
            if self._store.set(name, data, keep_ttl=True, if_version=entry.version) is not None:
                return total

    def decr(self, key: Any, delta: int = 1, default: int | None = 0, retry: bool = False) -> int:
        """Subtract from an integer and return the difference, atomically: see incr."""
        return self.incr(key, -delta, default)

    # The whole

    def __len__(self) -> int:
        return len(self._store)

    def __iter__(self) -> Iterator[Any]:
        for name in self._store:
            yield self._format.decode(name)[0]

    def iterkeys(self, reverse: bool = False) -> Iterator[Any]:
        """The keys, sorted as their bytes are."""
        for name in sorted(self._store, reverse=reverse):
            yield self._format.decode(name)[0]

    def clear(self, retry: bool = False) -> int:
        """Remove everything. Returns how many entries there were."""
        count = len(self._store)
        self._store.clear()
        return count

    def expire(self, now: float | None = None, retry: bool = False) -> int:
        """Free what has expired. Returns how many entries; libkv does so by itself anyway."""
        return self._store.purge_expired()

    def evict(self, tag: Any, retry: bool = False) -> int:
        """Remove the entries with a tag, looking at every entry. Returns how many."""
        tagged = [
            name for name, data in self._store.items() if self._format.decode(data)[1] == tag
        ]
        return self._store.delete_many(tagged)

    def cull(self, retry: bool = False) -> int:
        """Free what has expired; the limits themselves always hold."""
        return self._store.purge_expired()

    def stats(self, enable: bool = True, reset: bool = False) -> tuple[int, int]:
        """Hits and misses since the cache was opened, or since the last reset."""
        stats = self._store.stats()
        hits, misses = self._counted
        if reset:
            self._counted = stats.hits, stats.misses
        return stats.hits - hits, stats.misses - misses

    def volume(self) -> int:
        """Bytes that the entries take in memory."""
        return self._store.stats().memory_bytes

    def memoize(
        self,
        name: str | None = None,
        typed: bool = False,
        expire: float | None = None,
        tag: Any = None,
        ignore: Iterable[int | str] = (),
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """A decorator that keeps the results of a function; libkv.Store.memoize does more.

        Arguments of different types are always different (``typed``). ``ignore`` names arguments, by
        position or by name, that do not count.
        """
        if callable(name):
            raise TypeError("write @cache.memoize(), with parentheses")
        ignored = frozenset(ignore)

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            known_as = name or f"{function.__module__}.{function.__qualname__}"
            make_key = CallKey(function, known_as, ignored).of_call

            @functools.wraps(function)
            def memoized(*args: Any, **kwargs: Any) -> Any:
                key = make_key(*args, **kwargs)
                value = self.get(key, ENOVAL)
                if value is ENOVAL:
                    value = function(*args, **kwargs)
                    if expire is None or expire > 0:
                        self.set(key, value, expire, tag=tag)
                return value

            memoized.__cache_key__ = make_key  # type: ignore[attr-defined]
            return memoized

        return decorate


def _ttl(expire: float | None) -> float | libkv.NeverType:
    return libkv.NEVER if expire is None else expire


class Imported(NamedTuple):
    """What an import came to."""

    entries: int
    """Entries that were taken over."""
    expired: int
    """Entries that had expired."""


_PICKLED: Final = 4
_QUERY: Final = "SELECT key, raw, expire_time, tag, mode, filename, value FROM Cache ORDER BY rowid"


def import_cache(
    directory: str | os.PathLike[str], cache: Cache, *, unsafe_codec: Codec[Any] | None = None
) -> Imported:
    """Copy the entries of a directory of diskcache into a cache, with tags and deadlines.

    The directory is only read, and diskcache is not needed. ``unsafe_codec`` decodes what diskcache
    pickled, keys and values; without it the import is refused before anything is copied if there is
    such an entry, with their number.

    Raises InvalidError when there is no ``cache.db``, UnsupportedError for pickled entries without
    ``unsafe_codec``, and what ``Cache.set`` raises.
    """
    source = os.path.join(os.path.expanduser(os.fspath(directory)), "cache.db")
    if not os.path.isfile(source):
        raise InvalidError(f"{source} is not there: the directory is none of diskcache")
    uri = f"file:{_escaped(os.path.abspath(source))}?mode=ro"
    connection = sqlite3.connect(uri, uri=True)
    try:
        pickled = _count_pickled(connection)
        if pickled and unsafe_codec is None:
            raise UnsupportedError(f"{pickled} entries of {source} are pickled; to read them {_WHY_UNSAFE}")
        return _copy(connection, os.path.dirname(source), cache, unsafe_codec)
    finally:
        connection.close()


def _escaped(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _count_pickled(connection: sqlite3.Connection) -> int:
    sql = "SELECT COUNT(*) FROM Cache WHERE mode = ? OR raw = 0"
    return int(connection.execute(sql, (_PICKLED,)).fetchone()[0])


def _copy(
    connection: sqlite3.Connection, folder: str, cache: Cache, codec: Codec[Any] | None
) -> Imported:
    entries = expired = 0
    for key, raw, expire_time, tag, mode, filename, value in connection.execute(_QUERY):
        expire = None if expire_time is None else expire_time - time.time()
        if expire is not None and expire <= 0:
            expired += 1
            continue
        if not raw:
            key = codec.decode(bytes(key)) if codec is not None else None
        if filename is not None:
            value = _read(folder, filename, mode)
        if mode == _PICKLED and codec is not None:
            pickled: Any = value
            value = codec.decode(bytes(pickled))
        cache.set(key, value, expire, tag=tag)
        entries += 1
    return Imported(entries, expired)


_TEXT: Final = 3


def _read(folder: str, filename: str, mode: int) -> str | bytes:
    """A value that diskcache keeps in a file of its own."""
    path = os.path.realpath(os.path.join(folder, filename))
    # Whoever wrote the database must not be able to name any other file.
    if os.path.commonpath([path, os.path.realpath(folder)]) != os.path.realpath(folder):
        raise InvalidError(f"an entry names the file {filename!r}, which is not in {folder}")
    with open(path, "rb") as file:
        data = file.read()
    return data.decode() if mode == _TEXT else data
