"""One exception class for each status."""

from __future__ import annotations

import pickle

import pytest

import libkv
from libkv import _native
from libkv._errors import CLASSES


def test_every_error_status_has_its_class() -> None:
    errors = {code: name for code, name, _ in _native.STATUSES if code < 0}
    errors[1] = "KV_NOT_FOUND"
    errors[3] = "KV_CONFLICT"
    assert {code: cls.status_name for code, cls in CLASSES.items()} == errors
    assert len({cls for cls in CLASSES.values()}) == len(errors)


@pytest.mark.parametrize("cls", CLASSES.values())
def test_class(cls: type[libkv.Error]) -> None:
    assert issubclass(cls, libkv.Error)
    builtin = [base for base in cls.__bases__ if base.__module__ == "builtins"]
    assert builtin, "it derives from the fitting built-in too"
    assert getattr(libkv, cls.__name__) is cls
    assert cls.__name__ in libkv.__all__
    assert cls.__module__ == "libkv"
    assert cls.__doc__
    copied = pickle.loads(pickle.dumps(cls("what", "more")))
    assert type(copied) is cls and copied.args == cls("what", "more").args


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (libkv.NotFoundError, KeyError),
        (libkv.InvalidError, ValueError),
        (libkv.FullError, MemoryError),
        (libkv.LockedError, OSError),
        (libkv.CorruptError, OSError),
        (libkv.ClosedError, ValueError),
        (libkv.UnsupportedError, ValueError),
        (libkv.UnsupportedError, NotImplementedError),
        (libkv.ForkedError, RuntimeError),
        (libkv.UnavailableError, ConnectionError),
    ],
)
def test_built_in(cls: type[libkv.Error], builtin: type[Exception]) -> None:
    assert issubclass(cls, builtin)


def test_the_message_says_what_to_do(store: libkv.Store) -> None:
    store.configure("max_entries", 1)
    store["a"] = "1"
    with pytest.raises(libkv.FullError, match="max_entries") as caught:
        store["b"] = "2"
    assert caught.value.status == -3
    assert caught.value.status_name == "KV_ERR_FULL"


def test_a_failing_buffer_is_no_error_of_libkv(store: libkv.Store) -> None:
    view = memoryview(b"gone")
    view.release()
    with pytest.raises(ValueError, match="released"):
        store["k"] = view
    assert "k" not in store
