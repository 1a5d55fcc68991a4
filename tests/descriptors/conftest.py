"""The photographs and the gallery of the tests of reranking."""

from reranking.conftest import retriever, shelf, views

__all__ = ["retriever", "shelf", "views"]
