"""What a catalogue answers about the metadata of its images."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from sqlalchemy import Engine

from cbir.arrays import Ids
from cbir.catalog.engine import reading
from cbir.catalog.metadata import filtering
from cbir.catalog.metadata.coverage import number_coverage
from cbir.catalog.metadata.facets import facets
from cbir.catalog.metadata.values import (
    distinct_values,
    field_summaries,
    field_types,
    values_of,
)
from cbir.filters import Filter
from cbir.metadata import Facet, Fields, FieldSummary, NumberCoverage

__all__ = ["MetadataReader"]


class MetadataReader:
    """The part of `CatalogReader` that filters by metadata and lists fields and values.

    Each method is a transaction of its own.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def count_matching(self, where: Filter) -> int:
        """Number of images that match a filter. Raises FilterError."""
        with reading(self._engine) as connection:
            return len(filtering.matching(connection, where))

    def matching(self, where: Filter) -> Ids:
        """Ids of the images that match a filter, ascending: (N,). Raises FilterError."""
        with reading(self._engine) as connection:
            return filtering.matching(connection, where)

    def fields(self) -> Fields:
        """The fields of the images' metadata by name, with the types of their values."""
        with reading(self._engine) as connection:
            return field_types(connection)

    def field_summaries(self) -> list[FieldSummary]:
        """Every field of the metadata by name: number of values, and a few of them."""
        with reading(self._engine) as connection:
            return field_summaries(connection)

    def number_coverage(self) -> list[NumberCoverage]:
        """Every field of numbers that some image lacks or has as text, by name."""
        with reading(self._engine) as connection:
            return number_coverage(connection)

    def facets(self, *, most: int = 20) -> list[Facet]:
        """Every field by name with its `most` frequent values, or its range and a histogram."""
        with reading(self._engine) as connection:
            return facets(connection, most=most)

    def values(self, field: str, ids: Sequence[int]) -> Mapping[int, Hashable]:
        """The value of a field by image id, without images that lack it or have a list.

        Values can only be compared with one another: equal values of equal types are equal. The
        result may contain images other than `ids`.
        """
        with reading(self._engine) as connection:
            return values_of(connection, field, ids)

    def distinct(self, field: str) -> int:
        """Number of different values of a field; -1 when some image lacks it or has a list."""
        with reading(self._engine) as connection:
            return distinct_values(connection, field)
