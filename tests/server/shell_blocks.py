"""The shell commands that the documentation prints, as somebody types them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from kv_server import PATIENCE_SECONDS, ROOT, Server, environment

# What starts or installs the server is the test's own doing.
NOT_TYPED = re.compile(r"^(kv-server|cargo|cd|openssl|docker) .*\n", re.MULTILINE)


def marked(kind: str, label: str) -> str:
    """The block of README.md behind a marker."""
    text = (ROOT / "README.md").read_text()
    found = re.search(rf"<!-- {kind}: {label} -->\n+```\w*\n(.*?)```", text, re.DOTALL)
    assert found is not None, f"README.md has no block marked <!-- {kind}: {label} -->"
    return found[1]


def section_blocks(document: str, heading: str | None = None) -> list[str]:
    """The blocks of shell commands behind a heading, or before the first one."""
    sections = re.split(r"^## (.*)\n", (ROOT / document).read_text(), flags=re.MULTILINE)
    text = sections[0] if heading is None else sections[sections.index(heading) + 1]
    return re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def blocks(document: str) -> str:
    """All shell commands of a document."""
    text = (ROOT / document).read_text()
    return "".join(re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE))


def typed(commands: str, server: Server, directory: Path, **variables: str) -> str:
    """What commands print, with the ports of this server in the place of the usual ones."""
    commands = NOT_TYPED.sub("", commands)
    usual = {"6379": server.resp, "8080": server.ports["http"], "50051": server.ports["grpc"]}
    for port, own in usual.items():
        commands = commands.replace(f"localhost:{port}", f"localhost:{own}")
    # A failure is one here, and what a person at a terminal does not see is not printed.
    preamble = f"""
        redis-cli() {{ command redis-cli -p {server.resp} "$@"; }}
        curl() {{ command curl --fail-with-body --silent --show-error "$@"; }}
    """
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", preamble + commands],
        cwd=directory,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert ended.returncode == 0, f"{commands}\n{ended.stdout}{ended.stderr}"
    return ended.stdout
