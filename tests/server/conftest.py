"""Fixtures that the tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kv_server import Server, run, running


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    """One server for all tests that need nothing of their own: each finds it empty."""
    with running() as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Server:
    """The server that the tests share, emptied."""
    assert run(["redis-cli", "-p", str(shared_server.resp), "flushall"]) == "OK\n"
    return shared_server
