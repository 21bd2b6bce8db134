"""Batches: all or nothing, results, and what is told when. What changes do is in the cases of all surfaces."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import libkv


def test_the_end_of_the_block_writes(store: libkv.Store) -> None:
    store.update(gone="1", dated="2")
    with store.batch() as batch:
        batch.set("user:1", "Ada", ttl="5m")
        batch.set(b"user:2", bytearray(b"Eve"))
        batch.delete("gone")
        batch.delete("absent")
        batch.expire("dated", timedelta(minutes=5))
        assert len(batch) == 5
        assert "user:1" not in store, "nothing is written before the end"
    assert batch.result is not None
    assert batch.result == (4, 1)
    assert batch.result._fields == ("applied", "missing")
    assert store == {b"user:1": b"Ada", b"user:2": b"Eve", b"dated": b"2"}
    for key in ("user:1", "dated"):
        assert 0 < (store.ttl(key) or 0) <= 300


def test_an_exception_in_the_block_applies_nothing(store: libkv.Store) -> None:
    with pytest.raises(ZeroDivisionError), store.batch() as batch:
        batch.set("a", "1")
        batch.set("b", str(1 // 0))
    assert len(store) == len(batch) == 0
    assert batch.result is None
    assert batch.write() == (0, 0)


def test_without_a_block(store: libkv.Store) -> None:
    batch = store.batch()
    assert batch.result is None
    batch.set("a", "1")
    result = batch.write()
    assert isinstance(result, libkv.BatchResult) and result == (1, 0)
    assert len(batch) == 0 and batch.result == result, "it is empty, and can be filled again"
    batch.delete("a")
    batch.clear()
    assert batch.write() == (0, 0)
    assert store["a"] == b"1"


def test_a_condition_that_does_not_hold_raises(store: libkv.Store) -> None:
    store["lock"] = "held"
    with pytest.raises(libkv.ConflictError, match="change 1 of the batch") as caught, store.batch() as batch:
        batch.set("a", "1")
        batch.set("lock", "mine", if_absent=True)
    assert caught.value.index == 1
    assert isinstance(caught.value, RuntimeError)
    assert store == {b"lock": b"held"}
    assert len(batch) == 2, "it can be tried again"
    del store["lock"]
    assert batch.write() == (2, 0)
    assert store["lock"] == b"mine"


def test_conditions_on_versions(store: libkv.Store) -> None:
    first = store.set("k", "1")
    with store.batch() as batch:
        batch.set("k", "2", if_version=first)
    with pytest.raises(libkv.ConflictError), store.batch() as batch:
        batch.set("k", "3", if_version=first)
    assert store["k"] == b"2"


def test_deadlines(store: libkv.Store) -> None:
    when = datetime.now(UTC) + timedelta(hours=1)
    store.set("kept", "1", expire_at=when)
    with store.batch() as batch:
        batch.set("kept", "2", keep_ttl=True)
        batch.set("at", "3", expire_at=when.timestamp())
        batch.set("later", "4")
        batch.expire_at("later", when)
        batch.set("ever", "5", ttl=5)
        batch.expire("ever", libkv.NEVER)
        batch.set("over", "6")
        batch.expire("over", -1)
    deadlines = {key: entry.expire_at for key in store if (entry := store.entry(key))}
    at = int(when.timestamp() * 1000) / 1000
    assert deadlines == {b"kept": at, b"at": at, b"later": at, b"ever": None}


REFUSED: dict[str, tuple[type[Exception], Any]] = {
    "key": (TypeError, lambda batch: batch.set(1, "v")),
    "value": (TypeError, lambda batch: batch.set("k", 1)),
    "ttl": (libkv.InvalidError, lambda batch: batch.set("k", "v", ttl=0)),
    "two deadlines": (libkv.InvalidError, lambda batch: batch.set("k", "v", ttl=1, keep_ttl=True)),
    "two conditions": (
        libkv.InvalidError,
        lambda batch: batch.set("k", "v", if_absent=True, if_present=True),
    ),
    "naive": (libkv.InvalidError, lambda batch: batch.expire_at("k", datetime(2030, 1, 1))),
    "no duration": (libkv.InvalidError, lambda batch: batch.expire("k", "soon")),
}


@pytest.mark.parametrize(("error", "call"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_told_at_once(store: libkv.Store, error: Any, call: Any) -> None:
    batch = store.batch()
    with pytest.raises(error):
        call(batch)
    assert len(batch) == 0


def test_limits_hold_for_all_changes_together(store: libkv.Store) -> None:
    store.configure("max_entries", 2)
    batch = store.batch()
    for key in "abc":
        batch.set(key, "v")
    with pytest.raises(libkv.FullError):
        batch.write()
    assert len(store) == 0 and len(batch) == 3
    store.configure("max_entries", 3)
    assert batch.write() == (3, 0)


def test_a_batch_of_a_directory_is_there_again(tmp_path: Path) -> None:
    with libkv.open(tmp_path, sync="always") as store, store.batch() as batch:
        batch.set("a", "1")
        batch.set("b", "x" * 100_000)
    with libkv.open(tmp_path) as store:
        assert store == {b"a": b"1", b"b": b"x" * 100_000}


def test_a_batch_of_a_closed_store() -> None:
    store = libkv.open()
    batch = store.batch()
    batch.set("a", "1")
    store.close()
    with pytest.raises(libkv.ClosedError):
        batch.write()
    with pytest.raises(libkv.ClosedError):
        store.batch()


def test_watches_see_a_batch_as_a_whole(store: libkv.Store) -> None:
    watch = store.watch()
    with store.batch() as batch:
        batch.set("a", "1")
        batch.set("b", "2")
        assert watch.next(0) is None
    assert {(next(watch).key, next(watch).key)} <= {(b"a", b"b"), (b"b", b"a")}
    assert watch.next(0) is None


def test_a_batch_of_a_view(store: libkv.Store) -> None:
    view = store.view(keys="str", values="json")
    view["gone"] = None
    with view.batch() as batch:
        batch.set("user", {"name": "Ada"}, ttl=300, if_absent=True)
        batch.set("dated", [])
        batch.delete("gone")
        batch.expire("user", 600)
        batch.expire_at("dated", 4e9)
        assert len(batch) == 5 and "keys=libkv.codecs.Str()" in repr(batch)
    assert batch.result == (5, 0)
    assert view.copy() == {"user": {"name": "Ada"}, "dated": []}
    batch.delete("user")
    batch.clear()
    assert batch.write() == (0, 0)
    with pytest.raises(TypeError):
        batch.set("user", object())
    with pytest.raises(ZeroDivisionError), view.batch() as batch:
        batch.delete("user")
        raise ZeroDivisionError
    assert "user" in view


def test_repr(store: libkv.Store) -> None:
    batch = store.batch()
    assert repr(batch) == "<libkv.Batch of 0 changes>"
    batch.delete("k")
    assert repr(batch) == "<libkv.Batch of 1 change>"


def test_a_batch_is_made_by_a_store_alone() -> None:
    with pytest.raises(TypeError):
        libkv.Batch()
