"""Stores uploaded images in the gallery's folder and indexes them.

An upload is written to `uploads/` under the hash of its bytes, and synced before the catalogue
names it. After a crash in between, the file is unused until the same image is uploaded again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cbir.embedding import Embedder
from cbir.errors import ImageError
from cbir.files import replacing, sync_folder
from cbir.gallery import Gallery
from cbir.images import SIGNATURE_BYTES, check_header, sniff_format
from cbir.indexing import index_images
from cbir.server.problem import Problem
from cbir.sources import SourceImage
from cbir.sources.paths import path_to_uri, printable, uri_to_path
from cbir.sources.reading import content_hash
from cbir.types import FailedImage, ImageRecord, ImageVersion

__all__ = ["UPLOADS", "add_upload", "delete_upload"]

UPLOADS = "uploads"
SUFFIXES = {"jpeg": ".jpg", "tiff": ".tif"}


class UploadSource:
    """A source of one uploaded image."""

    def __init__(self, folder: Path, image: SourceImage) -> None:
        self.uri = self.root = path_to_uri(folder)
        self._image = image

    def count(self) -> int:
        return 1

    def __iter__(self) -> Iterator[SourceImage | FailedImage]:
        yield self._image


def add_upload(
    gallery: Gallery, embedder: Embedder, data: bytes, *, name: str, metadata: Mapping[str, Any]
) -> tuple[ImageRecord, bool]:
    """Store and index an image; returns it, and whether it is new.

    Raises ImageError for bytes that are no image, OSError or GalleryError when it cannot be stored.
    """
    check_header(data)
    folder = gallery.path / UPLOADS
    path = _store(gallery.path, data)
    uri = path_to_uri(path)
    display_name = printable(Path(name).name)[:200] or path.name
    new = gallery.catalog.find(uri) is None
    status = path.stat()
    version = ImageVersion(status.st_size, status.st_mtime_ns)
    source = SourceImage(uri, display_name, metadata, version)
    report = index_images(
        UploadSource(folder, source), gallery, embedder=embedder, decoders=0, retry_failed=True
    )
    if report.failed:
        gallery.catalog.remove_failures([failure.key for failure in report.failed])
        if new:
            path.unlink(missing_ok=True)
        raise ImageError(report.failed[0].reason)
    record = gallery.catalog.find(uri)
    if record is None:
        raise Problem(409, "the image was removed while it was being added; add it again")
    return record, new


def delete_upload(gallery: Gallery, record: ImageRecord) -> None:
    """Delete the file of a removed image if it was uploaded; other files stay."""
    path = Path(uri_to_path(record.uri))
    folder = Path(uri_to_path(path_to_uri(gallery.path / UPLOADS)))
    if folder in path.parents and gallery.catalog.find(record.uri) is None:
        path.unlink(missing_ok=True)


def _store(gallery: Path, data: bytes) -> Path:
    """Write these bytes to their file unless it exists, and sync it. Raises OSError."""
    folder, name = gallery / UPLOADS, content_hash(data).hex()
    kind = sniff_format(data[:SIGNATURE_BYTES]) or ""
    path = folder / name[:2] / (name + SUFFIXES.get(kind, f".{kind}"))
    if path.exists() and path.stat().st_size == len(data):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        beside.write_bytes(data)
    for changed in (path.parent, folder, gallery):
        sync_folder(changed)
    return path
