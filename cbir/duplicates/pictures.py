"""Reads the pictures of a gallery again, as large as decisions need them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

import numpy as np

from cbir.duplicates.decision import DRAWN_SIDE, Glance, Picture
from cbir.errors import ImageError
from cbir.gallery import Gallery
from cbir.images import holds_more, open_rgb
from cbir.types import ImageRecord

__all__ = ["PictureReader", "picture_of"]

BYTES_IN_MEMORY = 256_000_000
"""Most bytes of decoded pictures that are held; photographs of 12 megapixels take 2.4 MB each."""

GLANCES_IN_MEMORY = 4096
"""Small pictures that are held besides: 300 MB at most."""


def picture_of(data: bytes) -> Picture:
    """An encoded image as decisions need it. Raises ImageError."""
    pixels = np.asarray(open_rgb(data, max_side=DRAWN_SIDE), np.uint8)
    return Picture.of(pixels, more=holds_more(data))


class PictureReader:
    """Reads pictures by image id, the last ones from memory; from any thread."""

    def __init__(self, gallery: Gallery) -> None:
        self._catalog = gallery.catalog
        self._lock = threading.Lock()
        self._records: dict[int, ImageRecord] = {}
        self._glances: OrderedDict[int, Glance] = OrderedDict()
        self._pictures: OrderedDict[int, Picture] = OrderedDict()
        self._bytes = 0
        self.failed: dict[int, str] = {}
        """The reason for each image that cannot be read as it was indexed."""

    def expect(self, ids: Iterable[int]) -> None:
        """Look up images that will be read, all at once."""
        unknown = set(ids) - self._records.keys()
        if unknown:
            self._records.update(self._catalog.records(sorted(unknown)))

    def uri(self, image_id: int) -> str:
        """Where an expected image is; empty for one that is no longer in the gallery."""
        record = self._records.get(image_id)
        return "" if record is None else record.uri

    def glance(self, image_id: int) -> Glance | None:
        """What the picture is like; None where `read` gives None."""
        with self._lock:
            if image_id in self._glances:
                self._glances.move_to_end(image_id)
                return self._glances[image_id]
        picture = self.read(image_id)
        return None if picture is None else picture.glance

    def read(self, image_id: int) -> Picture | None:
        """The picture; None where its file cannot be read, or has changed since it was indexed."""
        with self._lock:
            if image_id in self._pictures:
                self._pictures.move_to_end(image_id)
                return self._pictures[image_id]
            if image_id in self.failed:
                return None
        picture = self._read(image_id)
        if picture is not None:
            with self._lock:
                self._remember(image_id, picture)
        return picture

    def _remember(self, image_id: int, picture: Picture) -> None:
        if image_id not in self._pictures:
            self._pictures[image_id] = picture
            self._bytes += picture.pixels.nbytes
        while self._bytes > BYTES_IN_MEMORY and len(self._pictures) > 1:
            self._bytes -= self._pictures.popitem(last=False)[1].pixels.nbytes
        self._glances[image_id] = picture.glance
        while len(self._glances) > GLANCES_IN_MEMORY:
            self._glances.popitem(last=False)

    def _read(self, image_id: int) -> Picture | None:
        from cbir.sources.reading import read_indexed

        record = self._records.get(image_id)
        if record is None:
            self.failed[image_id] = "no longer in the gallery"
            return None
        try:
            return picture_of(read_indexed(record.uri, bytes.fromhex(record.content)))
        except ImageError as error:
            self.failed[image_id] = str(error)
            return None
