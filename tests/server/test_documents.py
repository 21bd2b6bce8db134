"""The commands that docs/http.md and docs/server.md print."""

from __future__ import annotations

from pathlib import Path

from kv_server import Server
from shell_blocks import blocks, typed


def test_the_commands_on_http_work(server: Server, tmp_path: Path) -> None:
    printed = typed(blocks("docs/http.md"), server, tmp_path)
    assert "etag: " in printed and "kv-ttl-ms: " in printed and "\nhello" in printed
    assert '{"applied":1,"missing":2}' in printed


def test_the_commands_on_the_redis_protocol_work(server: Server, tmp_path: Path) -> None:
    assert typed(blocks("docs/server.md"), server, tmp_path) == "OK\n"
