"""Queries as values: a file, a URL, an image of the gallery, an image in memory."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from cbir.sources.paths import is_remote

if TYPE_CHECKING:
    from PIL.Image import Image

    from cbir.arrays import Pixels, Vectors

__all__ = [
    "EmbeddedQuery",
    "FileQuery",
    "IdQuery",
    "ImageQuery",
    "Query",
    "QueryLike",
    "TextQuery",
    "UrlQuery",
    "as_queries",
    "as_query",
]


@dataclass(frozen=True, slots=True)
class FileQuery:
    """An image file of this machine."""

    path: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", os.fspath(self.path))

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class UrlQuery:
    """An image at a URL, which is fetched."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class IdQuery:
    """An image of the gallery by its id; it is never its own hit. Raises TypeError for no id."""

    id: int

    def __post_init__(self) -> None:
        value: Any = self.id
        if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
            raise TypeError(f"{value!r} is no id of an image; ids are whole numbers from 1")
        object.__setattr__(self, "id", operator.index(value))

    def __str__(self) -> str:
        return f"id:{self.id}"


@dataclass(frozen=True, slots=True, eq=False)
class ImageQuery:
    """An image in memory. Raises TypeError for anything else."""

    image: bytes | Image | Pixels
    """An encoded image, a Pillow image of any mode, or (H, W, 3) uint8 in upright sRGB."""

    def __post_init__(self) -> None:
        if isinstance(self.image, np.ndarray):
            if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
                raise TypeError(
                    f"pixels of shape {self.image.shape} and type {self.image.dtype} are no image; "
                    "give (H, W, 3) of uint8"
                )
        elif not (isinstance(self.image, bytes) or _is_pillow(self.image)):
            raise TypeError(f"{type(self.image).__name__} is no image; {_ACCEPTED}")

    def __str__(self) -> str:
        return "-"


@dataclass(frozen=True, slots=True)
class TextQuery:
    """A text that describes the images to find; no backbone embeds text yet."""

    text: str

    def __str__(self) -> str:
        return repr(self.text)


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedQuery:
    """A query with its embedding; its image is only read for reranking or display."""

    query: FileQuery | UrlQuery | ImageQuery
    embedding: Vectors
    """(D,) float32, unit norm: the whole image, by the gallery's own spec."""

    def __str__(self) -> str:
        return str(self.query)


Query: TypeAlias = FileQuery | UrlQuery | IdQuery | ImageQuery | TextQuery | EmbeddedQuery
"""Any kind of query. `str(query)` is its name in a result."""

QueryLike: TypeAlias = "Query | str | PathLike[str] | bytes | Image | Pixels | int"
"""Argument of `as_query`: a query, a path, URL, encoded image, Pillow image, pixels or id."""

_ACCEPTED = (
    "give a path, a URL, an encoded image (bytes), a Pillow image, pixels (H, W, 3) or an id"
)


def as_query(value: QueryLike) -> Query:
    """Convert a plain value to a query. Raises TypeError for a value of another type.

    >>> as_query("mug.jpg")
    FileQuery(path='mug.jpg')
    >>> as_query("https://example.com/mug.jpg")
    UrlQuery(url='https://example.com/mug.jpg')
    >>> as_query(12)
    IdQuery(id=12)
    """
    if isinstance(value, Query):
        return value
    if isinstance(value, (str, PathLike)):
        path = os.fspath(value)
        return UrlQuery(path) if is_remote(path) else FileQuery(path)
    if isinstance(value, bytes) or _is_pillow(value):
        return ImageQuery(value)  # type: ignore[arg-type]
    if isinstance(value, np.ndarray) and value.ndim:
        return ImageQuery(value)
    if isinstance(value, (bool, np.bool_)) or hasattr(value, "__index__"):
        return IdQuery(value)  # type: ignore[arg-type]
    raise TypeError(f"{type(value).__name__} is no query; {_ACCEPTED}")


def as_queries(values: QueryLike | Sequence[QueryLike]) -> tuple[Query, ...]:
    """Convert one value, or a list or tuple of several, to queries."""
    if isinstance(values, (list, tuple)):
        return tuple(as_query(value) for value in values)
    return (as_query(values),)  # type: ignore[arg-type]


def _is_pillow(value: object) -> bool:
    from PIL.Image import Image

    return isinstance(value, Image)
