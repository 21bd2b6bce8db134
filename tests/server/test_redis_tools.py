"""redis-cli and redis-benchmark, as Debian has them."""

from __future__ import annotations

import csv
import io
import re
import socket

import pytest

from kv_server import Server, run, running


def cli(server: Server, *arguments: str, text: str | None = None) -> str:
    """What redis-cli prints when it is not at a terminal."""
    return run(["redis-cli", "-p", str(server.resp), *arguments], text)


def test_one_shot_commands_print_what_redis_prints(server: Server) -> None:
    assert cli(server, "set", "user:1", "Ada", "EX", "300") == "OK\n"
    assert cli(server, "get", "user:1") == "Ada\n"
    assert cli(server, "ttl", "user:1") in ("300\n", "299\n")
    assert cli(server, "incr", "n") == "1\n"
    assert cli(server, "get", "absent") == "\n"
    assert cli(server, "lpush", "l", "1") == "ERR unknown command 'lpush', with args beginning with: 'l' '1' \n\n"
    assert sorted(cli(server, "--scan", "--pattern", "*").split()) == ["n", "user:1"]


def test_resp3_and_json_output(server: Server) -> None:
    cli(server, "mset", "a", "1", "b", "2")
    assert cli(server, "-3", "--json", "mget", "a", "b", "absent") == '["1","2",null]\n'
    assert '"proto":3' in cli(server, "-3", "--json", "hello", "3")


def test_a_session_of_many_lines(server: Server) -> None:
    session = "multi\nset a 1\nincr a\nexec\n\nget a\n"
    assert cli(server, text=session).split() == "OK QUEUED QUEUED OK 2 2".split()


def test_mass_insertion_by_pipe(server: Server) -> None:
    commands = "".join(f"SET key:{n} {n}\r\n" for n in range(2000))
    assert "errors: 0, replies: 2000" in cli(server, "--pipe", text=commands)
    assert cli(server, "dbsize") == "2000\n"


def test_the_tools_of_redis_cli(server: Server) -> None:
    cli(server, "mset", *(word for n in range(50) for word in (f"k{n}", "v" * n)))
    assert "Biggest string found" in cli(server, "--bigkeys")
    assert "Biggest string found" in cli(server, "--memkeys")
    assert re.search("50 strings with 1225 bytes", cli(server, "--bigkeys"))


def test_inline_words_as_a_person_types_them(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.resp)) as stream:
        stream.sendall(b"SET mykey hello\r\nGET mykey\r\nSETEX tempkey 10 temporary\r\nDEL mykey\r\nexit\r\n")
        said = b"".join(iter(lambda: stream.recv(4096), b""))
    assert said == b"+OK\r\n$5\r\nhello\r\n+OK\r\n:1\r\n+OK\r\n"


def test_del_that_returns_the_value_for_people_at_a_telnet() -> None:
    with running("--resp-del-returns-value", "--default-ttl=6h", fronts=("resp",)) as server:
        cli(server, "set", "mykey", "hello")
        assert 21_590 <= int(cli(server, "ttl", "mykey")) <= 21_600
        assert cli(server, "del", "mykey") == "hello\n"
        assert cli(server, "get", "mykey") == "\n"


@pytest.mark.parametrize("options", [["-P", "1"], ["-P", "16"], ["-3", "-P", "4"]], ids=" ".join)
def test_redis_benchmark_ends_without_an_error(server: Server, options: list[str]) -> None:
    # What it measures in a debug build says nothing; that it gets the replies it expects does.
    commands = ["ping_inline", "ping_mbulk", "set", "get", "incr", "mset"]
    printed = run(
        ["redis-benchmark", "-p", str(server.resp), "-n", "2000", "-c", "20", "--csv", "-r", "500", *options]
        + ["-e", "-t", ",".join(commands)]
    )
    rows = list(csv.DictReader(io.StringIO(printed)))
    assert len(rows) == len(commands), printed
    assert all(float(row["rps"]) > 0 for row in rows), printed
