"""Addresses of stores: malformed ones are one line, and no secret of any is ever shown."""

import os
import sqlite3
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.recording.address import StoreAddress, redact
from promptarena.benchmark.recording.record import Record, RecordPlace

PATHS = st.text(st.characters(exclude_characters="\0/", exclude_categories=("Cs",)), min_size=1, max_size=20)


@given(PATHS)
@example("what now?")
@example("100%")
@example("a%20b%3Fc")
@example("#;&=@:")
@example("file:x?mode=memory")
def test_a_file_of_any_name_has_an_address_that_names_it(name: str) -> None:
    assume(name not in (".", ".."))
    path = Path("/results") / name / "mlflow.db"
    assert StoreAddress.of_file(path).file == path


def test_the_driver_opens_the_file_that_the_address_names(tmp_path: Path) -> None:
    import sqlalchemy

    for name in ("what now?", "100%", "a%20b", "x#y;z&u=v @:"):
        path = tmp_path / name / "mlflow.db"
        path.parent.mkdir()
        engine = sqlalchemy.create_engine(StoreAddress.of_file(path).uri)
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("CREATE TABLE found (x)"))
        engine.dispose()
        with sqlite3.connect(path) as connection_of_file:
            assert connection_of_file.execute("SELECT name FROM sqlite_master").fetchall() == [("found",)]
        connection_of_file.close()
    assert {path.parent.name for path in tmp_path.rglob("*.db")} == set(os.listdir(tmp_path))


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://127.0.0.1:abc", "its port is no number"),
        ("http://127.0.0.1:99999", "its port is no number"),
        ("http://127.0.0.1 :9", "it holds a space"),
        ("http://127.0.0.1:9\n", "it holds a control character"),
        ("http://[::1", "it is malformed"),
        ("http://", "it names no host"),
        ("http://:5000", "it names no host"),
        ("http:/127.0.0.1", "it names no host"),
        ("http://a..b", "its host is no valid name"),
        ("http://me:50%@host", "write %25 for a %"),
        ("http://host/?token=x", "MLFLOW_TRACKING_TOKEN"),
        ("ftp://host", "ftp is none of http"),
        ("postgres://host/db", "postgres is none of http"),
        ("postgresql://host:port/db", "it is not of the form"),
        ("postgresql://host:99999/db", "its port is no number"),
        ("postgresql+nodriver://host/db", "SQLAlchemy knows no postgresql+nodriver"),
        ("mssql+pyodbc://host/db", "the Python package pyodbc is missing"),
        ("sqlite://", "it names no file"),
        ("sqlite:///:memory:", "it names no file"),
        ("sqlite:///file::memory:?uri=true", "it names no file"),
        ("sqlite:mlflow.db", "it is not of the form sqlite:///FILE"),
        ("sqlite://mlflow.db", "three slashes"),
        ("sqlite:////tmp", "is a folder"),
        ("sqlite:////tmp/x.db?timeout=long", "it is malformed"),
    ],
)
def test_a_wrong_address_is_one_line(uri: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the tracking address .* cannot be used") as error:
        Record.open(RecordPlace(tmp_path / "results", uri))
    assert words in str(error.value)
    assert not (tmp_path / "results").exists()


SECRET = "Zq7vXw2Kt9"
TEMPLATES = (
    "{kind}://me:{secret}@127.0.0.1:9/db",
    "{kind}://{secret}@127.0.0.1:9/db",
    "{kind}://me:{secret}@127.0.0.1:port/db",
    "{kind}://me:{secret}%40127.0.0.1:9/db",
    "{kind}://me%3A{secret}%40127.0.0.1:9/db",
    "{kind}://127.0.0.1:9/db?password={secret}",
    "{kind}://127.0.0.1:9/db?user=me&token={secret}#here",
    "{kind}:/me:{secret}@127.0.0.1",
)


@example(TEMPLATES[0], "http", "[", "]")
@example(TEMPLATES[5], "http", "@", "")
@given(
    st.sampled_from(TEMPLATES),
    st.sampled_from(("http", "https", "postgresql", "mysql", "ftp")),
    st.text("@/:?#%&=[]! a", max_size=4),
    st.text("@/:?#%&=[]! a", max_size=4),
)
def test_no_secret_is_shown(template: str, kind: str, before: str, after: str) -> None:
    uri = template.format(kind=kind, secret=f"{before}{SECRET}{after}")
    address = StoreAddress(uri)
    assert SECRET not in redact(uri)
    assert SECRET not in address.scrubbed(f"could not connect to {uri}")
    said = ""
    try:
        address.check()
    except UserError as error:
        said = str(error)
    assert SECRET not in said


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://me:se@cret@host:5000/path", "http://host:5000/path"),
        ("https://[::1]:5000", "https://[::1]:5000"),
        ("postgresql://me:a/b@host/db?sslmode=x", "postgresql://host/db"),
        ("sqlite:////home/me@work/mlflow.db?timeout=5", "sqlite:////home/me@work/mlflow.db"),
        ("databricks", "databricks"),
        ("./mlruns", "./mlruns"),
    ],
)
def test_what_is_no_secret_is_shown(uri: str, shown: str) -> None:
    assert redact(uri) == shown


def test_messages_of_libraries_lose_the_secrets() -> None:
    address = StoreAddress("postgresql://me:pass%20word@host/db?sslpassword=inner")
    text = f"role me with 'pass word' (pass%20word) and inner failed at {address.uri}"
    assert address.scrubbed(text) == "role me with '***' (***) and *** failed at postgresql://host/db"
