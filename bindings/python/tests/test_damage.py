"""Damaged directories are described and rescued, backups come back, and opening tells its progress."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest

import libkv


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory of 100 keys: half in a snapshot, all of them in the log, closed."""
    directory = tmp_path / "data"
    with libkv.open(directory) as store:
        for number in range(100):
            store[f"key {number}"] = b"value" * 100
            if number == 49:
                store.snapshot()
    return directory


def flip(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def test_a_sound_directory(data: Path) -> None:
    report = libkv.verify(data)
    assert report.sound and report.findings == ()
    assert report.files == len(list(data.iterdir())) - 1, "all but LOCK"
    assert report.bytes >= sum(file.stat().st_size for file in data.glob("*.log"))
    snapshot = next(data.glob("*.kvs"))
    assert libkv.verify(str(snapshot)) == (True, 1, snapshot.stat().st_size, ())
    with libkv.open(data), pytest.raises(libkv.LockedError):
        libkv.verify(data)


def test_damage_is_named_and_what_is_left_is_saved(data: Path, tmp_path: Path) -> None:
    log = sorted(data.glob("*.log"))[-1]
    flip(log, log.stat().st_size // 2)
    with pytest.raises(libkv.CorruptError, match=log.name):
        libkv.open(data)
    report = libkv.verify(data)
    (found,) = report.findings
    assert not report.sound and not found.harmless
    assert found.file == str(log) and 0 < found.offset < log.stat().st_size
    assert found.problem and found.lost
    before = {file.name: file.read_bytes() for file in data.iterdir()}

    saved = libkv.salvage(data, tmp_path / "new")
    assert saved.may_be_back and saved.records > 0
    assert [finding.offset for finding in saved.findings] == [found.offset]
    assert {file.name: file.read_bytes() for file in data.iterdir()} == before
    with libkv.open(tmp_path / "new") as store:
        assert len(store) == saved.entries
        assert 90 <= saved.entries < 100, "a group of the log is gone, and no more"
        assert store["key 99"] == b"value" * 100
    with pytest.raises(libkv.InvalidError, match="not empty"):
        libkv.salvage(data, tmp_path / "new")


def test_where_there_is_no_store(tmp_path: Path) -> None:
    for path in [tmp_path, tmp_path / "nothing"]:
        with pytest.raises(libkv.InvalidError, match=path.name):
            libkv.verify(path)
    with pytest.raises(libkv.InvalidError):
        libkv.salvage(tmp_path / "nothing", tmp_path / "new")
    with pytest.raises(libkv.CorruptError):
        libkv.salvage(tmp_path, tmp_path / "new")
    with pytest.raises(TypeError):
        libkv.verify(1)  # type: ignore[arg-type]


def test_a_backup_of_an_open_store_comes_back_anywhere(data: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup.kvs"
    with libkv.open(data) as store:
        taken = store.snapshot(backup)
        assert taken.entries == 100 and taken.path == str(backup)
        store.clear()
        store["later"] = "x"
        store.restore(backup)
        assert len(store) == 100 and "later" not in store
    assert libkv.verify(backup).sound
    with libkv.open(data) as store, libkv.open(tmp_path / "other") as other:
        other.restore(backup)
        assert dict(other) == dict(store) and len(other) == 100
    with libkv.open() as memory:
        memory.restore(backup)
        assert len(memory) == 100


def test_progress_of_opening(data: Path) -> None:
    told: list[tuple[str, int, int]] = []
    with libkv.open(data, on_progress=lambda *progress: told.append(progress)) as store:
        assert len(store) == 100
    phases = [phase for phase, _, _ in told]
    assert set(phases) == {"snapshot", "log"} and phases == sorted(phases, reverse=True)
    assert told[0][1] == 0 and told[-1][1] == told[-1][2] > 0
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert len({total for _, _, total in told}) == 1
    told.clear()
    libkv.open(on_progress=lambda *progress: told.append(progress)).close()
    assert told == []


def test_a_progress_callback_is_let_go_and_may_fail(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not the errors themselves: their tracebacks refer to the callback.
    raised: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", lambda hook: raised.append(hook.exc_type))

    class Told:
        def __call__(self, phase: str, done: int, total: int) -> None:
            raise LookupError(phase)

    callback = Told()
    alive = weakref.ref(callback)
    with libkv.open(data, on_progress=callback) as store:
        del callback
        gc.collect()
        assert alive() is None
        assert len(store) == 100
    assert len(raised) >= 4 and set(raised) == {LookupError}
    with pytest.raises(TypeError, match="on_progress"):
        libkv.open(data, on_progress=1)  # type: ignore[arg-type]
