"""Pairs of images of which somebody has said that they are no duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from sqlalchemy import Connection, Select, delete, insert, select, tuple_

from cbir.catalog.engine import parts
from cbir.catalog.schema import dismissals

Pair: TypeAlias = tuple[int, int]
"""Ids of two images, the smaller one first."""

_PAIR = dismissals.c.first_id, dismissals.c.second_id


def all_dismissed(connection: Connection) -> list[Pair]:
    """Every such pair, in the order of ids."""
    return _pairs(connection, select(*_PAIR).order_by(*_PAIR))


def dismiss(connection: Connection, pairs: Sequence[Pair]) -> int:
    """Write down different pairs of images of the gallery. Returns how many were new."""
    added = 0
    for part in parts(pairs):
        known = set(_pairs(connection, select(*_PAIR).where(tuple_(*_PAIR).in_(list(part)))))
        new = [
            {"first_id": a, "second_id": b} for a, b in dict.fromkeys(part) if (a, b) not in known
        ]
        if new:
            connection.execute(insert(dismissals), new)
        added += len(new)
    return added


def undismiss(connection: Connection, pairs: Sequence[Pair]) -> int:
    """Forget dismissed pairs, smaller id first. Returns how many there were."""
    return sum(
        connection.execute(delete(dismissals).where(tuple_(*_PAIR).in_(list(part)))).rowcount
        for part in parts(pairs)
    )


def forget_dismissals_of(connection: Connection, ids: Sequence[int]) -> None:
    """What was said of these images holds no longer: they are gone, or show something else."""
    for column in _PAIR:
        connection.execute(delete(dismissals).where(column.in_(ids)))


def _pairs(connection: Connection, query: Select[Any]) -> list[Pair]:
    return [(row.first_id, row.second_id) for row in connection.execute(query)]
