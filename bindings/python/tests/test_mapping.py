"""A store is a MutableMapping, and iteration survives concurrent change."""

from __future__ import annotations

import threading
from collections.abc import ItemsView, KeysView, MutableMapping, ValuesView

import pytest

import libkv


def test_is_a_mutable_mapping(store: libkv.Store) -> None:
    assert isinstance(store, MutableMapping)
    match store:
        case {"absent": _}:
            pytest.fail("the key is absent")
        case {}:
            pass


def test_has_every_method_of_a_mutable_mapping() -> None:
    expected = {name for name in vars(dict) if hasattr(MutableMapping, name)}
    # Of a dict's, a mapping in general has neither order nor type arguments.
    missing = {name for name in expected if not hasattr(libkv.Store, name)}
    assert missing <= {"__class_getitem__", "__reversed__"}


def test_item_access(store: libkv.Store) -> None:
    store["k"] = "v"
    assert store["k"] == b"v"
    assert store[b"k"] == b"v"
    store["k"] = b"w"
    assert store["k"] == b"w"
    del store["k"]
    assert "k" not in store


def test_absent_keys_raise_key_error(store: libkv.Store) -> None:
    for call in (lambda: store["k"], lambda: store.__delitem__("k"), lambda: store.pop("k")):
        with pytest.raises(KeyError) as caught:
            call()
        assert isinstance(caught.value, libkv.NotFoundError)
        assert caught.value.args == ("k",)


def test_length_and_truth(store: libkv.Store) -> None:
    assert len(store) == 0
    assert store, "also an empty store is true"
    store.update(a="1", b="2")
    assert len(store) == 2


def test_iteration_gives_bytes(store: libkv.Store) -> None:
    store.update(a="1", b="2")
    assert sorted(store) == [b"a", b"b"]
    assert sorted(iter(store)) == [b"a", b"b"]
    iterator = iter(store)
    assert iter(iterator) is iterator


def test_views(store: libkv.Store) -> None:
    store.update(a="1", b="2")
    keys, items, values = store.keys(), store.items(), store.values()
    assert isinstance(keys, KeysView)
    assert isinstance(items, ItemsView)
    assert isinstance(values, ValuesView)
    assert keys == {b"a", b"b"}
    assert set(items) == {(b"a", b"1"), (b"b", b"2")}
    assert sorted(values) == [b"1", b"2"]
    assert b"a" in keys
    assert (b"a", b"1") in items
    assert (b"a", b"2") not in items
    assert (b"c", b"2") not in items
    assert b"2" in values
    assert b"3" not in values
    assert keys & {b"a", b"c"} == {b"a"}
    assert len(keys) == len(items) == len(values) == 2
    store["c"] = "3"
    assert len(keys) == 3, "a view is live"
    assert "3 entries" in repr(keys)


def test_pop(store: libkv.Store) -> None:
    store["k"] = "v"
    assert store.pop("k") == b"v"
    assert store.pop("k", None) is None
    assert store.pop("k", b"d") == b"d"
    assert len(store) == 0


def test_popitem(store: libkv.Store) -> None:
    store.update(a="1", b="2")
    assert {store.popitem(), store.popitem()} == {(b"a", b"1"), (b"b", b"2")}
    with pytest.raises(KeyError, match="empty"):
        store.popitem()


def test_setdefault(store: libkv.Store) -> None:
    assert store.setdefault("k", "v") == b"v"
    assert store.setdefault("k", "w") == b"v"
    assert store.setdefault("k") == b"v"
    with pytest.raises(TypeError, match="needs a value"):
        store.setdefault("absent")
    assert "absent" not in store


def test_update_takes_what_a_dict_takes(store: libkv.Store) -> None:
    class HasKeys:
        def keys(self) -> list[str]:
            return ["c"]

        def __getitem__(self, key: str) -> str:
            return key + "!"

    store.update()
    store.update({"a": b"1"})
    store.update([("b", b"2"), (b"b2", "22")], d="4")
    store.update(HasKeys())
    with libkv.open() as other:
        other["e"] = "5"
        store.update(other)
    assert store == {b"a": b"1", b"b": b"2", b"b2": b"22", b"c": b"c!", b"d": b"4", b"e": b"5"}


def test_update_refuses_what_is_no_pair(store: libkv.Store) -> None:
    with pytest.raises(ValueError, match="item 1 has length 3"):
        store.update([("a", b"1"), ("a", "b", "c")])  # type: ignore[list-item]
    assert store == {b"a": b"1"}, "pairs before the wrong one are stored"
    with pytest.raises(TypeError):
        store.update(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        store.update(None)  # type: ignore[arg-type]


def test_update_survives_a_dict_that_changes_meanwhile(store: libkv.Store) -> None:
    source: dict[str, object] = {str(number): b"v" for number in range(10)}

    class Changes(bytearray):
        pass

    source.update({"x": Changes(b"x")})
    store.update(source)  # type: ignore[arg-type]
    assert len(store) == 11


def test_clear(store: libkv.Store) -> None:
    store.update(a="1", b="2")
    store.clear()
    assert list(store) == []


def test_equality_is_that_of_mappings(store: libkv.Store) -> None:
    store["a"] = "1"
    assert store == {b"a": b"1"}
    assert store != {b"a": b"2"}
    assert store == store
    assert store != 5
    with libkv.open() as other:
        assert store != other
        other["a"] = "1"
        assert store == other
    with pytest.raises(TypeError, match="unhashable"):
        hash(store)


def test_not_reversible(store: libkv.Store) -> None:
    with pytest.raises(TypeError):
        reversed(store)  # type: ignore[call-overload]


def test_changing_while_iterating(store: libkv.Store) -> None:
    store.update({str(number): b"v" for number in range(1000)})
    for key in store:
        del store[key]
        store[key + b"+"] = b"v"
        if len(key) > 12:
            break
    for key, value in store.items():
        store.delete(key)
        assert value == b"v"


def test_entries_that_stay_come_exactly_once(store: libkv.Store) -> None:
    stable = {b"stay:%d" % number for number in range(2000)}
    store.update({key: b"v" for key in stable})
    stop = threading.Event()

    def churn() -> None:
        number = 0
        while not stop.is_set():
            store.set(b"go:%d" % (number % 500), b"v")
            store.delete(b"go:%d" % ((number * 7) % 500))
            number += 1

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(5):
            seen = [key for key in store if key.startswith(b"stay:")]
            assert len(seen) == len(stable)
            assert set(seen) == stable
            pairs = [key for key, _ in store.items() if key.startswith(b"stay:")]
            assert set(pairs) == stable
    finally:
        stop.set()
        thread.join()
