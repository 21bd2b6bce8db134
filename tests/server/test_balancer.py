"""Which of three servers a client meets behind nginx, by each of the published ports."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator

import grpc
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from balancer import PASSWORD, Balancer, nginx, three_servers
from kv_server import PATIENCE_SECONDS, ROOT

sys.path.append(str(ROOT / "kvserver/proto"))
messages, services = grpc.protos_and_services("kv/v1/key_value.proto")

NAMES = [f"tenant-{number}" for number in range(40)]
BEARER = f"Bearer {PASSWORD}"


@pytest.fixture(scope="module")
def balancer() -> Iterator[Balancer]:
    with three_servers() as servers, nginx(servers) as started:
        yield started


def ask(balancer: Balancer, path: str, name: str | None = None, **more: object):
    """An answer by HTTP to a client of this name."""
    headers = {"Authorization": BEARER} | ({"X-KV-Name": name} if name else {})
    url = f"http://127.0.0.1:{balancer.port(8080)}{path}"
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers, **more), timeout=PATIENCE_SECONDS)


def places(balancer: Balancer, prefix: str) -> dict[str, str]:
    """Which server has each key that begins so."""
    found = {}
    for name, server in balancer.servers.items():
        with redis.Redis(port=server.resp, password=PASSWORD, decode_responses=True) as client:
            for key in client.scan_iter(f"{prefix}*"):
                assert key not in found, f"{key} is on {found[key]} and on {name}"
                found[key] = name
    return found


def put_one_key_for_each_name(balancer: Balancer, prefix: str) -> dict[str, str]:
    for name in NAMES:
        assert ask(balancer, f"/v1/keys/{prefix}{name}", name, method="PUT", data=name.encode()).status == 204
    found = places(balancer, prefix)
    assert len(found) == len(NAMES)
    return {name: found[prefix + name] for name in NAMES}


def test_an_http_client_meets_the_server_of_its_name(balancer: Balancer) -> None:
    placed = put_one_key_for_each_name(balancer, "http:")
    assert set(placed.values()) == set(balancer.servers), "a server has no names"
    for name in NAMES:
        assert ask(balancer, f"/v1/keys/http:{name}", name).read() == name.encode()


def test_a_name_leads_to_one_server_by_grpc_too(balancer: Balancer) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{balancer.port(50051)}") as channel:
        store = services.KeyValueStub(channel)
        for name in NAMES:
            who = [("authorization", BEARER), ("x-kv-name", name)]
            store.Set(messages.SetRequest(key=f"grpc:{name}".encode(), value=b"x"), metadata=who)
        for name in NAMES:
            who = [("authorization", BEARER), ("x-kv-name", name)]
            assert store.Get(messages.GetRequest(key=f"grpc:{name}".encode()), metadata=who).entry.value == b"x"
    assert set(places(balancer, "grpc:").values()) == set(balancer.servers)


def test_without_a_server_only_its_own_names_move(balancer: Balancer) -> None:
    before = put_one_key_for_each_name(balancer, "before:")
    fewer = {name: server for name, server in balancer.servers.items() if name != "kv3"}
    with nginx(fewer) as smaller:
        after = put_one_key_for_each_name(smaller, "after:")
    assert {name for name in NAMES if before[name] != after[name]} == {n for n in NAMES if before[n] == "kv3"}


def test_a_redis_client_meets_the_server_of_its_address(balancer: Balancer) -> None:
    for number in range(6):
        with redis.Redis(port=balancer.port(6379), password=PASSWORD) as client:
            assert client.incr("visits") == number + 1


def test_in_turn_each_connection_meets_the_next_store(balancer: Balancer) -> None:
    met: Counter[bytes] = Counter()
    for _ in range(2 * len(balancer.servers)):
        with redis.Redis(port=balancer.port(6380), password=PASSWORD) as client:
            met[client.info("server")["run_id"]] += 1
    assert sorted(met.values()) == [2] * len(balancer.servers), met


def test_a_feed_of_changes_comes_through_as_it_happens(balancer: Balancer) -> None:
    with ask(balancer, "/v1/watch?prefix=feed:", "reader") as feed:
        assert ask(balancer, "/v1/keys/feed:a", "reader", method="PUT", data=b"1").status == 204
        assert any(line == b"event: set\n" for line in feed)


def test_what_compose_sets_for_the_servers_holds(balancer: Balancer) -> None:
    with redis.Redis(port=balancer.port(6379), password=PASSWORD) as client:
        client.set("k", "value")
        assert 21_590 <= client.ttl("k") <= 21_600
        assert client.execute_command("DEL", "k") == b"value"
    # Without the retries that redis-py makes by itself.
    once = Retry(NoBackoff(), 0)
    with redis.Redis(port=balancer.port(6379), retry=once) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.get("k")


def test_figures_are_not_the_balancers_to_tell(balancer: Balancer) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(balancer, "/metrics")
    assert caught.value.code == 404


def test_a_server_that_is_away_is_not_replaced(balancer: Balancer) -> None:
    with three_servers() as servers, nginx(servers) as other:
        placed = put_one_key_for_each_name(other, "away:")
        servers["kv2"].kill()
        for name, place in placed.items():
            if place == "kv2":
                # Again and again: nginx would count failures, and go elsewhere after a while.
                for _ in range(3):
                    with pytest.raises(urllib.error.HTTPError) as caught:
                        ask(other, f"/v1/keys/away:{name}", name)
                    assert caught.value.code == 502
            else:
                assert ask(other, f"/v1/keys/away:{name}", name).read() == name.encode()
