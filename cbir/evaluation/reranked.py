"""A reranked search that ranks the whole gallery, for evaluation."""

from __future__ import annotations

from dataclasses import replace

from cbir.evaluation.ranking import Search
from cbir.reranking import Reranker
from cbir.retrieval import IdQuery, Query, Retriever
from cbir.types import Hit, ImageRecord, SearchResult

__all__ = ["reranked_search"]


def reranked_search(retriever: Retriever, reranker: Reranker) -> Search:
    """A search that reranks the first `reranker.depth` images; the others follow by similarity.

    As `retriever.search(query, k=k, exact=True, rerank=reranker)`, but the records beyond the depth
    are read once and not for every query: apart from the reranking, this takes a third of the time
    in a gallery of 1,322. It is meant for a gallery that does not change.
    """
    records: dict[int, ImageRecord] = {}

    def search(query: Query, k: int) -> SearchResult:
        result = retriever.search(query, k=min(k, reranker.depth), exact=True, rerank=reranker)
        if k <= reranker.depth:
            return result
        if not records:
            records.update((record.id, record) for record, _ in retriever.gallery.catalog.scan())
        reranked = {hit.image.id for hit in result.hits}
        if isinstance(query, IdQuery):
            reranked.add(query.id)
        plain = retriever.gallery.search(retriever.embed(query)[None], k + 1, exact=True)
        rest = [
            (records[image_id], similarity)
            for image_id, similarity in zip(
                plain.ids[0].tolist(), plain.similarities[0].tolist(), strict=True
            )
            if image_id not in reranked and image_id in records
        ]
        behind = (
            Hit(rank, image, similarity)
            for rank, (image, similarity) in enumerate(rest, len(result.hits) + 1)
        )
        return replace(result, hits=(*result.hits, *behind)[:k])

    return search
