"""Every kind of vector index by name. A new one is one file, and one entry here.

Kinds are named by module and class, so that nothing of them is imported before one is opened.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbir.errors import GalleryError

if TYPE_CHECKING:
    from cbir.indexes.protocol import VectorIndex
    from cbir.indexes.search_structure import SearchStructure

__all__ = [
    "AUTO",
    "INDEXES",
    "IndexKind",
    "IndexPlace",
    "check_choice",
    "choices",
    "find_index",
    "open_index",
    "opened_by",
    "register_index",
    "resolve_kind",
    "structure_class",
]

AUTO = "auto"
"""Stands for the kind that suits the size of the gallery."""

LOCAL = "cbir.indexes.local:LocalIndex"
"""The index of every kind that is kept in files."""

SMALLEST = "flat"
"""The kind of galleries that are too small for any other."""

TRAINED_MIN_COUNT = 1000
"""Vectors that a trained kind needs: fewer are too few to learn from, and scanned as fast."""


@dataclass(frozen=True, slots=True)
class IndexKind:
    """A kind of vector index: what opens it, and which galleries it suits."""

    name: str
    help: str
    """A few words for people who choose."""
    structure: str = ""
    """`module:Class` of a `SearchStructure`, which `LocalIndex` keeps in files and up to date."""
    index: str = LOCAL
    """`module:Class` of the `VectorIndex`, called with an `IndexPlace`: one of its own for a kind
    that keeps its vectors elsewhere."""
    exact: bool = False
    """Whether every search compares the query with every vector."""
    min_count: int = 0
    """Galleries of fewer vectors have a flat index instead."""
    auto_above: int | None = None
    """`auto` chooses this kind for more numbers (vectors x dimensions) than these; None: never."""


@dataclass(frozen=True, slots=True)
class IndexPlace:
    """Where an index keeps its vectors, and which vectors those are."""

    location: Path | str
    """A folder, or the address of a server."""
    dim: int
    """Dimensions of the gallery's embeddings, before any projection."""
    regions: int = 0
    """How many regions of each image it holds, under ids of their own; 0: whole images."""


INDEXES: dict[str, IndexKind] = {
    kind.name: kind
    for kind in (
        IndexKind(
            "flat",
            "exact, compares every vector",
            "cbir.indexes.flat:FlatIndex",
            exact=True,
            auto_above=0,
        ),
        IndexKind(
            "hnsw",
            "a graph in memory, fast and large; removing builds it anew",
            "cbir.indexes.hnsw:HnswIndex",
        ),
        IndexKind(
            "ivf",
            "inverted lists in memory",
            "cbir.indexes.ivf:IvfIndex",
            min_count=TRAINED_MIN_COUNT,
        ),
        IndexKind(
            "pq",
            "short codes in memory, vectors in a file; for many images",
            "cbir.indexes.pq:PqIndex",
            min_count=TRAINED_MIN_COUNT,
            # An exact scan of so many (47,000 vectors of 1280 dimensions) takes 10 ms of one core.
            auto_above=60_000_000,
        ),
    )
}


def register_index(kind: IndexKind) -> None:
    """Make another kind of index known to this process, under a name that is free.

    Raises ValueError for a name that is taken.
    """
    if kind.name == AUTO or INDEXES.get(kind.name, kind) != kind:
        raise ValueError(f"there is an index kind {kind.name!r} already; choose another name")
    INDEXES[kind.name] = kind


def choices() -> tuple[str, ...]:
    """Names that may be chosen: `auto` and all kinds."""
    return (AUTO, *sorted(INDEXES))


def find_index(name: str) -> IndexKind:
    """The kind by this name. Raises GalleryError that lists all names."""
    if name in INDEXES:
        return INDEXES[name]
    near = difflib.get_close_matches(str(name).lower(), choices(), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise GalleryError(f"no index kind {name!r}; {hint}there are {', '.join(choices())}")


def check_choice(name: str) -> str:
    """The name itself, where it may be chosen. Raises GalleryError."""
    return name if name == AUTO else find_index(name).name


def resolve_kind(wanted: str, count: int, dim: int, current: str | None = None) -> str:
    """The kind for `count` vectors of `dim` dimensions where `wanted` was chosen.

    A gallery about as large as a limit keeps its `current` kind. Raises GalleryError.
    """
    if wanted == AUTO:
        large = {
            kind.auto_above: kind.name
            for kind in INDEXES.values()
            if kind.auto_above is not None
            and count * dim > kind.auto_above // (2 if kind.name == current else 1)
        }
        wanted = large[max(large)] if large else SMALLEST
    return SMALLEST if count < find_index(wanted).min_count else wanted


def opened_by(kind: str) -> str:
    """`module:Class` of the `VectorIndex` of a kind, or of the kinds that `auto` stands for.

    Raises GalleryError.
    """
    return LOCAL if kind == AUTO else find_index(kind).index


def open_index(kind: str, place: IndexPlace) -> VectorIndex:
    """An index of a kind, which reads nothing before its first `catch_up`. Raises GalleryError."""
    index: VectorIndex = _load(opened_by(kind))(place)
    return index


def structure_class(kind: str) -> type[SearchStructure]:
    """The class that a local kind is built and loaded by. Raises GalleryError."""
    structure: type[SearchStructure] = _load(find_index(kind).structure)
    return structure


def _load(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)
