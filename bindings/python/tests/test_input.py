"""What counts as a key and as a value."""

from __future__ import annotations

import array
import mmap
from typing import Any

import pytest

import libkv


class Bytes(bytes):
    pass


class Text(str):
    pass


@pytest.mark.parametrize("key", [b"", b"\0", bytes(range(256)), b"k" * 65_535, Bytes(b"sub")])
def test_bytes_keys(store: libkv.Store, key: bytes) -> None:
    store[key] = "v"
    assert store[key] == b"v"
    assert list(store) == [bytes(key)]


@pytest.mark.parametrize("key", ["", "k", "ключ", "\N{SNOWMAN}\0", "\U0001f600", Text("sub")])
def test_text_keys_are_utf_8(store: libkv.Store, key: str) -> None:
    store[key] = "v"
    assert store[key.encode()] == b"v"
    assert key in store
    assert list(store) == [key.encode()]


CALLS: list[Any] = [
    lambda store, key: store[key],
    lambda store, key: store.__setitem__(key, "v"),
    lambda store, key: store.__delitem__(key),
    lambda store, key: key in store,
    lambda store, key: store.get(key),
    lambda store, key: store.get_many([key]),
    lambda store, key: store.entry(key),
    lambda store, key: store.set(key, "v"),
    lambda store, key: store.set_many([(key, "v")]),
    lambda store, key: store.delete(key),
    lambda store, key: store.take(key),
    lambda store, key: store.pop(key),
    lambda store, key: store.setdefault(key, "v"),
    lambda store, key: store.update([(key, "v")]),
    lambda store, key: store.incr(key),
    lambda store, key: store.append(key, "v"),
    lambda store, key: store.expire(key, 1),
    lambda store, key: store.expire_at(key, 1),
    lambda store, key: store.persist(key),
    lambda store, key: store.ttl(key),
]


@pytest.mark.parametrize("call", CALLS)
def test_other_keys_are_type_errors(store: libkv.Store, call: Any) -> None:
    for key in (1, None, bytearray(b"k"), memoryview(b"k"), ("k",)):
        with pytest.raises(TypeError, match=f"a key is bytes or str, not {type(key).__name__}"):
            call(store, key)
    assert len(store) == 0


@pytest.mark.parametrize("call", CALLS)
def test_a_key_that_is_no_text_is_refused(store: libkv.Store, call: Any) -> None:
    with pytest.raises(UnicodeEncodeError):
        call(store, "\ud800")
    assert len(store) == 0


@pytest.mark.parametrize("call", CALLS)
def test_too_long_a_key_is_refused(store: libkv.Store, call: Any) -> None:
    with pytest.raises(libkv.TooLargeError):
        call(store, b"k" * 65_536)
    assert len(store) == 0


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (b"", b""),
        (b"v\0w", b"v\0w"),
        (Bytes(b"sub"), b"sub"),
        ("", b""),
        ("größe", "größe".encode()),
        (Text("sub"), b"sub"),
        (bytearray(b"array"), b"array"),
        (memoryview(b"view")[1:], b"iew"),
        (memoryview(b"a-b-c-")[::2], b"abc"),
        (array.array("i", [1, 2]), array.array("i", [1, 2]).tobytes()),
        (memoryview(bytes(range(4))).cast("B", (2, 2)), bytes(range(4))),
    ],
)
def test_values(store: libkv.Store, value: Any, stored: bytes) -> None:
    store["k"] = value
    assert store["k"] == stored
    assert type(store["k"]) is bytes
    store.set("l", value)
    store.set_many({"m": value})
    assert store["l"] == store["m"] == stored
    store["n"] = b"<"
    store.append("n", value)
    assert store["n"] == b"<" + stored


@pytest.mark.parametrize("value", [1, None, 1.5, ["a"], [1, 2], object()])
def test_other_values_are_type_errors(store: libkv.Store, value: Any) -> None:
    for call in (
        lambda: store.set("k", value),
        lambda: store.__setitem__("k", value),
        lambda: store.append("k", value),
        lambda: store.setdefault("k", value),
        lambda: store.set_many({"k": value}),
        lambda: store.update({"k": value}),
    ):
        with pytest.raises(TypeError, match="value"):
            call()
    assert len(store) == 0


def test_a_value_is_copied(store: libkv.Store) -> None:
    buffer = bytearray(b"before")
    store["k"] = buffer
    buffer[:] = b"after!"
    assert store["k"] == b"before"
    buffer.clear()  # no export is left behind


def test_an_mmap_is_a_value(store: libkv.Store) -> None:
    with mmap.mmap(-1, 4096) as memory:
        memory[:5] = b"hello"
        store["k"] = memory
    assert store["k"][:5] == b"hello"
    assert len(store["k"]) == 4096


def test_large_values(store: libkv.Store) -> None:
    value = bytes(range(256)) * 40_000
    store["k"] = value
    assert store["k"] == value
    assert store.get("k") == value
    assert store.get_many(["k"]) == [value]
    entry = store.entry("k")
    assert entry is not None and entry.value == value
    assert store.take("k") == value


def test_value_limit() -> None:
    with libkv.open(max_value_bytes=10) as store:
        store["k"] = b"v" * 10
        with pytest.raises(libkv.TooLargeError):
            store["k"] = b"w" * 11
        assert store["k"] == b"v" * 10
