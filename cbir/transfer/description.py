"""The description of the exported gallery in a file."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cbir.config import GalleryConfig
from cbir.embedding.whitening import Projection
from cbir.errors import TransferError
from cbir.types import Remark

FORMAT = 1
"""Version of the file format; a reader of version n reads all versions up to n."""

COLUMNS = {
    "id": "int64",
    "key": "string",
    "uri": "string",
    "name": "string",
    "source": "string",
    "width": "int32",
    "height": "int32",
    "size": "int64",
    "mtime_ns": "int64",
    "content_hash": "fixed_size_binary[16]",
    "metadata": "string",
    "dates": "list<string>",
}
"""The columns besides the embedding, with their types in Parquet. `metadata` is the complete
metadata as JSON; `dates` names its fields that hold dates."""


@dataclass(frozen=True, slots=True)
class Description:
    """Everything except the images that is needed to recreate the gallery."""

    config: GalleryConfig
    projection: Projection | None
    """The gallery's projection; the embeddings in the file are not projected."""
    gallery_id: str
    generation: int
    """Generation of the gallery at the export."""
    next_image_id: int
    images: int
    key_columns: Mapping[str, str]
    """Source URI → column of its images' keys, for sources that have one."""
    dismissed: Sequence[tuple[str, str]] = ()
    """Keys of pairs of images marked as not duplicates."""
    remarks: Sequence[tuple[str, Remark]] = ()
    """Remarks on images (damaged, camera RAW), with the image's key."""
    projected: bool = False
    """Whether the file contains projected vectors, from which no gallery can be created."""

    def to_json(self) -> dict[str, Any]:
        data = None if self.projection is None else self.projection.to_bytes()
        return {
            "format": FORMAT,
            "gallery": self.config.to_json(),
            "fingerprint": self.config.spec.fingerprint,
            "projection": None if data is None else base64.b64encode(data).decode(),
            "gallery_id": self.gallery_id,
            "generation": self.generation,
            "next_image_id": self.next_image_id,
            "images": self.images,
            "key_columns": dict(self.key_columns),
            "dismissed": [list(pair) for pair in self.dismissed],
            "remarks": [[key, remark.kind, remark.text] for key, remark in self.remarks],
            "projected": self.projected,
        }

    @classmethod
    def from_json(cls, data: Any, where: str) -> Description:
        """The inverse of `to_json`. Raises TransferError, naming the origin `where` of the data."""
        version = data.get("format") if isinstance(data, Mapping) else None
        if isinstance(version, int) and version > FORMAT:
            raise TransferError(
                f"{where} is of format {version}, this cbir reads up to {FORMAT}; update cbir"
            )
        try:
            config = GalleryConfig.from_json(data["gallery"])
            projection = _projection(data["projection"], config)
            return cls(
                config,
                projection,
                str(data["gallery_id"]),
                int(data["generation"]),
                int(data["next_image_id"]),
                int(data["images"]),
                {str(uri): str(column) for uri, column in data["key_columns"].items()},
                [(str(a), str(b)) for a, b in data.get("dismissed", ())],
                [
                    (str(key), Remark(kind, str(text)))
                    for key, kind, text in data.get("remarks", ())
                ],
                bool(data["projected"]),
            )
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise TransferError(
                f"{where}: the description of its gallery cannot be read; export it again"
            ) from error


def _projection(encoded: Any, config: GalleryConfig) -> Projection | None:
    """The projection of a file. Raises ValueError, TypeError if it differs from the whitening."""
    if encoded is None and config.whitening is None:
        return None
    data = base64.b64decode(encoded, validate=True)
    projection = Projection.from_bytes(data, config.spec.dim)
    if config.whitening is None or config.whitening.fitted != projection.digest:
        raise ValueError("another whitening than the gallery's")
    return projection
