"""Databases that can hold a catalogue: what each does in its own way, behind one protocol.

A new one is a file with a class of these methods and a line in `DIALECTS`. All other code of the
catalogue is SQL that every database understands.
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
"""The first part of a catalogue's URL, without a driver → the class that knows the database."""


class Dialect(Protocol):
    """What one kind of database does in its own way. Has no state; methods may run in any thread.

    Text is compared by code points in every database: the schema asks for it.
    """

    def resolve(self, url: URL) -> URL:
        """The URL without what depends on this process, such as its working directory.

        Raises GalleryError for a place that cannot hold a catalogue.
        """
        ...

    def is_missing(self, url: URL) -> bool:
        """Whether there is surely no database at `url`, and connecting might make one."""
        ...

    def place(self, url: URL) -> str:
        """The database's name in messages: never with a password."""
        ...

    def set_up(self, engine: Engine) -> None:
        """Make transactions of a new engine durable, and isolated as `engine.py` promises.

        A transaction with the execution option `writes` waits for all other writers before it
        reads anything; one without sees a single state of the database from its first statement
        on, whoever commits meanwhile.
        """
        ...

    def last_commit(self, connection: Any) -> int:
        """A number that changes whenever another connection has committed.

        `connection` is one of the driver's, used for nothing else. Raises the driver's Error.
        """
        ...

    def next_step(self, reason: str) -> str:
        """What a user can do about a driver's error, as `; make the file writable`; or empty."""
        ...

    def is_passing(self, reason: str) -> bool:
        """Whether a driver's error may be over in a moment, as when another process writes."""
        ...

    def problems(self, connection: Connection) -> list[str]:
        """What the database finds wrong with its own files; empty when nothing is."""
        ...

    def read_config_fast(self, url: str) -> GalleryConfig | None:
        """The configuration in the catalogue at `url`, read without SQLAlchemy.

        None where it cannot be had at once: whoever opens the gallery learns why.
        """
        ...


def register_dialect(name: str, target: str) -> None:
    """Add a database: the name that its URLs begin with, and its class as `module:Class`."""
    DIALECTS[name] = target


def load_dialect(name: str) -> Dialect:
    """The dialect of this name. Raises GalleryError, which names those that there are."""
    if name not in DIALECTS:
        raise GalleryError(
            f"a catalogue cannot lie in {name!r}; URLs of catalogues begin with "
            f"{', '.join(sorted(DIALECTS))}"
        )
    module, attribute = DIALECTS[name].split(":")
    dialect: Dialect = getattr(import_module(module), attribute)()
    return dialect


def parse_url(url: str | URL) -> URL:
    """A catalogue's URL, resolved. Raises GalleryError for another, naming the dialects."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except ArgumentError:  # its message repeats the text, and with it a password
        raise GalleryError(
            "the catalogue's URL cannot be read; write it as sqlite:////folder/catalog.sqlite"
        ) from None
    return load_dialect(parsed.get_backend_name()).resolve(parsed)
