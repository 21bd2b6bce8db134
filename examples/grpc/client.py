"""Sets, gets and deletes a key of a running kv-server by gRPC.

Needs the packages grpcio and grpcio-tools, and a server: kv-server --grpc 127.0.0.1:50051
Run it with the server's address: python client.py 127.0.0.1:50051
"""

import sys
from pathlib import Path

import grpc

# The messages are made from the description as the program starts, so there is no build step.
sys.path.append(str(Path(__file__).resolve().parents[2] / "kvserver" / "proto"))
messages, services = grpc.protos_and_services("kvstore.proto")


def told(truth: bool) -> str:
    """A truth in lower case, as other clients of this service print it."""
    return str(truth).lower()


def main(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        store = services.KeyValueStoreStub(channel)
        key = "test_key"

        print("Testing Set operation...")
        done = store.Set(messages.SetRequest(key=key, value="test_value", ttl_seconds=60))
        print(f"Set response: Success={told(done.success)}, Error={done.error}\n")

        print("Testing Get operation...")
        got = store.Get(messages.GetRequest(key=key))
        print(f"Get response: Found={told(got.found)}, Value={got.value}, Error={got.error}\n")

        print("Testing Get for non-existent key...")
        got = store.Get(messages.GetRequest(key="non_existent"))
        print(f"Get response: Found={told(got.found)}, Value={got.value}, Error={got.error}\n")

        print("Testing Delete operation...")
        done = store.Delete(messages.DeleteRequest(key=key))
        print(f"Delete response: Success={told(done.success)}, Error={done.error}\n")

        print("Verifying deletion...")
        got = store.Get(messages.GetRequest(key=key))
        print(f"Get after delete: Found={told(got.found)}, Value={got.value}, Error={got.error}\n")

        print("All tests completed successfully!")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051")
