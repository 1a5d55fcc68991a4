"""The images of a gallery as arrays: what a recommendation for all of them asks of each."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cbir.arrays import Ids, Vectors
from cbir.recommendation.choice import bonuses
from cbir.recommendation.rules import Rules

if TYPE_CHECKING:
    from cbir.catalog.snapshot import Snapshot

__all__ = ["Codes", "Items", "load_items", "load_vectors"]

Codes = npt.NDArray[np.int32]
"""Equal values as equal small numbers (N,); -1 where there is no value."""


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """All images, in rows: images of the same values of `Rules.same` lie together.

    Within such a section, what may be recommended comes first, so that the candidates of an item
    are one slice of the vectors.
    """

    ids: Ids
    keys: Mapping[int, str]
    contents: Codes
    products: Codes
    different: tuple[Codes, ...]
    """One per field of `Rules.different`."""
    bonus: Vectors
    sections: npt.NDArray[np.int64]
    """(N, 2): where the candidates of a row begin and end; empty where it may have none."""
    digest: str
    """Changes with anything here, and with the embeddings."""
    lacking: int
    """Images that lack a field of `Rules.same` or `Rules.different`."""

    def __len__(self) -> int:
        return len(self.ids)


def load_items(snapshot: Snapshot, rules: Rules) -> Items:
    """Everything but the vectors. Raises FilterError for a field that means nothing here."""
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
        bonus = bonuses(ids, cells, rules.weight, rules.weight_strength)
    if rules.group_by is None:
        products = np.arange(len(ids), dtype=np.int32)
    else:
        products = _codes(ids, snapshot.column(rules.group_by))
        alone = products < 0
        products[alone] = len(ids) + np.arange(alone.sum(), dtype=np.int32)
    section = _combined(same, len(ids))
    order = np.lexsort((ids, ~allowed, section))
    sections = _sections(section[order], allowed[order])
    sections[lacking[order]] = 0
    return Items(
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


def load_vectors(snapshot: Snapshot, items: Items) -> Vectors:
    """The vectors of all items as the gallery compares them, in their rows: (N, d)."""
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
    """One code for each combination of values: (N,)."""
    combined = np.zeros(count, dtype=np.int64)
    for codes in columns:
        _, combined = np.unique(combined * (count + 1) + codes + 1, return_inverse=True)
        combined = combined.astype(np.int64)
    return combined


def _sections(
    section: npt.NDArray[np.int64], allowed: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Where the allowed rows of each row's section begin and end: (N, 2)."""
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
