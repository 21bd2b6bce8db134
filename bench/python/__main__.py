"""libkv in Python beside a dict and other caches and stores, in one run.

    python bench/python [--entries 1000000] [--rounds 100] [--write FILE]

Run it by `cargo xtask bench python-caches`, which installs what is compared. All contestants are filled with the
same keys (16 bytes) and values (100 bytes). Then they take turns: in each round each of them answers some
thousands of calls, or as many as fit a hundredth of a second, on the next keys of one random order. The time
of a call is that of the fastest round: whatever else a machine does can only make a call slower.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import platform
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from contestants import CONTESTANTS, Contestant

CALLS = 2_000
TURN_SECONDS = 0.01
MANY = 100
BASE = ("dict", "get")
GOALS = [
    ("libkv", "get", "of a dict's get", 4.0),
    ("libkv", "set", "of a dict's get", 6.0),
    ("libkv", "get_many", "ns a key", 150.0),
]

Figures = dict[tuple[str, str], float]


def loop_get(get: Callable[[bytes], object], keys: Sequence[bytes]) -> None:
    for key in keys:
        get(key)


def loop_set(put: Callable[[bytes, bytes], object], keys: Sequence[bytes], value: bytes) -> None:
    for key in keys:
        put(key, value)


def loop_get_many(get: Callable[[Sequence[bytes]], object], keys: Sequence[bytes]) -> None:
    for start in range(0, len(keys), MANY):
        get(keys[start : start + MANY])


class Order:
    """The keys in one random order, handed out piece by piece, round and round."""

    def __init__(self, keys: list[bytes]) -> None:
        self._keys = keys
        self._at = 0

    def next(self, count: int) -> list[bytes]:
        if self._at + count > len(self._keys):
            self._at = 0
        self._at += count
        return self._keys[self._at - count : self._at]


def works_of(contestant: Contestant, value: bytes) -> dict[str, Callable[[Sequence[bytes]], None]]:
    works: dict[str, Callable[[Sequence[bytes]], None]] = {
        "get": lambda keys: loop_get(contestant.get, keys),
        "set": lambda keys: loop_set(contestant.set, keys, value),
    }
    if (get_many := contestant.get_many) is not None:
        works["get_many"] = lambda keys: loop_get_many(get_many, keys)
    return works


def timed(work: Callable[[Sequence[bytes]], None], keys: Sequence[bytes]) -> float:
    """Nanoseconds a key."""
    begun = time.perf_counter_ns()
    work(keys)
    return (time.perf_counter_ns() - begun) / len(keys)


def measure(contestants: dict[str, Contestant], order: Order, value: bytes, rounds: int) -> Figures:
    """Nanoseconds a key in the fastest round, by contestant and call."""
    figures: Figures = defaultdict(lambda: math.inf)
    rows = [
        ((name, call), work)
        for name, contestant in contestants.items()
        for call, work in works_of(contestant, value).items()
    ]
    # What is slow gets fewer calls, so that a round stays short.
    counts = {}
    for row, work in rows:
        slow = TURN_SECONDS * 1e9 / timed(work, order.next(MANY))
        counts[row] = min(CALLS, max(MANY, int(slow) // MANY * MANY))
    for _ in range(rounds):
        for row, work in rows:
            figures[row] = min(figures[row], timed(work, order.next(counts[row])))
    return figures


def page(figures: Figures, names: Sequence[str], entries: int, rounds: int) -> str:
    """The report in Markdown."""
    packages = ("cachebox", "cachetools", "diskcache", "libkv", "lmdb", "redis", "rocksdict")
    machine = [("processor", processor()), ("python", platform.python_version())]
    machine += [(name, version(name)) for name in packages]
    machine += [("load after the run", f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")]
    lines = [
        "# Benchmarks: Python",
        "",
        f"Made by `cargo xtask bench python-caches`: {entries:,} keys of 16 bytes, values of 100 bytes, random"
        f" order, {rounds} rounds",
        "in turns. How it is measured is in [README.md](../README.md).",
        "",
        "| machine |  |",
        "| --- | ---: |",
        *[f"| {name} | {found} |" for name, found in machine],
        "",
        "## Goals",
        "",
        "| figure | measured | goal |  |",
        "| --- | ---: | ---: | ---: |",
        *[goal(figures, *each) for each in GOALS],
        "",
        f"## A call, in ns, and as a multiple of a dict's get; a key of `get_many`, {MANY} keys a call",
        "",
        "|  | get |  | set |  | get_many |  |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in names:
        cells = []
        for call in ("get", "set", "get_many"):
            if (name, call) in figures:
                ns = figures[name, call]
                cells += [f"{ns:,.0f}", f"{ns / figures[BASE]:,.1f}x"]
            else:
                cells += ["", ""]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def goal(figures: Figures, name: str, call: str, unit: str, most: float) -> str:
    measured = figures[name, call] / (1 if unit == "ns a key" else figures[BASE])
    verdict = "reached" if measured <= most else "missed"
    return f"| `{call}` of {name}, {unit} | {measured:,.1f} | at most {most:g} | {verdict} |"


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, help="leave out the others")
    parser.add_argument("--write", type=Path, help="write the report to a file too")
    arguments = parser.parse_args()
    names = [name for name in CONTESTANTS if not arguments.only or name in arguments.only]
    names = list(dict.fromkeys(["dict", "libkv", *names]))
    names.sort(key=list(CONTESTANTS).index)

    # A value object of its own for each key, as a program would have it.
    pairs = [(b"key:%012d" % n, bytes(bytearray(100))) for n in range(arguments.entries)]
    keys = [key for key, _ in pairs]
    random.Random(1).shuffle(keys)
    with tempfile.TemporaryDirectory(prefix="bench-python-") as folder:
        contestants = {}
        for name in names:
            print(f"filling {name}", file=sys.stderr, flush=True)
            try:
                contestants[name] = CONTESTANTS[name](pairs, Path(folder))
            except FileNotFoundError as absent:
                print(f"{name} is left out: {absent}", file=sys.stderr)
        del pairs
        # What was made so far stays, and the collector need not look at it again.
        gc.freeze()
        print("measuring", file=sys.stderr, flush=True)
        figures = measure(contestants, Order(keys), bytes(100), arguments.rounds)
        for contestant in contestants.values():
            contestant.close()
    report = page(figures, list(contestants), arguments.entries, arguments.rounds)
    print(report)
    if arguments.write is not None:
        arguments.write.write_text(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
