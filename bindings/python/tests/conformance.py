"""Runs the cases of tests/conformance against libkv, as their README describes.

Owns: the way from an operation to a call. It holds no expectation of its own, and a word it does not
know is a failure.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import libkv
from case_files import NUMBER, Case, Failure, as_bytes, changes_of, named, text_of, words
from places import AT, filled

TTL_NONE = 2**63 - 1
KINDS = {1: "set", 2: "deleted", 4: "expired", 8: "evicted", 16: "cleared", 64: "touched"}
CAUSES = {2: "deleted", 4: "expired", 8: "evicted", 16: "cleared", 32: "replaced"}
BYTES_ARE_ALL = frozenset({"get_many", "keys", "scan", "removed", "event"})
UNMET = ("EXISTS", "NOT_FOUND", "CONFLICT")


@dataclass
class Answer:
    """What a call answered: one status, or several that this surface cannot tell apart."""

    statuses: tuple[str, ...] = ("OK",)
    values: list[bytes | None] | None = None
    numbers: dict[str, int] = field(default_factory=dict)
    message: str = ""


def bits_of(mask: int, names: dict[int, str]) -> list[str]:
    """The names of the bits of a number; a bit without a name has one that nobody knows."""
    return [names.get(1 << n, f"bit {n}") for n in range(32) if mask >> n & 1]


def seconds(ms: int) -> float:
    """Seconds for the engine's milliseconds; whole ones as an int, which has no limit."""
    return ms // 1000 if ms % 1000 == 0 else ms / 1000


def milliseconds(value: float | None) -> int:
    return TTL_NONE if value is None else round(value * 1000)


class Runner:
    """One case: its store and its variables."""

    def __init__(self) -> None:
        self.opened: libkv.Store | None = None
        self.name = ""
        self.variables: dict[str, int] = {}
        self.told: list[bytes | None] = []
        self.watched: libkv.Watch | None = None
        self.folder = tempfile.TemporaryDirectory(prefix="conformance-")
        self.moved = threading.Condition()

    @property
    def store(self) -> libkv.Store:
        if self.opened is None:
            raise Failure("no store is open")
        return self.opened

    def run(self, case: Case) -> None:
        self.name = case.name
        with self.folder:
            for line in case.lines:
                try:
                    self.step(words(line.text))
                except Failure as failure:
                    where = f"{case.file}:{line.number}"
                    message = f"{where}: {failure}\n    case {case.name}\n    {line.text}"
                    raise Failure(message) from None
            self.close()

    def close(self) -> None:
        if self.opened is not None:
            self.opened.close()
        self.opened = None

    def path(self, text: str) -> str:
        return text.replace("{dir}", self.folder.name)

    def step(self, line: list[str]) -> None:
        match line:
            case ["let", name, number]:
                self.variables[name] = self.number(number)
            case ["wait", ms]:
                time.sleep(self.number(ms) / 1000)
            case [operation, *arguments] if "->" in arguments:
                at = arguments.index("->")
                call: Callable[..., Answer] | None = getattr(self, f"do_{operation}", None)
                if call is None:
                    raise Failure(f"unknown operation {operation}")
                # Of a batch the words with names belong to the change before them.
                given = arguments[:at]
                plain, names = (given, {}) if operation == "write" else named(given)
                try:
                    answer = call(*plain, **names)
                except libkv.Error as error:
                    status = error.status_name.removeprefix("KV_")
                    answer = Answer((status,), message=str(error))
                except TypeError as error:
                    raise Failure(f"cannot call {operation}: {error}") from error
                self.check(operation, answer, arguments[at + 1 :])
            case _:
                raise Failure("unknown line")

    def number(self, word: str) -> int:
        match = NUMBER.fullmatch(word)
        if match is None:
            raise Failure(f"{word!r} is no number")
        base = match[1]
        if base == "now":
            value = time.time_ns() // 1_000_000
        elif base == "never":
            value = TTL_NONE
        elif base.startswith("$"):
            if base not in self.variables:
                raise Failure(f"variable {base} is not set")
            value = self.variables[base]
        else:
            value = int(base)
        return value + int(match[2] or 0)

    def check(self, operation: str, answer: Answer, expected: list[str]) -> None:
        if not expected:
            raise Failure("no status is expected")
        status, *results = expected
        if status not in answer.statuses:
            got = " or ".join(answer.statuses)
            raise Failure(f"expected {status}, got {got} {answer.message}")
        plain = [word for word in results if word == "-" or word.startswith('"')]
        want = [None if word == "-" else as_bytes(word) for word in plain]
        several = operation in BYTES_ARE_ALL and status == "OK"
        if plain or several:
            got_values = answer.values or []
            if operation == "keys":
                want, got_values = sorted(want, key=repr), sorted(got_values, key=repr)
            if want != got_values:
                raise Failure(f"expected {shown(want)}, got {shown(got_values)}")
        for word in results:
            if word not in plain:
                self.check_named(answer, word)

    def check_named(self, answer: Answer, word: str) -> None:
        name, separator, want = word.partition("=")
        if not separator:
            raise Failure(f"cannot read the result {word!r}")
        if name == "message":
            if text_of(want) not in answer.message:
                raise Failure(f"expected a message with {text_of(want)!r}, got {answer.message!r}")
            return
        if name not in answer.numbers:
            raise Failure(f"the call answers no {name}")
        got = answer.numbers[name]
        if want.startswith("?"):
            self.variables["$" + want[1:]] = got
            return
        low, dots, high = want.partition("..")
        if want.startswith(">"):
            holds = got > self.number(want[1:])
        elif want.startswith("<"):
            holds = got < self.number(want[1:])
        elif dots:
            holds = self.number(low) <= got <= self.number(high)
        else:
            holds = got == self.number(want)
        if not holds:
            raise Failure(f"expected {name}={want}, got {got}; variables are {self.variables}")

    def ttl(self, word: str | None) -> Any:
        match word:
            case None | "default":
                return None
            case "none":
                return libkv.NEVER
        return seconds(self.number(word))

    def do_open(self, **options: str) -> Answer:
        self.close()
        texts = {name: text_of(word) for name, word in options.items()}
        location = self.path(filled(texts.pop("at"))) if "at" in texts else None
        is_own = location is None and AT is not None
        if is_own:
            location = f"{AT}/?prefix={{py.{self.name}}}:"
        keywords: dict[str, Any] = dict(texts)
        if (mask := texts.get("on_remove")) is not None:
            names = bits_of(self.number(mask), CAUSES)
            keywords |= {"on_remove": self.on_remove, "on_remove_causes": names or None}
            self.told = []
        self.opened = libkv.open(location, **keywords)
        if is_own:
            # What an earlier run left there.
            self.opened.clear()
        return Answer()

    def on_remove(self, cause: str, key: bytes, value: bytes) -> None:
        with self.moved:
            self.told += [cause.encode(), key, value]
            self.moved.notify_all()

    def do_removed(self, count: str) -> Answer:
        wanted = self.number(count) * 3
        with self.moved:
            if not self.moved.wait_for(lambda: len(self.told) >= wanted, timeout=60):
                raise Failure(f"only {len(self.told) // 3} removals were told")
            told, self.told = self.told, []
        return Answer(values=told)

    def do_configure(self, **options: str) -> Answer:
        [(name, word)] = options.items()
        self.store.configure(name, text_of(word))
        return Answer()

    def set_keywords(self, options: dict[str, str]) -> dict[str, Any]:
        keywords: dict[str, Any] = {}
        if (ttl := options.pop("ttl", None)) == "keep":
            keywords["keep_ttl"] = True
        elif ttl is not None:
            keywords["ttl"] = self.ttl(ttl)
        if (when := options.pop("at", None)) is not None:
            keywords["expire_at"] = seconds(self.number(when))
        if (condition := options.pop("if", None)) is not None:
            keywords[{"absent": "if_absent", "present": "if_present"}[condition]] = True
        if (version := options.pop("if_version", None)) is not None:
            keywords["if_version"] = self.number(version)
        if options:
            raise Failure(f"unknown arguments {options}")
        return keywords

    def do_set(self, key: str, value: str, **options: str) -> Answer:
        keywords = self.set_keywords(options)
        stored = self.store.set(as_bytes(key), as_bytes(value), **keywords)
        return Answer(UNMET) if stored is None else Answer(numbers={"version": stored})

    def do_get(self, key: str) -> Answer:
        return found(self.store.get(as_bytes(key)))

    def do_info(self, key: str) -> Answer:
        entry = self.store.entry(as_bytes(key))
        if entry is None:
            return Answer(("NOT_FOUND",))
        numbers = {
            "version": entry.version,
            "expire_at": milliseconds(entry.expire_at),
            "created_at": -1 if entry.created_at is None else milliseconds(entry.created_at),
            "hits": entry.hits,
        }
        return Answer(values=[entry.value], numbers=numbers)

    def do_get_many(self, *keys: str) -> Answer:
        return Answer(values=self.store.get_many([as_bytes(key) for key in keys]))

    def do_take(self, key: str) -> Answer:
        return found(self.store.take(as_bytes(key)))

    def do_del(self, key: str) -> Answer:
        return was_there(self.store.delete(as_bytes(key)))

    def do_del_if(self, key: str, version: str) -> Answer:
        deleted = self.store.delete(as_bytes(key), if_version=self.number(version))
        return Answer(("OK",) if deleted else ("NOT_FOUND", "CONFLICT"))

    def do_exists(self, key: str) -> Answer:
        return was_there(as_bytes(key) in self.store)

    def do_persist(self, key: str) -> Answer:
        return was_there(self.store.persist(as_bytes(key)))

    def do_expire(self, key: str, ms: str) -> Answer:
        return was_there(self.store.expire(as_bytes(key), self.new_ttl(ms)))

    def new_ttl(self, ms: str) -> Any:
        number = self.number(ms)
        return libkv.NEVER if number == TTL_NONE else seconds(number)

    def do_expire_at(self, key: str, ms: str) -> Answer:
        return was_there(self.store.expire_at(as_bytes(key), seconds(self.number(ms))))

    def do_ttl(self, key: str) -> Answer:
        try:
            left = self.store.ttl(as_bytes(key))
        except KeyError:
            return Answer(("NOT_FOUND",))
        return Answer(numbers={"ttl": milliseconds(left)})

    def do_incr(self, key: str, delta: str, ttl: str | None = None) -> Answer:
        given = None if ttl == "keep" else self.ttl(ttl)
        number = self.store.incr(as_bytes(key), self.number(delta), ttl=given)
        return Answer(numbers={"number": number})

    def do_append(self, key: str, data: str) -> Answer:
        return Answer(numbers={"len": self.store.append(as_bytes(key), as_bytes(data))})

    def do_set_many(self, *pairs: str, ttl: str | None = None) -> Answer:
        data = [as_bytes(word) for word in pairs]
        items = list(zip(data[::2], data[1::2], strict=True))
        if ttl == "keep":
            # A batch has a keyword for it.
            with self.store.batch() as batch:
                for key, value in items:
                    batch.set(key, value, keep_ttl=True)
        else:
            self.store.set_many(items, ttl=self.ttl(ttl))
        return Answer()

    def do_write(self, *line: str) -> Answer:
        try:
            with self.store.batch() as batch:
                for change, *arguments in changes_of(line):
                    self.add(batch, change, *named(arguments))
        except libkv.ConflictError as error:
            return Answer(("CONFLICT",), numbers={"failed": -1 if error.index is None else error.index})
        if batch.result is None:
            raise Failure("a batch was written and has no result")
        return Answer(numbers=batch.result._asdict())

    def add(
        self, batch: libkv.Batch, change: str, plain: list[str], names: dict[str, str]
    ) -> None:
        match change, plain:
            case "set", [key, value]:
                batch.set(as_bytes(key), as_bytes(value), **self.set_keywords(names))
            case "del", [key] if not names:
                batch.delete(as_bytes(key))
            case "expire", [key, ms] if not names:
                batch.expire(as_bytes(key), self.new_ttl(ms))
            case _:
                raise Failure(f"write does not take these words behind {change}")

    def do_scan(self, *, order: str | None = None, **options: str) -> Answer:
        keywords: dict[str, Any] = {"order": order}
        for name, word in options.items():
            keywords[name] = as_bytes(word) if word.startswith('"') else self.number(word)
        flags = {name: keywords.pop(name, 0) == 1 for name in ("keys_only", "point_in_time")}
        found = list(self.store.scan(**keywords, **flags))
        rows: list[tuple[bytes, ...]] = [row if isinstance(row, tuple) else (row,) for row in found]
        if order is None:
            rows.sort()
        return Answer(values=[each for row in rows for each in row], numbers={"count": len(rows)})

    def do_watch(self, **options: str) -> Answer:
        keywords: dict[str, Any] = {}
        for name in ("key", "prefix"):
            if name in options:
                keywords[name] = as_bytes(options.pop(name))
        if (revision := options.pop("from", None)) is not None:
            keywords["from_revision"] = self.number(revision)
        if (mask := options.pop("changes", None)) is not None:
            keywords["kinds"] = bits_of(self.number(mask), KINDS)
        if options:
            raise Failure(f"unknown arguments {options}")
        self.watched = self.store.watch(**keywords)
        return Answer()

    @property
    def watch(self) -> libkv.Watch:
        if self.watched is None:
            raise Failure("there is no watch")
        return self.watched

    def do_event(self) -> Answer:
        try:
            event = self.watch.next(0)
        except libkv.LaggedError as error:
            numbers = {"revision": error.revision, "lagged": error.missed}
            return Answer(("LAGGED",), numbers=numbers)
        if event is None:
            return Answer(("DONE",) if self.watch.closed else ("TIMEOUT",))
        return Answer(
            values=[event.kind.encode(), event.key, event.value or b""],
            numbers={"revision": event.revision, "expire_at": milliseconds(event.expire_at)},
        )

    def do_cancel(self) -> Answer:
        self.watch.close()
        return Answer()

    def do_del_many(self, *keys: str) -> Answer:
        return Answer(numbers={"count": self.store.delete_many([as_bytes(key) for key in keys])})

    def do_fill(self, prefix: str, count: str, value: str, ttl: str | None = None) -> Answer:
        stored = 0
        statuses, message = ("OK",), ""
        for number in range(self.number(count)):
            try:
                key = as_bytes(prefix) + b"%d" % number
                self.store.set(key, as_bytes(value), ttl=self.ttl(ttl))
            except libkv.Error as error:
                statuses, message = (error.status_name.removeprefix("KV_"),), str(error)
                break
            stored += 1
        return Answer(statuses, numbers={"count": stored}, message=message)

    def do_keys(self) -> Answer:
        return Answer(values=list(self.store))

    def do_len(self) -> Answer:
        return Answer(numbers={"count": len(self.store)})

    def do_purge_expired(self) -> Answer:
        return Answer(numbers={"count": self.store.purge_expired()})

    def do_clear(self) -> Answer:
        self.store.clear()
        return Answer()

    def do_last_fault(self) -> Answer:
        fault = self.store.last_fault()
        if fault is None:
            return Answer(("NOT_FOUND",))
        return Answer((fault.status_name.removeprefix("KV_"),), message=str(fault))

    def do_stats(self) -> Answer:
        return Answer(numbers=self.store.stats()._asdict())

    def do_sync(self) -> Answer:
        self.store.sync()
        return Answer()

    def do_snapshot(self, path: str | None = None) -> Answer:
        snapshot = self.store.snapshot(None if path is None else self.path(text_of(path)))
        return Answer(numbers={"entries": snapshot.entries})

    def do_restore(self, path: str) -> Answer:
        self.store.restore(self.path(text_of(path)))
        return Answer()

    def do_recovery(self) -> Answer:
        report = self.store.recovery._asdict()
        return Answer(numbers={n: v for n, v in report.items() if type(v) is int})

    def do_shutdown(self) -> Answer:
        self.store.close()
        return Answer()


def shown(values: list[bytes | None]) -> str:
    text = repr(values)
    return text if len(text) <= 200 else f"{text[:200]}... ({len(text)} characters)"


def found(value: bytes | None) -> Answer:
    return Answer(("NOT_FOUND",)) if value is None else Answer(values=[value])


def was_there(there: bool) -> Answer:
    return Answer(("OK",) if there else ("NOT_FOUND",))
