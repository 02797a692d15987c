"""The array cache: computed once, bounded, and never in the way."""

import logging
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from cache_child import ask

from promptarena.benchmark.inputs import array_cache
from promptarena.benchmark.inputs.array_cache import CHUNK, DIGEST_BYTES, ArrayCache, default_cache_folder

KEYS = [digit * 64 for digit in "0123456789"]
MIB = np.zeros(1 << 20, dtype=np.uint8)


def rows_of(array: np.ndarray) -> tuple[int, Callable[[range], np.ndarray]]:
    """What the cache is asked for an array: its rows and how they are computed."""
    return len(array), lambda rows: array[rows.start : rows.stop]


def refuse(rows: range) -> np.ndarray:
    raise AssertionError("computed although it was there")


def test_two_processes_compute_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(2)
    processes = [
        context.Process(target=ask, args=(tmp_path / "cache", KEYS[0], tmp_path / "calls", ready)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len((tmp_path / "calls").read_text().splitlines()) == 1


def test_an_array_is_computed_once_and_outlives_the_cache_object(tmp_path: Path) -> None:
    first = ArrayCache(tmp_path)
    array = np.random.default_rng(0).random((3, 2), dtype=np.float32)
    np.testing.assert_array_equal(first.get(KEYS[0], *rows_of(array)), array)
    np.testing.assert_array_equal(first.get(KEYS[0], 3, refuse), array)
    again = ArrayCache(tmp_path).get(KEYS[0], 3, refuse)
    np.testing.assert_array_equal(again, array)
    assert again.dtype == np.float32
    assert not list(tmp_path.glob("**/*.part"))


@pytest.mark.parametrize("count", [0, 1, CHUNK, 2 * CHUNK + 1])
@pytest.mark.parametrize("writable", [True, False])
def test_rows_are_computed_in_chunks_and_come_back_whole(tmp_path: Path, count: int, writable: bool) -> None:
    asked: list[range] = []
    array = np.random.default_rng(1).random((count, 2, 3))

    def compute(rows: range) -> np.ndarray:
        asked.append(rows)
        return array[rows.start : rows.stop]

    found = ArrayCache(tmp_path if writable else _blocked(tmp_path)).get(KEYS[0], count, compute)
    np.testing.assert_array_equal(found, array)
    assert found.shape == array.shape
    assert max(map(len, asked)) <= CHUNK
    assert sum(map(len, asked)) == count


def test_a_failing_computation_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(rows: range) -> np.ndarray:
        if rows.start:
            raise ArithmeticError
        return np.zeros(len(rows))

    with pytest.raises(ArithmeticError):
        ArrayCache(tmp_path).get(KEYS[0], CHUNK + 1, fail)
    assert not [path for path in tmp_path.glob("**/*") if path.suffix in (".npy", ".part")]


@pytest.mark.parametrize("writable", [True, False])
def test_arrays_are_read_only(tmp_path: Path, writable: bool) -> None:
    folder = tmp_path if writable else _blocked(tmp_path)
    cache = ArrayCache(folder)
    for found in (cache.get(KEYS[0], *rows_of(np.zeros(3))), cache.get(KEYS[0], *rows_of(np.zeros(3)))):
        with pytest.raises(ValueError, match="read-only"):
            found[0] = 1
    if writable:
        with pytest.raises(ValueError, match="read-only"):
            ArrayCache(folder).get(KEYS[0], 3, refuse)[0] = 1


def test_the_disk_holds_its_bound_and_drops_the_least_recently_used(tmp_path: Path) -> None:
    for age, key in enumerate(KEYS[:3]):
        ArrayCache(tmp_path).get(key, *rows_of(MIB))
        path = next(tmp_path.glob(f"*/{key}.*.npy"))
        os.utime(path, (age, age))
    ArrayCache(tmp_path).get(KEYS[0], *rows_of(MIB)[:1], refuse)
    ArrayCache(tmp_path, disk_mib=3).get(KEYS[3], *rows_of(MIB))
    assert {path.name.split(".")[0] for path in tmp_path.glob("*/*.npy")} == {KEYS[0], KEYS[3]}


def test_an_array_beyond_the_bounds_is_handed_out_all_the_same(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path, disk_mib=0, memory_mib=0)
    assert cache.get(KEYS[0], *rows_of(MIB)).nbytes == 1 << 20
    assert cache.get(KEYS[1], *rows_of(MIB)).nbytes == 1 << 20
    assert len(list(tmp_path.glob("*/*.npy"))) == 1


def test_the_memory_holds_its_bound(tmp_path: Path) -> None:
    blocked = ArrayCache(_blocked(tmp_path), memory_mib=2)
    for key in (*KEYS[:3], KEYS[1]):
        blocked.get(key, *rows_of(MIB))
    blocked.get(KEYS[1], 1, refuse)
    blocked.get(KEYS[2], 1, refuse)
    computed = blocked.get(KEYS[0], *rows_of(MIB + 1))
    assert computed[0] == 1


def test_arrays_on_the_disk_take_no_memory(tmp_path: Path) -> None:
    """However many there are, one that was opened stays open: it is not read and checked for every batch."""
    cache = ArrayCache(tmp_path, memory_mib=1)
    for key in KEYS:
        cache.get(key, *rows_of(MIB))
    for path in tmp_path.glob("*/*.npy"):
        path.unlink()
    for key in KEYS:
        cache.get(key, len(MIB), refuse)


@pytest.mark.parametrize("writable", [True, False])
def test_threads_share_a_cache(tmp_path: Path, writable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each array is computed once, and none is lost, also while others are given up for want of memory."""
    monkeypatch.setattr(array_cache, "MAPPED", 2)
    cache = ArrayCache(tmp_path if writable else _blocked(tmp_path), memory_mib=2)
    computed: list[str] = []
    ready = threading.Barrier(8)

    def array(key: str) -> np.ndarray:
        def compute(rows: range) -> np.ndarray:
            if not rows.start:
                computed.append(key)
            return MIB[: len(rows)] + int(key[0])

        return cache.get(key, len(MIB), compute)

    def ask(turn: int) -> list[bool]:
        ready.wait()
        same = [bool((array(KEYS[0]) == 0).all())]
        for step in range(10):
            key = KEYS[(turn + step) % len(KEYS)]
            same.append(bool((array(key) == int(key[0])).all()))
        return same

    with ThreadPoolExecutor(8) as pool:
        assert all(all(same) for same in pool.map(ask, range(8)))
    if writable:
        assert sorted(computed) == KEYS


def flipped(content: bytes) -> bytes:
    """One bit in the middle of the data."""
    place = len(content) * 3 // 4
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "foreign": lambda content: b"nothing of the kind",
    "shorter than a digest": lambda content: content[:20],
    "truncated": lambda content: content[:-30],
    "without its digest": lambda content: content[:-DIGEST_BYTES],
    "longer": lambda content: content + b"0",
    "a flipped bit": flipped,
    "another type": lambda content: content.replace(b"<i8", b"<f8"),
    "fewer rows": lambda content: content.replace(b"(100,)", b"(10,) "),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_entry_is_computed_again(
    tmp_path: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    array = np.arange(100)
    ArrayCache(tmp_path).get(KEYS[0], *rows_of(array))
    path = next(tmp_path.glob("*/*.npy"))
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(ArrayCache(tmp_path).get(KEYS[0], *rows_of(array)), array)
    assert caplog.text.count("is damaged or unreadable") == 1
    assert path.read_bytes() == whole
    np.testing.assert_array_equal(ArrayCache(tmp_path).get(KEYS[0], 100, refuse), array)


def test_an_entry_of_another_key_or_number_of_rows_is_not_used(tmp_path: Path) -> None:
    for key, content in zip(KEYS, ([1, 2], [3, 4, 5]), strict=False):
        ArrayCache(tmp_path).get(key, *rows_of(np.array(content)))
    one, other = sorted(tmp_path.glob("*/*.npy"))
    other.write_bytes(one.read_bytes())
    assert ArrayCache(tmp_path).get(KEYS[1], *rows_of(np.array([3, 4, 5]))).tolist() == [3, 4, 5]
    assert ArrayCache(tmp_path).get(KEYS[0], *rows_of(np.array([1, 2, 6]))).tolist() == [1, 2, 6]


@pytest.mark.parametrize("writable", [True, False])
def test_what_is_not_sound_is_handed_out_and_not_kept(tmp_path: Path, writable: bool) -> None:
    folder = tmp_path if writable else _blocked(tmp_path)
    cache = ArrayCache(folder)
    assert cache.get(KEYS[0], *rows_of(np.array([1, 2])), sound=lambda: False).tolist() == [1, 2]
    assert not [path for path in tmp_path.glob("**/*") if path.suffix in (".npy", ".part")]
    assert cache.get(KEYS[0], *rows_of(np.array([3, 4]))).tolist() == [3, 4]


def test_an_entry_is_checked_once_and_synced_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: (done.append("sync"), sync(number)))
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("name"), replace(*paths)))
    monkeypatch.setattr(array_cache, "MAPPED", 1)
    cache = ArrayCache(tmp_path)
    cache.get(KEYS[0], *rows_of(MIB))
    assert done == ["sync", "name"]
    monkeypatch.setattr(array_cache, "_check", lambda path, key: done.append("check"))
    again = ArrayCache(tmp_path)
    for key in (KEYS[0], KEYS[1], KEYS[0]):
        again.get(key, *rows_of(MIB))
    assert done.count("check") == 3  # KEYS[0] once; KEYS[1], which has no file, also under the lock


def test_a_pickled_entry_is_not_unpickled(tmp_path: Path) -> None:
    ArrayCache(tmp_path).get(KEYS[0], *rows_of(np.arange(3)))
    path = next(tmp_path.glob("*/*.npy"))
    np.save(path, np.array([object()], dtype=object), allow_pickle=True)
    assert ArrayCache(tmp_path).get(KEYS[0], *rows_of(np.arange(3))).tolist() == [0, 1, 2]


def _blocked(folder: Path) -> Path:
    """A cache folder that cannot be made, for a file is in its place."""
    (folder / "file").write_text("")
    return folder / "file" / "cache"


def test_a_folder_that_cannot_be_made_is_reported_once_and_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = ArrayCache(_blocked(tmp_path))
    with caplog.at_level(logging.WARNING):
        for key in KEYS[:3]:
            assert cache.get(key, *rows_of(np.arange(2))).tolist() == [0, 1]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "going on without it" in caplog.text
    assert cache.get(KEYS[0], 1, refuse).tolist() == [0, 1]


def test_a_full_disk_is_reported_once_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    cache = ArrayCache(tmp_path)
    with caplog.at_level(logging.WARNING):
        for key in KEYS[:2]:
            assert cache.get(key, *rows_of(np.arange(2))).tolist() == [0, 1]
    assert caplog.text.count("No space left on device") == 1
    assert not list(tmp_path.glob("**/*.part"))
    assert not list(tmp_path.glob("**/*.npy"))


def test_a_folder_that_may_only_be_read_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ArrayCache(tmp_path).get(KEYS[0], *rows_of(np.arange(3)))

    def forbid(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "utime", forbid)
    assert ArrayCache(tmp_path).get(KEYS[0], 3, refuse).tolist() == [0, 1, 2]


def test_a_failing_computation_leaves_the_key_free(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path)
    with pytest.raises(AssertionError):
        cache.get(KEYS[0], 1, refuse)
    assert cache.get(KEYS[0], *rows_of(np.arange(2))).tolist() == [0, 1]


def test_the_folder_is_the_one_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROMPTARENA_CACHE", str(tmp_path))
    assert default_cache_folder() == tmp_path
    monkeypatch.delenv("PROMPTARENA_CACHE")
    assert default_cache_folder().name == "promptarena"


def test_a_copy_on_the_own_disk_is_read_and_stays(tmp_path: Path) -> None:
    shared, near = tmp_path / "shared", tmp_path / "near"
    made = ArrayCache(shared).get("ab12", 3, lambda rows: np.ones((len(rows), 2)))
    again = ArrayCache(shared, local=near).get("ab12", 3, lambda rows: pytest.fail("it is there"))
    assert np.array_equal(made, again)
    (copy,) = near.rglob("*.npy")
    (entry,) = shared.rglob("*.npy")
    assert copy.read_bytes() == entry.read_bytes()
    copy.write_bytes(b"damaged")
    assert np.array_equal(made, ArrayCache(shared, local=near).get("ab12", 3, lambda rows: pytest.fail("it is there")))
    assert not list(tmp_path.rglob("*.lock")), "locks are not on the file system that may be shared"
    assert not list(tmp_path.rglob("*.part"))
