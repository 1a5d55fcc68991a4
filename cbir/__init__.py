"""cbir: a search engine for images by their content.

>>> from cbir import Gallery, Retriever, index_images
>>> gallery = Gallery.create("index_data/photos")  # doctest: +SKIP
>>> index_images("photos/", gallery)  # doctest: +SKIP
>>> Retriever(gallery).search("query.jpg", k=5).hits  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

# Resolved on first use, so that `import cbir` loads neither torch, faiss nor openvino.
_HOMES = {
    "And": "cbir.filters",
    "CbirError": "cbir.errors",
    "Client": "cbir.client",
    "Compare": "cbir.filters",
    "EmbeddingSpec": "cbir.config",
    "Exists": "cbir.filters",
    "FileQuery": "cbir.retrieval",
    "Gallery": "cbir.gallery",
    "Hit": "cbir.types",
    "IdQuery": "cbir.retrieval",
    "ImageQuery": "cbir.retrieval",
    "ImageRecord": "cbir.types",
    "IndexPlan": "cbir.types",
    "IndexReport": "cbir.types",
    "MULTI_CROP": "cbir.config",
    "Not": "cbir.filters",
    "Or": "cbir.filters",
    "Retriever": "cbir.retrieval",
    "Rules": "cbir.recommendation",
    "SearchRequest": "cbir.retrieval",
    "SearchResult": "cbir.types",
    "Sheet": "cbir.pages.contact_sheet",
    "TextQuery": "cbir.retrieval",
    "UrlQuery": "cbir.retrieval",
    "Whitening": "cbir.config",
    "ensure_regions": "cbir.indexing",
    "evaluate": "cbir.evaluation",
    "export_gallery": "cbir.transfer",
    "export_recommendations": "cbir.recommendation",
    "find_duplicates": "cbir.duplicates",
    "find_known": "cbir.duplicates",
    "from_file": "cbir.evaluation",
    "from_labels": "cbir.evaluation",
    "from_revisited": "cbir.evaluation",
    "import_gallery": "cbir.transfer",
    "index_images": "cbir.indexing",
    "load_embedder": "cbir.embedding",
    "open_reranker": "cbir.reranking",
    "parse_where": "cbir.filters",
    "plan_images": "cbir.indexing",
    "recommend": "cbir.recommendation",
    "recommend_all": "cbir.recommendation",
    "register_backbone": "cbir.embedding",
    "register_descriptor": "cbir.descriptors",
    "register_executor": "cbir.indexing",
    "register_index": "cbir.indexes.registry",
    "register_reranker": "cbir.reranking",
    "register_source": "cbir.sources",
    "resolve_spec": "cbir.embedding",
    "verify_gallery": "cbir.integrity",
    "write_contact_sheet": "cbir.pages.contact_sheet",
    "write_script": "cbir.duplicates",
}

__all__ = [
    "MULTI_CROP",
    "And",
    "CbirError",
    "Client",
    "Compare",
    "EmbeddingSpec",
    "Exists",
    "FileQuery",
    "Gallery",
    "Hit",
    "IdQuery",
    "ImageQuery",
    "ImageRecord",
    "IndexPlan",
    "IndexReport",
    "Not",
    "Or",
    "Retriever",
    "Rules",
    "SearchRequest",
    "SearchResult",
    "Sheet",
    "TextQuery",
    "UrlQuery",
    "Whitening",
    "ensure_regions",
    "evaluate",
    "export_gallery",
    "export_recommendations",
    "find_duplicates",
    "find_known",
    "from_file",
    "from_labels",
    "from_revisited",
    "import_gallery",
    "index_images",
    "load_embedder",
    "open_reranker",
    "parse_where",
    "plan_images",
    "recommend",
    "recommend_all",
    "register_backbone",
    "register_descriptor",
    "register_executor",
    "register_index",
    "register_reranker",
    "register_source",
    "resolve_spec",
    "verify_gallery",
    "write_contact_sheet",
    "write_script",
]

if TYPE_CHECKING:
    from cbir.client import Client
    from cbir.config import MULTI_CROP, EmbeddingSpec, Whitening
    from cbir.descriptors import register_descriptor
    from cbir.duplicates import find_duplicates, find_known, write_script
    from cbir.embedding import load_embedder, register_backbone, resolve_spec
    from cbir.errors import CbirError
    from cbir.evaluation import evaluate, from_file, from_labels, from_revisited
    from cbir.filters import And, Compare, Exists, Not, Or, parse_where
    from cbir.gallery import Gallery
    from cbir.indexes.registry import register_index
    from cbir.indexing import ensure_regions, index_images, plan_images, register_executor
    from cbir.integrity import verify_gallery
    from cbir.pages.contact_sheet import Sheet, write_contact_sheet
    from cbir.recommendation import Rules, export_recommendations, recommend, recommend_all
    from cbir.reranking import open_reranker, register_reranker
    from cbir.retrieval import (
        FileQuery,
        IdQuery,
        ImageQuery,
        Retriever,
        SearchRequest,
        TextQuery,
        UrlQuery,
    )
    from cbir.sources import register_source
    from cbir.transfer import export_gallery, import_gallery
    from cbir.types import Hit, ImageRecord, IndexPlan, IndexReport, SearchResult


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module 'cbir' has no attribute {name!r}") from None
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
