"""Finds the images that match a filter.

Every leaf is a range of one index; `and`, `or` and `not` combine sets of ids. Every value is bound,
and every field and type is checked before the first query runs.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import reduce

import numpy as np
from sqlalchemy import ColumnElement, Connection, Text, cast, func, select

from cbir.arrays import Ids
from cbir.catalog.metadata.comparisons import Kinds, conditions_on
from cbir.catalog.metadata.values import field_ids
from cbir.catalog.schema import field_values, images
from cbir.errors import FilterError
from cbir.filters import And, Compare, Exists, Filter, Not, Or
from cbir.messages import shortened
from cbir.metadata import Fields, FieldType

DEEPEST = 100
"""Greatest nesting depth of conditions."""


def matching(connection: Connection, where: Filter) -> Ids:
    """Ids of the images that match, ascending: (N,).

    Raises FilterError, naming the known fields, for a field that no image has, and for a value
    that cannot be compared with what the field holds.
    """
    fields: dict[str, dict[FieldType, int]] = {}
    for (name, kind), field_id in sorted(field_ids(connection).items()):
        fields.setdefault(name, {})[kind] = field_id
    _check(where, fields)
    return _matching(connection, where, fields)


def unknown_field(field: str, fields: Fields | Mapping[str, Kinds]) -> str:
    """The message for a field that no image has: the most similar name, and all names."""
    close = difflib.get_close_matches(field, fields, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else ";"
    names = (
        shortened(", ".join(sorted(fields)), 300)
        or "none: index a manifest with columns beside the path"
    )
    return f"no image has a field {shortened(field)!r}{meant} known fields: {names}"


def _check(where: Filter, fields: Mapping[str, Kinds], depth: int = 1) -> None:
    """Raise FilterError for the first condition that cannot be evaluated."""
    if depth > DEEPEST:
        raise FilterError(f"conditions are nested more than {DEEPEST} deep; flatten them")
    if isinstance(where, (And, Or)):
        for child in where.children:
            _check(child, fields, depth + 1)
    elif isinstance(where, Not):
        _check(where.child, fields, depth + 1)
    elif isinstance(where, (Compare, Exists)):
        if where.field not in fields:
            raise FilterError(unknown_field(where.field, fields))
        if isinstance(where, Compare):
            conditions_on(where, fields[where.field])
    else:
        raise TypeError(f"{where!r} is not a filter; parse_where(['category=shoes']) makes one")


def _matching(connection: Connection, where: Filter, fields: Mapping[str, Kinds]) -> Ids:
    if isinstance(where, Or):
        return _unique([_matching(connection, child, fields) for child in where.children])
    if isinstance(where, (And, Not)):
        children = where.children if isinstance(where, And) else (where,)
        sets = [_matching(connection, c, fields) for c in children if not isinstance(c, Not)]
        sets.sort(key=len)
        ids = reduce(_both, sets) if sets else _ids(connection, images.c.id)
        for child in children:
            if isinstance(child, Not):
                ids = ids[np.isin(ids, _matching(connection, child.child, fields), invert=True)]
        return ids
    kinds = fields[where.field]
    conditions = (
        [field_values.c.field_id == field_id for field_id in kinds.values()]
        if isinstance(where, Exists)
        else conditions_on(where, kinds)
    )
    return _unique([_ids(connection, field_values.c.image_id, each) for each in conditions])


def _ids(
    connection: Connection, column: ColumnElement[int], *conditions: ColumnElement[bool]
) -> Ids:
    # Half a million rows take ten times as long as half a million numbers joined into one text.
    listed = select(func.aggregate_strings(cast(column, Text), ",")).where(*conditions)
    text = connection.execute(listed).scalar_one()
    return np.sort(np.fromstring(text or "", dtype=np.int64, sep=","))


def _both(some: Ids, others: Ids) -> Ids:
    return some[np.isin(some, others)]


def _unique(sets: list[Ids]) -> Ids:
    """The union of sets of ids, ascending, each once."""
    ids = np.sort(np.concatenate(sets)) if sets else np.empty(0, np.int64)
    return ids[np.diff(ids, prepend=-1) > 0]  # ids are positive
