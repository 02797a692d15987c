"""Unpacking: what comes out of honest archives, and that dishonest or damaged ones do no harm."""

import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from packed import FILES, KINDS, add, pack, run, tarball

from promptarena.benchmark.data.prepare.archives import UnpackError, UnsafeArchiveError, unpack
from promptarena.benchmark.data.prepare.progress import Step


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

    def test_a_missing_folder_is_reported_with_what_is_there(self, tmp_path: Path) -> None:
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

    def test_a_missing_archive_inside_is_reported(self, tmp_path: Path) -> None:
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
