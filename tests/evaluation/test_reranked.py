from pathlib import Path

import pytest
from conftest import COLOURS, save_gradients
from factories import encode, plain
from rows import rounded

from cbir import Gallery, Retriever, index_images
from cbir.evaluation.reranked import reranked_search
from cbir.reranking import open_reranker
from cbir.retrieval import IdQuery, ImageQuery


@pytest.mark.parametrize("depth", [1, 2, 3, 50])
def test_it_finds_what_a_single_search_finds(tmp_path: Path, gallery: Gallery, depth: int) -> None:
    save_gradients(tmp_path)
    index_images(tmp_path, gallery)
    retriever = Retriever(gallery)
    reranker = open_reranker("aqe", gallery, depth=depth)
    search = reranked_search(retriever, reranker)
    for query in (IdQuery(1), ImageQuery(encode(plain("red")))):
        for k in (1, 2, len(COLOURS), 10):
            single = retriever.search(query, k=k, rerank=reranker)
            assert rounded(search(query, k).hits) == rounded(single.hits)
