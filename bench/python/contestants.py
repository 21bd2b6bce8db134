"""The stores and caches that are compared, each behind the same four calls.

Owns: how each of them is opened, filled and asked. Every one is used as its documentation shows it, with
its default options where nothing else is said, by bound methods that are looked up once. `get` gives bytes
or None. `get_many` is what the library has for it; where it has nothing, its place is None.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cachebox
import cachetools
import diskcache
import lmdb
import redis
import rocksdict

import libkv

Pairs = Sequence[tuple[bytes, bytes]]
HOUR = 3600


@dataclass
class Contestant:
    """A store that was filled."""

    get: Callable[[bytes], Any]
    set: Callable[[bytes, bytes], Any]
    get_many: Callable[[Sequence[bytes]], Any] | None = None
    close: Callable[[], Any] = field(default=lambda: None)


def in_dict(pairs: Pairs, _: Path) -> Contestant:
    data = dict(pairs)
    get = data.get
    return Contestant(get, data.__setitem__, lambda keys: [get(key) for key in keys])


def in_libkv(pairs: Pairs, _: Path) -> Contestant:
    store = libkv.open()
    store.set_many(pairs)
    return Contestant(store.get, store.set, store.get_many, store.close)


def in_libkv_with_ttl(pairs: Pairs, _: Path) -> Contestant:
    store = libkv.open(max_memory="8GiB", eviction="s3fifo", default_ttl=HOUR)
    store.set_many(pairs)
    return Contestant(store.get, store.set, store.get_many, store.close)


def in_libkv_on_disk(pairs: Pairs, folder: Path) -> Contestant:
    store = libkv.open(folder / "libkv")
    store.set_many(pairs)
    return Contestant(store.get, store.set, store.get_many, store.close)


def in_cachetools(pairs: Pairs, _: Path) -> Contestant:
    cache: Any = cachetools.TTLCache(maxsize=2 * len(pairs), ttl=HOUR)
    for key, value in pairs:
        cache[key] = value
    return Contestant(cache.get, cache.__setitem__)


def in_cachebox(pairs: Pairs, _: Path) -> Contestant:
    cache: Any = cachebox.TTLCache(2 * len(pairs), HOUR)
    cache.update(dict(pairs))
    return Contestant(cache.get, cache.__setitem__)


def in_diskcache(pairs: Pairs, folder: Path) -> Contestant:
    cache: Any = diskcache.Cache(str(folder / "diskcache"), size_limit=1 << 40)
    with cache.transact():
        for key, value in pairs:
            cache.set(key, value)
    return Contestant(cache.get, cache.set, close=cache.close)


def in_lmdb(pairs: Pairs, folder: Path) -> Contestant:
    environment: Any = lmdb.open(str(folder / "lmdb"), map_size=1 << 33, sync=False)
    with environment.begin(write=True) as transaction:
        transaction.cursor().putmulti(pairs)

    def get(key: bytes) -> Any:
        with environment.begin() as transaction:
            return transaction.get(key)

    def put(key: bytes, value: bytes) -> None:
        with environment.begin(write=True) as transaction:
            transaction.put(key, value)

    def get_many(keys: Sequence[bytes]) -> Any:
        with environment.begin() as transaction, transaction.cursor() as cursor:
            return cursor.getmulti(keys)

    return Contestant(get, put, get_many, environment.close)


def in_rocksdict(pairs: Pairs, folder: Path) -> Contestant:
    store: Any = rocksdict.Rdict(str(folder / "rocksdict"), rocksdict.Options(raw_mode=True))
    batch: Any = rocksdict.WriteBatch(raw_mode=True)
    for key, value in pairs:
        batch.put(key, value)
    store.write(batch)
    return Contestant(store.get, store.__setitem__, store.get, store.close)


def in_redis(pairs: Pairs, folder: Path) -> Contestant:
    """A server of its own on a Unix socket, with nothing on disk."""
    socket = folder / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", ""]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder)
    client: Any = redis.Redis(unix_socket_path=str(socket))
    while server.poll() is None:
        try:
            client.ping()
            break
        except redis.exceptions.ConnectionError:
            time.sleep(0.01)
    for start in range(0, len(pairs), 10_000):
        client.mset(dict(pairs[start : start + 10_000]))

    def close() -> None:
        client.close()
        server.terminate()
        server.wait()

    return Contestant(client.get, client.set, client.mget, close)


CONTESTANTS: dict[str, Callable[[Pairs, Path], Contestant]] = {
    "dict": in_dict,
    "libkv": in_libkv,
    "libkv, TTL and policy": in_libkv_with_ttl,
    "cachebox TTLCache": in_cachebox,
    "cachetools TTLCache": in_cachetools,
    "redis, Unix socket": in_redis,
    "libkv, directory": in_libkv_on_disk,
    "lmdb, sync=False": in_lmdb,
    "rocksdict": in_rocksdict,
    "diskcache": in_diskcache,
}
"""First what is in memory, then what is on disk."""
