"""By what a source's images are known: said once, remembered by the gallery."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from cbir.catalog.catalog import Catalog
from cbir.errors import SourceError
from cbir.sources import Source


@runtime_checkable
class Keyed(Protocol):
    """A source that can know its images by a column instead of by their place."""

    uri: str
    key: str | None
    """The column; empty: the place. None: nobody has said, so that the gallery does."""

    def with_key(self, key: str) -> Source:
        """The same images, known by another column."""


def keyed(source: Source, catalog: Catalog | None, *, prune: bool) -> Source:
    """The source with its images known as they were before, unless it says otherwise.

    Raises SourceError where it does so and `prune` is not given: without it every image would be
    in the gallery twice. With it they are told by their content and get their new keys.
    """
    if not isinstance(source, Keyed):
        return source
    before = None if catalog is None else catalog.key_column(source.uri)
    if source.key is None:
        return source.with_key(before or "")
    if before is not None and before != source.key and not prune:
        raise SourceError(
            f"{source.uri}: the gallery knows its images by {_named(before)}, not by "
            f"{_named(source.key)}. Leave --key out to keep it so; with --prune (prune=True) they "
            "get the new keys, and ids and embeddings stay"
        )
    return source


def remember(source: Source, catalog: Catalog) -> None:
    """Write down by what the source's images are known from now on."""
    if isinstance(source, Keyed) and source.key != (catalog.key_column(source.uri) or ""):
        catalog.set_key_column(source.uri, source.key or "")


def _named(key: str) -> str:
    return repr(key) if key else "their place"
