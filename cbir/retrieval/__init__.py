"""From a query to its hits: embed the query, find its nearest neighbours, look them up."""

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
