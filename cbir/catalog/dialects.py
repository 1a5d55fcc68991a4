"""The protocol and registry of database dialects: everything that differs between databases.

A new database is a class with these methods and a line in `DIALECTS`. All other code of the
catalogue uses SQL that every database understands.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from cbir.errors import GalleryError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

    from cbir.config import GalleryConfig

__all__ = ["DIALECTS", "Dialect", "load_dialect", "parse_url", "register_dialect"]

DIALECTS = {"sqlite": "cbir.catalog.sqlite:SqliteDialect"}
"""Scheme of a catalogue's URL, without a driver → class of the dialect."""


class Dialect(Protocol):
    """The operations that differ between databases. Stateless and thread-safe.

    Text is compared by code points in every database, as the schema requires.
    """

    def resolve(self, url: URL) -> URL:
        """The URL made independent of this process, for example of its working directory.

        Raises GalleryError for a URL that cannot hold a catalogue.
        """
        ...

    def is_missing(self, url: URL) -> bool:
        """Whether there is certainly no database at `url`, so that connecting might create one."""
        ...

    def place(self, url: URL) -> str:
        """The database's name for messages, without a password."""
        ...

    def set_up(self, engine: Engine) -> None:
        """Configure a new engine for durable transactions, isolated as `engine.py` requires.

        A transaction with the execution option `writes` waits for all other writers before it
        reads anything; one without it sees the database as of its first statement, regardless of
        later commits.
        """
        ...

    def last_commit(self, connection: Any) -> int:
        """A number that changes whenever another connection has committed.

        `connection` is a connection of the driver, used for nothing else. Raises the driver's
        Error.
        """
        ...

    def next_step(self, reason: str) -> str:
        """Advice to the user about a driver's error, as `; make the file writable`; or empty."""
        ...

    def is_transient(self, reason: str) -> bool:
        """Whether a driver's error is transient, as when another process is writing."""
        ...

    def temporary_copy(self, engine: Engine) -> Engine:
        """An engine for a copy of a database that can only be read; deleted with the engine."""
        ...

    def problems(self, connection: Connection) -> list[str]:
        """Faults that the database finds in its own files; empty when there are none."""
        ...

    def read_config_fast(self, url: str) -> GalleryConfig | None:
        """The configuration in the catalogue at `url`, read without SQLAlchemy.

        None if it cannot be read at once; opening the gallery then reports why.
        """
        ...


def register_dialect(name: str, target: str) -> None:
    """Register a dialect: the scheme of its URLs, and its class as `module:Class`."""
    DIALECTS[name] = target


def load_dialect(name: str) -> Dialect:
    """The dialect of this name. Raises GalleryError, which lists the registered ones."""
    if name not in DIALECTS:
        raise GalleryError(
            f"a catalogue cannot lie in {name!r}; URLs of catalogues begin with "
            f"{', '.join(sorted(DIALECTS))}"
        )
    module, attribute = DIALECTS[name].split(":")
    dialect: Dialect = getattr(import_module(module), attribute)()
    return dialect


def parse_url(url: str | URL) -> URL:
    """Parse and resolve a catalogue's URL. Raises GalleryError for any other URL."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except ArgumentError:  # its message repeats the URL, which may contain a password
        raise GalleryError(
            "the catalogue's URL cannot be read; write it as sqlite:////folder/catalog.sqlite"
        ) from None
    return load_dialect(parsed.get_backend_name()).resolve(parsed)
