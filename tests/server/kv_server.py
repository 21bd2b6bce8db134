"""Starts `kv-server` for a test: on free ports of its own, and ended with the test.

The program is the one that `KV_SERVER` names, which the step `server` of `cargo xtask test` builds. Each server
asks the system for its ports and says on stderr which ones it got, so that tests never meet each other.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# How the server says where it listens, and under which name that is kept here.
SAID = {"listening": "resp", "HTTP": "http", "gRPC": "grpc"}
LINE = re.compile(r"kv-server: (listening|HTTP|gRPC) on 127\.0\.0\.1:(\d+)( \(TLS\))?$")

# Longer than any of these programs takes on a busy machine. Who needs it has hung.
PATIENCE_SECONDS = 300


def program(name: str = "KV_SERVER") -> str:
    """The program that a variable names."""
    path = os.environ.get(name)
    assert path, f"{name} is not set: run this as `cargo xtask test server`"
    return path


def environment(**more: str) -> dict[str, str]:
    """This environment without what configures a server or the tests."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("KV_")}
    return kept | more


@dataclass
class Server:
    """A server that runs."""

    process: subprocess.Popen[str]
    ports: dict[str, int] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    was_killed: bool = False

    @property
    def resp(self) -> int:
        """The port of the Redis protocol."""
        return self.ports["resp"]

    @property
    def http(self) -> str:
        """Where it speaks HTTP."""
        return f"http://127.0.0.1:{self.ports['http']}"

    @property
    def grpc(self) -> str:
        """Where it speaks gRPC."""
        return f"127.0.0.1:{self.ports['grpc']}"

    def read_ports(self, wanted: set[str]) -> None:
        """Waits until it has said where it listens."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if found := LINE.match(line.strip()):
                self.ports[SAID[found[1]]] = int(found[2])
            if wanted <= self.ports.keys():
                # Nobody must wait because nobody reads what else it says.
                threading.Thread(target=self.lines.extend, args=[self.process.stderr], daemon=True).start()
                return
        raise AssertionError(f"kv-server ended with {self.process.wait()}: {''.join(self.lines)}")

    def kill(self) -> None:
        """Ends it as a power cut would."""
        self.was_killed = True
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ends it as a service manager does. Says how it exited."""
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)


@contextmanager
def running(*arguments: str, fronts: tuple[str, ...] = ("resp", "http", "grpc"), **variables: str) -> Iterator[Server]:
    """A server with these flags and variables, for as long as the block takes; it has to end well."""
    places = [f"--{front}={'127.0.0.1:0' if front in fronts else 'off'}" for front in ("resp", "http", "grpc")]
    command = [program(), *places, *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(**variables))
    server = Server(process)
    try:
        server.read_ports(set(fronts))
        yield server
        assert server.was_killed or server.stop() == 0, "".join(server.lines)
    finally:
        process.kill()
        process.wait()


def run(command: list[str], text: str | None = None, **variables: str) -> str:
    """What a program prints, once it has ended well."""
    ended = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=PATIENCE_SECONDS, env=environment(**variables)
    )
    assert ended.returncode == 0, f"{command} ended with {ended.returncode}:\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout
