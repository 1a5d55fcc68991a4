"""The images of a gallery as arrays of the properties that the rules use."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cbir.arrays import Ids, Vectors
from cbir.recommendation.rules import Rules
from cbir.recommendation.selection import weight_bonuses

if TYPE_CHECKING:
    from cbir.catalog.snapshot import Snapshot

__all__ = ["Codes", "ItemTable", "load_item_table", "load_vectors"]

Codes = npt.NDArray[np.int32]
"""Values as integers (N,): equal for equal values, -1 for no value."""


@dataclass(frozen=True, slots=True, eq=False)
class ItemTable:
    """All images as rows, sorted so that the candidates of an item are one slice of them.

    Images with the same values of `Rules.same` form a section; within it, the images that may be
    recommended come first.
    """

    ids: Ids
    keys: Mapping[int, str]
    contents: Codes
    products: Codes
    different: tuple[Codes, ...]
    """One per field of `Rules.different`."""
    bonus: Vectors
    sections: npt.NDArray[np.int64]
    """(N, 2): the first and the last + 1 of the candidates of each row; equal where it has none."""
    digest: str
    """Hash of this table and of the gallery's generation."""
    lacking: int
    """Number of images without one of the fields of `Rules.same` and `Rules.different`."""

    def __len__(self) -> int:
        return len(self.ids)


def load_item_table(snapshot: Snapshot, rules: Rules) -> ItemTable:
    """The table for these rules. Raises FilterError for a field that no image has, or of lists."""
    contents = snapshot.contents()
    ids = contents.ids
    same = [_codes(ids, snapshot.column(field)) for field in rules.same]
    different = [_codes(ids, snapshot.column(field)) for field in rules.different]
    lacking = np.zeros(len(ids), dtype=bool)
    for codes in (*same, *different):
        lacking |= codes < 0
    allowed = ~lacking
    if rules.where is not None:
        allowed &= np.isin(ids, snapshot.matching(rules.where))
    bonus = np.zeros(len(ids), dtype=np.float32)
    if rules.weight is not None:
        cells = snapshot.column(rules.weight)
        bonus = weight_bonuses(ids, cells, rules.weight, rules.weight_strength)
    if rules.group_by is None:
        products = np.arange(len(ids), dtype=np.int32)
    else:
        products = _codes(ids, snapshot.column(rules.group_by))
        without_product = products < 0
        products[without_product] = len(ids) + np.arange(without_product.sum(), dtype=np.int32)
    section = _combined(same, len(ids))
    order = np.lexsort((ids, ~allowed, section))
    sections = _sections(section[order], allowed[order])
    sections[lacking[order]] = 0
    return ItemTable(
        ids=ids[order],
        keys=dict(zip(ids.tolist(), contents.keys, strict=True)),
        contents=_coded(contents.hashes)[order],
        products=products[order],
        different=tuple(codes[order] for codes in different),
        bonus=bonus[order],
        sections=sections,
        digest=_digest(
            snapshot.generation,
            [ids, order, sections, products, bonus, *different],
            [*contents.keys, *contents.hashes],
        ),
        lacking=int(lacking.sum()),
    )


def load_vectors(snapshot: Snapshot, items: ItemTable) -> Vectors:
    """The vectors of all items as the gallery compares them, in the order of the table: (N, d)."""
    _, projection = snapshot.projection
    by_id = np.argsort(items.ids)
    vectors: Vectors | None = None
    for ids, page in snapshot.changed_since(0):
        projected = page if projection is None else projection.apply(page)
        if vectors is None:
            vectors = np.empty((len(items), projected.shape[1]), dtype=np.float32)
        vectors[by_id[np.searchsorted(items.ids, ids, sorter=by_id)]] = projected
    return np.empty((0, 1), dtype=np.float32) if vectors is None else vectors


def _codes(ids: Ids, cells: Mapping[int, Hashable]) -> Codes:
    return _coded(cells.get(i) for i in ids.tolist())


def _coded(values: Iterable[Hashable | None]) -> Codes:
    seen: dict[Hashable, int] = {}
    codes = [-1 if value is None else seen.setdefault(value, len(seen)) for value in values]
    return np.array(codes, dtype=np.int32)


def _combined(columns: Iterable[Codes], count: int) -> npt.NDArray[np.int64]:
    """One integer for each combination of values: (N,)."""
    combined = np.zeros(count, dtype=np.int64)
    for codes in columns:
        _, combined = np.unique(combined * (count + 1) + codes + 1, return_inverse=True)
        combined = combined.astype(np.int64)
    return combined


def _sections(
    section: npt.NDArray[np.int64], allowed: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """The first and the last + 1 of the allowed rows in the section of each row: (N, 2)."""
    starts = np.searchsorted(section, section, side="left")
    counts = np.bincount(section, weights=allowed, minlength=1) if len(section) else np.empty(0)
    return np.stack([starts, starts + counts[section].astype(np.int64)], axis=1).astype(np.int64)


def _digest(
    generation: int, arrays: Iterable[npt.NDArray[np.generic]], texts: Iterable[str | bytes]
) -> str:
    digest = hashlib.sha256(str(generation).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    for text in texts:
        digest.update((text if isinstance(text, bytes) else text.encode()) + b"\0")
    return digest.hexdigest()[:32]
