"""Metadata as one row per value, which filters and facets read; written with every image."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, Text, cast, delete, func, insert, select

from cbir.catalog.engine import insert_rows, parts
from cbir.catalog.schema import field_values, fields, images
from cbir.metadata import Fields, FieldSummary, FieldType, plain_value, type_of_class

Single: TypeAlias = "tuple[int, float | None, str | None]"
"""A value that is not a list: the id of its field, and a number or a text."""

MANY_IMAGES = 20_000
"""Number of images above which reading a field of all images is cheaper than of those alone."""

EXAMPLES = 4
"""Number of example values of a field without a range."""

_COUNT = select(func.count()).select_from(images)
_ENDS = (func.min, func.max)

ImageMetadata: TypeAlias = Sequence[tuple[int, Mapping[str, Any]]]
"""Ids of images with their metadata as the source gives it: dates are dates."""


def insert_values(connection: Connection, rows_of_metadata: ImageMetadata) -> None:
    """Insert every value of these images' metadata, and the fields that are new."""
    ids = _FieldIds(connection)
    rows: list[tuple[int, int, int, float | None, str | None]] = []
    for image, metadata in rows_of_metadata:
        for name, value in metadata.items():
            plain = plain_value(value)
            if plain is None:
                continue
            field = ids[name, value.__class__]
            if plain.__class__ is list:
                rows += [(image, field, place, *_columns(item)) for place, item in enumerate(plain)]
            else:
                rows.append((image, field, 0, *_columns(plain)))
    insert_rows(connection, field_values, rows)


def delete_values(connection: Connection, ids: Sequence[int]) -> None:
    """Delete the values of these images; at most ROWS_PER_STATEMENT ids."""
    connection.execute(delete(field_values).where(field_values.c.image_id.in_(ids)))


def replace_values(connection: Connection, image_id: int, changes: Mapping[str, Any]) -> None:
    """Replace some fields' values of one image; None deletes. A field of dates keeps its type."""
    all_fields = field_ids(connection)
    changed = [field_id for (name, _), field_id in all_fields.items() if name in changes]
    connection.execute(
        delete(field_values).where(
            field_values.c.image_id == image_id, field_values.c.field_id.in_(changed)
        )
    )
    values = {
        name: _as_date(value) if {k for n, k in all_fields if n == name} == {"date"} else value
        for name, value in changes.items()
    }
    insert_values(connection, [(image_id, values)])


def _as_date(value: Any) -> Any:
    """Convert a text that is an ISO date; return anything else unchanged."""
    try:
        return (date if len(value) == 10 else datetime).fromisoformat(value)
    except (TypeError, ValueError):
        return value


def field_types(connection: Connection) -> Fields:
    """Every field that some image has or had, with the types of its values."""
    types_by_name: dict[str, set[FieldType]] = defaultdict(set)
    for row in connection.execute(select(fields.c.name, fields.c.type).order_by(fields.c.name)):
        types_by_name[row.name].add(row.type)
    return {name: frozenset(types) for name, types in types_by_name.items()}


def values_of(connection: Connection, field: str, ids: Sequence[int]) -> dict[int, Single]:
    """The value of a field by image id, without images that lack it or have a list."""
    kinds = _single_kinds(connection, field)
    columns = field_values.c.field_id, field_values.c.number, field_values.c.text
    if len(ids) <= MANY_IMAGES:
        image = field_values.c.image_id
        return {
            row.image_id: (row.field_id, row.number, row.text)
            for part in parts(ids)
            for row in connection.execute(
                select(image, *columns).where(image.in_(part), columns[0].in_(kinds))
            )
        }
    # For very many images, the ids of each value are joined into one text: a tenth of the time.
    listed = func.aggregate_strings(cast(field_values.c.image_id, Text), ",").label("ids")
    groups = select(*columns, listed).where(columns[0].in_(kinds)).group_by(*columns)
    values: dict[int, Single] = {}
    for row in connection.execute(groups):
        values.update(dict.fromkeys(map(int, row.ids.split(",")), tuple(row)[:3]))
    return values


def distinct_values(connection: Connection, field: str) -> int:
    """Number of different values of a field; -1 when some image lacks it or has a list."""
    columns = field_values.c.field_id, field_values.c.number, field_values.c.text
    single = columns[0].in_(_single_kinds(connection, field))
    having = select(func.count()).select_from(field_values).where(single)
    if connection.execute(having).scalar() != connection.execute(_COUNT).scalar():
        return -1
    different = select(*columns).where(single).distinct().subquery()
    return connection.execute(select(func.count()).select_from(different)).scalar_one()


def _single_kinds(connection: Connection, field: str) -> list[int]:
    """The field ids of a field's values that are not lists."""
    ids = field_ids(connection).items()
    return [field_id for (name, kind), field_id in ids if name == field and kind != "list"]


def field_summaries(connection: Connection) -> list[FieldSummary]:
    """A summary of every field, by name; fields without values are left out."""
    summaries = []
    for (name, kind), field_id in sorted(field_ids(connection).items()):
        of_field = field_values.c.field_id == field_id
        count = connection.execute(select(func.count()).where(of_field)).scalar_one()
        if count:
            examples = tuple(_examples(connection, kind, of_field))
            summaries.append(FieldSummary(name, kind, count, examples))
    return summaries


def _examples(
    connection: Connection, kind: FieldType, of_field: ColumnElement[bool]
) -> Iterator[str | float]:
    """A few values, each by one look-up in the index, however many values there are."""
    number, text = field_values.c.number, field_values.c.text
    texts = of_field & number.is_(None)
    if kind in ("number", "date"):
        column, allowed = (number, of_field) if kind == "number" else (text, texts)
        ends = [connection.execute(select(f(column)).where(allowed)).scalar() for f in _ENDS]
        yield from dict.fromkeys(end for end in ends if end is not None)
        return
    for column, allowed in ((number, of_field), (text, texts)):
        beyond = allowed
        for _ in range(EXAMPLES):
            least = connection.execute(select(func.min(column)).where(beyond)).scalar()
            if least is None:
                break
            yield least
            beyond = allowed & (column > least)


def field_ids(connection: Connection) -> dict[tuple[str, FieldType], int]:
    """The id of every field's values of one type."""
    return {(row.name, row.type): row.id for row in connection.execute(select(fields))}


class _FieldIds(dict[tuple[str, type], int]):
    """Field and class of a value → id of the field of that type, inserted if it is new."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._stored: dict[tuple[str, FieldType], int] | None = None

    def __missing__(self, used: tuple[str, type]) -> int:
        if self._stored is None:
            self._stored = field_ids(self._connection)
        name, kind = utf8(used[0]), type_of_class(used[1])
        if (name, kind) not in self._stored:
            new = insert(fields).values(name=name, type=kind)
            key = self._connection.execute(new).inserted_primary_key
            assert key is not None
            self._stored[name, kind] = int(key[0])
        self[used] = self._stored[name, kind]
        return self[used]


def _columns(item: Any) -> tuple[float | None, str | None]:
    """A value, or a list item, as (number, text), one of which is None."""
    if isinstance(item, (bool, int, float)):
        return as_number(item), None
    return None, utf8(str(item))


def as_number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # JSON knows whole numbers of any length
        return math.inf if value > 0 else -math.inf


def utf8(text: str) -> str:
    """Text made storable in a database column."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()
