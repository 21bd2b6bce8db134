"""A store in a directory: the next life, snapshots, one opener, a killed process, damaged files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import libkv
from test_fork import in_child, raises_forked


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.mark.parametrize("sync", ["always", "interval", "never"])
@pytest.mark.parametrize("as_type", [str, Path, lambda path: f"kv:{path}?shards=2"])
def test_what_was_written_is_there_again(data: Path, sync: str, as_type: Any) -> None:
    with libkv.open(as_type(data), sync=sync) as store:
        store.update(a="1", b="2", c="3")
        store.set("timed", "v", ttl="10m")
        store.set("short", "v", ttl=0.001)
        del store["b"]
        store.incr("n", 5)
        assert store.append("a", "+") == 2
        version = store.set("last", "v")
    time.sleep(0.005)
    with libkv.open(data) as store:
        assert dict(store) == {b"a": b"1+", b"c": b"3", b"timed": b"v", b"n": b"5", b"last": b"v"}
        left = store.ttl("timed")
        assert left is not None and 0 < left <= 600
        next_version = store.set("next", "v")
        assert version is not None and next_version is not None and next_version > version


def test_a_path_object_is_never_parsed(tmp_path: Path) -> None:
    directory = tmp_path / "kv:a?b=c"
    with libkv.open(directory) as store:
        store["k"] = "v"
        assert str(directory) in repr(store)
    assert directory.is_dir()
    assert (directory.stat().st_mode & 0o777) == 0o700


def test_a_file_name_need_not_be_text(tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(b"\xff.kvs")
    with libkv.open() as store:
        store["k"] = "v"
        assert store.snapshot(file).path == str(file)
        store.clear()
        store.restore(file)
        assert store["k"] == b"v"


def test_a_missing_directory_may_be_an_error(data: Path) -> None:
    with pytest.raises(libkv.InvalidError, match="create"):
        libkv.open(data, create=False)
    assert not data.exists()


def test_a_directory_has_one_opener(data: Path) -> None:
    with libkv.open(data) as store:
        with pytest.raises(libkv.LockedError) as caught:
            libkv.open(data)
        assert isinstance(caught.value, OSError)
        assert str(data) in str(caught.value)

        def work() -> None:
            with pytest.raises(libkv.LockedError):
                libkv.open(data)

        assert in_child(work) == 0
        store["k"] = "v"
    with libkv.open(data) as store:
        assert store["k"] == b"v"


def test_the_context_manager_closes_after_an_exception(data: Path) -> None:
    with pytest.raises(ZeroDivisionError), libkv.open(data) as store:
        store["k"] = "v"
        raise ZeroDivisionError
    with libkv.open(data) as store:
        assert store["k"] == b"v"


def test_a_store_that_is_dropped_is_closed(data: Path) -> None:
    store = libkv.open(data)
    store["k"] = "v"
    del store
    with libkv.open(data) as again:
        assert again["k"] == b"v"


def test_a_forked_child_leaves_the_files_alone(data: Path) -> None:
    with libkv.open(data, sync="always") as store:
        store["k"] = "v"

        def work() -> None:
            raises_forked(store.sync)
            raises_forked(store.snapshot)
            raises_forked(lambda: store.restore("x"))
            raises_forked(lambda: store.recovery)

        assert in_child(work) == 0
        store["l"] = "w"
    with libkv.open(data) as store:
        assert dict(store) == {b"k": b"v", b"l": b"w"}


def test_recovery_tells_what_was_found(data: Path) -> None:
    with libkv.open(data) as store:
        assert store.recovery.records == 0
        store.update({str(number): "v" for number in range(10)})
    with libkv.open(data) as store:
        report = store.recovery
        assert isinstance(report, libkv.Recovery)
        assert report.records >= 10
        assert report.last_revision >= 10
        assert (report.discarded_bytes, report.reason, report.fallback_used) == (0, "", False)
    assert store.recovery == report, "it can be read after close"
    with libkv.open() as memory:
        assert memory.recovery == libkv.Recovery(0, 0, 0, 0, "", False, 0, 0.0)


def test_snapshots(data: Path, tmp_path: Path) -> None:
    with libkv.open(data) as store:
        store.update(a="1", b="2")
        own = store.snapshot()
        assert isinstance(own, libkv.Snapshot)
        assert own.entries == 2
        assert own.bytes == Path(own.path).stat().st_size
        assert own.path.startswith(str(data))
        assert abs(own.created_at - time.time()) < 60
        store.update(a="changed", c="3")
        copy = store.snapshot(tmp_path / "copy.kvs")
        assert copy.revision > own.revision
        store.restore(own.path)
        assert dict(store) == {b"a": b"1", b"b": b"2"}
        assert store.stats().snapshots >= 1
    with libkv.open(data) as store:
        assert dict(store) == {b"a": b"1", b"b": b"2"}
        assert store.recovery.snapshot_revision > 0
    with libkv.open() as memory:
        memory.restore(copy.path)
        assert dict(memory) == {b"a": b"changed", b"b": b"2", b"c": b"3"}


def test_a_store_in_memory_needs_a_path(store: libkv.Store) -> None:
    store.sync()
    with pytest.raises(libkv.UnsupportedError, match="path"):
        store.snapshot()


@pytest.mark.parametrize("path", [5, 1.5, ["a"]])
def test_what_is_no_path_is_a_type_error(store: libkv.Store, path: Any) -> None:
    with pytest.raises(TypeError):
        store.snapshot(path)
    with pytest.raises(TypeError):
        store.restore(path)
    with pytest.raises(TypeError):
        store.restore(None)  # type: ignore[arg-type]


def flip(file: Path) -> None:
    """Flips a bit in the middle of what is not zero."""
    content = bytearray(file.read_bytes())
    content[len(content.rstrip(b"\0")) // 2] ^= 4
    file.write_bytes(content)


def test_a_damaged_snapshot_is_named(tmp_path: Path, store: libkv.Store) -> None:
    file = tmp_path / "file.kvs"
    store["k"] = "v"
    store.snapshot(file)
    flip(file)
    with pytest.raises(libkv.CorruptError, match=r"file\.kvs") as caught:
        store.restore(file)
    assert isinstance(caught.value, OSError)
    with pytest.raises(libkv.IoError) as missing:
        store.restore(tmp_path / "none")
    assert missing.value.errno == 2
    assert store["k"] == b"v"


def test_a_damaged_log_is_named(data: Path) -> None:
    with libkv.open(data, sync="always") as store:
        store.update({str(number): "a value that takes some room" for number in range(100)})
    file = max(data.glob("wal-*.log"))
    flip(file)
    with pytest.raises(libkv.CorruptError, match=file.name):
        libkv.open(data)


WRITER = """
import libkv, sys
store = libkv.open(sys.argv[1], sync="always")
number = 0
while True:
    store[str(number)] = str(number)
    # Only after the write was acknowledged.
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
    number += 1
"""


def test_a_killed_process_loses_nothing(data: Path) -> None:
    first = 0
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(data)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            said = [int(child.stdout.readline()) for _ in range(50)]
            child.send_signal(signal.SIGKILL)
            # A line may have been cut.
            rest = child.stdout.read().split("\n")[:-1]
            said += [int(line) for line in rest]
        assert child.returncode == -signal.SIGKILL
        assert said == list(range(len(said)))
        with libkv.open(data) as store:
            for number in said:
                assert store[str(number)] == str(number).encode()
            assert len(store) - len(said) in (0, 1), "at most one write was not acknowledged yet"
            first += len(said)
            store.clear()
    assert first >= 150


def test_a_write_that_waits_for_the_disk_lets_others_run(data: Path) -> None:
    # The threads share the syncs, which they can only if the GIL is free while one waits.
    with libkv.open(data, sync="always") as store:
        start = store.stats().wal_syncs

        def write(name: str) -> None:
            for number in range(100):
                store[f"{name}{number}"] = "v"

        # Where a sync takes no time two threads may never meet.
        for turn in range(1, 51):
            threads = [threading.Thread(target=write, args=(f"{turn}{name}",)) for name in "abcdefgh"]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(store) == 800 * turn
            if store.stats().wal_syncs - start < 800 * turn:
                return
        pytest.fail("no sync was shared")
