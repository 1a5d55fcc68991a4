"""Images that match a filter: every leaf is a range of one index, the rest is sets of ids.

Every value is bound, every field and type is checked before the first query runs.
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
from cbir.metadata import Fields, FieldType

DEEPEST = 100
"""Conditions within conditions, at most."""


def matching(connection: Connection, where: Filter) -> Ids:
    """Ids of the images that match, ascending: (N,).

    Raises FilterError, naming the known fields, for a field that no image has, and for a value
    that cannot be compared with what the field holds.
    """
    known: dict[str, dict[FieldType, int]] = {}
    for (name, kind), number in sorted(field_ids(connection).items()):
        known.setdefault(name, {})[kind] = number
    _check(where, known)
    return _matching(connection, where, known)


def unknown_field(field: str, known: Fields | Mapping[str, Kinds]) -> str:
    """The message for a field that no image has: the most similar name, and all names."""
    close = difflib.get_close_matches(field, known, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else ";"
    names = ", ".join(sorted(known)) or "none: index a manifest with columns beside the path"
    return f"no image has a field {field!r}{meant} known fields: {names}"


def _check(where: Filter, known: Mapping[str, Kinds], depth: int = 1) -> None:
    """Raise FilterError for the first condition that cannot be asked."""
    if depth > DEEPEST:
        raise FilterError(f"conditions lie within one another more than {DEEPEST} deep; flatten")
    if isinstance(where, (And, Or)):
        for child in where.children:
            _check(child, known, depth + 1)
    elif isinstance(where, Not):
        _check(where.child, known, depth + 1)
    elif isinstance(where, (Compare, Exists)):
        if where.field not in known:
            raise FilterError(unknown_field(where.field, known))
        if isinstance(where, Compare):
            conditions_on(where, known[where.field])
    else:
        raise TypeError(f"{where!r} is no filter; parse_where(['category=shoes']) makes one")


def _matching(connection: Connection, where: Filter, known: Mapping[str, Kinds]) -> Ids:
    if isinstance(where, Or):
        found = [_matching(connection, child, known) for child in where.children]
        return _unique(found)
    if isinstance(where, (And, Not)):
        children = where.children if isinstance(where, And) else (where,)
        sets = [_matching(connection, c, known) for c in children if not isinstance(c, Not)]
        sets.sort(key=len)
        ids = reduce(_both, sets) if sets else _ids(connection, images.c.id)
        for child in children:
            if isinstance(child, Not):
                ids = ids[np.isin(ids, _matching(connection, child.child, known), invert=True)]
        return ids
    kinds = known[where.field]
    asked = (
        [field_values.c.field_id == field_id for field_id in kinds.values()]
        if isinstance(where, Exists)
        else conditions_on(where, kinds)
    )
    return _unique([_ids(connection, field_values.c.image_id, one) for one in asked])


def _ids(
    connection: Connection, column: ColumnElement[int], *conditions: ColumnElement[bool]
) -> Ids:
    # Half a million rows take ten times as long as half a million numbers in one text.
    listed = select(func.aggregate_strings(cast(column, Text), ",")).where(*conditions)
    text = connection.execute(listed).scalar_one()
    return np.sort(np.fromstring(text or "", dtype=np.int64, sep=","))


def _both(some: Ids, others: Ids) -> Ids:
    return some[np.isin(some, others)]


def _unique(found: list[Ids]) -> Ids:
    """The ids that are in any of these, ascending, each once."""
    ids = np.sort(np.concatenate(found)) if found else np.empty(0, np.int64)
    return ids[np.diff(ids, prepend=-1) > 0]  # ids are positive
