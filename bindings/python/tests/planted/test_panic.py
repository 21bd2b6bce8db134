"""A bug in the engine is contained: needs a build with the feature planted-panics.

    maturin develop --features planted-panics && pytest tests/planted
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import libkv
from libkv import _native
from test_lifecycle import CALLS

plant_panic: Any = getattr(_native, "plant_panic")  # noqa: B009


@pytest.mark.parametrize("call", [*CALLS.values(), libkv.Store.close], ids=[*CALLS, "close"])
def test_a_panic_is_contained(call: Any) -> None:
    store = libkv.open()
    store.update(a="1", b="2")
    plant_panic()
    with pytest.raises(libkv.PanicError, match="planted by a test") as caught:
        call(store)
    assert isinstance(caught.value, Exception), "not a BaseException, as an escaping panic is"
    assert isinstance(caught.value, RuntimeError)
    writes: list[Callable[[], object]] = [
        lambda: store.set("c", "3"),
        lambda: store.delete("a"),
        lambda: store.clear(),
    ]
    for write in writes:
        with pytest.raises((libkv.PoisonedError, libkv.PanicError)):
            write()
    assert store["a"] == b"1", "reads still work"
    assert sorted(store) == [b"a", b"b"]
    store.close()
    with libkv.open() as another:
        another["k"] = "v"


def test_an_iterator_contains_a_panic() -> None:
    with libkv.open() as store:
        store["k"] = "v"
        iterator = iter(store)
        plant_panic()
        with pytest.raises(libkv.PanicError):
            next(iterator)
