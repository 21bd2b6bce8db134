"""What `deploy/` ships, checked as far as it goes without a container engine or systemd as process 1."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
import urllib.request
from pathlib import Path

import pytest

from balancer import DEPLOY, compose
from kv_server import ROOT, Server, program, run, running

DOCKERFILE = DEPLOY / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, continued lines joined."""
    text = "\n".join(line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#"))
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines) if word]


def image_environment() -> dict[str, str]:
    """What the image sets."""
    words = " ".join(rest for word, rest in instructions() if word == "ENV")
    return dict(re.findall(r"(\w+)=(\S+)", words))


def test_the_image_is_made_of_what_is_there() -> None:
    for word, rest in instructions():
        sources = rest.split()[:-1] if word == "COPY" else []
        if "--from=build" not in rest:
            assert all((ROOT / source).exists() for source in sources), rest
    installed = next(rest for word, rest in instructions() if word == "RUN" and "target/release" in rest)
    for name in re.findall(r"target/release/([\w-]+)", installed):
        assert (ROOT / f"kvserver/src/bin/{name}.rs").exists(), f"{name} is no program of kvserver"
    rust = next(re.search(r"rust:([\d.]+)", rest)[1] for word, rest in instructions() if word == "FROM")
    wanted = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"]
    assert [int(part) for part in rust.split(".")] >= [int(part) for part in wanted.split(".")]


def test_the_image_starts_the_server_where_it_says(tmp_path: Path) -> None:
    variables = image_environment()
    secret = tmp_path / "password"
    secret.write_text("secret\n")
    printed = run([program(), "--print-config"], KV_PASSWORD_FILE=str(secret), **variables)
    effective = tomllib.loads(printed)
    for name in ("resp", "grpc", "http", "dir"):
        assert effective[name] == variables[f"KV_{name.upper()}"]
    exposed = next(rest.split() for word, rest in instructions() if word == "EXPOSE")
    assert exposed == [variables[f"KV_{front}"].rsplit(":")[-1] for front in ("RESP", "GRPC", "HTTP")]
    # Open to others, it does not start without a password.
    refused = subprocess.run([program(), "--print-config"], env=variables, capture_output=True, text=True)
    assert refused.returncode != 0 and "password_file" in refused.stderr


def test_the_health_check_needs_no_password(tmp_path: Path) -> None:
    check = next(rest for word, rest in instructions() if word == "HEALTHCHECK")
    name, *arguments = json.loads(check.partition("CMD ")[2])
    assert name == "kv"
    with running(fronts=("resp",), KV_PASSWORD="secret") as server:
        arguments = [argument.replace(":6379", f":{server.resp}") for argument in arguments]
        run([program("KV_CLI"), *arguments])
    gone = subprocess.run([program("KV_CLI"), *arguments], capture_output=True)
    assert gone.returncode != 0


def test_the_services_of_compose_fit_together() -> None:
    services = compose()["services"]
    servers = {name for name in services if name != "nginx"}
    for name in servers:
        service = services[name]
        context = (DEPLOY / service["build"]["context"]).resolve()
        assert context == ROOT and (context / service["build"]["dockerfile"]).samefile(DOCKERFILE)
        assert service["volumes"] == [f"{name}:/data"] and name in compose()["volumes"]
        assert image_environment()["KV_DIR"] == "/data"
        secret = service["environment"]["KV_PASSWORD_FILE"]
        assert Path(secret).name in service["secrets"] and Path(secret).name in compose()["secrets"]
    nginx = (DEPLOY / "nginx.conf").read_text()
    assert set(re.findall(r"server (\w+):\d+", nginx)) == servers == set(services["nginx"]["depends_on"])
    upstream_ports = set(re.findall(r"server kv\d:(\d+)", nginx))
    assert upstream_ports == {place.rsplit(":")[-1] for name, place in image_environment().items() if name != "KV_DIR"}
    published = {port.split(":")[-1]: port for port in services["nginx"]["ports"]}
    assert sorted(published) == sorted(re.findall(r"listen (\d+)", nginx))
    # The password crosses these ports unencrypted.
    assert all(port.startswith("127.0.0.1:") for port in published.values())


def test_the_configuration_file_is_accepted() -> None:
    file = DEPLOY / "kv-server.toml"
    printed = tomllib.loads(run([program(), f"--config={file}", "--print-config"]))
    shipped = tomllib.loads(file.read_text())
    assert {name: printed[name] for name in shipped} == shipped


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    unit = (DEPLOY / "kv-server.service").read_text()
    command = re.search(r"^ExecStart=(\S+) (.*)$", unit, re.MULTILINE)
    assert command is not None and command[1] == "/usr/bin/kv-server"
    copy = tmp_path / "kv-server.service"
    copy.write_text(unit.replace(command[1], program(), 1))
    ended = subprocess.run([analyze, "verify", "--man=no", str(copy)], capture_output=True, text=True)
    assert ended.returncode == 0 and not ended.stderr.strip(), ended.stderr
    # The unit, the file it names and the lines on installing them agree.
    assert command[2] == "--config /etc/kv-server/kv-server.toml" and unit.count("/etc/kv-server/kv-server.toml") == 2
    state = re.search(r"^StateDirectory=(\S+)$", unit, re.MULTILINE)
    directory = tomllib.loads((DEPLOY / "kv-server.toml").read_text())["dir"]
    assert state is not None and directory == f"/var/lib/{state[1]}"


@pytest.mark.parametrize("name", ["grafana-dashboard.json", "prometheus-alerts.yml"])
def test_every_figure_that_is_looked_at_exists(server: Server, name: str) -> None:
    with urllib.request.urlopen(f"{server.http}/metrics") as answer:
        exposed = set(re.findall(r"^# TYPE (\w+)", answer.read().decode(), re.MULTILINE))
    text = (DEPLOY / name).read_text()
    looked_at = set(re.findall(r"\bkv_\w+", text))
    parts = re.compile(r"_(bucket|sum|count)$")
    unknown = {figure for figure in looked_at if figure not in exposed and parts.sub("", figure) not in exposed}
    assert looked_at and not unknown
