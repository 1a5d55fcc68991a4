"""Reads and writes the `state` row: the gallery's generation, next id and configuration."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select, update

from cbir.catalog.schema import projections, state
from cbir.config import GalleryConfig
from cbir.embedding.whitening import Projection

__all__ = [
    "next_generation",
    "read_config",
    "reserve_ids",
    "write_config",
    "write_projection",
]


def next_generation(connection: Connection, *, new_images: int = 0) -> tuple[int, int]:
    """Take the next generation, for a change of vectors, and `new_images` ids.

    Returns (generation, first new id).
    """
    connection.execute(
        update(state).values(
            generation=state.c.generation + 1,
            next_image_id=state.c.next_image_id + new_images,
        )
    )
    row = connection.execute(select(state.c.generation, state.c.next_image_id)).one()
    return row.generation, row.next_image_id - new_images


def reserve_ids(connection: Connection, below: int) -> None:
    """Reserve all ids below this one."""
    later = state.c.next_image_id < below
    connection.execute(update(state).where(later).values(next_image_id=below))


def read_config(connection: Connection) -> GalleryConfig:
    """The configuration: the committed one, or the one that this transaction has written."""
    return GalleryConfig.from_json(connection.execute(select(state.c.config)).scalar_one())


def write_config(connection: Connection, config: GalleryConfig) -> None:
    """Replace the configuration; the caller must have read the old one in this transaction."""
    connection.execute(update(state).values(config=config.to_json()))


def write_projection(connection: Connection, projection: Projection | None) -> None:
    """Replace the projection fitted for the gallery's whitening; None removes it."""
    connection.execute(delete(projections))
    if projection is not None:
        values = {"digest": projection.digest, "data": projection.to_bytes()}
        connection.execute(insert(projections).values(values))
