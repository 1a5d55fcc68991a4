"""From a query to its hits: embed the query, find its nearest neighbours, look them up."""

from cbir.retrieval.query import Combine, Crop, Query
from cbir.retrieval.reranker import QueryImage, Reranker
from cbir.retrieval.retriever import Retriever

__all__ = ["Combine", "Crop", "Query", "QueryImage", "Reranker", "Retriever"]
