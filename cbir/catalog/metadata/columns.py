"""Reads whole columns of a gallery, for operations over all images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from sqlalchemy import ColumnElement, Connection, Select, and_, not_, select

from cbir.arrays import Ids
from cbir.catalog.metadata.filtering import unknown_field
from cbir.catalog.metadata.values import field_types
from cbir.catalog.schema import field_values, fields, images
from cbir.errors import FilterError
from cbir.metadata import FieldType

Cell: TypeAlias = "tuple[FieldType, float | None, str | None]"
"""The type of a value with its number (a boolean's is 0 or 1) or its text (a date's in ISO)."""


@dataclass(frozen=True, slots=True)
class Contents:
    """Ids, keys and content hashes of all images, in the order of ids."""

    ids: Ids
    keys: list[str]
    hashes: list[bytes]
    """Hashes of the encoded images: equal for equal files."""


def contents(connection: Connection) -> Contents:
    """Ids, keys and content hashes of all images, ascending by id."""
    columns = images.c.id, images.c.key, images.c.content_hash
    rows = connection.execute(select(*columns).order_by(images.c.id)).all()
    ids = np.array([row.id for row in rows], dtype=np.int64)
    return Contents(ids, [row.key for row in rows], [row.content_hash for row in rows])


def check(connection: Connection, field: str) -> None:
    """Raise FilterError for a field that no image has, and for one that holds lists."""
    types = field_types(connection)
    if field not in types:
        raise FilterError(unknown_field(field, types))
    if "list" in types[field]:
        raise FilterError(f"{field!r} holds lists; name a field with one value per image")


def column(connection: Connection, field: str) -> dict[int, Cell]:
    """The value of a field by image id; images without it are absent.

    Raises FilterError for a field that no image has, and for one that holds lists.
    """
    check(connection, field)
    rows = connection.execute(_cells(field))
    return {row.image_id: (row.type, row.number, row.text) for row in rows}


def sharing(connection: Connection, image_id: int, field: str, *, same: bool) -> Ids:
    """Ids of images with the same value of a field as an image, or with another one: (N,).

    Ascending, without images that lack the field; empty when `image_id` lacks it. Raises
    FilterError as `column` does.
    """
    check(connection, field)
    cells = _cells(field)
    value = connection.execute(cells.where(field_values.c.image_id == image_id)).first()
    if value is None:
        return np.empty(0, np.int64)
    equal = and_(
        fields.c.type == value.type,
        _is(field_values.c.number, value.number),
        _is(field_values.c.text, value.text),
    )
    chosen = cells.where(equal if same else not_(equal))
    return np.sort([row.image_id for row in connection.execute(chosen)]).astype(np.int64)


def _is(column: ColumnElement[object], value: object) -> ColumnElement[bool]:
    return column.is_not_distinct_from(value)


def _cells(field: str) -> Select[tuple[int, FieldType, float | None, str | None]]:
    values = field_values.c
    joined = field_values.join(fields, fields.c.id == values.field_id)
    columns = select(values.image_id, fields.c.type, values.number, values.text)
    return columns.select_from(joined).where(fields.c.name == field)
