"""Unpacking: what comes out of honest archives, and that dishonest or damaged ones do no harm."""

import errno
import io
import os
import random
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptarena.benchmark.data.prepare import archives as unpacking
from promptarena.benchmark.data.prepare.archives import DamagedArchiveError, UnpackError, UnsafeArchiveError, unpack
from promptarena.benchmark.data.prepare.disk_space import DiskFullError
from promptarena.benchmark.data.prepare.progress import Step, unheard

FILES = {
    "top/images/a/1.jpg": random.Random(1).randbytes(5000),
    "top/images/b/2.jpg": random.Random(2).randbytes(70_000),
    "top/list.txt": b"a\nb\n",
}
KINDS = ("zip", "tar", "tar.gz", "tgz")


def pack(path: Path, files: dict[str, bytes]) -> Path:
    """An archive of the kind that its name says."""
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in files.items():
                packed.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    else:
        with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as tar:
            for name, content in files.items():
                add(tar, name, content)
    return path


def add(tar: tarfile.TarFile, name: str, content: bytes = b"", **fields: Any) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for field, value in fields.items():
        setattr(member, field, value)
    tar.addfile(member, io.BytesIO(content))


def tarball(path: Path, fill: Callable[[tarfile.TarFile], None]) -> Path:
    with tarfile.open(path, "w") as tar:
        fill(tar)
    return path


def run(archive: Path, folder: Path, take: str = "", nested: Sequence[str] = ()) -> dict[str, bytes]:
    unpack(archive, folder, take, nested, unheard)
    return tree(folder)


def tree(folder: Path) -> dict[str, bytes]:
    assert not [path for path in folder.rglob("*") if path.is_symlink()]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


class TestHonestArchives:
    @pytest.mark.parametrize("kind", KINDS)
    def test_everything_comes_out_as_it_went_in(self, tmp_path: Path, kind: str) -> None:
        assert run(pack(tmp_path / f"a.{kind}", FILES), tmp_path / "out") == FILES

    def test_a_plain_tar_may_be_called_compressed(self, tmp_path: Path) -> None:
        archive = pack(tmp_path / "a.tar", FILES).rename(tmp_path / "a.tar.gz")
        assert run(archive, tmp_path / "out") == FILES

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(
        ("take", "prefix"), [("top", "top/"), ("*", "top/"), ("top/images", "top/images/"), ("", "")]
    )
    def test_the_contents_of_one_folder_are_taken(self, tmp_path: Path, kind: str, take: str, prefix: str) -> None:
        expected = {name.removeprefix(prefix): content for name, content in FILES.items() if name.startswith(prefix)}
        assert run(pack(tmp_path / f"a.{kind}", FILES), tmp_path / "out", take) == expected

    def test_the_top_folder_may_have_any_name_and_company_from_macos(self, tmp_path: Path) -> None:
        files = {"food-101/a.jpg": b"1", "__MACOSX/food-101/._a.jpg": b"2", ".DS_Store": b"3", "._food-101": b"4"}
        assert run(pack(tmp_path / "a.zip", files), tmp_path / "out", "*") == {"a.jpg": b"1"}

    @pytest.mark.parametrize(
        ("files", "shown"),
        [
            ({"a/1": b"", "b/1": b""}, "there is a, b"),
            ({"a/1": b"", "readme": b""}, "there is a, readme"),
            ({"readme": b""}, "there is readme"),
            ({}, "there is nothing"),
        ],
    )
    def test_one_top_folder_means_exactly_one(self, tmp_path: Path, files: dict[str, bytes], shown: str) -> None:
        with pytest.raises(UnpackError, match=f"one folder is expected at its top, but {shown}"):
            run(pack(tmp_path / "a.zip", files), tmp_path / "out", "*")

    def test_a_missing_folder_is_told_with_what_is_there(self, tmp_path: Path) -> None:
        with pytest.raises(UnpackError, match="it has no folder 'images', but top"):
            run(pack(tmp_path / "a.tar", FILES), tmp_path / "out", "images")

    @pytest.mark.parametrize("kind", ["zip", "tar"])
    def test_what_macos_adds_is_left_out(self, tmp_path: Path, kind: str) -> None:
        droppings = {"__MACOSX/top/x": b"1", "top/._list.txt": b"2", "top/.DS_Store": b"3", "top/images/._a/1": b"4"}
        assert run(pack(tmp_path / f"a.{kind}", FILES | droppings), tmp_path / "out") == FILES

    def test_two_archives_share_a_folder_and_nothing_else_in_it_is_touched(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        (out / "images" / "a").mkdir(parents=True)
        (out / "images" / "a" / "0.jpg").write_bytes(b"before")
        run(pack(tmp_path / "a.zip", {"images/a/1.jpg": b"1"}), out)
        assert run(pack(tmp_path / "b.tar", {"images/a/2.jpg": b"2", "images/b/1.jpg": b"3"}), out) == {
            "images/a/0.jpg": b"before",
            "images/a/1.jpg": b"1",
            "images/a/2.jpg": b"2",
            "images/b/1.jpg": b"3",
        }

    def test_an_archive_inside_is_unpacked_where_it_lies_and_removed(self, tmp_path: Path) -> None:
        inner = pack(tmp_path / "inner.tar.gz", {"101/x/1.jpg": b"1"}).read_bytes()
        outer = pack(tmp_path / "outer.zip", {"caltech/sub/inner.tar.gz": inner, "caltech/show.m": b"2"})
        out = run(outer, tmp_path / "out", "caltech", ["sub/inner.tar.gz"])
        assert out == {"sub/101/x/1.jpg": b"1", "show.m": b"2"}

    def test_a_missing_archive_inside_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(UnpackError, match=r"it lacks 'inner\.tar'"):
            run(pack(tmp_path / "a.zip", FILES), tmp_path / "out", "top", ["inner.tar"])

    @pytest.mark.parametrize("kind", ["zip", "tar"])
    def test_modes_of_the_archive_do_not_count(self, tmp_path: Path, kind: str) -> None:
        if kind == "zip":
            archive = tmp_path / "a.zip"
            with zipfile.ZipFile(archive, "w") as packed:
                member = zipfile.ZipInfo("run.sh")
                member.external_attr = 0o106777 << 16
                packed.writestr(member, b"1")
        else:
            archive = tarball(tmp_path / "a.tar", lambda tar: add(tar, "run.sh", b"1", mode=0o6777))
        run(archive, tmp_path / "out")
        (tmp_path / "plain").write_bytes(b"")
        assert stat.S_IMODE((tmp_path / "out" / "run.sh").stat().st_mode) == stat.S_IMODE(
            (tmp_path / "plain").stat().st_mode
        )

    @pytest.mark.parametrize("kind", KINDS)
    def test_progress_ends_at_the_archives_size(self, tmp_path: Path, kind: str) -> None:
        archive = pack(tmp_path / f"a.{kind}", FILES)
        steps: list[Step] = []
        unpack(archive, tmp_path / "out", "", (), steps.append)
        assert {(step.kind, step.name, step.total) for step in steps} == {
            ("unpack", archive.name, archive.stat().st_size)
        }
        assert [step.done for step in steps] == sorted(step.done for step in steps)
        assert 0 < steps[-1].done <= archive.stat().st_size

    def test_nothing_but_the_contents_remains(self, tmp_path: Path) -> None:
        run(pack(tmp_path / "a.zip", FILES), tmp_path / "out", "top")
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["images", "list.txt"]


class TestLinks:
    def test_links_inside_become_copies(self, tmp_path: Path) -> None:
        def fill(tar: tarfile.TarFile) -> None:
            add(tar, "a/link", type=tarfile.SYMTYPE, linkname="../b/file")
            add(tar, "b/file", b"content")
            add(tar, "b/hard", type=tarfile.LNKTYPE, linkname="b/file")
            add(tar, "c", type=tarfile.SYMTYPE, linkname="a/link")

        assert run(tarball(tmp_path / "a.tar", fill), tmp_path / "out") == dict.fromkeys(
            ("a/link", "b/file", "b/hard", "c"), b"content"
        )

    @pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
    @pytest.mark.parametrize(
        "target", ["/etc/hostname", "../../secret", "../../../../../../etc/hostname", "..\\secret"]
    )
    def test_links_that_point_outside_are_refused(self, tmp_path: Path, kind: bytes, target: str) -> None:
        (tmp_path / "secret").write_bytes(b"secret")
        archive = tarball(tmp_path / "a.tar", lambda tar: add(tar, "a/link", type=kind, linkname=target))
        with pytest.raises(UnsafeArchiveError, match="lies outside of it"):
            run(archive, tmp_path / "out")

    @pytest.mark.parametrize("target", ["a", "nothing", "link", "."])
    def test_links_to_a_folder_to_nothing_or_to_themselves_are_refused(self, tmp_path: Path, target: str) -> None:
        def fill(tar: tarfile.TarFile) -> None:
            add(tar, "a/x", b"1")
            add(tar, "link", type=tarfile.SYMTYPE, linkname=target)

        with pytest.raises(UnsafeArchiveError, match="its link 'link' points to no file of it"):
            run(tarball(tmp_path / "a.tar", fill), tmp_path / "out")

    def test_nothing_is_written_through_a_link(self, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()

        def fill(tar: tarfile.TarFile) -> None:
            add(tar, "way", type=tarfile.SYMTYPE, linkname=str(outside))
            add(tar, "way/planted", b"1")

        with pytest.raises(UnpackError):
            run(tarball(tmp_path / "a.tar", fill), tmp_path / "out")
        assert list(outside.iterdir()) == []


class TestEscapes:
    @pytest.mark.parametrize("kind", ["zip", "tar"])
    @pytest.mark.parametrize(
        "name",
        [
            "../planted",
            "a/../../planted",
            "/planted",
            "//planted",
            "..\\planted",
            "a\\..\\..\\planted",
            "C:\\planted",
            "C:planted",
            "\\\\host\\share\\planted",
            "..",
            "a/..",
        ],
    )
    def test_no_name_leads_out(self, tmp_path: Path, kind: str, name: str) -> None:
        archive = pack(tmp_path / f"a.{kind}", {"good": b"0", name: b"1"})
        with pytest.raises(UnsafeArchiveError, match="lies outside of it"):
            run(archive, tmp_path / "x" / "y" / "out")
        assert not list(tmp_path.rglob("*planted*"))
        assert not Path("/planted").exists()

    def test_no_name_leads_out_of_an_archive_inside(self, tmp_path: Path) -> None:
        inner = pack(tmp_path / "inner.tar", {"../planted": b"1"}).read_bytes()
        with pytest.raises(UnsafeArchiveError):
            run(pack(tmp_path / "a.zip", {"inner.tar": inner}), tmp_path / "x" / "out", "", ["inner.tar"])
        assert not (tmp_path / "x" / "planted").exists()

    @given(st.lists(st.sampled_from(["..", ".", "a", "/", "\\", "C:", "", "b"]), min_size=1, max_size=6).map("/".join))
    @settings(max_examples=150, deadline=None)
    def test_whatever_it_is_called_a_member_lands_inside_or_nowhere(self, name: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "x" / "out"
            for kind in ("zip", "tar"):
                archive = pack(Path(folder) / f"a.{kind}", {name: b"1"})
                try:
                    unpack(archive, out, "", (), unheard)
                except UnpackError:
                    pass
                finally:
                    archive.unlink()
            assert sorted(path.name for path in Path(folder).iterdir()) == ["x"]
            assert [path.name for path in (Path(folder) / "x").iterdir()] == ["out"]

    @pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
    def test_devices_and_pipes_are_refused(self, tmp_path: Path, kind: bytes) -> None:
        archive = tarball(tmp_path / "a.tar", lambda tar: add(tar, "null", type=kind, devmajor=1, devminor=3))
        with pytest.raises(UnsafeArchiveError, match="its member 'null' is a device or a pipe"):
            run(archive, tmp_path / "out")

    @pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
    def test_a_zip_with_links_or_devices_is_refused(self, tmp_path: Path, kind: int) -> None:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
            member = zipfile.ZipInfo("link")
            member.external_attr = (kind | 0o777) << 16
            packed.writestr(member, "/etc/hostname")
        with pytest.raises(UnsafeArchiveError, match="its member 'link' is a link or a device"):
            run(tmp_path / "a.zip", tmp_path / "out")


class TestLimits:
    @pytest.mark.parametrize("kind", ["zip", "tar.gz"])
    def test_a_bomb_is_stopped_by_the_bytes_it_really_gives(
        self, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(unpacking, "SLACK", 100_000)
        archive = pack(tmp_path / f"a.{kind}", {"zeros": bytes(20 << 20)})
        with pytest.raises(UnsafeArchiveError, match="it unpacks to more than"):
            run(archive, tmp_path / "out")
        assert tree(tmp_path / "out") == {}

    def test_the_limit_holds_for_all_members_together_and_for_what_is_left_out(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(unpacking, "SLACK", 0)
        for name in ("{}", "._{}"):
            archive = pack(tmp_path / "a.tgz", {name.format(number): bytes(100_000) for number in range(50)})
            with pytest.raises(UnsafeArchiveError, match="it unpacks to more than"):
                run(archive, tmp_path / "out")

    def test_copies_of_a_linked_file_count(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(unpacking, "SLACK", 0)

        def fill(tar: tarfile.TarFile) -> None:
            add(tar, "a", bytes(100_000))
            for number in range(50):
                add(tar, f"link{number}", type=tarfile.LNKTYPE, linkname="a")

        with pytest.raises(UnsafeArchiveError, match="it unpacks to more than"):
            run(tarball(tmp_path / "a.tar", fill), tmp_path / "out")

    def test_what_does_not_compress_is_within_the_limit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(unpacking, "SLACK", 0)
        assert run(pack(tmp_path / "a.zip", FILES), tmp_path / "out") == FILES

    @pytest.mark.parametrize("kind", ["zip", "tar"])
    def test_too_many_members(self, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(unpacking, "MAX_MEMBERS", 10)
        assert len(run(pack(tmp_path / f"a.{kind}", {f"{n}": b"" for n in range(10)}), tmp_path / "out")) == 10
        with pytest.raises(UnsafeArchiveError, match="it has more than 10 members"):
            run(pack(tmp_path / f"b.{kind}", {f"{n}": b"" for n in range(11)}), tmp_path / "out2")

    def test_a_disk_that_fills_up(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        opened = Path.open

        class Full(io.BytesIO):
            def write(self, content: Any) -> int:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def open_full(path: Path, *arguments: Any, **options: Any) -> Any:
            return Full() if arguments[:1] == ("wb",) else opened(path, *arguments, **options)

        archive = pack(tmp_path / "a.tar.gz", FILES)
        monkeypatch.setattr(Path, "open", open_full)
        with pytest.raises(DiskFullError, match=r"the disk of .* is full"):
            run(archive, tmp_path / "out")


class TestDamage:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"PK", random.Random(4).randbytes(2000)])
    def test_what_is_no_archive_is_told(self, tmp_path: Path, kind: str, content: bytes) -> None:
        (tmp_path / f"a.{kind}").write_bytes(content)
        with pytest.raises(DamagedArchiveError, match="it is damaged or cut off") as error:
            run(tmp_path / f"a.{kind}", tmp_path / "out")
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize("kind", KINDS)
    def test_an_archive_that_is_cut_off_is_told_wherever_it_ends(self, tmp_path: Path, kind: str) -> None:
        whole = pack(tmp_path / f"a.{kind}", FILES).read_bytes()
        end = len(whole) if kind != "tar" else whole.rindex(b"a\nb\n")
        for kept in range(0, end, end // 25):
            (tmp_path / f"a.{kind}").write_bytes(whole[:kept])
            with pytest.raises(DamagedArchiveError):
                run(tmp_path / f"a.{kind}", tmp_path / f"out{kept}")

    @pytest.mark.parametrize("kind", ["zip", "tar.gz"])
    def test_a_changed_byte_is_told_or_changes_nothing(self, tmp_path: Path, kind: str) -> None:
        whole = pack(tmp_path / f"a.{kind}", FILES).read_bytes()
        draw = random.Random(5)
        refused = 0
        for number in range(40):
            broken = bytearray(whole)
            broken[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
            (tmp_path / f"a.{kind}").write_bytes(bytes(broken))
            try:
                assert run(tmp_path / f"a.{kind}", tmp_path / f"out{number}") == FILES
            except UnpackError:
                refused += 1
        assert refused > 30

    def test_an_encrypted_zip_is_told(self, tmp_path: Path) -> None:
        content = bytearray(pack(tmp_path / "a.zip", {"a": b"1"}).read_bytes())
        for header, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            content[content.index(header) + offset] |= 1
        (tmp_path / "a.zip").write_bytes(bytes(content))
        with pytest.raises(DamagedArchiveError, match="it is encrypted"):
            run(tmp_path / "a.zip", tmp_path / "out")

    @pytest.mark.parametrize("kind", ["zip", "tar"])
    @pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("x" * 300,), ("a" + "/b" * 3000,)])
    def test_names_that_no_disk_can_hold_are_told(self, tmp_path: Path, kind: str, names: tuple[str, ...]) -> None:
        archive = pack(tmp_path / f"a.{kind}", dict.fromkeys(names, b"1"))
        with pytest.raises(DamagedArchiveError, match="cannot be written") as error:
            run(archive, tmp_path / "out")
        assert len(str(error.value)) < 300
