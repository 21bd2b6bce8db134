"""Three servers behind a real nginx with the shipped configuration.

Only names, ports and paths of `deploy/nginx.conf` are rewritten: what the file decides, which server a client meets, is
nginx's own doing. The program is the one that `KV_NGINX` names; `KV_NGINX_STREAM` is its module for what is not
HTTP, unless that is part of it. It runs from a temporary directory, and without rights even if the tests have them.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from kv_server import PATIENCE_SECONDS, ROOT, Server, program, running

DEPLOY = ROOT / "deploy"
PASSWORD = "a password of the tests"
NOBODY = 65534

# The front ends of the servers, and the ports of the balancer that lead to them.
FRONT_OF = {"6379": "resp", "6380": "resp", "8080": "http", "50051": "grpc"}

# Where nginx would otherwise put what it buffers.
PLACES = "".join(f"    {kind}_temp_path {kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))


def compose() -> dict:
    """The compose file."""
    return yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())


def free_ports(names: list[str]) -> dict[str, int]:
    """A port that nobody has for each name."""
    with ExitStack() as held:
        sockets = {name: held.enter_context(socket.create_server(("127.0.0.1", 0))) for name in names}
        return {name: held_port.getsockname()[1] for name, held_port in sockets.items()}


@dataclass
class Balancer:
    """nginx, as it runs before some servers."""

    ports: dict[str, int]
    servers: dict[str, Server]

    def port(self, published: int) -> int:
        """Where the test finds the port that the compose file publishes."""
        return self.ports[str(published)]


def rewritten(servers: dict[str, Server], ports: dict[str, int], module: str | None) -> str:
    """The shipped configuration with these ports and paths. Servers that are not there are left out."""

    def upstream(found: re.Match[str]) -> str:
        indent, name, port, rest = found.groups()
        server = servers.get(name)
        return f"{indent}server 127.0.0.1:{server.ports[FRONT_OF[port]]}{rest};\n" if server else ""

    text = (DEPLOY / "nginx.conf").read_text()
    text, met = re.subn(r"( +)server (kv\d):(\d+)([^;]*);\n", upstream, text)
    assert met == 12, "each of four upstreams has three servers"
    text, met = re.subn(r"listen (\d+)", lambda found: f"listen 127.0.0.1:{ports[found[1]]}", text)
    assert met == len(FRONT_OF), "each port is listened at once"
    text = text.replace("http {\n", "http {\n" + PLACES, 1)
    load = f"load_module {module};\n" if module else ""
    return load + "pid nginx.pid;\ndaemon off;\nerror_log stderr;\n" + text


@contextmanager
def nginx(servers: dict[str, Server]) -> Iterator[Balancer]:
    """nginx before these servers."""
    ports = free_ports(list(FRONT_OF))
    is_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory(prefix="kv-nginx-") as folder:
        home = Path(folder)
        # Copies, because a user without rights may not get to where the programs are.
        binary = shutil.copy(program("KV_NGINX"), home)
        stream = os.environ.get("KV_NGINX_STREAM")
        module = shutil.copy(stream, home) if stream else None
        (home / "nginx.conf").write_text(rewritten(servers, ports, module))
        if is_root:
            os.chown(home, NOBODY, NOBODY)
        rights = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if is_root else {}
        command = [binary, "-e", "stderr", "-p", folder, "-c", "nginx.conf"]
        tested = subprocess.run([*command, "-t"], capture_output=True, text=True, **rights)
        assert tested.returncode == 0, tested.stderr
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, **rights)
        try:
            for port in ports.values():
                wait_for(port)
            yield Balancer(ports, servers)
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def wait_for(port: int) -> None:
    """Waits until somebody listens at a port."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, f"nobody listens at {port}"
            time.sleep(0.01)


@contextmanager
def three_servers() -> Iterator[dict[str, Server]]:
    """The servers of the compose file, with their environment, by their names."""
    services = {name: service for name, service in compose()["services"].items() if name != "nginx"}
    with ExitStack() as stack:
        servers = {}
        for name, service in services.items():
            variables = dict(service["environment"], KV_PASSWORD=PASSWORD)
            # The password's file is a secret that only a container engine puts there.
            del variables["KV_PASSWORD_FILE"]
            servers[name] = stack.enter_context(running(**variables))
        yield servers
