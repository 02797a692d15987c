"""Addresses of MLflow stores: which are valid, and how they are shown without the secrets in them."""

import re
import urllib.parse
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path

from promptarena.benchmark.core.errors import UserError

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
SERVERS = ("http", "https")
CONTROL = r"[\x00-\x1f\x7f]"
SHORTEST_SECRET = 4
"""Characters. A shorter text is not looked for in messages, since it also occurs in ordinary words."""


@dataclass(frozen=True)
class StoreAddress:
    """The address of an MLflow store.

    Attributes:
        uri: As MLflow takes it; it may hold a password.
    """

    uri: str

    @classmethod
    def of_file(cls, path: Path) -> "StoreAddress":
        """The address of a database in a file, whatever characters its path holds.

        Args:
            path: The file's absolute path.

        Returns:
            The address.
        """
        plain = cls(f"sqlite:///{path}")
        if plain.file == path:
            return plain
        from sqlalchemy import URL

        # With the driver's name MLflow does not make the folder of the path as it is written here, with its escapes.
        quoted = cls(URL.create("sqlite+pysqlite", database=str(path)).render_as_string())
        if quoted.file == path:
            return quoted
        # SQLAlchemy before 2.1 takes no escapes in a path, but sqlite does.
        return cls(f"sqlite+pysqlite:///file:{urllib.parse.quote(str(path))}?uri=true")

    @cached_property
    def scheme(self) -> str:
        """What stands before the first colon, in lower case; empty where there is none."""
        found = re.match(r"[A-Za-z][A-Za-z0-9+.-]*(?=:)", self.uri)
        return found[0].lower() if found else ""

    @property
    def is_server(self) -> bool:
        """Whether a tracking server is named."""
        return self.scheme in SERVERS

    @property
    def is_database(self) -> bool:
        """Whether a database is named."""
        return self.scheme.partition("+")[0] in DATABASES

    @property
    def is_sqlite(self) -> bool:
        """Whether a sqlite database is named."""
        return self.scheme.partition("+")[0] == "sqlite"

    @cached_property
    def file(self) -> Path | None:
        """The file of a sqlite database, as an absolute path; None for another store, and for one in memory."""
        if not self.is_sqlite:
            return None
        if plain := re.fullmatch(r"sqlite:///([\w ./-]+)", self.uri):  # without the import of SQLAlchemy
            return Path(plain[1]).absolute()
        from sqlalchemy import make_url

        url = make_url(self.uri)
        name = url.database or ""
        if name.startswith("file:") and "uri" in url.query:
            if url.query.get("mode") == "memory":
                return None
            name = urllib.parse.unquote(name.removeprefix("file:").partition("?")[0])
            name = re.sub(r"^//[^/]*", "", name)
        return None if name in ("", ":memory:") else Path(name).absolute()

    @cached_property
    def shown(self) -> str:
        """The address without user name, password and query, for people to read."""
        return redact(self.uri)

    def scrubbed(self, text: str) -> str:
        """Leave the secrets of this address out of a message.

        Args:
            text: A message, perhaps of a library that prints addresses.

        Returns:
            The message with the address as it is shown, and *** for each secret.
        """
        text = text.replace(self.uri, self.shown)
        for secret in sorted(self._secrets(), key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def check(self) -> None:
        """See that MLflow can take the address; what it names is not contacted.

        Raises:
            UserError: It is malformed, of an unknown kind, or the Python package that it needs is missing.
        """
        if (len(self.scheme) < 2 and self.uri != "databricks") or self.scheme == "file":
            raise UserError(
                f"MLflow keeps no runs in plain files ({self.shown}); use a database (sqlite:///FOLDER/mlflow.db) "
                "or a tracking server's http address"
            )
        try:
            fault = self._fault()
        except Exception:  # parsers and drivers raise errors of many kinds, some with parts of a password in their text
            fault = "it is malformed"
        if fault:
            raise UserError(f"the tracking address {self.shown} cannot be used: {fault}")

    def _fault(self) -> str:
        if re.search(CONTROL, self.uri):
            return "it holds a control character"
        if self.is_server:
            return self._fault_of_server()
        if self.is_database:
            return self._fault_of_database()
        others = {point.name for point in entry_points(group="mlflow.tracking_store")}
        if self.uri == "databricks" or self.scheme in {"databricks", *others}:
            return ""
        return f"{self.scheme} is none of http, https, {', '.join(DATABASES)}, databricks"

    def _fault_of_server(self) -> str:
        if re.search(r"\s", self.uri):
            return "it holds a space"
        if re.search(r"%(?![0-9a-fA-F]{2})", self.uri):
            return "it holds a % that begins no escape; write %25 for a % in a password"
        parts = urllib.parse.urlsplit(self.uri)
        if parts.query or parts.fragment:
            return (
                "it holds a ? or #; credentials go into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
                "MLFLOW_TRACKING_TOKEN"
            )
        if "@" in parts.path or parts.netloc.count("@") > 1:
            return "write %40 for an @ and %2F for a / in a password"
        try:
            port = parts.port
        except ValueError:
            port = 0
        if port == 0:
            return "its port is no number from 1 to 65535"
        if not parts.hostname:
            return "it names no host"
        try:
            parts.hostname.encode("idna")
        except UnicodeError:
            return "its host is no valid name"
        return ""

    def _fault_of_database(self) -> str:
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError

        if not self.is_sqlite and re.search(r"%(?![0-9a-fA-F]{2})", self.uri):
            return "it holds a % that begins no escape; write %25 for a % in a password"
        try:
            url = make_url(self.uri)
            if url.port is not None and not 0 < url.port < 65536:
                return "its port is no number from 1 to 65535"
        except (ArgumentError, ValueError):
            return f"it is not of the form {'sqlite:///FILE' if self.is_sqlite else 'KIND://USER:PASSWORD@HOST/NAME'}"
        if self.is_sqlite and (url.host or url.username):
            return "a file is written with three slashes: sqlite:///FILE"
        if self.is_sqlite and self.file is None:
            return "it names no file; a record in memory would be lost"
        if self.is_sqlite and self.file and self.file.is_dir():
            return f"{self.file} is a folder; name a file in it"
        try:
            dialect = url.get_dialect()
        except NoSuchModuleError:
            return f"SQLAlchemy knows no {self.scheme}"
        try:
            dialect.import_dbapi()
        except ImportError as error:
            return f"the Python package {error.name or dialect.driver} is missing; install it"
        if self.is_sqlite:
            dialect().create_connect_args(url)  # raises for options that sqlite does not take
        return ""

    def _secrets(self) -> set[str]:
        rest = self.uri.partition(":")[2].lstrip("/")
        given, _, _ = rest.rpartition("@")
        raw = {given, *given.split(":", 1)[1:]} if not self.is_sqlite or self.uri.count("/") < 3 else set[str]()
        query = rest.partition("?")[2]
        raw |= {query, *(part.partition("=")[2] for part in re.split(r"[&;]", query))}
        forms = {form for text in raw for form in (text, urllib.parse.unquote(text), urllib.parse.quote(text, safe=""))}
        return {form for form in forms if len(form) >= SHORTEST_SECRET}


def redact(uri: str) -> str:
    """An address without user name, password and query.

    Args:
        uri: Any text that is meant as an address, also a malformed one.

    Returns:
        The address to show. Where it cannot be said which part is secret, more is left out.
    """
    uri = re.sub(CONTROL, "", uri)
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):(/*)(.*)", uri)
    if not found or (found[1].lower().startswith("sqlite") and len(found[2]) >= 3):
        return uri.partition("?")[0]
    scheme, slashes, rest = found.groups()
    # A password may hold any character, and so may a query: an @ may end the one or be part of the other.
    at, query = max(rest.rfind("@"), rest.rfind("%40")), re.search(r"[?#]", rest)
    if at >= 0 and query and query.start() < at:
        return f"{scheme}:{slashes}..."
    rest = re.split(r"@|%40", rest)[-1]
    rest = re.split(r"[?#]", rest)[0]
    if slashes and not re.match(r"(\[[0-9A-Fa-f:.]*\]|[^/:\[\]%\s]*)(:[0-9]*)?(/|$)", rest):
        rest = "..."
    return f"{scheme}:{slashes}{rest}"
