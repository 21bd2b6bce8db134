"""The commands that docs/http.md and docs/server.md print."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from kv_server import PATIENCE_SECONDS, Server, environment, program, running
from shell_blocks import blocks, section_blocks, typed


def test_the_commands_on_http_work(server: Server, tmp_path: Path) -> None:
    printed = typed(blocks("docs/http.md"), server, tmp_path)
    assert "etag: " in printed and "kv-ttl-ms: " in printed and "\nhello" in printed
    assert '{"applied":1,"missing":2}' in printed


def test_the_commands_on_the_redis_protocol_work(server: Server, tmp_path: Path) -> None:
    assert typed("".join(section_blocks("docs/server.md")), server, tmp_path) == "OK\n"


def test_the_commands_on_tls_work(tmp_path: Path) -> None:
    authority, clients, ada = section_blocks("docs/server.md", "TLS")
    certificates = "".join(before_the_server(block) for block in [authority, ada])
    command = ["bash", "-euo", "pipefail", "-c", certificates]
    subprocess.run(command, cwd=tmp_path, env=environment(), check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    own = ["--tls-cert-file", str(tmp_path / "server.pem"), "--tls-key-file", str(tmp_path / "server.key")]
    path = f"{Path(program()).parent}:{os.environ['PATH']}"
    with running(*own) as server:
        # The README's commands are where grpcurl is tried.
        without = re.sub(r"^grpcurl .*\n", "", clients, flags=re.MULTILINE)
        assert typed(without, server, tmp_path, PATH=path) == "OK\nhellohello\n"
    with running(*own, "--tls-client-ca-file", str(tmp_path / "ca.pem")) as server:
        assert typed(ada.split("kv-server ")[1].split("\n", 1)[1], server, tmp_path) == "PONG\n"


def before_the_server(block: str) -> str:
    """What is typed before the server is started."""
    return block.split("kv-server --")[0]
