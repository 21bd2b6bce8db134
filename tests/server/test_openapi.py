"""schemathesis: whether the server does what `/openapi.json` says of it, and nothing that it does not say."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

from kv_server import Server, environment

# The watch is a stream without an end, which it would wait for; kvserver/tests/http.rs has its tests.
WITHOUT_END = "/v1/watch"


def test_the_server_does_what_its_description_says(server: Server, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("schemathesis")
    ended = subprocess.run(
        [program, "run", f"{server.http}/openapi.json"]
        + ["--exclude-path", WITHOUT_END, "--seed", "1", "--generation-deterministic", "--max-examples", "15"]
        + ["--checks", "all", "--suppress-health-check", "all", "--no-color"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_path_of_the_description_is_there(server: Server) -> None:
    with urllib.request.urlopen(f"{server.http}/openapi.json") as answer:
        paths = json.load(answer)["paths"]
    for path in paths:
        if "{" not in path and path != WITHOUT_END and "get" in paths[path]:
            with urllib.request.urlopen(server.http + path) as answer:
                assert answer.status == 200, path
