"""The journal of what both sides held: whole lines from many threads, and what a crash leaves."""

from __future__ import annotations

import errno
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from maquette.errors import UsageError
from maquette.storage.index import Entry, Index

THREADS, EACH = 16, 100


def as_left(index: Index, folder: Path) -> Index:
    """What the next command finds if this one is killed now."""
    (folder / ".maquette").mkdir(parents=True)
    left = Index(folder, "a store")
    shutil.copy(index.path, left.path)
    return left


def test_many_threads_write_whole_lines_at_once(tmp_path: Path) -> None:
    index = Index(tmp_path / "scene", "a store")
    (tmp_path / "scene").mkdir()

    def work(thread: int) -> None:
        for number in range(EACH):
            path = f"images/{thread}-{number} é.jpg"
            index.note_download(path, Entry(number, thread, "t" * number, "e"))
            index.record(path, Entry(number, thread, "t" * number, "e"))
            index.note_upload(f"sent/{path}", "tag")

    with index.opened(write=True):
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(work, range(THREADS)))
        left = as_left(index, tmp_path / "other")
        with left.opened(write=False):
            assert left.entries == index.entries and len(left.entries) == THREADS * EACH
            assert left.sent == index.sent and len(left.sent) == THREADS * EACH


def test_a_line_that_a_crash_has_torn_takes_no_other_with_it(tmp_path: Path) -> None:
    index = Index(tmp_path / "scene", "a store")
    entry = Entry(1, 2, "tag", "etag")
    with index.opened(write=True):
        index.record("first", entry)
        with open(index.path, "ab") as journal:
            journal.write(b'\n["torn", 1, 2, "ta')
        index.record("second", entry)
        left = as_left(index, tmp_path / "other")
    with left.opened(write=False):
        assert left.entries == {"first": entry, "second": entry}


def test_a_line_that_the_disk_takes_only_in_part_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NearlyFull:
        def write(self, line: bytes) -> int:
            return len(line) // 2

        def close(self) -> None:
            pass

    index = Index(tmp_path / "scene", "a store")
    with index.opened(write=True):
        monkeypatch.setattr(index, "_journal", NearlyFull())
        with pytest.raises(OSError) as caught:
            index.record("first", Entry(1, 2, "tag", "etag"))
        assert caught.value.errno == errno.ENOSPC and "first" not in index.entries


def test_who_has_patience_waits_for_its_turn(tmp_path: Path) -> None:
    first, hasty = Index(tmp_path, "a store"), Index(tmp_path, "a store")
    patient, begun = Index(tmp_path, "a store", patience_s=60), threading.Event()

    def work() -> bool:
        begun.set()
        with patient.opened(write=True):
            return patient.entries.keys() == {"a"}

    with ThreadPoolExecutor(1) as pool:
        with first.opened(write=True):
            with pytest.raises(UsageError, match="at work"), hasty.opened(write=True):
                pass
            waiting = pool.submit(work)
            begun.wait()
            first.record("a", Entry(1, 1, "t", "e"))
            assert not waiting.done()
        assert waiting.result()
