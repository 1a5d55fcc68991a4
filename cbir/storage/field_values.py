"""Metadata as rows of an index: what the filters ask, written beside every image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Connection, delete, insert, select

from cbir.metadata import Fields, FieldType, plain_value, type_of_class
from cbir.storage.bulk import insert_rows
from cbir.storage.schema import field_values, fields

Described: TypeAlias = Sequence[tuple[int, Mapping[str, Any]]]
"""Images' ids with their metadata, dates still being dates."""


def insert_values(connection: Connection, described: Described) -> None:
    """Write down every value of these images' metadata; new fields get a row of their own."""
    field_ids = _FieldIds(connection)
    rows: list[tuple[int, int, int, float | None, str | None]] = []
    for image, metadata in described:
        for name, value in metadata.items():
            plain = plain_value(value)
            if plain is None:
                continue
            field = field_ids[name, value.__class__]
            if plain.__class__ is str:
                rows.append((image, field, 0, None, plain))
            elif plain.__class__ is list:
                rows += [(image, field, place, *_columns(item)) for place, item in enumerate(plain)]
            else:
                rows.append((image, field, 0, *_columns(plain)))
    insert_rows(connection, field_values, rows)


def delete_values(connection: Connection, images: Sequence[int]) -> None:
    """Forget the values of these images, of at most as many as fit one statement."""
    connection.execute(delete(field_values).where(field_values.c.image_id.in_(images)))


def known_fields(connection: Connection) -> Fields:
    """Every field some image has or had, with the types of its values."""
    found: dict[str, set[FieldType]] = defaultdict(set)
    for row in connection.execute(select(fields.c.name, fields.c.type).order_by(fields.c.name)):
        found[row.name].add(row.type)
    return {name: frozenset(types) for name, types in found.items()}


class _FieldIds(dict[tuple[str, type], int]):
    """Field and class of a value → id of the field of that type, which is made if it is new."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._stored: dict[tuple[str, str], int] | None = None

    def __missing__(self, used: tuple[str, type]) -> int:
        if self._stored is None:
            rows = self._connection.execute(select(fields))
            self._stored = {(row.name, row.type): row.id for row in rows}
        name, kind = used[0], type_of_class(used[1])
        if (name, kind) not in self._stored:
            new = insert(fields).values(name=name, type=kind)
            key = self._connection.execute(new).inserted_primary_key
            assert key is not None
            self._stored[name, kind] = int(key[0])
        self[used] = self._stored[name, kind]
        return self[used]


def _columns(item: Any) -> tuple[float | None, str | None]:
    return (None, item) if isinstance(item, str) else (float(item), None)
