"""schemathesis: whether the server does what `/openapi.json` says of it, and nothing that it does not say."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

from kv_server import ROOT, Server, environment

# The watch is a stream without an end, which it would wait for; kvserver/tests/http.rs has its tests.
WITHOUT_END = "/v1/watch"
FOLDER = ROOT / "tests/server"


def test_the_server_does_what_its_description_says(server: Server, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("schemathesis")
    ended = subprocess.run(
        [program, "--config-file", FOLDER / "schemathesis.toml", "run", f"{server.http}/openapi.json"]
        # The same requests each time, and a few hundred of them.
        + ["--exclude-path", WITHOUT_END, "--generation-deterministic", "--max-examples", "8"]
        + ["--checks", "all", "--suppress-health-check", "all", "--no-color"],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(FOLDER), SCHEMATHESIS_HOOKS="openapi_hooks"),
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
