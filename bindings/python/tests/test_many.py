"""get_many, set_many and delete_many."""

from __future__ import annotations

from typing import Any

import pytest

import libkv

SIZES = [0, 1, 31, 32, 33, 255, 256, 257, 5000]
"""On both sides of the numbers of keys from which the GIL is released, and more than a stretch."""


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
    with pytest.raises(TypeError):
        store.delete_many(keys)


@pytest.mark.parametrize("size", SIZES)
def test_get_many_of_values_of_all_lengths(store: libkv.Store, size: int) -> None:
    lengths = [0, 1, 100, 16384, 16385, 100_000]
    pairs = [(b"k%d" % number, b"x" * lengths[number % 6]) for number in range(min(size, 600))]
    store.set_many(pairs)
    keys = [key for key, _ in pairs] + [b"gone"]
    expected = [value for _, value in pairs] + [None]
    assert store.get_many(keys) == expected
    assert store.get_many(keys * 3) == expected * 3


@pytest.mark.parametrize("size", SIZES)
def test_get_many_and_delete_many_refuse_a_long_key(size: int) -> None:
    with libkv.open(max_key_bytes=8) as store:
        pairs = [(b"k%d" % number, b"v") for number in range(size)]
        store.set_many(pairs)
        keys = [key for key, _ in pairs] + [b"123456789"]
        with pytest.raises(libkv.TooLargeError):
            store.get_many(keys)
        with pytest.raises(libkv.TooLargeError):
            store.delete_many(keys)
        with pytest.raises(TypeError):
            store.delete_many([*keys[:-1], 5])  # type: ignore[list-item]
        assert len(store) == size


@pytest.mark.parametrize("size", SIZES)
def test_delete_many(store: libkv.Store, size: int) -> None:
    pairs = [(b"k%d" % number, b"v") for number in range(size)]
    store.set_many([*pairs, ("stays", "v")])
    keys = [key for key, _ in pairs]
    assert store.delete_many([*keys, b"gone", *keys]) == size
    assert store.delete_many(key for key in keys) == 0
    assert store == {b"stays": b"v"}


def test_values_of_get_many_are_ordinary_objects(store: libkv.Store) -> None:
    store["a"] = "1"
    for count in (1, 1000):
        values = store.get_many(["a", "gone"] * count)
        assert type(values) is list and all(type(value) is bytes for value in values[::2])
        values.append(None)
        values[0] = b"mine"
        assert store["a"] == b"1"


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
