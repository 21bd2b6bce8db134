"""Codecs: how Python objects become the bytes of a store, and bytes objects again.

A codec is any object with ``encode(value) -> bytes`` and ``decode(data) -> value``; the ones here
have names, which ``Store.view`` and ``Store.memoize`` take as well.

========== ============================================================================
name       what it carries
========== ============================================================================
"bytes"    bytes, and as values any object with a buffer
"str"      str, as UTF-8
"json"     None, bool, int, float, str, and lists and dicts of them
"msgpack"  the same and bytes, smaller and faster; needs the package ``msgpack``
========== ============================================================================

Pickle is not among the names: to load a pickle is to run the code that it names, so that whoever
can write to a file or a store can run code in the process that reads it. `UnsafePickle` is there
for data that nobody else can write.
"""

import importlib
import json
import pickle
from typing import Any, Protocol, TypeVar, cast

from libkv._errors import UnsupportedError

__all__ = ["Bytes", "Codec", "Json", "JsonKeys", "Msgpack", "Str", "UnsafePickle"]

_T = TypeVar("_T")


class Codec(Protocol[_T]):
    """What turns objects into bytes and back: ``decode(encode(x)) == x``.

    A codec of keys must also give equal keys equal bytes.
    """

    def encode(self, value: _T, /) -> bytes:
        """The bytes of a value. Raises TypeError or ValueError for one that it cannot carry."""
        ...

    def decode(self, data: bytes, /) -> _T:
        """The value of bytes that encode gave."""
        ...


class _Named:
    """A codec without settings: it prints as its class."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"libkv.codecs.{type(self).__name__}()"


class Bytes(_Named):
    """Bytes as they are."""

    __slots__ = ()

    def encode(self, value: bytes, /) -> bytes:
        """The bytes themselves, copied from the buffer of another object."""
        if isinstance(value, bytes):
            return value
        if isinstance(value, str):
            raise TypeError("the codec 'bytes' takes bytes, not str: use the codec 'str'")
        return bytes(memoryview(value))

    def decode(self, data: bytes, /) -> bytes:
        """The bytes themselves."""
        return data


class Str(_Named):
    """Text as UTF-8."""

    __slots__ = ()

    def encode(self, value: str, /) -> bytes:
        """UTF-8. Raises TypeError for what is no str."""
        if not isinstance(value, str):
            raise TypeError(f"the codec 'str' takes str, not {type(value).__name__}")
        return value.encode()

    def decode(self, data: bytes, /) -> str:
        """Raises UnicodeDecodeError for bytes that are no UTF-8."""
        return data.decode()


class Json(_Named):
    """JSON without spaces, as UTF-8. Tuples come back as lists, keys of dicts as str."""

    __slots__ = ()

    def encode(self, value: Any, /) -> bytes:
        """Raises TypeError for a type that JSON has not, ValueError for nan and infinity."""
        return json.dumps(
            value, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()

    def decode(self, data: bytes, /) -> Any:
        """Raises ValueError for bytes that are no JSON."""
        return json.loads(data)


class JsonKeys(_Named):
    """JSON for keys: str, int, float, bool, None and tuples of them. Tuples stay tuples.

    Keys that are equal have the same bytes, as a dict would have it: 1, 1.0 and True are one key,
    and come back as 1.
    """

    __slots__ = ()

    def encode(self, value: Any, /) -> bytes:
        """Raises TypeError for a type that is no key here, ValueError for nan and infinity."""
        return Json().encode(_plain_key(value))

    def decode(self, data: bytes, /) -> Any:
        """Raises ValueError for bytes that are no JSON."""
        return _hashable(json.loads(data))


def _plain_key(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, tuple):
        return [_plain_key(part) for part in value]
    raise TypeError(
        "keys of the codec 'json' are str, int, float, bool, None and tuples of them,"
        f" not {type(value).__name__}"
    )


def _hashable(value: Any) -> Any:
    return tuple(_hashable(part) for part in value) if isinstance(value, list) else value


class Msgpack(_Named):
    """MessagePack, by the package ``msgpack``. Tuples come back as lists."""

    __slots__ = ("_pack", "_unpack")

    def __init__(self) -> None:
        try:
            msgpack = importlib.import_module("msgpack")
        except ImportError:
            raise UnsupportedError(
                "the codec 'msgpack' needs the package msgpack: pip install msgpack"
            ) from None
        self._pack = msgpack.packb
        self._unpack = msgpack.unpackb

    def encode(self, value: Any, /) -> bytes:
        """Raises TypeError for a type that MessagePack has not, OverflowError for a huge int."""
        return cast("bytes", self._pack(value))

    def decode(self, data: bytes, /) -> Any:
        """Raises ValueError for bytes that are no MessagePack."""
        return self._unpack(data, strict_map_key=False)


class UnsafePickle:
    """Pickle: any object, and UNSAFE: decoding runs whatever code the data names.

    Use it only for a store whose files nobody else can write. As a codec of keys it is not
    reliable, since equal objects may have different pickles.
    """

    __slots__ = ("_protocol",)

    def __init__(self, protocol: int = pickle.HIGHEST_PROTOCOL) -> None:
        self._protocol = protocol

    def __repr__(self) -> str:
        return f"libkv.codecs.UnsafePickle({self._protocol})"

    def encode(self, value: Any, /) -> bytes:
        """Raises pickle.PicklingError, TypeError or AttributeError for what has no pickle."""
        return pickle.dumps(value, self._protocol)

    def decode(self, data: bytes, /) -> Any:
        """Runs the code that the data names."""
        return pickle.loads(data)


_NAMED: dict[str, type[Codec[Any]]] = {
    "bytes": Bytes,
    "str": Str,
    "json": Json,
    "msgpack": Msgpack,
}


def named(codec: str | Codec[Any], *, of_keys: bool = False) -> Codec[Any]:
    """The codec that is meant by a name or given as an object.

    Raises UnsupportedError (a ValueError) for an unknown name, TypeError for an object that cannot
    encode and decode.
    """
    if isinstance(codec, str):
        if codec == "json" and of_keys:
            return JsonKeys()
        if codec in _NAMED:
            return _NAMED[codec]()
        known = ", ".join(f"'{name}'" for name in _NAMED)
        hint = (
            ": pickle runs the code that its data names, so it must be asked for by"
            " libkv.codecs.UnsafePickle()"
            if "pickle" in codec.lower()
            else ""
        )
        raise UnsupportedError(f"there is no codec '{codec}' (known: {known}){hint}")
    if callable(getattr(codec, "encode", None)) and callable(getattr(codec, "decode", None)):
        return codec
    raise TypeError(f"a codec is a name or has encode and decode; {codec!r} has not")
