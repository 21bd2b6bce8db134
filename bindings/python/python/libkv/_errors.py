"""The exceptions: one class for each status of the engine that can be raised.

Each derives from Error and from the built-in that fits, so that ``except KeyError`` and
``except libkv.Error`` both do what they say. The numbers are frozen; they are those of kv.h.
"""

from typing import ClassVar, Final


class Error(Exception):
    """Base of everything that libkv raises on its own account."""

    __module__ = "libkv"

    status: ClassVar[int]
    """The number of the status, the same on every surface."""

    status_name: ClassVar[str]
    """The name of the status in kv.h."""


class NotFoundError(Error, KeyError):
    """The key is absent or has expired. Its argument is the key."""

    __module__ = "libkv"
    status = 1
    status_name = "KV_NOT_FOUND"


class InvalidError(Error, ValueError):
    """An argument is wrong: fix it. Nothing changed."""

    __module__ = "libkv"
    status = -1
    status_name = "KV_ERR_INVALID"


class TooLargeError(Error, ValueError):
    """The key or the value is over its limit. Nothing changed."""

    __module__ = "libkv"
    status = -2
    status_name = "KV_ERR_TOO_LARGE"


class FullError(Error, MemoryError):
    """The store is at its limit and may not evict. Nothing changed."""

    __module__ = "libkv"
    status = -3
    status_name = "KV_ERR_FULL"


class WrongTypeError(Error, ValueError):
    """The value is no 64-bit integer, or the sum overflows. Nothing changed."""

    __module__ = "libkv"
    status = -4
    status_name = "KV_ERR_TYPE"


class NoSpaceError(Error, OSError):
    """The disk is full. Not applied; writes resume by themselves once there is room."""

    __module__ = "libkv"
    status = -5
    status_name = "KV_ERR_NO_SPACE"


class IoError(Error, OSError):
    """Input or output failed, and the outcome is unknown."""

    __module__ = "libkv"
    status = -6
    status_name = "KV_ERR_IO"


class CorruptError(Error, OSError):
    """A file is damaged."""

    __module__ = "libkv"
    status = -7
    status_name = "KV_ERR_CORRUPT"


class LockedError(Error, OSError):
    """Another opener holds the directory."""

    __module__ = "libkv"
    status = -8
    status_name = "KV_ERR_LOCKED"


class ClosedError(Error, ValueError):
    """The store was closed. A ValueError, as for a closed file."""

    __module__ = "libkv"
    status = -9
    status_name = "KV_ERR_CLOSED"


class PoisonedError(Error, RuntimeError):
    """An earlier failure stopped all writes: close and reopen. Reads still work."""

    __module__ = "libkv"
    status = -10
    status_name = "KV_ERR_POISONED"


class UnsupportedError(Error, ValueError, NotImplementedError):
    """An unknown option, or something this version or this backend does not offer."""

    __module__ = "libkv"
    status = -11
    status_name = "KV_ERR_UNSUPPORTED"


class ForkedError(Error, RuntimeError):
    """The store crossed os.fork: open a new one in the child."""

    __module__ = "libkv"
    status = -12
    status_name = "KV_ERR_FORKED"


class NoMemoryError(Error, MemoryError):
    """An allocation sized by the caller's data failed. Nothing changed."""

    __module__ = "libkv"
    status = -13
    status_name = "KV_ERR_NO_MEMORY"


class PanicError(Error, RuntimeError):
    """A bug in libkv was contained and the store is poisoned. Please report it."""

    __module__ = "libkv"
    status = -14
    status_name = "KV_ERR_PANIC"


class UnavailableError(Error, ConnectionError):
    """A remote store did not answer."""

    __module__ = "libkv"
    status = -15
    status_name = "KV_ERR_UNAVAILABLE"


class CrossSlotError(Error, ValueError):
    """A batch on a cluster names keys of several slots: use hash tags."""

    __module__ = "libkv"
    status = -16
    status_name = "KV_ERR_CROSS_SLOT"


class ConflictError(Error, RuntimeError):
    """A condition of a batch did not hold, or a restore came in the way of a scan. Nothing changed."""

    __module__ = "libkv"
    status = 3
    status_name = "KV_CONFLICT"

    def __init__(self, message: str, index: int | None = None) -> None:
        super().__init__(message) if index is None else super().__init__(message, index)
        self.index = index
        """Which change of the batch it was, counted from 0; None for a scan."""

    def __str__(self) -> str:
        return str(self.args[0])


class LaggedError(Error, RuntimeError):
    """A watch missed events; it goes on at revision."""

    __module__ = "libkv"
    status = 7
    status_name = "KV_LAGGED"

    def __init__(self, message: str, revision: int = 0, missed: int = 0) -> None:
        super().__init__(message, revision, missed)
        self.revision = revision
        self.missed = missed

    def __str__(self) -> str:
        return str(self.args[0])


CLASSES: Final[dict[int, type[Error]]] = {
    cls.status: cls
    for cls in (
        NotFoundError,
        InvalidError,
        TooLargeError,
        FullError,
        WrongTypeError,
        NoSpaceError,
        IoError,
        CorruptError,
        LockedError,
        ClosedError,
        PoisonedError,
        UnsupportedError,
        ForkedError,
        NoMemoryError,
        PanicError,
        UnavailableError,
        CrossSlotError,
        ConflictError,
    )
}
"""The class of each status number. The native module raises through this table."""
