"""Merges images into a gallery by their keys."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np

from cbir.catalog.catalog_image import CatalogImage
from cbir.catalog.metadata.values import utf8
from cbir.catalog.rows import Batch, ImageRow, TouchedRow
from cbir.gallery import Gallery
from cbir.types import ImageVersion, Remark


class Merge:
    """Adds new images, updates changed ones, and counts both."""

    def __init__(
        self, gallery: Gallery, *, keep_ids: bool, remarks: Mapping[str, tuple[Remark, ...]]
    ) -> None:
        self._remarks = remarks
        self._gallery = gallery
        self._keep_ids = keep_ids
        self._empty = gallery.count() == 0
        self.added = 0
        self.updated = 0
        self.unchanged = 0

    def write(self, images: Sequence[CatalogImage]) -> None:
        """Commit images with distinct keys, one transaction per source."""
        # No key is written twice, so that a gallery empty at the start has none of them.
        keys = [] if self._empty else [image.key for image in images]
        existing = self._gallery.catalog.catalog_images(keys)
        batches: defaultdict[str, Batch] = defaultdict(Batch)
        for image in images:
            present = existing.get(image.key)
            if present is None:
                self.added += 1
                batches[image.source].add(self._row(image))
            elif image.same_as(present):
                self.unchanged += 1
            else:
                self.updated += 1
                same = _content(image) == _content(present)
                row = _touched(image, present.id) if same else self._row(image)
                batches[image.source].add(row)
        for source, batch in batches.items():
            self._gallery.write(source, batch)

    def _row(self, image: CatalogImage) -> ImageRow:
        return ImageRow(
            key=image.key,
            uri=image.uri,
            name=image.name,
            version=ImageVersion(image.size, image.mtime_ns),
            content_hash=image.content_hash,
            width=image.width,
            height=image.height,
            metadata=_metadata(image),
            embedding=np.frombuffer(image.vector, "<f2").astype(np.float32),
            id=image.id if self._keep_ids else None,
            remarks=self._remarks.get(image.key, ()),
        )


def _touched(image: CatalogImage, known_id: int) -> TouchedRow:
    state = ImageVersion(image.size, image.mtime_ns)
    return TouchedRow(known_id, image.key, image.uri, image.name, state, _metadata(image))


def _content(image: CatalogImage) -> tuple[bytes, bytes, int, int]:
    return image.vector, image.content_hash, image.width, image.height


def _metadata(image: CatalogImage) -> dict[str, Any]:
    """The metadata with dates restored, which are texts in JSON."""
    metadata: dict[str, Any] = json.loads(image.metadata) if image.metadata != "{}" else {}
    if image.dates:
        for name, value in metadata.items():
            if utf8(name) in image.dates and isinstance(value, str):
                metadata[name] = _date(value)
    return metadata


def _date(text: str) -> date | str:
    kind = date if len(text) == 10 else datetime
    try:
        value = kind.fromisoformat(text)
    except ValueError:
        return text
    # A time in nanoseconds, which Python's dates do not have, stays a text.
    return value if value.isoformat() == text else text
