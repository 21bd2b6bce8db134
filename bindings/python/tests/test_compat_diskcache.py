"""The drop-in for diskcache, and the import of its files."""

from __future__ import annotations

import pickle
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import libkv
from libkv.codecs import UnsafePickle
from libkv.compat.diskcache import ENOVAL, Cache, import_cache


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with Cache(tmp_path / "cache") as opened:
        yield opened


VALUES = [b"b", "s", 1, 2**70, 1.5, None, True, [1, "a", None], {"a": [1]}, "", b"", -1]


@pytest.mark.parametrize("value", VALUES)
def test_values_come_back_as_they_were(cache: Cache, value: Any) -> None:
    assert cache.set("k", value, tag="t")
    found = cache.get("k")
    assert found == value
    assert type(found) is type(value)
    assert cache.get("k", tag=True) == (value, "t")
    cache[value if isinstance(value, str | bytes | int) else "x"] = 1


def test_nothing_is_pickled_unless_asked(cache: Cache, tmp_path: Path) -> None:
    for value in ({1}, (1, 2), object(), {1: 2}):
        with pytest.raises(TypeError, match="unsafe_codec"):
            cache["k"] = value
    assert "k" not in cache
    with Cache(tmp_path / "unsafe", unsafe_codec=UnsafePickle()) as unsafe:
        unsafe["k"] = (1, {2})
        unsafe[(1, "x")] = 1
        assert unsafe["k"] == (1, {2})
        assert unsafe[(1, "x")] == 1
    with (
        Cache(tmp_path / "unsafe") as safe,
        pytest.raises(libkv.UnsupportedError, match="run the code"),
    ):
        safe["k"]


def test_calls_of_one_key(cache: Cache) -> None:
    assert cache.get("k") is None
    assert cache.get("k", "d") == "d"
    assert cache.get("k", expire_time=True, tag=True) == (None, None, None)
    assert cache.add("k", 1, expire=60)
    assert not cache.add("k", 2)
    value, when = cache.get("k", expire_time=True)
    assert value == 1
    assert abs(when - time.time() - 60) < 5
    assert cache.touch("k")
    assert cache.get("k", expire_time=True) == (1, None)
    assert not cache.touch("x", 5)
    assert cache.incr("k", 5) == 6
    assert cache.decr("k") == 5
    assert cache.incr("n", default=10) == 11
    with pytest.raises(KeyError):
        cache.incr("x", default=None)
    cache["text"] = "t"
    with pytest.raises(TypeError, match="no int"):
        cache.incr("text")
    assert cache.pop("k") == 5
    assert cache.pop("k", ENOVAL) is ENOVAL
    cache.set("k", 1, expire=60, tag="t")
    value, when, tag = cache.pop("k", expire_time=True, tag=True)
    assert (value, tag) == (1, "t")
    assert when is not None
    with pytest.raises(KeyError):
        cache["k"]
    with pytest.raises(KeyError):
        del cache["k"]
    cache.set("k", 1)
    assert cache.set("k", 2, expire=-1)
    assert "k" not in cache, "stored, and expired"


def test_incr_keeps_deadline_and_tag(cache: Cache) -> None:
    cache.set("n", 1, expire=60, tag="t")
    assert cache.incr("n") == 2
    value, when, tag = cache.get("n", expire_time=True, tag=True)
    assert (value, tag) == (2, "t")
    assert when is not None


def test_the_whole(cache: Cache) -> None:
    for n in range(10):
        cache.set(n, n, tag="even" if n % 2 == 0 else "odd")
    assert len(cache) == 10
    assert sorted(cache) == list(range(10))
    assert list(cache.iterkeys()) == list(range(10))
    assert cache.evict("odd") == 5
    assert sorted(cache) == [0, 2, 4, 6, 8]
    assert cache.volume() > 0
    assert cache.expire() == cache.cull() == 0
    cache.stats(reset=True)
    assert cache.get(0) != cache.get(1)
    assert cache.stats() == (1, 1)
    assert cache.clear() == 5
    assert len(cache) == 0


def test_memoize(cache: Cache) -> None:
    calls = []

    @cache.memoize(expire=60, tag="m", ignore={"noise"})
    def add(a: int, b: int = 1, noise: int = 0) -> int:
        calls.append(a)
        return a + b

    assert add(1) == add(1, 1) == add(a=1, noise=5) == 2
    assert calls == [1]
    assert cache.evict("m") == 1
    with pytest.raises(TypeError, match="parentheses"):
        cache.memoize(lambda: 1)  # type: ignore[arg-type]


def test_it_is_there_again(tmp_path: Path) -> None:
    with Cache(tmp_path, size_limit=1 << 20, eviction_policy="least-recently-used") as cache:
        cache["k"] = {"a": 1}
    with Cache(tmp_path) as cache:
        assert cache["k"] == {"a": 1}
        assert cache.directory == str(tmp_path)
    with pytest.raises(ValueError, match="eviction_policy"):
        Cache(tmp_path, eviction_policy="fifo")
    with pytest.raises(ValueError, match="disk_min_file_size"):
        Cache(tmp_path, disk_min_file_size=3)


def _diskcache(folder: Path, rows: list[tuple[Any, ...]]) -> None:
    """A database as diskcache 5 makes it."""
    folder.mkdir()
    with sqlite3.connect(folder / "cache.db") as connection:
        connection.execute(
            "CREATE TABLE Cache (rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER,"
            " store_time REAL, expire_time REAL, access_time REAL, access_count INTEGER DEFAULT 0,"
            " tag BLOB, size INTEGER DEFAULT 0, mode INTEGER DEFAULT 0, filename TEXT, value BLOB)"
        )
        connection.executemany(
            "INSERT INTO Cache (key, raw, expire_time, tag, mode, filename, value)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
    connection.close()


def test_import(tmp_path: Path, cache: Cache) -> None:
    soon = time.time() + 600
    (tmp_path / "old").parent.mkdir(exist_ok=True)
    _diskcache(
        tmp_path / "old",
        [
            ("s", 1, None, None, 1, None, "text"),
            (b"b", 1, soon, "tag", 1, None, b"bytes"),
            (7, 1, None, None, 1, None, 1.5),
            ("gone", 1, 5.0, None, 1, None, 1),
            ("file", 1, None, None, 3, "ab/cd.val", None),
        ],
    )
    (tmp_path / "old/ab").mkdir()
    (tmp_path / "old/ab/cd.val").write_text("a long text")
    assert import_cache(tmp_path / "old", cache) == (4, 1)
    assert cache["s"] == "text"
    assert cache[7] == 1.5
    assert cache["file"] == "a long text"
    value, when, tag = cache.get(b"b", expire_time=True, tag=True)
    assert (value, tag) == (b"bytes", "tag")
    assert abs(when - soon) < 0.01


def test_import_of_pickles_must_be_asked_for(tmp_path: Path, cache: Cache) -> None:
    _diskcache(
        tmp_path / "old",
        [
            ("plain", 1, None, None, 1, None, 1),
            ("k", 1, None, None, 4, None, pickle.dumps([1, 2])),
            (pickle.dumps(("a", 1)), 0, None, None, 1, None, 2),
        ],
    )
    with pytest.raises(libkv.UnsupportedError, match="2 entries .* are pickled"):
        import_cache(tmp_path / "old", cache)
    assert len(cache) == 0
    with Cache(tmp_path / "new", unsafe_codec=UnsafePickle()) as unsafe:
        assert import_cache(tmp_path / "old", unsafe, unsafe_codec=UnsafePickle()).entries == 3
        assert unsafe["k"] == [1, 2]
        assert unsafe[("a", 1)] == 2


def test_import_reads_no_file_outside(tmp_path: Path, cache: Cache) -> None:
    (tmp_path / "secret").write_text("secret")
    _diskcache(tmp_path / "old", [("k", 1, None, None, 3, "../secret", None)])
    with pytest.raises(ValueError, match="not in"):
        import_cache(tmp_path / "old", cache)
    with pytest.raises(ValueError, match=r"cache\.db is not there"):
        import_cache(tmp_path, cache)


def test_beside_the_real_one(tmp_path: Path, cache: Cache) -> None:
    diskcache = pytest.importorskip("diskcache")
    with diskcache.Cache(str(tmp_path / "real")) as real:
        # diskcache pickles what SQLite cannot hold, such as an int of over 64 bits.
        plain = [v for v in VALUES if type(v) in (bytes, str, int, float) and v != 2**70]
        for number, value in enumerate(plain):
            real.set(number, value, expire=600 if number % 2 else None, tag=f"t{number}")
        expected = {key: real.get(key, tag=True) for key in real}
    assert import_cache(tmp_path / "real", cache).entries == len(expected)
    assert {key: cache.get(key, tag=True) for key in cache} == expected
