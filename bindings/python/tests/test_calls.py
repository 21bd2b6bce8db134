"""The calls on one key beyond those of a dict."""

from __future__ import annotations

import pytest

import libkv


def test_get(store: libkv.Store) -> None:
    store["k"] = "v"
    assert store.get("k") == b"v"
    assert store.get(key="k", default=b"d") == b"v"
    assert store.get("absent") is None
    assert store.get("absent", 5) == 5
    assert store.get("absent", default="d") == "d"


def test_set_returns_rising_versions(store: libkv.Store) -> None:
    first = store.set("a", "1")
    second = store.set("b", "1")
    third = store.set("a", "2")
    assert first is not None and second is not None and third is not None
    assert first < second < third


def test_set_if_absent(store: libkv.Store) -> None:
    assert store.set("k", "1", if_absent=True) is not None
    assert store.set("k", "2", if_absent=True) is None
    assert store["k"] == b"1"


def test_set_if_present(store: libkv.Store) -> None:
    assert store.set("k", "1", if_present=True) is None
    assert "k" not in store
    store["k"] = "1"
    assert store.set("k", "2", if_present=True) is not None
    assert store["k"] == b"2"


def test_set_if_version(store: libkv.Store) -> None:
    version = store.set("k", "1")
    assert version is not None
    assert store.set("k", "2", if_version=version + 1) is None
    newer = store.set("k", "3", if_version=version)
    assert newer is not None and newer > version
    assert store.set("absent", "1", if_version=version) is None


@pytest.mark.parametrize(
    "keywords",
    [
        {"if_absent": True, "if_present": True},
        {"if_absent": True, "if_version": 1},
        {"if_present": True, "if_version": 1},
        {"ttl": 1, "expire_at": 4e9},
        {"ttl": 1, "keep_ttl": True},
        {"expire_at": 4e9, "keep_ttl": True},
        {"ttl": 0},
        {"ttl": -1},
        {"ttl": -0.001},
    ],
)
def test_set_refuses_contradictions(store: libkv.Store, keywords: dict[str, object]) -> None:
    store["k"] = "before"
    with pytest.raises(ValueError) as caught:
        store.set("k", "after", **keywords)  # type: ignore[arg-type]
    assert isinstance(caught.value, libkv.InvalidError)
    assert store["k"] == b"before"


def test_set_with_conditions_that_are_off(store: libkv.Store) -> None:
    assert store.set("k", "v", if_absent=False, if_present=False, if_version=None, ttl=None)
    assert store.set("k", "v", keep_ttl=False, if_absent=True) is None


def test_entry(store: libkv.Store) -> None:
    assert store.entry("k") is None
    version = store.set("k", "v")
    entry = store.entry("k")
    assert entry is not None
    assert entry == libkv.Entry(b"v", version or 0, None, None, 0)
    assert entry.value == b"v" and entry.version == version
    store.set("k", "v", expire_at=4_000_000_000.125)
    entry = store.entry("k")
    assert entry is not None and entry.expire_at == 4_000_000_000.125


def test_entry_stats() -> None:
    with libkv.open(entry_stats=True) as store:
        store["k"] = "v"
        assert store.get("k") == b"v"
        entry = store.entry("k")
        assert entry is not None
        assert entry.created_at is not None and entry.created_at > 1.6e9
        assert entry.hits >= 1


def test_delete(store: libkv.Store) -> None:
    store["k"] = "v"
    assert store.delete("k") is True
    assert store.delete("k") is False


def test_take(store: libkv.Store) -> None:
    store["k"] = "v"
    assert store.take("k") == b"v"
    assert store.take("k") is None
    assert store.take("k", default="d") == "d"


def test_incr(store: libkv.Store) -> None:
    assert store.incr("n") == 1
    assert store.incr("n", 41) == 42
    assert store.incr("n", delta=-2) == 40
    assert store["n"] == b"40"
    store["text"] = "forty"
    with pytest.raises(libkv.WrongTypeError):
        store.incr("text")
    with pytest.raises(ValueError):
        store.incr("n", 2**63 - 1)
    with pytest.raises(OverflowError):
        store.incr("n", 2**63)
    assert store["n"] == b"40"
    assert store["text"] == b"forty"


def test_incr_ttl(store: libkv.Store) -> None:
    store.incr("n", ttl="1h")
    left = store.ttl("n")
    assert left is not None and 0 < left <= 3600
    store.incr("n")
    assert store.ttl("n") is not None
    store.incr("n", ttl=libkv.NEVER)
    assert store.ttl("n") is None
    with pytest.raises(ValueError):
        store.incr("n", ttl=0)


def test_append(store: libkv.Store) -> None:
    assert store.append("k", "ab") == 2
    assert store.append("k", bytearray(b"cd")) == 4
    assert store["k"] == b"abcd"


def test_unknown_arguments_are_refused(store: libkv.Store) -> None:
    with pytest.raises(TypeError, match="tll"):
        store.set("k", "v", tll=5)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        store.set("k", "v", 5)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        store.get()  # type: ignore[call-overload]
    assert len(store) == 0
