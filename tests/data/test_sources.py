"""Sources: what a card may say about where its files come from, and what is refused with a reason."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from promptarena.benchmark.core.config_files import check
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import list_cards, load_card
from promptarena.benchmark.data.sources import (
    HubFile,
    Source,
    SourceFile,
    Sources,
    browser_address,
    drive_file,
    hub_file,
    stays_inside,
)

MD5 = "md5:" + "0" * 32


def file(**fields: Any) -> SourceFile:
    return check("card", {"name": "a.zip", "urls": ["https://example.org/a.zip"]} | fields, SourceFile)


def source(**fields: Any) -> Source:
    return check(
        "card", {"title": "T", "files": [{"name": "a.zip", "urls": ["https://example.org/a.zip"]}]} | fields, Source
    )


def test_a_full_entry_is_read() -> None:
    read = file(checksum=MD5, take="caltech-101", to="x/y", nested=["b.tar.gz", "c/d.tgz"], by_hand="ask")
    assert read.is_archive
    assert read.nested == ("b.tar.gz", "c/d.tgz")
    assert (read.urls, read.checksum, read.take, read.to) == (("https://example.org/a.zip",), MD5, "caltech-101", "x/y")


@pytest.mark.parametrize(
    ("name", "archive"),
    [("a.zip", True), ("a.tar", True), ("a.tar.gz", True), ("a.tgz", True), ("a.json", False), ("a.mat", False)],
)
def test_the_ending_of_the_name_decides_whether_a_file_is_unpacked(name: str, archive: bool) -> None:
    assert file(name=name).is_archive is archive


def test_a_plain_file_goes_to_its_path_or_to_the_top_under_its_own_name() -> None:
    assert file(name="labels.mat").place == "labels.mat"
    assert file(name="labels.mat", to="lists/l.mat").place == "lists/l.mat"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "field 'name'"),
        ({"name": "../a.zip"}, "must be the name of a file"),
        ({"name": "b/a.zip"}, "must be the name of a file"),
        ({"name": "b\\a.zip"}, "must be the name of a file"),
        ({"name": "C:a.zip"}, "must be the name of a file"),
        ({"name": ".a.zip"}, "without a dot at its beginning"),
        ({"urls": ["ftp://example.org/a.zip"]}, "field 'urls.0' is \"ftp://example.org/a.zip\": must be https://"),
        ({"urls": ["https:///a.zip"]}, "must be https://"),
        ({"urls": ["https://example.org/a b.zip"]}, "must be https://"),
        ({"urls": ["gdrive:"]}, "must be https://"),
        ({"urls": ["gdrive:a/b"]}, "must be https://"),
        ({"urls": ["hf:owner/repo/a.zip"]}, "hf:OWNER/REPO@REVISION/PATH"),
        ({"urls": ["hf:repo@main/a.zip"]}, "hf:OWNER/REPO@REVISION/PATH"),
        ({"urls": ["hf:models/owner/repo@main/a.zip"]}, "hf:OWNER/REPO@REVISION/PATH"),
        ({"urls": ["hf:owner/repo@main/../a.zip"]}, "must name a file inside the repository"),
        ({"urls": ["https://e.org/a", "https://e.org/a"]}, "urls name an address twice"),
        ({"urls": []}, "a.zip: give urls, or say in by_hand how a person gets the file"),
        ({"urls": "https://example.org/a.zip"}, "field 'urls'"),
        ({"by_hand": " "}, "field 'by_hand'"),
        ({"checksum": "0" * 32}, "field 'checksum'"),
        ({"checksum": "md5:" + "0" * 31}, "field 'checksum'"),
        ({"checksum": "md5:" + "A" * 32}, "field 'checksum'"),
        ({"checksum": "sha1:" + "0" * 40}, "field 'checksum'"),
        ({"checksum": "sha256:" + "0" * 32}, "field 'checksum'"),
        ({"take": "/etc"}, "must be a plain relative path"),
        ({"take": "a/../b"}, "must be a plain relative path"),
        ({"take": "a/"}, "must be a plain relative path"),
        ({"to": "../b"}, "must be a plain relative path"),
        ({"to": "a\\b"}, "must be a plain relative path"),
        ({"nested": ["../b.tar"]}, "must be a plain relative path"),
        ({"nested": ["b.txt"]}, "nested names 'b.txt', which is no archive"),
        ({"name": "a.json", "take": "x"}, "a.json: take and nested are for archives"),
        ({"name": "a.json", "nested": ["b.tar"]}, "a.json: take and nested are for archives"),
        ({"split": True}, "split marks the split file itself, not an archive"),
        ({"split": "yes", "name": "a.json"}, "field 'split'"),
        ({"sha256": "x"}, "unknown field 'sha256'"),
        ({"url": "x"}, "unknown field 'url'; did you mean 'urls'"),
    ],
)
def test_a_wrong_value_of_a_file_is_refused_in_one_line(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        file(**fields)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_by_hand_needs_no_address() -> None:
    assert file(urls=[], by_hand="register at image-net.org").urls == ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"files": []}, "field 'files'"),
        ({"build": "cub"}, "field 'build' is \"cub\""),
        ({"files": [{"name": "a.zip", "by_hand": "x"}] * 2}, "two files have the same name, 'a.zip'"),
        (
            {"files": [{"name": n, "by_hand": "x", "to": "s.json"} for n in ("a.json", "b.json")]},
            "two files have the same to, 's.json'",
        ),
        (
            {"files": [{"name": n, "by_hand": "x", "split": True} for n in ("a.json", "b.json")]},
            "more than one file is marked as the split",
        ),
        (
            {"build": "imagenet", "files": [{"name": "a.zip", "by_hand": "x", "take": "y"}]},
            "the builder places the files",
        ),
        ({"title": ""}, "field 'title'"),
        ({"name": "x"}, "unknown field 'name'"),
    ],
)
def test_a_wrong_value_of_a_source_is_refused_in_one_line(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        source(**fields)
    assert message in str(error.value)


def test_two_sources_cannot_call_different_files_by_one_name() -> None:
    sources = TypeAdapter(Sources)
    first, same = source(title="A"), source(title="B")
    assert sources.validate_python((first, same)) == (first, same)
    other = source(files=[{"name": "a.zip", "urls": ["https://mirror.org/a.zip"]}])
    with pytest.raises(ValidationError, match=r"two sources call different files 'a\.zip'"):
        sources.validate_python((first, other))


def test_addresses_are_taken_apart_and_shown_as_a_person_opens_them() -> None:
    model = "hf:owner/my.repo@ceb3112/folder/a b.zip".replace(" ", "_")
    assert hub_file(model) == HubFile("owner/my.repo", "model", "ceb3112", "folder/a_b.zip")
    assert hub_file("hf:datasets/owner/repo@main/a.zip") == HubFile("owner/repo", "dataset", "main", "a.zip")
    assert browser_address(model) == "https://huggingface.co/owner/my.repo/resolve/ceb3112/folder/a_b.zip"
    assert browser_address("hf:datasets/o/r@main/a.zip") == "https://huggingface.co/datasets/o/r/resolve/main/a.zip"
    assert drive_file("gdrive:1-61f_ol79") == "1-61f_ol79"
    assert browser_address("gdrive:1-61f_ol79") == "https://drive.google.com/file/d/1-61f_ol79/view"
    web = "https://example.org/~vgg/a.zip?download=1"
    assert (hub_file(web), drive_file(web), browser_address(web)) == (None, None, web)
    assert file(urls=[web, model, "gdrive:1-61f_ol79"]).urls == (web, model, "gdrive:1-61f_ol79")


@pytest.mark.parametrize(
    "path",
    ["/a", "..", "a/..", "a/../../b", "..\\a", "C:\\a", "C:a", "\\a", "\\\\host\\share\\a", "a\0b", "a\\..\\..\\b"],
)
def test_no_way_out_of_a_folder_is_taken_for_a_way_in(path: str) -> None:
    assert not stays_inside(path)


@given(st.lists(st.sampled_from(["a", "b.jpg", "...", "..a", "F-16A", "n01440764"]), min_size=1).map("/".join))
def test_plain_names_stay_inside(path: str) -> None:
    assert stays_inside(path)


def test_the_cards_that_come_with_the_package_give_one_name_to_one_file() -> None:
    cards = [load_card(name) for name in list_cards()]
    TypeAdapter(Sources).validate_python(tuple(source for card in cards for source in card.sources))
