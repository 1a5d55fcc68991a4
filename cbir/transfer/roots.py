"""Roots: where images lay on another machine, and where they lie on this one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cbir.catalog.catalog_image import CatalogImage
from cbir.errors import TransferError
from cbir.sources.paths import path_to_uri, uri_to_path


@dataclass(frozen=True, slots=True)
class Root:
    """Whatever lies at or below `old` is to be found at `new`; paths, or other URLs."""

    old: str
    new: str

    @classmethod
    def parse(cls, text: str) -> Root:
        """`OLD=NEW`. Raises TransferError for anything else."""
        old, _, new = text.partition("=")
        if not old or not new:
            raise TransferError(f"{text!r} is no root; write it as /old/photos=/new/photos")
        return cls(old, new)

    def moved(self, uri: str) -> str | None:
        """The URI below `new`; None for one that does not lie at or below `old`."""
        path, old = uri_to_path(uri), uri_to_path(self.old).rstrip("/")
        if path != old and not path.startswith(old + "/"):
            return None
        place = uri_to_path(self.new).rstrip("/") + path[len(old) :]
        return place if _is_url(place) else path_to_uri(place)


def moved_uri(uri: str, roots: Sequence[Root]) -> str:
    """A URI by the first of the roots that it lies below, or as it is."""
    return next((new for root in roots if (new := root.moved(uri)) is not None), uri)


def moved_image(image: CatalogImage, roots: Sequence[Root]) -> CatalogImage:
    """An image whose URI, source and, where that is its URI, key are below other roots."""
    if not roots:
        return image
    uri = moved_uri(image.uri, roots)
    key = uri if image.key == image.uri else image.key
    return replace(image, uri=uri, key=key, source=moved_uri(image.source, roots))


def _is_url(place: str) -> bool:
    return "://" in place
