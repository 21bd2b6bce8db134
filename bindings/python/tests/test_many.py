"""get_many and set_many."""

from __future__ import annotations

from typing import Any

import pytest

import libkv

SIZES = [0, 1, 31, 32, 33, 5000]
"""On both sides of the number of keys from which the GIL is released."""


@pytest.mark.parametrize("size", SIZES)
def test_round_trip(store: libkv.Store, size: int) -> None:
    pairs: dict[bytes, bytes] = {b"k%d" % number: b"v%d" % number for number in range(size)}
    store.set_many(pairs)
    assert store == pairs
    keys = list(pairs)
    assert store.get_many(keys) == list(pairs.values())
    holes = [key for pair in zip(keys, (b"-" + key for key in keys), strict=True) for key in pair]
    expected = [each for value in pairs.values() for each in (value, None)]
    assert store.get_many(holes) == expected


def test_get_many_takes_any_iterable_of_keys(store: libkv.Store) -> None:
    store.update(a="1", b="2")
    assert store.get_many(("a", b"b")) == [b"1", b"2"]
    assert store.get_many(key for key in "ab") == [b"1", b"2"]
    assert store.get_many({"a": 1}) == [b"1"]
    assert store.get_many(["a", "a", "c"]) == [b"1", b"1", None]
    assert store.get_many([]) == []


@pytest.mark.parametrize("keys", ["ab", b"ab", 5, None])
def test_get_many_refuses_one_key(store: libkv.Store, keys: Any) -> None:
    with pytest.raises(TypeError):
        store.get_many(keys)


def test_set_many_takes_pairs(store: libkv.Store) -> None:
    store.set_many([("a", "1"), (b"b", bytearray(b"2")), ["c", b"3"]])  # type: ignore[list-item]
    store.set_many((key, key) for key in ("d", "e"))
    assert store == {b"a": b"1", b"b": b"2", b"c": b"3", b"d": b"d", b"e": b"e"}


def test_the_later_of_two_equal_keys_wins(store: libkv.Store) -> None:
    store.set_many([("a", "1"), (b"a", "2")])
    assert store == {b"a": b"2"}


def test_set_many_ttl(store: libkv.Store) -> None:
    store["a"] = "0"
    store.set_many({"a": "1", "b": "2"}, ttl="1h")
    for key in ("a", "b"):
        left = store.ttl(key)
        assert left is not None and 0 < left <= 3600
    store.set_many({"a": "1", "b": "2"})
    assert store.ttl("a") is None


@pytest.mark.parametrize("size", SIZES)
def test_set_many_stores_all_or_nothing(size: int) -> None:
    with libkv.open(max_value_bytes=10) as store:
        store["k0"] = "before"
        pairs = [(f"k{number}", "v") for number in range(size)]
        with pytest.raises(libkv.TooLargeError):
            store.set_many([*pairs, ("last", "v" * 11)])
        with pytest.raises(TypeError):
            store.set_many([*pairs, ("last", 5)])  # type: ignore[list-item]
        with pytest.raises(ValueError):
            store.set_many(pairs, ttl=0)
        assert store == {b"k0": b"before"}


def test_set_many_into_a_full_store() -> None:
    with libkv.open(max_entries=5) as store:
        store.update(a="1", b="2")
        with pytest.raises(libkv.FullError):
            store.set_many({str(number): "v" for number in range(4)})
        assert store == {b"a": b"1", b"b": b"2"}
