"""Types that several signatures share."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, ParamSpec, Protocol, TypeAlias, TypeVar

from libkv._native import NeverType

_P = ParamSpec("_P")
_R_co = TypeVar("_R_co", covariant=True)

Ttl: TypeAlias = float | timedelta | str | NeverType
"""How long: seconds, a timedelta, text such as "5m", or libkv.NEVER."""


class Memoized(Protocol[_P, _R_co]):
    """A function or a coroutine function whose results are kept in a store."""

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R_co:
        """The kept result, or what the function returns now."""
        ...

    def __get__(self, instance: Any, owner: type | None = None, /) -> Callable[..., _R_co]:
        """A method of an object, which becomes the first argument."""
        ...

    def refresh(self, *args: _P.args, **kwargs: _P.kwargs) -> _R_co:
        """Call the function now, keep its result in the place of an older one, and return it."""
        ...

    def forget(self, *args: _P.args, **kwargs: _P.kwargs) -> bool:
        """Remove the result of these arguments. Returns whether there was one."""
        ...

    def cache_key(self, *args: _P.args, **kwargs: _P.kwargs) -> bytes:
        """The key in the store under which the result of these arguments is kept."""
        ...
