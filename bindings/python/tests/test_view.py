"""Views: a store through codecs."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest

import libkv
from libkv import codecs

# Some distributions of Python come without its tests.
mapping_tests: Any = pytest.importorskip("test.mapping_tests")


class ViewMapping(mapping_tests.BasicTestMappingProtocol):  # type: ignore[misc]
    """The mapping protocol of Python's own tests, on a view that can carry their values."""

    __test__ = False
    type2test = libkv.View

    def setUp(self) -> None:
        self.stores: list[libkv.Store] = []

    def tearDown(self) -> None:
        for store in self.stores:
            store.close()

    def _view(self) -> libkv.View[Any, Any]:
        self.stores.append(libkv.open())
        return self.stores[-1].view(keys="json", values=codecs.UnsafePickle())

    def _empty_mapping(self) -> libkv.View[Any, Any]:
        return self._view()

    def _full_mapping(self, data: dict[Any, Any]) -> libkv.View[Any, Any]:
        view = self._view()
        view.update(data)
        return view


class TestViewMapping(ViewMapping):
    __test__ = True


class TestStrView(ViewMapping):
    """The same with text alone."""

    __test__ = True

    def _view(self) -> libkv.View[Any, Any]:
        self.stores.append(libkv.open())
        return self.stores[-1].view(keys="str", values="json")

    def _reference(self) -> dict[Any, Any]:
        return {"1": "2", "key1": "value1", "key2": [1, 2, 3]}


def test_a_view_is_live_and_holds_nothing(store: libkv.Store) -> None:
    view = store.view(keys="str", values="json")
    store["k"] = b'{"a":[1,2.5,null]}'
    assert view["k"] == {"a": [1, 2.5, None]}
    view["m"] = ["ä"]
    assert store["m"] == '["ä"]'.encode()
    assert view.store is store
    assert not store.view(keys="str", values="json") == {}
    store.clear()
    assert not view
    assert view == {}


def test_calls_of_a_store(store: libkv.Store) -> None:
    view = store.view(keys="str", values="json")
    version = view.set("k", [1], ttl="5m")
    assert version is not None
    assert view.set("k", [2], if_absent=True) is None
    entry = view.entry("k")
    assert entry is not None
    assert (entry.value, entry.version) == ([1], version)
    left = view.ttl("k")
    assert left is not None and 299 < left <= 300
    assert view.persist("k")
    assert view.ttl("k") is None
    assert view.expire("k", 60)
    assert view.expire_at("k", datetime.now(UTC).timestamp() + 5)
    assert view.take("k") == [1]
    assert view.take("k", "none") == "none"
    view.set_many({"a": 1, "b": 2}, ttl=60)
    view.set_many([("c", 3)])
    assert view.get_many(["a", "x", "c"]) == [1, None, 3]
    assert view.delete_many(["a", "x"]) == 1
    assert view.setdefault("d", 4) == 4
    assert view.setdefault("d", 5) == 4
    assert view.entry("x") is None
    for call in (view.ttl, view.__delitem__, view.__getitem__):
        with pytest.raises(KeyError) as caught:
            call("x")
        assert caught.value.args == ("x",), "the key as it was given, not as bytes"


def test_json_keys_are_equal_as_in_a_dict(store: libkv.Store) -> None:
    view = store.view(keys="json", values="bytes")
    for key in (1, "1", (1, "a"), None, 1.5):
        view[key] = repr(key).encode()
    assert set(view) == {1, "1", (1, "a"), None, 1.5}
    assert view[1.0] == view[True] == b"1"
    assert [1] not in view
    with pytest.raises(TypeError, match="keys of the codec 'json'"):
        view[[1]] = b""


def test_codecs_by_name(store: libkv.Store) -> None:
    as_bytes = store.view(keys="bytes", values="bytes")
    as_bytes[b"k"] = bytearray(b"v")  # type: ignore[assignment]
    assert as_bytes[b"k"] == b"v"
    with pytest.raises(TypeError, match="use the codec 'str'"):
        as_bytes["k"]  # type: ignore[index]
    with pytest.raises(TypeError, match="takes str, not int"):
        store.view(keys="str", values="str")["k"] = 1  # type: ignore[assignment]
    with pytest.raises(ValueError, match="known: 'bytes', 'str', 'json', 'msgpack'"):
        store.view(keys="str", values="yaml")  # type: ignore[call-overload]
    with pytest.raises(libkv.UnsupportedError, match="UnsafePickle"):
        store.view(keys="str", values="pickle")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="encode and decode"):
        store.view(keys="str", values=3)  # type: ignore[call-overload]


def test_msgpack(store: libkv.Store) -> None:
    try:
        view = store.view(keys="str", values="msgpack")
    except libkv.UnsupportedError as error:
        assert "pip install msgpack" in str(error)
        return
    view["k"] = {"a": b"b", 1: [None, 2.5]}
    assert view["k"] == {"a": b"b", 1: [None, 2.5]}


def test_a_codec_of_ones_own(store: libkv.Store) -> None:
    class Hex:
        def encode(self, value: int, /) -> bytes:
            return f"{value:x}".encode()

        def decode(self, data: bytes, /) -> int:
            return int(data, 16)

    view = store.view(keys=Hex(), values=Hex())
    view[255] = 16
    assert store[b"ff"] == b"10"
    assert dict(view.items()) == {255: 16}
    assert list(view.values()) == [16]
    assert 16 in view.values()


def test_iteration_survives_change(store: libkv.Store) -> None:
    view = store.view(keys="json", values="json")
    view.set_many({n: n for n in range(2000)})
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            for n in range(0, 2000, 2):
                view.pop(n, None)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(5):
            seen = {key for key, value in view.items() if key == value}
            assert seen >= set(range(1, 2000, 2))
    finally:
        stop.set()
        thread.join()


def test_reprs(store: libkv.Store) -> None:
    view = store.view(keys="str", values=codecs.UnsafePickle(5))
    text = repr(view)
    assert "libkv.View" in text and "':memory:'" in text
    assert "Str()" in text and "UnsafePickle(5)" in text
    assert repr(view.items()).endswith(".items()")


def test_path(store: libkv.Store, tmp_path: Any) -> None:
    assert store.path is None
    with libkv.open(tmp_path / "data") as on_disk:
        assert on_disk.path == str(tmp_path / "data")
    assert on_disk.path == str(tmp_path / "data")
    with libkv.open(f"kv:{tmp_path / 'data'}?sync=never") as on_disk:
        assert on_disk.path == str(tmp_path / "data")
