"""The image of a query, read once and cached for embedding, reranking and display."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from cbir.errors import BackboneError, ImageTooLargeError
from cbir.images import DecodeOptions, decode_image, encode_lossless, open_rgb
from cbir.retrieval.crop import crop_image
from cbir.retrieval.queries import EmbeddedQuery, FileQuery, IdQuery, ImageQuery, Query, UrlQuery
from cbir.sources.paths import path_to_uri
from cbir.sources.reading import read_uri

if TYPE_CHECKING:
    from PIL.Image import Image

    from cbir.arrays import Pixels
    from cbir.config import EmbeddingSpec, Region
    from cbir.gallery import Gallery
    from cbir.retrieval.crop import Crop

__all__ = ["OpenedQuery", "read_query"]

REDUCTION = 4
"""Reduction of an image that is too large to be decoded whole, before a part is cut out."""


class OpenedQuery:
    """The image of a query, or a crop of it. It is read when first needed, and cached."""

    def __init__(self, query: Query, gallery: Gallery, *, crop: Crop | None = None) -> None:
        self.query = query.query if isinstance(query, EmbeddedQuery) else query
        self.crop = crop
        self._gallery = gallery
        self.is_blank = False
        """Whether it shows nothing but one colour; known once it has been decoded."""

    @property
    def id(self) -> int | None:
        """The id of a whole image of the gallery; None for a crop or any other image."""
        return self.query.id if isinstance(self.query, IdQuery) and self.crop is None else None

    def views(self, spec: EmbeddingSpec, regions: Sequence[Region] = ()) -> Pixels:
        """The pixels to embed, of the image and R regions: (1 + R, V, crop, crop, 3).

        Raises ImageError.
        """
        ground = self._gallery.config.ground
        options = DecodeOptions(spec.preprocessing, spec.views, tuple(regions), ground)
        decoded = decode_image(self.read(), options)
        self.is_blank = any(remark.kind == "blank" for remark in decoded.remarks)
        return decoded.pixels

    def encoded(self) -> bytes:
        """The image as an encoded file. Raises ImageError."""
        source = self.read()
        return source if isinstance(source, bytes) else encode_lossless(source)

    def read(self) -> bytes | Image:
        """The encoded image as it was read, or a Pillow image; a crop in upright sRGB.

        Raises ImageError when it cannot be read, or the crop does not lie within it.
        """
        return self._image

    @cached_property
    def _image(self) -> bytes | Image:
        if isinstance(self.query, IdQuery):
            whole: bytes | Image = read_uri(self._gallery.image(self.query.id).uri)
        else:
            whole = read_query(self.query)
        if self.crop is None:
            return whole
        ground = self._gallery.config.ground
        try:
            return crop_image(open_rgb(whole, ground=ground), self.crop)
        except ImageTooLargeError:  # a large JPEG, which can be decoded at a reduced size
            decoded = decode_image(whole, DecodeOptions(self._gallery.spec.preprocessing))
            full = decoded.width, decoded.height
            reduced = open_rgb(whole, max_side=max(full) // REDUCTION, ground=ground)
            return crop_image(reduced, self.crop, full=full)


def read_query(query: Query) -> bytes | Image:
    """The encoded image, or the Pillow image, of a query that is not given by id.

    Raises ImageError when it cannot be read, BackboneError for a text query.
    """
    if isinstance(query, FileQuery):
        return read_uri(path_to_uri(query.path))
    if isinstance(query, UrlQuery):
        return read_uri(query.url)
    if isinstance(query, ImageQuery):
        if isinstance(query.image, np.ndarray):
            from PIL import Image

            return Image.fromarray(query.image)
        return query.image
    if isinstance(query, EmbeddedQuery):
        return read_query(query.query)
    if isinstance(query, IdQuery):
        raise TypeError(f"{query} is an image of a gallery; read it with OpenedQuery")
    raise BackboneError(f"no backbone embeds text yet ({query}); search with an image")
