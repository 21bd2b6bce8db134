"""libkv through ctypes: libkv.so and kv.h alone, no package, no compiler.

    python ctypes_quickstart.py [path of libkv.so]

Without a path the library is found as the system finds it (LD_LIBRARY_PATH, ldconfig). The
prototypes below are those of kv.h; a store may be used from any number of threads.
"""

from __future__ import annotations

import ctypes as c
import sys

KV_OK = 0
KV_NOT_FOUND = 1
KV_SHORT_BUFFER = 6
KV_TTL_DEFAULT = 0
KV_IF_ABSENT = 1
KV_EXISTS = 2


class SetOptions(c.Structure):
    """kv_set_options_t. The library reads struct_size to tell this layout from later ones."""

    _fields_ = (
        ("struct_size", c.c_size_t),
        ("ttl_ms", c.c_int64),
        ("expire_at_ms", c.c_int64),
        ("version", c.c_uint64),
        ("condition", c.c_int32),
        ("reserved", c.c_int32),
    )


class Span(c.Structure):
    """kv_span_t: where a value lies in the buffer of kv_get_packed."""

    _fields_ = (("offset", c.c_size_t), ("len", c.c_size_t))


KV_SPAN_NONE = c.c_size_t(-1).value


def packed(strings: list[bytes]) -> tuple[bytes, c.Array[c.c_size_t]]:
    """Strings as the packed calls take them: one behind the other, and their lengths."""
    return b"".join(strings), (c.c_size_t * len(strings))(*map(len, strings))


def load(path: str) -> c.CDLL:
    """Opens the library and tells ctypes the types of the functions used here."""
    lib = c.CDLL(path)
    store, key = c.c_void_p, (c.c_char_p, c.c_size_t)
    value = (c.c_char_p, c.c_size_t)
    lens, spans = c.POINTER(c.c_size_t), c.POINTER(Span)
    prototypes = {
        "kv_version": (c.c_char_p, ()),
        "kv_status_message": (c.c_char_p, (c.c_int32,)),
        "kv_error_message": (c.c_char_p, (c.c_void_p,)),
        "kv_error_free": (None, (c.c_void_p,)),
        "kv_options_new": (c.c_void_p, ()),
        "kv_options_set": (c.c_int32, (c.c_void_p, c.c_char_p, c.c_char_p, c.c_void_p)),
        "kv_options_free": (None, (c.c_void_p,)),
        "kv_open": (c.c_int32, (c.c_char_p, c.c_void_p, c.c_void_p, c.c_void_p)),
        "kv_close": (c.c_int32, (store, c.c_void_p)),
        "kv_set": (c.c_int32, (store, *key, *value, c.c_int64)),
        "kv_set_with": (c.c_int32, (store, *key, *value, c.c_void_p, c.c_void_p)),
        "kv_get_into": (c.c_int32, (store, *key, c.c_void_p, c.c_size_t, c.c_void_p)),
        "kv_del": (c.c_int32, (store, *key)),
        "kv_get_packed": (
            c.c_int32,
            (store, c.c_char_p, lens, c.c_size_t)
            + (c.c_void_p, c.c_size_t, spans, c.c_void_p, c.c_void_p),
        ),
        "kv_set_packed": (
            c.c_int32,
            (store, c.c_char_p, lens, c.c_char_p, lens, c.c_size_t, c.c_int64, c.c_void_p),
        ),
        "kv_del_packed": (
            c.c_int32,
            (store, c.c_char_p, lens, c.c_size_t, c.c_void_p, c.c_void_p),
        ),
        "kv_incr": (c.c_int32, (store, *key, c.c_int64, c.c_int64, c.c_void_p)),
        "kv_ttl": (c.c_int32, (store, *key, c.c_void_p)),
        "kv_len": (c.c_int32, (store, c.c_void_p)),
    }
    for name, (result, arguments) in prototypes.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


class Store:
    """The few calls that this example needs, as a class."""

    def __init__(self, lib: c.CDLL, **options: str) -> None:
        self.lib = lib
        self.handle = c.c_void_p()
        chosen = lib.kv_options_new()
        error = c.c_void_p()
        try:
            for name, text in options.items():
                status = lib.kv_options_set(chosen, name.encode(), text.encode(), c.byref(error))
                self.check(status, error)
            self.check(lib.kv_open(None, chosen, c.byref(self.handle), c.byref(error)), error)
        finally:
            lib.kv_options_free(chosen)

    def check(self, status: int, error: c.c_void_p | None = None) -> int:
        """Raises for a negative status; zero and positive ones are outcomes."""
        if status >= 0:
            return status
        message = self.lib.kv_status_message(status)
        if error:
            message = self.lib.kv_error_message(error)
            self.lib.kv_error_free(error)
        raise RuntimeError(message.decode())

    def set(self, key: bytes, value: bytes, ttl_ms: int = KV_TTL_DEFAULT) -> None:
        self.check(self.lib.kv_set(self.handle, key, len(key), value, len(value), ttl_ms))

    def add(self, key: bytes, value: bytes) -> bool:
        """Stores a value if the key is absent."""
        options = SetOptions(struct_size=c.sizeof(SetOptions), condition=KV_IF_ABSENT)
        status = self.lib.kv_set_with(
            self.handle, key, len(key), value, len(value), c.byref(options), None
        )
        return self.check(status) != KV_EXISTS

    def get(self, key: bytes) -> bytes | None:
        buffer, length = c.create_string_buffer(256), c.c_size_t()
        while True:
            status = self.check(
                self.lib.kv_get_into(
                    self.handle, key, len(key), buffer, len(buffer), c.byref(length)
                )
            )
            if status == KV_NOT_FOUND:
                return None
            if status == KV_OK:
                return buffer.raw[: length.value]
            assert status == KV_SHORT_BUFFER
            buffer = c.create_string_buffer(length.value)

    def set_many(self, pairs: dict[bytes, bytes], ttl_ms: int = KV_TTL_DEFAULT) -> None:
        """Stores all or nothing, in one call."""
        keys, values = packed(list(pairs)), packed(list(pairs.values()))
        error = c.c_void_p()
        self.check(
            self.lib.kv_set_packed(
                self.handle, *keys, *values, len(pairs), ttl_ms, c.byref(error)
            ),
            error,
        )

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        """Reads all in one call, or in two if the values need more room than there is."""
        spans, needed = (Span * len(keys))(), c.c_size_t(4096)
        status = KV_SHORT_BUFFER
        while status == KV_SHORT_BUFFER:
            buffer, error = c.create_string_buffer(needed.value), c.c_void_p()
            status = self.lib.kv_get_packed(
                self.handle,
                *packed(keys),
                len(keys),
                buffer,
                len(buffer),
                spans,
                c.byref(needed),
                c.byref(error),
            )
            self.check(status, error)
        values = buffer.raw
        return [
            None if at.len == KV_SPAN_NONE else values[at.offset : at.offset + at.len]
            for at in spans
        ]

    def delete_many(self, keys: list[bytes]) -> int:
        """Tells how many there were."""
        count, error = c.c_uint64(), c.c_void_p()
        self.check(
            self.lib.kv_del_packed(
                self.handle, *packed(keys), len(keys), c.byref(count), c.byref(error)
            ),
            error,
        )
        return count.value

    def delete(self, key: bytes) -> bool:
        return self.check(self.lib.kv_del(self.handle, key, len(key))) == KV_OK

    def incr(self, key: bytes, delta: int) -> int:
        number = c.c_int64()
        self.check(
            self.lib.kv_incr(self.handle, key, len(key), delta, KV_TTL_DEFAULT, c.byref(number))
        )
        return number.value

    def ttl_ms(self, key: bytes) -> int | None:
        left = c.c_int64()
        status = self.check(self.lib.kv_ttl(self.handle, key, len(key), c.byref(left)))
        return left.value if status == KV_OK else None

    def __len__(self) -> int:
        count = c.c_uint64()
        self.check(self.lib.kv_len(self.handle, c.byref(count)))
        return count.value

    def close(self) -> None:
        handle, self.handle = self.handle, c.c_void_p()
        self.check(self.lib.kv_close(handle, None))


def main() -> None:
    lib = load(sys.argv[1] if len(sys.argv) > 1 else "libkv.so.0")
    store = Store(lib, max_memory="64MiB", eviction="random")

    store.set(b"user:1", b"Ada")
    assert store.get(b"user:1") == b"Ada"
    assert store.get(b"user:2") is None

    store.set(b"large", b"x" * 100_000)
    assert store.get(b"large") == b"x" * 100_000

    store.set(b"session", b"token", 300_000)
    left = store.ttl_ms(b"session")
    assert left is not None and 0 < left <= 300_000

    assert not store.add(b"user:1", b"Eve"), "it is there already"
    assert store.incr(b"visits", 42) == 42
    assert store.delete(b"large")

    store.set_many({b"page:%d" % number: b"<p>%d</p>" % number for number in range(1000)}, 60_000)
    pages = store.get_many([b"page:%d" % number for number in range(1001)])
    assert pages[999] == b"<p>999</p>" and pages[1000] is None
    assert store.delete_many([b"page:%d" % number for number in range(1001)]) == 1000
    print(f"libkv {lib.kv_version().decode()}: {len(store)} entries")

    try:
        Store(lib, max_memroy="64MiB")
    except RuntimeError as error:
        print("refused:", error)
    store.close()


if __name__ == "__main__":
    main()
