"""Images that came over the network, and become images of the gallery like any other.

They lie in the gallery's folder `uploads/` under their content's hash, synced before the catalogue
names them. A crash in between leaves a file that nobody knows, and the next upload of the same
image finds it in place.
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

__all__ = ["UPLOADS", "add_upload", "forget_upload"]

UPLOADS = "uploads"
SUFFIXES = {"jpeg": ".jpg", "tiff": ".tif"}


class UploadSource:
    """One uploaded image, as a source to index."""

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
    """Keep an image and index it; whether it is new. Raises ImageError, OSError, GalleryError."""
    check_header(data)
    folder = gallery.path / UPLOADS
    path = _keep(gallery.path, data)
    uri = path_to_uri(path)
    shown = printable(Path(name).name)[:200] or path.name
    new = gallery.catalog.find(uri) is None
    status = path.stat()
    version = ImageVersion(status.st_size, status.st_mtime_ns)
    source = SourceImage(uri, shown, metadata, version)
    report = index_images(
        UploadSource(folder, source), gallery, embedder=embedder, decoders=0, retry_failed=True
    )
    if report.failed:
        gallery.catalog.forget_failures([failure.key for failure in report.failed])
        if new:
            path.unlink(missing_ok=True)
        raise ImageError(report.failed[0].reason)
    record = gallery.catalog.find(uri)
    if record is None:
        raise Problem(409, "the image was removed while it was added; add it again")
    return record, new


def forget_upload(gallery: Gallery, record: ImageRecord) -> None:
    """Delete the file of an image that was removed, if it is one that was uploaded."""
    path = Path(uri_to_path(record.uri))
    folder = Path(uri_to_path(path_to_uri(gallery.path / UPLOADS)))
    if folder in path.parents and gallery.catalog.find(record.uri) is None:
        path.unlink(missing_ok=True)


def _keep(gallery: Path, data: bytes) -> Path:
    """The file that holds these bytes, written and synced unless it is there. Raises OSError."""
    folder, name = gallery / UPLOADS, content_hash(data).hex()
    kind = sniff_format(data[:SIGNATURE_BYTES]) or ""
    path = folder / name[:2] / (name + SUFFIXES.get(kind, f".{kind}"))
    if path.exists() and path.stat().st_size == len(data):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        beside.write_bytes(data)
    for made in (path.parent, folder, gallery):
        sync_folder(made)
    return path
