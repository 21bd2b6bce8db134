"""open, configure and the Python forms of option values."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import libkv


@pytest.mark.parametrize("location", [None, ":memory:", "kv::memory:?max_entries=2"])
def test_open_in_memory(location: str | None) -> None:
    with libkv.open(location) as store:
        store["k"] = "v"
        assert store["k"] == b"v"


def test_options_in_the_location_win() -> None:
    with libkv.open("kv::memory:?max_entries=2", max_entries=1) as store:
        store.update(a="1", b="2")
        with pytest.raises(libkv.FullError):
            store["c"] = "3"


def test_a_directory_with_nothing_to_keep(tmp_path: Path) -> None:
    with libkv.open(tmp_path / "data", persistence="none") as store:
        store["k"] = "v"
    assert list(tmp_path.iterdir()) == []


def test_a_store_in_memory_keeps_nothing_on_disk() -> None:
    with pytest.raises(libkv.InvalidError, match="persistence"):
        libkv.open(persistence="wal")


def test_a_store_on_servers_has_no_limits_of_its_own() -> None:
    # It is refused before a server is asked.
    with pytest.raises(libkv.UnsupportedError, match="max_memory"):
        libkv.open("valkey://localhost:1", max_memory="1MiB")
    with pytest.raises(libkv.InvalidError, match="HOST:PORT"):
        libkv.open("valkey://localhost:no-port")


@pytest.mark.parametrize("path", [5, 1.5, ["a"]])
def test_what_is_no_path_is_a_type_error(path: Any) -> None:
    with pytest.raises(TypeError):
        libkv.open(path)


def test_an_unknown_option_names_the_nearest() -> None:
    with pytest.raises(libkv.UnsupportedError, match="max_memory"):
        libkv.open(max_memroy="1MiB")
    with pytest.raises(ValueError, match="max_entries"):
        libkv.open(max_entrees=1)


@pytest.mark.parametrize(
    "options",
    [
        {"max_memory": "lots"},
        {"max_entries": -1},
        {"max_entries": 1.5},
        {"shards": 3},
        {"default_ttl": -1},
        {"default_ttl": "5"},
        {"ttl_jitter": 1.5},
        {"ttl_jitter": "ten"},
        {"entry_stats": "maybe"},
        {"eviction": "oldest"},
    ],
)
def test_a_bad_value_names_the_option(options: dict[str, Any]) -> None:
    [name] = options
    with pytest.raises(libkv.InvalidError, match=name):
        libkv.open(**options)


@pytest.mark.parametrize("value", [None, b"1", [], object()])
def test_an_option_of_another_type_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match="max_entries"):
        libkv.open(max_entries=value)


@pytest.mark.parametrize(
    "ttl", ["1h", "3600s", 3600, 3600.0, timedelta(hours=1), timedelta(milliseconds=3_600_000)]
)
def test_durations(ttl: Any) -> None:
    with libkv.open(default_ttl=ttl) as store:
        store["k"] = "v"
        left = store.ttl("k")
        assert left is not None and 0 < left <= 3600


@pytest.mark.parametrize("ttl", [0, "0", timedelta(0), libkv.NEVER])
def test_no_default_ttl(ttl: Any) -> None:
    with libkv.open(default_ttl=ttl) as store:
        store["k"] = "v"
        assert store.ttl("k") is None


@pytest.mark.parametrize("share", [0.1, "10%", 0, "0"])
def test_shares(share: Any) -> None:
    with libkv.open(ttl_jitter=share) as store:
        store.set("k", "v", ttl=1000)
        left = store.ttl("k")
        assert left is not None and math.floor(left) >= 800


@pytest.mark.parametrize("size", [1 << 20, "1MiB", "1048576"])
def test_sizes(size: Any) -> None:
    with libkv.open(max_memory=size) as store, pytest.raises(libkv.FullError):
        for number in range(2000):
            store[str(number)] = b"v" * 1000


@pytest.mark.parametrize("flag", [True, "true", "on"])
def test_flags(flag: Any) -> None:
    with libkv.open(entry_stats=flag) as store:
        store["k"] = "v"
        entry = store.entry("k")
        assert entry is not None and entry.created_at is not None


def test_eviction_keeps_the_limit() -> None:
    with libkv.open(max_entries=100, eviction="random") as store:
        for number in range(1000):
            store[str(number)] = "v"
        assert len(store) <= 100
        assert store.stats().evicted >= 900


def test_configure(store: libkv.Store) -> None:
    store.configure("max_entries", 1)
    store["a"] = "1"
    with pytest.raises(libkv.FullError) as caught:
        store["b"] = "2"
    assert isinstance(caught.value, MemoryError)
    store.configure("default_ttl", timedelta(hours=1))
    store["a"] = "1"
    assert store.ttl("a") is not None


def test_configure_refuses(store: libkv.Store) -> None:
    with pytest.raises(libkv.UnsupportedError, match="shards"):
        store.configure("shards", 4)
    with pytest.raises(libkv.UnsupportedError, match="max_entries"):
        store.configure("max_entrys", 4)
    with pytest.raises(libkv.InvalidError, match="max_entries"):
        store.configure("max_entries", "many")
    with pytest.raises(TypeError):
        store.configure("max_entries", None)  # type: ignore[arg-type]
