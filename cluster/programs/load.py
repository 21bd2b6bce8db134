"""Load on a remote store through the wheel, by many threads, until the input ends.

    python load.py LOCATION THREADS TIMEOUT_MS

It does and prints what `load.c` does, where the words are explained.
"""

import sys
import threading
import time

import libkv

# A thread that was not answered for so long is told to be back.
SILENCE_MS = 250
# What a call may take beyond its deadline: the time until its thread gets a processor.
GRACE_MS = 500

printing = threading.Lock()
is_over = threading.Event()


def tell(line: str) -> None:
    with printing:
        print(line, flush=True)


class Load:
    """One thread, with two keys of its own."""

    def __init__(self, store: libkv.Store, number: int, is_acked: bool, timeout_ms: int) -> None:
        self.store, self.number, self.is_acked, self.timeout_ms = store, number, is_acked, timeout_ms
        # Numbers of sets: tried, and acknowledged last. Increments: acknowledged, and perhaps done.
        self.tried = self.acked = self.counted = self.unknown = 0
        self.calls = self.unavailable = self.worst_ms = 0
        self.answered_ms = int(time.time() * 1000)

    def call(self, act, may_be_unknown: bool) -> tuple[str, object]:
        """Makes a call and judges it. Answers `ok` and what it answered, `unknown`, or `failed`."""
        before = time.monotonic()
        outcome, answer = "ok", None
        try:
            answer = act()
        except libkv.Error as error:
            outcome = "failed"
            if error.status_name == "KV_ERR_UNAVAILABLE":
                self.unavailable += 1
            elif error.status_name == "KV_ERR_IO" and may_be_unknown:
                outcome = "unknown"
            else:
                tell(f"fault thread {self.number}: a call answered {error.status_name}: {error}")
        took_ms = int((time.monotonic() - before) * 1000)
        self.calls += 1
        self.worst_ms = max(self.worst_ms, took_ms)
        if took_ms > self.timeout_ms + GRACE_MS:
            tell(f"fault thread {self.number}: a call took {took_ms} ms")
        if outcome == "ok":
            at_ms = int(time.time() * 1000)
            if at_ms - self.answered_ms > SILENCE_MS:
                tell(f"back {self.number} {at_ms}")
            self.answered_ms = at_ms
        return outcome, answer

    def set(self, key: str) -> None:
        self.tried += 1
        value = str(self.tried)
        # A plain set may be sent again, so only too few replicas leave it unknown.
        outcome, _ = self.call(lambda: self.store.set(key, value), self.is_acked)
        if outcome == "ok":
            self.acked = self.tried

    def get(self, key: str) -> None:
        outcome, value = self.call(lambda: self.store.get(key), False)
        if outcome != "ok":
            return
        seen = int(value or 0)
        # A master that was killed without having told its replica takes the last sets with it.
        if seen > self.tried or (self.is_acked and seen < self.acked):
            tell(f"fault thread {self.number}: read {seen} behind {self.acked}")

    def incr(self, key: str) -> None:
        outcome, total = self.call(lambda: self.store.incr(key), True)
        self.counted += outcome == "ok"
        self.unknown += outcome == "unknown"
        if outcome == "ok" and total > self.counted + self.unknown:
            tell(f"fault thread {self.number}: counted {total} in {self.counted + self.unknown} times")

    def run(self) -> None:
        set_key, count_key = f"set{self.number}", f"count{self.number}"
        while not is_over.is_set():
            self.set(set_key)
            self.get(set_key)
            self.incr(count_key)


def main() -> None:
    location, threads, timeout_ms = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    stores = [libkv.open(location), libkv.open(f"{location}&ack_replicas=1")]
    loads = [Load(stores[n >= threads // 2], n, n >= threads // 2, timeout_ms) for n in range(threads)]
    running = [threading.Thread(target=load.run) for load in loads]
    for thread in running:
        thread.start()

    def watch() -> None:
        while not is_over.wait(0.05):
            tell("at " + " ".join(str(load.answered_ms) for load in loads))

    watching = threading.Thread(target=watch)
    watching.start()
    sys.stdin.read()
    is_over.set()
    for thread in [watching, *running]:
        thread.join()
    for load in loads:
        figures = [load.tried, load.acked, load.counted, load.unknown, load.calls, load.unavailable, load.worst_ms]
        print("thread", load.number, int(load.is_acked), *figures)
    for store in stores:
        store.close()


if __name__ == "__main__":
    main()
