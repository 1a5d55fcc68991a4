"""Retrieval: embeds a query, finds its nearest neighbours, and looks up their records."""

from cbir.retrieval.combination import Combine
from cbir.retrieval.crop import Crop
from cbir.retrieval.queries import (
    EmbeddedQuery,
    FileQuery,
    IdQuery,
    ImageQuery,
    Query,
    QueryLike,
    TextQuery,
    UrlQuery,
    as_queries,
    as_query,
)
from cbir.retrieval.request import SEARCH_OPTIONS, SearchRequest
from cbir.retrieval.retriever import Retriever

__all__ = [
    "SEARCH_OPTIONS",
    "Combine",
    "Crop",
    "EmbeddedQuery",
    "FileQuery",
    "IdQuery",
    "ImageQuery",
    "Query",
    "QueryLike",
    "Retriever",
    "SearchRequest",
    "TextQuery",
    "UrlQuery",
    "as_queries",
    "as_query",
]
