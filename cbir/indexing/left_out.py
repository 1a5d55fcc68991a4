"""What a source has left out of its listing, for the report of a run."""

from __future__ import annotations

from cbir.catalog.catalog import Catalog
from cbir.sources import SelectiveSource, Source
from cbir.types import LeftOut

__all__ = ["left_out"]


def left_out(source: Source, catalog: Catalog | None) -> LeftOut:
    """What the source's last listing left out, and the gallery's images that lie there."""
    if not isinstance(source, SelectiveSource):
        return LeftOut()
    skipped = source.skipped
    images = 0
    if catalog is not None and skipped.excluded:
        pages = catalog.of_source(source.uri)
        images = sum(source.excludes(uri or key) for page in pages for _, key, uri, *_ in page)
    return LeftOut(dict(skipped.files), dict(skipped.excluded), images)
