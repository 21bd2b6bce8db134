"""Time of a libkv call as a multiple of a dict's, in the same run and the same loop.

    python bench.py [--entries 1000000] [--value-bytes 100] [--repeat 1000] [--check]
                    [--json]

A dict get of a large dict costs about 100 ns on the reference machine, nearly all of it cache
misses; the goals are 4 times a dict get for get and 6 times for set. With --check the program
fails when one is missed; with --json it prints nanoseconds a call and nothing else. Keys are 16
bytes and come in random order.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from itertools import cycle

import libkv

GOALS = {"store.get(k)": 4.0, "store[k]": 4.0, "store.set(k, v)": 6.0, "store[k] = v": 6.0}


def dict_item(data: dict[bytes, bytes], keys: Sequence[bytes]) -> None:
    for key in keys:
        data[key]


def dict_get(data: dict[bytes, bytes], keys: Sequence[bytes]) -> None:
    get = data.get
    for key in keys:
        get(key)


def dict_set(data: dict[bytes, bytes], keys: Sequence[bytes], value: bytes) -> None:
    for key in keys:
        data[key] = value


def store_get(store: libkv.Store, keys: Sequence[bytes]) -> None:
    for key in keys:
        store.get(key)


def store_item(store: libkv.Store, keys: Sequence[bytes]) -> None:
    for key in keys:
        store[key]


def store_in(store: libkv.Store, keys: Sequence[bytes]) -> None:
    for key in keys:
        key in store  # noqa: B015


def store_set(store: libkv.Store, keys: Sequence[bytes], value: bytes) -> None:
    for key in keys:
        store.set(key, value)


def store_set_ttl(store: libkv.Store, keys: Sequence[bytes], value: bytes) -> None:
    for key in keys:
        store.set(key, value, ttl=600)


def store_assign(store: libkv.Store, keys: Sequence[bytes], value: bytes) -> None:
    for key in keys:
        store[key] = value


def store_get_many(store: libkv.Store, keys: Sequence[bytes]) -> None:
    for start in range(0, len(keys), 100):
        store.get_many(keys[start : start + 100])


Work = Callable[[Sequence[bytes]], None]


def best_ns(
    rows: Sequence[tuple[str, Work]], keys: list[bytes], calls: int, repeat: int
) -> dict[str, float]:
    """The fastest of several runs of each row, in nanoseconds a call.

    The rows take turns, so that a slow moment of the machine does not fall on one of them alone,
    and each run takes the next keys, so that none finds in the caches what another left there.
    """
    starts = cycle(range(0, len(keys) - calls + 1, calls))
    best = {name: float("inf") for name, _ in rows}
    for _ in range(repeat):
        for name, work in rows:
            start = next(starts)
            chosen = keys[start : start + calls]
            begun = time.perf_counter_ns()
            work(chosen)
            best[name] = min(best[name], (time.perf_counter_ns() - begun) / calls)
    return best


def measure(entries: int, value_bytes: int, calls: int, repeat: int) -> dict[str, float]:
    """Nanoseconds a call for each row of the table."""
    value = bytes(value_bytes)
    store = libkv.open()
    data: dict[bytes, bytes] = {}
    for number in range(entries):
        key = b"key:%012d" % number
        # A value object of its own for each key, as a program would have it.
        data[key] = bytes(bytearray(value))
        store[key] = value
    keys = list(data)
    random.Random(1).shuffle(keys)
    keys *= -(-calls // entries)
    rows: list[tuple[str, Work]] = [
        ("dict[k]", lambda keys: dict_item(data, keys)),
        ("dict.get(k)", lambda keys: dict_get(data, keys)),
        ("dict[k] = v", lambda keys: dict_set(data, keys, value)),
        ("store[k]", lambda keys: store_item(store, keys)),
        ("store.get(k)", lambda keys: store_get(store, keys)),
        ("k in store", lambda keys: store_in(store, keys)),
        ("store[k] = v", lambda keys: store_assign(store, keys, value)),
        ("store.set(k, v)", lambda keys: store_set(store, keys, value)),
        ("store.set(k, v, ttl=600)", lambda keys: store_set_ttl(store, keys, value)),
        ("store.get_many(100 keys), a key", lambda keys: store_get_many(store, keys)),
    ]
    results = best_ns(rows, keys, calls, repeat)
    store.close()
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--value-bytes", type=int, default=100)
    parser.add_argument("--calls", type=int, default=1_000)
    parser.add_argument("--repeat", type=int, default=1_000)
    parser.add_argument("--check", action="store_true", help="fail when a goal is missed")
    parser.add_argument("--json", action="store_true", help="print nanoseconds a call as JSON")
    arguments = parser.parse_args()
    results = measure(arguments.entries, arguments.value_bytes, arguments.calls, arguments.repeat)
    if arguments.json:
        print(json.dumps(results))
        return 0
    base = results["dict.get(k)"]
    print(f"{arguments.entries:,} entries, values of {arguments.value_bytes} bytes, random order")
    print(f"{'call':<34}{'ns':>8}{'of dict.get':>14}{'goal':>8}")
    missed = []
    for name, nanoseconds in results.items():
        goal = GOALS.get(name)
        if goal is not None and nanoseconds > goal * base:
            missed.append(name)
        shown = "" if goal is None else f"{goal:g}x"
        print(f"{name:<34}{nanoseconds:>8.0f}{nanoseconds / base:>13.2f}x{shown:>8}")
    if missed:
        print("goal missed: " + ", ".join(missed))
    return 1 if missed and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
