"""The nearest of rows of float16, compared where they lie: in a mapped file, or in memory."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from cbir.arrays import Ids, Vectors

__all__ = ["Halves", "nearest_rows"]

Halves = npt.NDArray[np.float16]

MANY_QUERIES = 32
"""From so many on, rows are widened once and multiplied with all queries; numpy widens a number in
1.9 ns, while FAISS, which multiplies halves as they are, takes 0.14 ns for each and every query."""


def nearest_rows(
    queries: Vectors, k: int, rows: Halves, kept: npt.NDArray[np.bool_] | None = None
) -> tuple[Vectors, Ids]:
    """The best k of these rows (N, D), or of those `kept` (N,), by inner product.

    Similarities and places, the best first: (Q, k) each, or narrower where there are fewer.
    """
    k = min(k, len(rows) if kept is None else int(np.count_nonzero(kept)))
    if k == 0:
        return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
    if len(queries) >= MANY_QUERIES:
        places = None if kept is None else np.flatnonzero(kept)
        widened = (rows if places is None else rows[places]).astype(np.float32)
        similarities, found = faiss.knn(queries, widened, k, faiss.METRIC_INNER_PRODUCT)
        return similarities, found if places is None else places[found]
    params = None
    if kept is not None:
        bits = np.packbits(kept, bitorder="little")
        selector = faiss.IDSelectorBitmap(len(rows), faiss.swig_ptr(bits))
        params = faiss.SearchParameters(sel=selector)
    similarities, found = _index_over(rows).search(queries, k, params=params)
    return similarities, found


def _index_over(rows: Halves) -> Any:
    """A FAISS index that looks at rows instead of keeping them."""
    halves = faiss.ScalarQuantizer.QT_fp16
    index = faiss.IndexScalarQuantizer(rows.shape[1], halves, faiss.METRIC_INNER_PRODUCT)
    codes = np.ascontiguousarray(rows).view(np.uint8).reshape(-1)
    try:
        view = faiss.MaybeOwnedVectorUInt8()
    except AttributeError:  # FAISS before 1.11 keeps what it searches: twice the time
        index.add_sa_codes(codes.reshape(len(rows), -1))
        return index
    view.is_owned = False
    view.view_data, view.view_size = faiss.swig_ptr(codes), codes.size
    index.codes, index.ntotal = view, len(rows)
    index.referenced_objects = [codes]  # they must live as long as the index does
    return index
