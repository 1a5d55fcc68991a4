"""The key column of a source, which identifies its images and is stored in the gallery."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from cbir.catalog.catalog import Catalog
from cbir.errors import SourceError
from cbir.sources import Source


@runtime_checkable
class Keyed(Protocol):
    """A source that can identify its images by a column instead of their URIs."""

    uri: str
    key: str | None
    """The column; empty for URIs; None if not given, so that the gallery's stored one is used."""

    def with_key(self, key: str) -> Source:
        """The same images, identified by another column."""


def with_key_column(source: Source, catalog: Catalog | None, *, prune: bool) -> Source:
    """The source with its key column: its own, or else the one stored in the gallery.

    Raises SourceError if they differ and `prune` is not given: every image would be in the gallery
    twice. With `prune`, images are found by their content and get their new keys.
    """
    if not isinstance(source, Keyed):
        return source
    before = None if catalog is None else catalog.key_column(source.uri)
    if source.key is None:
        return source.with_key(before or "")
    if before is not None and before != source.key and not prune:
        raise SourceError(
            f"{source.uri}: the gallery knows its images by {_column_name(before)}, not by "
            f"{_column_name(source.key)}. Leave --key out to keep it so; with --prune (prune=True) "
            "they get the new keys, and ids and embeddings stay"
        )
    return source


def remember_key_column(source: Source, catalog: Catalog) -> None:
    """Store the column that identifies the source's images."""
    if isinstance(source, Keyed) and source.key != (catalog.key_column(source.uri) or ""):
        catalog.set_key_column(source.uri, source.key or "")


def _column_name(key: str) -> str:
    return repr(key) if key else "their place"
