"""libkv: an embedded key-value store with exact TTLs, used as a dict.

>>> import libkv
>>> with libkv.open(max_memory="64MiB") as store:
...     version = store.set("session", "token", ttl="5m")
...     store["session"]
b'token'
"""

from collections.abc import MutableMapping
from typing import Any as _Any
from typing import cast as _cast

from libkv import codecs
from libkv._errors import (
    ClosedError,
    ConflictError,
    CorruptError,
    CrossSlotError,
    Error,
    ForkedError,
    FullError,
    InvalidError,
    IoError,
    LaggedError,
    LockedError,
    NoMemoryError,
    NoSpaceError,
    NotFoundError,
    PanicError,
    PoisonedError,
    TooLargeError,
    UnavailableError,
    UnsupportedError,
    WrongTypeError,
)
from libkv._native import NEVER, Batch, NeverType, Scan, Store, __version__, open, salvage, verify
from libkv._records import (
    BatchResult,
    Capabilities,
    Entry,
    Event,
    Finding,
    Latency,
    Recovery,
    SalvageReport,
    Snapshot,
    Stats,
    VerifyReport,
    ViewEntry,
)
from libkv._types import Memoized, Ttl
from libkv._view import View, ViewBatch
from libkv._watch import Watch

# A type checker may take the abstract class for a protocol, which nobody registers with.
_cast(_Any, MutableMapping).register(Store)

__all__ = [
    "NEVER",
    "Batch",
    "BatchResult",
    "Capabilities",
    "ClosedError",
    "ConflictError",
    "CorruptError",
    "CrossSlotError",
    "Entry",
    "Error",
    "Event",
    "Finding",
    "ForkedError",
    "FullError",
    "InvalidError",
    "IoError",
    "LaggedError",
    "Latency",
    "LockedError",
    "Memoized",
    "NeverType",
    "NoMemoryError",
    "NoSpaceError",
    "NotFoundError",
    "PanicError",
    "PoisonedError",
    "Recovery",
    "SalvageReport",
    "Scan",
    "Snapshot",
    "Stats",
    "Store",
    "TooLargeError",
    "Ttl",
    "UnavailableError",
    "UnsupportedError",
    "VerifyReport",
    "View",
    "ViewBatch",
    "ViewEntry",
    "Watch",
    "WrongTypeError",
    "__version__",
    "codecs",
    "open",
    "salvage",
    "verify",
]
