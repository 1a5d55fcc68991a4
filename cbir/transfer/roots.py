"""Roots map locations of images on another machine to locations on this one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cbir.catalog.catalog_image import CatalogImage
from cbir.errors import TransferError
from cbir.sources.paths import path_to_uri, uri_to_path


@dataclass(frozen=True, slots=True)
class Root:
    """Maps everything at or below `old` to `new`; both are paths or URLs."""

    old: str
    new: str

    @classmethod
    def parse(cls, text: str) -> Root:
        """Parse `OLD=NEW`. Raises TransferError for anything else."""
        old, _, new = text.partition("=")
        if not old or not new:
            raise TransferError(f"{text!r} is not a root; write it as /old/photos=/new/photos")
        return cls(old, new)

    def moved(self, uri: str) -> str | None:
        """The URI below `new`; None if it is not at or below `old`."""
        path, old = uri_to_path(uri), uri_to_path(self.old).rstrip("/")
        if path != old and not path.startswith(old + "/"):
            return None
        place = uri_to_path(self.new).rstrip("/") + path[len(old) :]
        return place if _is_url(place) else path_to_uri(place)


def moved_uri(uri: str, roots: Sequence[Root]) -> str:
    """A URI mapped by the first root that contains it, or unchanged."""
    return next((new for root in roots if (new := root.moved(uri)) is not None), uri)


def moved_image(image: CatalogImage, roots: Sequence[Root]) -> CatalogImage:
    """An image with its URI, its source and, if equal to the URI, its key mapped by roots."""
    if not roots:
        return image
    uri = moved_uri(image.uri, roots)
    key = uri if image.key == image.uri else image.key
    return replace(image, uri=uri, key=key, source=moved_uri(image.source, roots))


def _is_url(place: str) -> bool:
    return "://" in place
