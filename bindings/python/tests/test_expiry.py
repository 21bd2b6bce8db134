"""TTLs and deadlines in all their forms."""

from __future__ import annotations

import copy
import pickle
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

import pytest

import libkv

FAR = 4_000_000_000
"""A deadline that no test reaches."""


def deadline_ms(store: libkv.Store, key: str) -> int:
    entry = store.entry(key)
    assert entry is not None and entry.expire_at is not None
    return round(entry.expire_at * 1000)


@pytest.mark.parametrize(
    ("ttl", "ms"),
    [
        (600, 600_000),
        (600.0, 600_000),
        (599.9999999, 600_000),
        (timedelta(minutes=10), 600_000),
        (timedelta(days=30), 30 * 86_400_000),
        ("10m", 600_000),
        ("600s", 600_000),
        ("600000ms", 600_000),
        ("6h", 6 * 3_600_000),
        (Fraction(1200, 2), 600_000),
    ],
)
def test_ttl_forms(store: libkv.Store, ttl: Any, ms: int) -> None:
    # One clock, read by the store before and after: the machine may stop between two lines.
    store.set("before", "v", ttl=timedelta(milliseconds=ms))
    store.set("k", "v", ttl=ttl)
    store.set("after", "v", ttl=timedelta(milliseconds=ms))
    assert deadline_ms(store, "before") <= deadline_ms(store, "k") <= deadline_ms(store, "after")


def test_ttl_is_seconds_as_float(store: libkv.Store) -> None:
    store.set("k", "v", ttl=3600)
    left = store.ttl("k")
    assert isinstance(left, float)
    assert 0 < left <= 3600


def test_ttl_of_other_keys(store: libkv.Store) -> None:
    store["k"] = "v"
    assert store.ttl("k") is None
    with pytest.raises(KeyError):
        store.ttl("absent")


@pytest.mark.parametrize("ttl", [libkv.NEVER, 10**30, 1e300, float("inf"), timedelta.max])
def test_never(store: libkv.Store, ttl: Any) -> None:
    store.set("k", "v", ttl=ttl)
    left = store.ttl("k")
    assert left is None or left > 1e10


def test_never_is_one_object() -> None:
    assert repr(libkv.NEVER) == "libkv.NEVER"
    assert isinstance(libkv.NEVER, libkv.NeverType)
    assert copy.deepcopy(libkv.NEVER) is libkv.NEVER
    assert pickle.loads(pickle.dumps(libkv.NEVER)) is libkv.NEVER
    with pytest.raises(TypeError):
        libkv.NeverType()


def test_never_beats_the_default_ttl() -> None:
    with libkv.open(default_ttl="1h") as store:
        store["a"] = "v"
        store.set("b", "v", ttl=libkv.NEVER)
        assert store.ttl("a") is not None
        assert store.ttl("b") is None


@pytest.mark.parametrize("ttl", [0, 0.0, -1, -0.5, -(10**30), float("-inf"), timedelta(0), "0"])
def test_zero_or_less_is_refused_in_writes(store: libkv.Store, ttl: Any) -> None:
    calls: list[Callable[[], object]] = [
        lambda: store.set("k", "v", ttl=ttl),
        lambda: store.set_many({"k": "v"}, ttl=ttl),
        lambda: store.incr("k", ttl=ttl),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="must be positive"):
            call()
    assert "k" not in store


@pytest.mark.parametrize("ttl", [0, 0.0, -1, -0.5, -(10**30), float("-inf"), timedelta(-1), "0ms"])
def test_zero_or_less_is_gone_at_once_in_expire(store: libkv.Store, ttl: Any) -> None:
    store["k"] = "v"
    assert store.expire("k", ttl) is True
    assert "k" not in store
    assert store.expire("k", ttl) is False


@pytest.mark.parametrize("ttl", ["", "5", "5 m", "-1s", "1.5s", "5w", "m", "soon", float("nan")])
def test_what_is_no_duration_is_a_value_error(store: libkv.Store, ttl: Any) -> None:
    store["k"] = "v"
    with pytest.raises(libkv.InvalidError):
        store.set("k", "w", ttl=ttl)
    with pytest.raises(ValueError):
        store.expire("k", ttl)
    assert store.ttl("k") is None


@pytest.mark.parametrize("ttl", [True, b"5m", [], object(), datetime.now(UTC), 1j])
def test_what_is_no_ttl_is_a_type_error(store: libkv.Store, ttl: Any) -> None:
    with pytest.raises(TypeError, match="a ttl is"):
        store.set("k", "v", ttl=ttl)
    assert "k" not in store


def test_fractions_of_a_deadline_round_down_to_a_millisecond(store: libkv.Store) -> None:
    # FAR + 0.07 is a little less than that in binary, and must still be 70 ms.
    for fraction, ms in ((0.07, 70), (0.069, 69), (0.0691, 69), (0.0699, 69)):
        store.set("k", "v", expire_at=FAR + fraction)
        entry = store.entry("k")
        assert entry is not None and entry.expire_at is not None
        assert round(entry.expire_at * 1000) == round(FAR * 1000) + ms


def test_a_tiny_ttl_is_a_ttl(store: libkv.Store) -> None:
    assert store.set("k", "v", ttl=1e-12) is not None
    assert store.set("k", "v", ttl=timedelta(microseconds=1)) is not None


def test_an_expired_entry_is_not_seen(store: libkv.Store) -> None:
    store.set("k", "v", ttl=0.001)
    time.sleep(0.05)
    assert store.get("k") is None
    assert "k" not in store
    assert list(store.items()) == []
    assert store.entry("k") is None
    with pytest.raises(KeyError):
        store["k"]


def test_expire_and_persist(store: libkv.Store) -> None:
    store["k"] = "v"
    assert store.expire("k", "1h") is True
    assert store.ttl("k") is not None
    assert store.persist("k") is True
    assert store.ttl("k") is None
    assert store.expire("k", 3600) is True
    assert store.expire("k", libkv.NEVER) is True
    assert store.ttl("k") is None
    assert store.expire("absent", 1) is False
    assert store.persist("absent") is False


WHEN = datetime(2096, 10, 2, 7, 6, 40, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "when",
    [
        WHEN,
        WHEN.astimezone(timezone(timedelta(hours=-7))),
        WHEN.timestamp(),
        FAR + 0.25,
    ],
)
def test_expire_at_forms(store: libkv.Store, when: Any) -> None:
    store["k"] = "v"
    assert store.expire_at("k", when) is True
    assert store.set("l", "v", expire_at=when) is not None
    for key in ("k", "l"):
        entry = store.entry(key)
        assert entry is not None and entry.expire_at == WHEN.timestamp()


def test_expire_at_whole_seconds(store: libkv.Store) -> None:
    store.set("k", "v", expire_at=FAR)
    entry = store.entry("k")
    assert entry is not None and entry.expire_at == FAR


def test_an_entry_s_deadline_can_be_given_back(store: libkv.Store) -> None:
    store.set("a", "v", ttl=12345.678)
    entry = store.entry("a")
    assert entry is not None
    store.set("b", "v", expire_at=entry.expire_at)
    copied = store.entry("b")
    assert copied is not None and copied.expire_at == entry.expire_at


def test_naive_datetimes_are_refused(store: libkv.Store) -> None:
    store["k"] = "v"
    naive = datetime(2096, 1, 1)
    calls: list[Callable[[], object]] = [
        lambda: store.expire_at("k", naive),
        lambda: store.set("k", "w", expire_at=naive),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="time zone"):
            call()
    assert store["k"] == b"v"
    assert store.ttl("k") is None


@pytest.mark.parametrize("when", [True, "2096-01-01", None, timedelta(1), WHEN.date()])
def test_what_is_no_time_is_a_type_error(store: libkv.Store, when: Any) -> None:
    with pytest.raises(TypeError, match="expire_at is"):
        store.expire_at("k", when)


def test_a_past_deadline_removes(store: libkv.Store) -> None:
    store["k"] = "v"
    assert store.expire_at("k", 1) is True
    assert "k" not in store
    store["k"] = "v"
    assert store.expire_at("k", datetime(1999, 1, 1, tzinfo=UTC)) is True
    assert "k" not in store
    store["k"] = "v"
    assert store.set("k", "w", expire_at=1) is not None
    assert "k" not in store


def test_keep_ttl(store: libkv.Store) -> None:
    store.set("k", "v", expire_at=FAR)
    store.set("k", "w", keep_ttl=True)
    entry = store.entry("k")
    assert entry is not None and entry.value == b"w" and entry.expire_at == FAR
    store.set("k", "x")
    assert store.ttl("k") is None


def test_purge_expired() -> None:
    with libkv.open(cleanup_interval="1h") as store:
        store["stays"] = "v"
        store.set_many({str(number): "v" for number in range(100)}, ttl=0.001)
        time.sleep(0.05)
        # A write may have freed some of them before.
        assert 0 <= store.purge_expired() <= 100
        assert store.purge_expired() == 0
        assert store.stats().expired == 100
        assert len(store) == 1
        assert list(store) == [b"stays"]
