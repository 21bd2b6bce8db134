"""The server's quickstart in README.md, typed word by word, and the commands of docs/grpc.md.

`cargo xtask quickstart server` runs this alone, since grpcurl is built for it.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from kv_server import ROOT, program, running
from shell_blocks import blocks, marked, typed


def search_path() -> str:
    """Where the shell finds `kv` and `grpcurl`."""
    return os.pathsep.join([str(Path(program("KV_CLI")).parent), program("KV_GO_BIN"), os.environ["PATH"]])


def test_the_quickstart_prints_what_the_readme_says(tmp_path: Path) -> None:
    start = re.search(r"^kv-server (--.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert start is not None, "README.md does not say how the server is started"
    flags = [flag.replace("./", f"{tmp_path}/") for flag in shlex.split(start[1])]
    with running(*flags) as server:
        assert typed(marked("quickstart", "server"), server, tmp_path, PATH=search_path()) == marked("output", "server")


def test_the_commands_on_grpc_work(tmp_path: Path) -> None:
    with running() as server:
        printed = typed(blocks("docs/grpc.md"), server, tmp_path, PATH=search_path())
    for service in ("kv.v1.KeyValue", "kvstore.KeyValueStore", "grpc.health.v1.Health"):
        assert f"{service}\n" in printed
    assert '"success": true' in printed
