"""The key of a call: the name of a function and its arguments as bytes.

Owns what `Store.memoize` and `libkv.compat.diskcache` use as keys where the caller gives none.
Calls that differ never share a key, calls that Python binds alike always do, and a key means the
same in another process: so only types whose text is exact and stable are taken, not whatever has a
repr.
"""

import hashlib
import inspect
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any
from uuid import UUID

_EXACT = frozenset({type(None), bool, int, float, complex, str, bytes, type(Ellipsis)})
_BY_REPR = (Decimal, Fraction, UUID, PurePath, date, time, timedelta)

_LONGEST = 256
"""Longer keys are replaced by their BLAKE2b hash, so that a long argument costs 32 bytes a key."""


class CallKey:
    """Makes the keys of one function's calls.

    `ignored` has the positions and the names of arguments that do not count; a name also means the
    position that it has.
    """

    __slots__ = ("_ignored", "_name", "_parameters", "_signature")

    def __init__(
        self, function: Callable[..., Any], name: str, ignored: frozenset[int | str] = frozenset()
    ) -> None:
        self._name = name
        self._signature = inspect.signature(function)
        parameters = self._signature.parameters.values()
        self._parameters = len(parameters)
        if any(it.kind in (it.VAR_POSITIONAL, it.KEYWORD_ONLY, it.VAR_KEYWORD) for it in parameters):
            # No call is known to be complete by its number of arguments alone.
            self._parameters = -1
        names = enumerate(self._signature.parameters)
        self._ignored = ignored | {position for position, name in names if name in ignored}

    def of_call(self, /, *args: Any, **kwargs: Any) -> bytes:
        """The key of a call.

        Raises TypeError for arguments that do not fit the function, and for one whose type has no
        stable text.
        """
        if kwargs or len(args) != self._parameters:
            bound = self._signature.bind(*args, **kwargs)
            bound.apply_defaults()
            args, kwargs = bound.args, bound.kwargs
        parts = [
            self._text(value, position)
            for position, value in enumerate(args)
            if position not in self._ignored
        ]
        parts += [
            f"{name}={self._text(value, name)}"
            for name, value in sorted(kwargs.items())
            if name not in self._ignored
        ]
        key = f"{self._name}({','.join(parts)})".encode("utf-8", "surrogatepass")
        if len(key) <= _LONGEST:
            return key
        return f"{self._name}#{hashlib.blake2b(key, digest_size=32).hexdigest()}".encode()

    def _text(self, value: Any, where: int | str) -> str:
        try:
            return _text_of(value)
        except TypeError as error:
            raise TypeError(
                f"{self._name}: argument {where!r}: {error}; say how by key=, a function of the same"
                " arguments that returns bytes or str"
            ) from None


def _text_of(value: Any) -> str:
    kind = type(value)
    if kind in _EXACT:
        return repr(value)
    if kind is tuple:
        return f"({','.join(map(_text_of, value))},)"
    if kind is list:
        return f"[{','.join(map(_text_of, value))}]"
    if kind in (set, frozenset):
        return f"{kind.__name__}({','.join(sorted(map(_text_of, value)))})"
    if kind is dict:
        pairs = sorted((_text_of(k), _text_of(v)) for k, v in value.items())
        return "{" + ",".join(f"{k}:{v}" for k, v in pairs) + "}"
    if isinstance(value, Enum):
        return f"{kind.__module__}.{kind.__qualname__}.{value.name}"
    if kind is datetime and value.tzinfo is not None:
        # The repr of a time zone may be anything.
        return f"datetime({value.isoformat()},{value.fold})"
    if isinstance(value, _BY_REPR) and kind.__module__ in _STANDARD:
        return repr(value)
    raise TypeError(f"no key can be made of a {kind.__module__}.{kind.__qualname__}")


_STANDARD = frozenset({"datetime", "decimal", "fractions", "pathlib", "pathlib._local", "uuid"})
