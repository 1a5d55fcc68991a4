"""Checks that a catalogue is consistent."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from cbir.catalog.dialects import load_dialect
from cbir.catalog.gallery_state import read_config
from cbir.catalog.schema import embeddings, images, regions
from cbir.config import GalleryConfig

__all__ = ["problems"]


def problems(connection: Connection) -> list[str]:
    """Problems of a catalogue: damage, missing embeddings, wrong regions."""
    config = read_config(connection)
    return [
        *load_dialect(connection.dialect.name).problems(connection),
        *(
            f"image {i} has no embedding of the gallery's dimension"
            for i in _without_embedding(connection, config.spec.dim)
        ),
        *(
            f"image {i} has other regions than the gallery's {len(config.regions)}"
            for i in _with_other_regions(connection, config)
        ),
    ]


def _without_embedding(connection: Connection, dim: int) -> list[int]:
    bare = (
        select(images.c.id)
        .outerjoin(embeddings, embeddings.c.image_id == images.c.id)
        .where((embeddings.c.image_id.is_(None)) | (func.length(embeddings.c.vector) != 2 * dim))
    )
    return list(connection.execute(bare).scalars())


def _with_other_regions(connection: Connection, config: GalleryConfig) -> list[int]:
    size = 2 * config.spec.dim
    odd = (
        select(regions.c.image_id)
        .group_by(regions.c.image_id)
        .having(
            (func.count() != len(config.regions))
            | (func.min(func.length(regions.c.vector)) != size)
            | (func.max(func.length(regions.c.vector)) != size)
        )
    )
    return list(connection.execute(odd).scalars())
