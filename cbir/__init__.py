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
    "CbirError": "cbir.errors",
    "Compare": "cbir.filters",
    "EmbeddingSpec": "cbir.config",
    "Exists": "cbir.filters",
    "Gallery": "cbir.gallery",
    "Hit": "cbir.types",
    "ImageRecord": "cbir.types",
    "IndexPlan": "cbir.types",
    "IndexReport": "cbir.types",
    "Retriever": "cbir.retrieval",
    "SearchResult": "cbir.types",
    "export_gallery": "cbir.transfer",
    "import_gallery": "cbir.transfer",
    "index_images": "cbir.indexing",
    "plan_images": "cbir.indexing",
    "load_embedder": "cbir.embedding",
    "parse_where": "cbir.filters",
    "resolve_spec": "cbir.embedding",
    "verify_gallery": "cbir.integrity",
    "write_contact_sheet": "cbir.pages.contact_sheet",
}

__all__ = [
    "CbirError",
    "Compare",
    "EmbeddingSpec",
    "Exists",
    "Gallery",
    "Hit",
    "ImageRecord",
    "IndexPlan",
    "IndexReport",
    "Retriever",
    "SearchResult",
    "export_gallery",
    "import_gallery",
    "index_images",
    "load_embedder",
    "parse_where",
    "plan_images",
    "resolve_spec",
    "verify_gallery",
    "write_contact_sheet",
]

if TYPE_CHECKING:
    from cbir.config import EmbeddingSpec
    from cbir.embedding import load_embedder, resolve_spec
    from cbir.errors import CbirError
    from cbir.filters import Compare, Exists, parse_where
    from cbir.gallery import Gallery
    from cbir.indexing import index_images, plan_images
    from cbir.integrity import verify_gallery
    from cbir.pages.contact_sheet import write_contact_sheet
    from cbir.retrieval import Retriever
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
