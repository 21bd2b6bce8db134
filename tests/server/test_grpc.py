"""Python's grpcio: both services from their descriptions and from reflection alone, health, and the example."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from kv_server import PATIENCE_SECONDS, ROOT, Server, run, running

sys.path.append(str(ROOT / "kvserver/proto"))
simple, simple_services = grpc.protos_and_services("kvstore.proto")
full, full_services = grpc.protos_and_services("kv/v1/key_value.proto")

# What the client of the first program with this interface prints.
EXAMPLE_PRINTS = """\
Testing Set operation...
Set response: Success=true, Error=

Testing Get operation...
Get response: Found=true, Value=test_value, Error=

Testing Get for non-existent key...
Get response: Found=false, Value=, Error=

Testing Delete operation...
Delete response: Success=true, Error=

Verifying deletion...
Get after delete: Found=false, Value=, Error=

All tests completed successfully!
"""


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.grpc) as opened:
        yield opened


def test_the_example_prints_what_such_clients_print(server: Server) -> None:
    assert run([sys.executable, str(ROOT / "examples/grpc/client.py"), server.grpc]) == EXAMPLE_PRINTS


def test_the_simple_service(channel: grpc.Channel, server: Server) -> None:
    store = simple_services.KeyValueStoreStub(channel)
    assert store.Set(simple.SetRequest(key="a", value="1", ttl_seconds=60)).success
    assert store.Set(simple.SetRequest(key="b", value="ä")).success
    got = store.Get(simple.GetRequest(key="b"))
    assert (got.found, got.value, got.error) == (True, "ä", "")
    cli = ["redis-cli", "-p", str(server.resp)]
    assert run([*cli, "ttl", "a"]).strip() in ("59", "60") and run([*cli, "ttl", "b"]) == "-1\n"
    assert not store.Set(simple.SetRequest(key="c", value="1", ttl_seconds=-1)).success
    assert store.Delete(simple.DeleteRequest(key="absent")).success


def test_a_value_that_is_no_text_is_told_in_the_error(channel: grpc.Channel) -> None:
    full_services.KeyValueStub(channel).Set(full.SetRequest(key=b"raw", value=b"\xff"))
    got = simple_services.KeyValueStoreStub(channel).Get(simple.GetRequest(key="raw"))
    assert got.found and got.value == "" and "UTF-8" in got.error


def test_the_full_service(channel: grpc.Channel) -> None:
    store = full_services.KeyValueStub(channel)
    key = b"\x00\xff"
    done = store.Set(full.SetRequest(key=key, value=b"v" * 100_000, expiry=full.Expiry(ttl_ms=60_000)))
    assert done.outcome == full.OUTCOME_DONE and done.version > 0
    entry = store.Get(full.GetRequest(key=key)).entry
    assert (entry.value, entry.version) == (b"v" * 100_000, done.version) and entry.expire_at_ms > 0
    again = full.SetRequest(key=key, value=b"w", condition=full.Condition(absent=True))
    assert store.Set(again).outcome == full.OUTCOME_EXISTS
    assert 0 < store.Ttl(full.TtlRequest(key=key)).ttl_ms <= 60_000
    assert store.Expire(full.ExpireRequest(key=key, never=True)).found
    assert not store.Ttl(full.TtlRequest(key=key)).HasField("ttl_ms")
    assert [store.Incr(full.IncrRequest(key=b"n", delta=by)).value for by in (5, -7)] == [5, -2]
    assert store.Delete(full.DeleteRequest(key=b"absent")).outcome == full.OUTCOME_NOT_FOUND
    assert not store.Get(full.GetRequest(key=b"absent")).HasField("entry")


def test_a_batch_is_made_whole_or_not_at_all(channel: grpc.Channel) -> None:
    store = full_services.KeyValueStub(channel)
    put = full.Change(set=full.SetRequest(key=b"a", value=b"1", condition=full.Condition(absent=True)))
    drop = full.Change(delete=full.DeleteRequest(key=b"absent"))
    done = store.Batch(full.BatchRequest(changes=[put, drop]))
    assert (done.outcome, done.applied, done.missing) == (full.OUTCOME_DONE, 1, 1)
    other = full.Change(set=full.SetRequest(key=b"b", value=b"1"))
    refused = store.Batch(full.BatchRequest(changes=[other, put]))
    assert refused.outcome == full.OUTCOME_CONFLICT and refused.conflict_index == 1
    assert not store.Get(full.GetRequest(key=b"b")).HasField("entry")


def test_scan_and_watch_are_streams(channel: grpc.Channel) -> None:
    store = full_services.KeyValueStub(channel)
    names = [f"user:{n:04}".encode() for n in range(1500)]
    changes = [full.Change(set=full.SetRequest(key=name, value=b"x")) for name in names]
    assert store.Batch(full.BatchRequest(changes=changes)).applied == len(names)
    found = store.Scan(full.ScanRequest(prefix=b"user:", order=full.ORDER_ASC, keys_only=True))
    assert [entry.key for part in found for entry in part.entries] == names

    watch = store.Watch(full.WatchRequest(prefix=b"user:0"), timeout=PATIENCE_SECONDS)
    assert next(watch).WhichOneof("what") == "started"
    store.Set(full.SetRequest(key=b"other", value=b"x"))
    store.Set(full.SetRequest(key=names[0], value=b"new"))
    store.Delete(full.DeleteRequest(key=names[0]))
    events = [next(watch).event for _ in range(2)]
    assert [(event.kind, event.key) for event in events] == [
        (full.EVENT_KIND_SET, names[0]),
        (full.EVENT_KIND_DELETED, names[0]),
    ]
    assert events[0].value == b"new" and events[0].revision < events[1].revision
    watch.cancel()


def test_errors_have_codes(channel: grpc.Channel) -> None:
    store = full_services.KeyValueStub(channel)
    store.Set(full.SetRequest(key=b"text", value=b"abc"))
    for call, code in [
        (lambda: store.Incr(full.IncrRequest(key=b"text", delta=1)), grpc.StatusCode.FAILED_PRECONDITION),
        (lambda: store.Set(full.SetRequest(key=b"k" * 70_000)), grpc.StatusCode.INVALID_ARGUMENT),
        (lambda: store.Expire(full.ExpireRequest(key=b"text")), grpc.StatusCode.INVALID_ARGUMENT),
    ]:
        with pytest.raises(grpc.RpcError) as caught:
            call()
        assert caught.value.code() == code and caught.value.details()


def test_reflection_is_enough_to_call_it(channel: grpc.Channel) -> None:
    database = ProtoReflectionDescriptorDatabase(channel)
    assert {"kvstore.KeyValueStore", "kv.v1.KeyValue", "grpc.health.v1.Health"} <= set(database.get_services())
    pool = descriptor_pool.DescriptorPool(database)
    method = pool.FindServiceByName("kv.v1.KeyValue").FindMethodByName("Get")
    request, response = (message_factory.GetMessageClass(kind) for kind in (method.input_type, method.output_type))
    call = channel.unary_unary(
        "/kv.v1.KeyValue/Get", request_serializer=request.SerializeToString, response_deserializer=response.FromString
    )
    assert not call(request(key=b"absent")).HasField("entry")


def test_reflection_refuses_what_is_not_there(channel: grpc.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol="no.Such")
    with pytest.raises(grpc.RpcError) as caught:
        next(stub.ServerReflectionInfo(iter([asked])))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_health(channel: grpc.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", "kv.v1.KeyValue", "kvstore.KeyValueStore"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING, service
    with pytest.raises(grpc.RpcError) as caught:
        health.Check(health_pb2.HealthCheckRequest(service="no.Such"))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_who_may_call(tmp_path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    with running(f"--password-file={secret}") as server, grpc.insecure_channel(server.grpc) as channel:
        store = full_services.KeyValueStub(channel)
        for metadata in ([], [("authorization", "Bearer wrong")]):
            with pytest.raises(grpc.RpcError) as caught:
                store.Get(full.GetRequest(key=b"a"), metadata=metadata)
            assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
            assert "hunter2" not in str(caught.value)
        assert not store.Get(full.GetRequest(key=b"a"), metadata=[("authorization", "Bearer hunter2")]).HasField("entry")
        assert health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest()).status == 1
        assert "hunter2" not in "".join(server.lines)
