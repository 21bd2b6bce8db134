"""redis-py: blocking and asyncio, both versions of the protocol, pipelines, messages, and its cache."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.cache import CacheConfig
from redis.connection import CacheProxyConnection
from redis.exceptions import NoPermissionError
from redis.retry import Retry

from kv_server import PATIENCE_SECONDS, Server, running


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def client(server: Server, request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    with redis.Redis(port=server.resp, protocol=request.param, decode_responses=True) as opened:
        yield opened


def test_strings_and_deadlines(client: redis.Redis) -> None:
    assert client.ping()
    assert client.set("a", "1", ex=100, nx=True) is True
    assert client.set("a", "2", nx=True) is None
    assert client.set("a", "2", xx=True, keepttl=True, get=True) == "1"
    assert client.ttl("a") in (99, 100)
    assert client.expire("a", 50, gt=True) is False
    assert client.persist("a") is True and client.pttl("a") == -1
    assert client.mset({"b": "x", "c": ""}) is True
    assert client.mget("a", "b", "c", "absent") == ["2", "x", "", None]
    assert client.incrbyfloat("a", 0.5) == 2.5
    assert client.append("b", "yz") == 3 and client.getrange("b", 1, -1) == "yz"
    assert client.getdel("b") == "xyz" and client.exists("b", "a") == 1
    assert client.setrange("c", 3, "q") == 4 and client.get("c") == "\0\0\0q"
    assert client.type("a") == "string" and client.type("absent") == "none"
    assert client.delete("a", "c", "absent") == 2 and client.dbsize() == 0


def test_any_bytes(server: Server) -> None:
    every = bytes(range(256)) * 300
    with redis.Redis(port=server.resp) as client:
        assert client.set(every[:256], every) is True
        assert client.get(every[:256]) == every
        assert client.keys() == [every[:256]]


def test_errors_have_the_classes_that_callers_catch(client: redis.Redis) -> None:
    client.set("text", "abc")
    with pytest.raises(redis.ResponseError, match="value is not an integer or out of range"):
        client.incr("text")
    with pytest.raises(redis.ResponseError, match="unknown command"):
        client.lpush("list", "1")
    with pytest.raises(redis.ResponseError, match="wrong number of arguments"):
        client.execute_command("GET")
    assert client.get("text") == "abc"


def test_scanning_meets_every_key_once_it_is_there(client: redis.Redis) -> None:
    client.mset({f"user:{n}": n for n in range(500)} | {"other": "x"})
    assert set(client.scan_iter("user:*", count=50)) == {f"user:{n}" for n in range(500)}


def test_pipelines_and_transactions(client: redis.Redis) -> None:
    with client.pipeline(transaction=False) as pipe:
        for n in range(1000):
            pipe.set(f"k{n}", n)
        pipe.get("k999")
        assert pipe.execute()[-1] == "999"
    with client.pipeline() as pipe:
        replies = pipe.incr("k1").incrby("k1", 10).execute()
        assert replies == [2, 12]
        with pytest.raises(redis.ResponseError):
            pipe.set("k2", "new").incr("k2").execute()
    assert client.get("k2") == "new"


def test_a_watched_key_that_changed_undoes_the_transaction(client: redis.Redis) -> None:
    client.set("balance", 10)
    with client.pipeline() as pipe:
        pipe.watch("balance")
        client.set("balance", 5)
        pipe.multi()
        pipe.set("balance", 100)
        with pytest.raises(redis.WatchError):
            pipe.execute()
    assert client.get("balance") == "5"
    # The retries that redis-py makes by itself.
    client.transaction(lambda pipe: pipe.multi() or pipe.decrby("balance", 2), "balance")
    assert client.get("balance") == "3"


def test_a_lock_needs_no_scripts_to_be_taken(client: redis.Redis) -> None:
    assert client.set("lock", "me", nx=True, px=60_000) is True
    assert client.set("lock", "you", nx=True, px=60_000) is None


def next_message(messages: redis.client.PubSub) -> dict[str, object]:
    """The next message that is no confirmation."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        message = messages.get_message(timeout=1)
        if message and message["type"] not in ("subscribe", "psubscribe"):
            return message
    raise AssertionError("no message came")


@pytest.mark.parametrize("protocol", [2, 3])
def test_messages_and_keyspace_notifications(protocol: int) -> None:
    with (
        running("--notify-keyspace-events=KEA", fronts=("resp",)) as server,
        redis.Redis(port=server.resp, protocol=protocol, decode_responses=True) as client,
        client.pubsub() as messages,
    ):
        messages.subscribe("news")
        messages.psubscribe("__key*__:*")
        assert [messages.get_message(timeout=PATIENCE_SECONDS)["type"] for _ in range(2)] == ["subscribe", "psubscribe"]
        assert client.publish("news", "hello") == 1
        assert next_message(messages)["data"] == "hello"
        client.set("a", "1")
        seen = {(m["channel"], m["data"]) for m in (next_message(messages), next_message(messages))}
        assert seen == {("__keyspace@0__:a", "set"), ("__keyevent@0__:set", "a")}
        # A deletion that reads in the same step once held up all that goes by itself after it.
        assert client.set("b", "2") and client.getdel("b") == "2"
        assert [next_message(messages)["data"] for _ in range(4)] == ["set", "b", "del", "b"]
        client.pexpire("a", 200)
        assert [next_message(messages)["data"] for _ in range(4)] == ["expire", "a", "expired", "a"]


def test_server_commands_are_understood(client: redis.Redis) -> None:
    assert client.info("server")["redis_version"].startswith("7.2")
    assert client.info()["connected_clients"] >= 1
    client.client_setname("tester")
    assert client.client_getname() == "tester"
    assert [one for one in client.client_list() if one["name"] == "tester"]
    assert client.command_count() > 90
    assert client.config_get("maxmemory") == {"maxmemory": "0"}
    assert client.memory_usage("absent") is None
    assert client.time()[0] > 1_600_000_000
    assert client.slowlog_len() >= 0
    assert client.acl_whoami() == "default"
    assert client.object("encoding", "absent") is None


def test_users_and_passwords(tmp_path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    once = Retry(NoBackoff(), 0)
    with running(f"--password-file={secret}", fronts=("resp",)) as server:
        with redis.Redis(port=server.resp, retry=once) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.get("a")
        with redis.Redis(port=server.resp, password="wrong", retry=once) as guesser:
            with pytest.raises(redis.AuthenticationError):
                guesser.get("a")
        with redis.Redis(port=server.resp, password="hunter2") as owner:
            owner.acl_setuser("app", enabled=True, passwords="+pw", keys=["app:*"], commands=["+get", "+set"])
            assert owner.set("other", "1")
        with redis.Redis(port=server.resp, username="app", password="pw") as app:
            assert app.set("app:1", "x") and app.get("app:1") == b"x"
            for refused in (lambda: app.get("other"), lambda: app.delete("app:1")):
                with pytest.raises(NoPermissionError):
                    refused()


def test_the_cache_of_the_client_follows_what_others_write(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    # redis-py caches with servers that call themselves 7.4 or newer; tracking is in 7.2 all the same.
    monkeypatch.setattr(CacheProxyConnection, "MIN_ALLOWED_VERSION", "7.2.0")
    with (
        redis.Redis(port=server.resp, protocol=3, decode_responses=True, cache_config=CacheConfig()) as client,
        redis.Redis(port=server.resp) as other,
    ):
        other.set("a", "1")
        assert client.get("a") == "1"
        cache = client.get_cache()
        assert cache is not None and cache.size == 1
        asked = other.info("commandstats")["cmdstat_get"]["calls"]
        assert client.get("a") == "1"
        assert other.info("commandstats")["cmdstat_get"]["calls"] == asked, "it asked although it had the value"
        other.set("a", "2")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while client.get("a") != "2":
            assert time.monotonic() < deadline, "the client was never told"


@pytest.mark.parametrize("protocol", [2, 3])
def test_asyncio(server: Server, protocol: int) -> None:
    async def scene() -> None:
        async with redis.asyncio.Redis(port=server.resp, protocol=protocol, decode_responses=True) as client:
            await asyncio.gather(*(client.set(f"k{n}", n) for n in range(50)))
            assert await client.mget("k0", "k49", "absent") == ["0", "49", None]
            assert len([key async for key in client.scan_iter("k*")]) == 50
            async with client.pipeline(transaction=True) as pipe:
                assert await pipe.incr("k0").get("k0").execute() == [1, "1"]
            async with client.pubsub() as messages:
                await messages.subscribe("news")
                assert (await messages.get_message(timeout=PATIENCE_SECONDS))["type"] == "subscribe"
                await client.publish("news", "hello")
                assert (await messages.get_message(timeout=PATIENCE_SECONDS))["data"] == "hello"

    asyncio.run(scene())
