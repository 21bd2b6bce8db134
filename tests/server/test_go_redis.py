"""go-redis: the tests in `go/`, against a server of their own."""

from __future__ import annotations

import subprocess

from kv_server import ROOT, environment, running


def test_go_redis() -> None:
    with running(fronts=("resp",)) as server:
        # Without Go's cache of results, which knows nothing of the server.
        ended = subprocess.run(
            ["go", "test", "-mod=readonly", "-count=1", "./..."],
            cwd=ROOT / "tests/server/go",
            env=environment(KV_ADDRESS=f"127.0.0.1:{server.resp}"),
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
