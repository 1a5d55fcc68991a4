"""Locates a gallery's catalogue: in the gallery's folder, or at a URL that the folder names.

A folder is a gallery when it holds either `catalog.sqlite`, the catalogue itself, or
`cbir-gallery.json`, which names the URL of a catalogue elsewhere: `{"catalog": "sqlite:///..."}`.
`read_config_fast` needs no SQLAlchemy.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cbir.catalog.dialects import load_dialect, parse_url
from cbir.catalog.sqlite import read_config_file
from cbir.config import CATALOG_FILE, GALLERY_FILE, GalleryConfig
from cbir.errors import GalleryError, GalleryExistsError, GalleryNotFoundError
from cbir.files import replacing

if TYPE_CHECKING:
    from sqlalchemy import URL

    from cbir.catalog.catalog import Catalog

__all__ = ["check_catalog_url", "create_catalog", "is_gallery", "open_catalog", "read_config_fast"]


def is_gallery(folder: Path) -> bool:
    """Whether a folder is a gallery. Its catalogue may still be missing or damaged."""
    return (folder / CATALOG_FILE).is_file() or (folder / GALLERY_FILE).is_file()


def create_catalog(folder: Path, config: GalleryConfig, url: str | URL | None = None) -> Catalog:
    """Create a catalogue in a gallery's folder or at `url`, which the folder then names.

    Raises GalleryExistsError when the folder or the URL has one, GalleryError for a URL that
    cannot hold one or a folder that cannot be written.
    """
    from cbir.catalog.catalog import Catalog

    with _creating(folder):
        if url is None:
            return Catalog.create(_catalog_url(folder), config)
        try:
            # Written first: a run killed before there is a catalogue can be repeated.
            written = _name_url(folder, parse_url(url))
        except OSError as error:
            raise GalleryError(f"{folder} cannot be written: {error.strerror}") from error
        try:
            return Catalog.create(url, config)
        except BaseException:
            if written:
                (folder / GALLERY_FILE).unlink(missing_ok=True)
            raise


@contextmanager
def _creating(folder: Path) -> Iterator[None]:
    """Lets one process at a time create a gallery in a folder, where the system has locks."""
    with ExitStack() as stack:
        with suppress(ImportError, OSError):
            import fcntl

            handle = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def open_catalog(folder: Path) -> Catalog:
    """Open the catalogue of the gallery in `folder`, in the folder or at its URL.

    Raises GalleryNotFoundError where the catalogue is unfinished, GalleryError when there is none
    at the URL, GalleryVersionError when a newer cbir wrote it.
    """
    from cbir.catalog.catalog import Catalog

    with suppress(GalleryNotFoundError):
        return Catalog.open(_catalog_url(folder))
    try:
        with _creating(folder):  # another process may be creating it: then it is there afterwards
            pass
        return Catalog.open(_catalog_url(folder))
    except GalleryNotFoundError as error:
        if not (folder / GALLERY_FILE).is_file():
            raise
        # Not "no gallery": an unavailable server or disk must not lead to an empty new gallery.
        raise GalleryError(
            f"gallery {folder}: {error}; bring it back, or correct {folder / GALLERY_FILE}"
        ) from error


def check_catalog_url(folder: Path, url: str | URL) -> None:
    """Raise GalleryError, naming both, when the catalogue of a gallery is not the one at `url`.

    A password makes no difference, and is not shown.
    """
    mine, other = _catalog_url(folder), parse_url(url)
    if mine._replace(password=None) != other._replace(password=None):
        raise GalleryError(
            f"gallery {folder} has its catalogue at {mine.render_as_string()}, not at "
            f"{other.render_as_string()}; leave the URL out, or create another gallery"
        )


def _catalog_url(folder: Path) -> URL:
    """The URL of a gallery's catalogue, existing or to be created."""
    from sqlalchemy import URL

    url = _read_url(folder)
    # Absolute: the process may change its working directory while the gallery is open.
    file = str((folder / CATALOG_FILE).absolute())
    return URL.create("sqlite", database=file) if url is None else parse_url(url)


def _name_url(folder: Path, url: URL) -> bool:
    """Write a catalogue's URL into the gallery's folder; False when it is there already."""
    if is_gallery(folder):
        if _catalog_url(folder) == url:
            return False
        raise GalleryExistsError(f"{folder} is a gallery with another catalogue; open it instead")
    text = url.render_as_string(hide_password=False)
    if parse_url(text) != url:
        raise GalleryError("the catalogue's location cannot be written as a URL; use plain letters")
    with replacing(folder / GALLERY_FILE) as file:
        file.touch(0o600 if url.password else 0o644)  # others must not read a password
        file.write_text(json.dumps({"catalog": text}) + "\n", encoding="utf-8")
    return True


def read_config_fast(folder: Path) -> GalleryConfig | None:
    """A gallery's configuration, read without SQLAlchemy; None if it cannot be read at once.

    For work that can start early; opening the gallery reports what is wrong.
    """
    try:
        url = _read_url(folder)
        if url is None:
            return read_config_file(folder / CATALOG_FILE)
        return load_dialect(url.partition(":")[0].partition("+")[0]).read_config_fast(url)
    except GalleryError:
        return None


def _read_url(folder: Path) -> str | None:
    """The URL that a folder names; None when its catalogue is in the folder itself."""
    file = folder / GALLERY_FILE
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeError) as error:
        raise GalleryError(f"{file} cannot be read: {error}") from error
    try:
        url = json.loads(text)["catalog"]
    except (ValueError, TypeError, KeyError):
        url = None
    if not isinstance(url, str):
        raise GalleryError(f'{file} does not say where the catalogue is; write {{"catalog": URL}}')
    return url
