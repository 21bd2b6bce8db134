"""Where the cases run: in this process, or on a server that the environment names.

Owns: ``KV_AT`` and ``KV_SERVERS``, as tests/conformance/README.md explains them, and which features a store has there.
"""

from __future__ import annotations

import os

import libkv
from case_files import NOT_IN_PYTHON

AT = os.environ.get("KV_AT")
"""The server that the cases run on, or None."""

SERVERS = dict(word.split("=", 1) for word in os.environ.get("KV_SERVERS", "").split())
"""The servers that cases about servers name, and where they are."""


def not_here() -> frozenset[str]:
    """The features that a store has not at this place."""
    missing = set(NOT_IN_PYTHON)
    if not SERVERS:
        missing.add("servers")
    if AT is None:
        return frozenset(missing)
    with libkv.open(AT) as store:
        can = store.capabilities()
    features = {
        "versions": can.versions,
        "del_if": can.versions,
        "order": can.ordered_scans,
        "moment": can.exact_scans,
        "watch": can.watches,
        "history": can.watch_history,
        "files": can.snapshots,
        "directory": can.snapshots,
        "engine": can.eviction,
        # Such a case says itself where its store is.
        "location": False,
    }
    return frozenset(missing | {feature for feature, has in features.items() if not has})


NOT_HERE = not_here()


def filled(text: str) -> str:
    """A location with the names of servers filled in."""
    for name, place in SERVERS.items():
        text = text.replace(f"{{{name}}}", place)
    return text
