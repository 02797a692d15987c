"""Dishonest or damaged archives do no harm."""

import errno
import io
import os
import random
import stat
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packed import FILES, KINDS, add, pack, run, tarball, tree

from promptarena.benchmark.data.prepare import archives as unpacking
from promptarena.benchmark.data.prepare.archives import DamagedArchiveError, UnpackError, UnsafeArchiveError, unpack
from promptarena.benchmark.data.prepare.disk_space import DiskFullError
from promptarena.benchmark.data.prepare.progress import unheard


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
    def test_what_is_no_archive_is_reported(self, tmp_path: Path, kind: str, content: bytes) -> None:
        (tmp_path / f"a.{kind}").write_bytes(content)
        with pytest.raises(DamagedArchiveError, match="it is damaged or cut off") as error:
            run(tmp_path / f"a.{kind}", tmp_path / "out")
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize("kind", KINDS)
    def test_an_archive_that_is_cut_off_is_reported_wherever_it_ends(self, tmp_path: Path, kind: str) -> None:
        whole = pack(tmp_path / f"a.{kind}", FILES).read_bytes()
        end = len(whole) if kind != "tar" else whole.rindex(b"a\nb\n")
        for kept in range(0, end, end // 25):
            (tmp_path / f"a.{kind}").write_bytes(whole[:kept])
            with pytest.raises(DamagedArchiveError):
                run(tmp_path / f"a.{kind}", tmp_path / f"out{kept}")

    @pytest.mark.parametrize("kind", ["zip", "tar.gz"])
    def test_a_changed_byte_is_reported_or_changes_nothing(self, tmp_path: Path, kind: str) -> None:
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

    def test_an_encrypted_zip_is_reported(self, tmp_path: Path) -> None:
        content = bytearray(pack(tmp_path / "a.zip", {"a": b"1"}).read_bytes())
        for header, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            content[content.index(header) + offset] |= 1
        (tmp_path / "a.zip").write_bytes(bytes(content))
        with pytest.raises(DamagedArchiveError, match="it is encrypted"):
            run(tmp_path / "a.zip", tmp_path / "out")

    @pytest.mark.parametrize("kind", ["zip", "tar"])
    @pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("x" * 300,), ("a" + "/b" * 3000,)])
    def test_names_that_no_disk_can_hold_are_reported(self, tmp_path: Path, kind: str, names: tuple[str, ...]) -> None:
        archive = pack(tmp_path / f"a.{kind}", dict.fromkeys(names, b"1"))
        with pytest.raises(DamagedArchiveError, match="cannot be written") as error:
            run(archive, tmp_path / "out")
        assert len(str(error.value)) < 300
