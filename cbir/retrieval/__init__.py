"""From a query to its hits: embed the query, find its nearest neighbours, look them up."""

from cbir.retrieval.query import Combine, Crop, Query
from cbir.retrieval.retriever import Retriever

__all__ = ["Combine", "Crop", "Query", "Retriever"]
