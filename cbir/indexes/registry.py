"""The registry of vector index kinds. A new kind is one file and one entry here.

Entries name a module and class, so that nothing is imported before an index is opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cbir.errors import OptionError
from cbir.registry import did_you_mean, load_part

if TYPE_CHECKING:
    from cbir.indexes.protocol import VectorIndex
    from cbir.indexes.search_structure import SearchStructure

__all__ = [
    "AUTO",
    "INDEXES",
    "IndexInfo",
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
"""Chooses the kind that suits the size of the gallery."""

LOCAL = "cbir.indexes.local:LocalIndex"
"""The `VectorIndex` of all kinds with local files."""

SMALLEST = "flat"
"""The kind for galleries that are too small for any other."""

TRAINED_MIN_COUNT = 1000
"""Least number of vectors for a trained kind: fewer do not suffice, and are scanned as fast."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexInfo:
    """Description of a kind of vector index, available without importing the kind."""

    name: str
    """Stored in the configuration of galleries: never renamed or given to another kind."""
    help: str
    """A short description for users who choose a kind."""
    structure: str = ""
    """`module:Class` of a `SearchStructure`, for which `LocalIndex` manages files and updates."""
    index: str = LOCAL
    """`module:Class` of the `VectorIndex`, called with an `IndexPlace`; other than LOCAL for a kind
    that stores its vectors elsewhere."""
    exact: bool = False
    """Whether every search compares the query with every vector."""
    min_count: int = 0
    """Galleries with fewer vectors have a flat index instead."""
    auto_above: int | None = None
    """`auto` chooses this kind above this many numbers (vectors x dimensions); None for never."""


@dataclass(frozen=True, slots=True)
class IndexPlace:
    """Location and content of an index, with which it is opened."""

    location: Path | str
    """A folder, or the address of a server."""
    dim: int
    """Dimensions of the gallery's embeddings, before any projection."""
    regions: int = 0
    """Number of regions of each image, for an index of regions; 0 for one of whole images."""


INDEXES: dict[str, IndexInfo] = {
    info.name: info
    for info in (
        IndexInfo(
            name="flat",
            help="exact, compares every vector",
            structure="cbir.indexes.flat:FlatIndex",
            exact=True,
            auto_above=0,
        ),
        IndexInfo(
            name="hnsw",
            help="a graph in memory, fast and large; a removal rebuilds it",
            structure="cbir.indexes.hnsw:HnswIndex",
        ),
        IndexInfo(
            name="ivf",
            help="inverted lists in memory",
            structure="cbir.indexes.ivf:IvfIndex",
            min_count=TRAINED_MIN_COUNT,
        ),
        IndexInfo(
            name="pq",
            help="quantised codes in memory, vectors in a file; for many images",
            structure="cbir.indexes.pq:PqIndex",
            min_count=TRAINED_MIN_COUNT,
            # An exact scan of this size (47,000 vectors of 1280 dimensions) takes 10 ms on a core.
            auto_above=60_000_000,
        ),
    )
}
"""Kinds by name, in the order in which they are listed."""


def register_index(info: IndexInfo) -> None:
    """Register a kind of index. Raises ValueError when another one has its name."""
    if info.name == AUTO or INDEXES.setdefault(info.name, info) != info:
        raise ValueError(f"there is an index kind {info.name!r} already; choose another name")


def choices() -> tuple[str, ...]:
    """Names that may be chosen: `auto` and all kinds."""
    return (AUTO, *INDEXES)


def find_index(name: str) -> IndexInfo:
    """The description of a kind of index. Raises OptionError for an unknown name."""
    if name not in INDEXES:
        hint = did_you_mean(name, choices())
        raise OptionError(f"no index kind {name!r}; {hint}there are {', '.join(choices())}")
    return INDEXES[name]


def check_choice(name: str) -> str:
    """Return `name` if it may be chosen. Raises OptionError otherwise."""
    return name if name == AUTO else find_index(name).name


def resolve_kind(wanted: str, count: int, dim: int, current: str | None = None) -> str:
    """The kind for `count` vectors of `dim` dimensions when `wanted` was chosen.

    A gallery close to a size limit keeps its `current` kind. Raises OptionError.
    """
    if wanted == AUTO:
        large = {
            info.auto_above: info.name
            for info in INDEXES.values()
            if info.auto_above is not None
            and count * dim > info.auto_above // (2 if info.name == current else 1)
        }
        wanted = large[max(large)] if large else SMALLEST
    return SMALLEST if count < find_index(wanted).min_count else wanted


def opened_by(kind: str) -> str:
    """`module:Class` of the `VectorIndex` of a kind, or of the kinds that `auto` chooses from.

    Raises OptionError.
    """
    return LOCAL if kind == AUTO else find_index(kind).index


def open_index(kind: str, place: IndexPlace) -> VectorIndex:
    """Open an index; it reads nothing before its first `catch_up`. Raises OptionError."""
    index: VectorIndex = load_part(opened_by(kind))(place)
    return index


def structure_class(kind: str) -> type[SearchStructure]:
    """The `SearchStructure` class of a local kind. Raises OptionError."""
    structure: type[SearchStructure] = load_part(find_index(kind).structure)
    return structure
