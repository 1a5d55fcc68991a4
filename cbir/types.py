"""The values that flow through cbir: small, frozen, without behaviour of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "Candidates",
    "Confidence",
    "DescriptorRow",
    "FailedImage",
    "Hit",
    "ImageRecord",
    "ImageVersion",
    "IndexPlan",
    "IndexReport",
    "RerankScore",
    "SearchResult",
    "StageProgress",
    "Word",
]

StageProgress: TypeAlias = Callable[[str, int, int], None]
"""Progress callback of work in stages: name of the stage, how much is done, how much there is."""

Word: TypeAlias = Literal["very likely the same object", "similar", "weak"]

NO_MATCH = "no confident match; the most similar images are"
"""Line shown above hits of which none is a match."""


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image of a gallery, as the catalogue knows it."""

    id: int
    uri: str
    """Absolute path, a `file://` URL where the path is not UTF-8 text, or another URL."""
    name: str
    """The short name for people: the path relative to its source's root."""
    width: int
    height: int
    """Size in pixels, upright (EXIF orientation applied)."""
    size: int
    """Bytes of the encoded file."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Text, numbers, booleans and lists; dates as ISO 8601 text."""
    key: str = ""
    """Identifies the image within its gallery: its URI, or a value that its manifest names."""
    content: str = ""
    """32 hexadecimal digits that differ whenever the encoded images do."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a vector index found: the k nearest of each of Q queries, best first."""

    ids: npt.NDArray[np.int64]
    """(Q, k); -1 where fewer than k were found."""
    similarities: npt.NDArray[np.float32]
    """(Q, k) cosine similarities."""
    regions: npt.NDArray[np.int64] | None = None
    """(Q, k): the region that is so similar, from 1 in the order of the gallery's; 0 for the whole
    image. None where only whole images were compared."""


@dataclass(frozen=True, slots=True)
class DescriptorRow:
    """The stored descriptor of one image, and the content that it was made from."""

    image_id: int
    content_hash: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class RerankScore:
    """What a reranker says about one candidate."""

    method: str
    score: float
    """What the candidates are ordered by; higher is better, on a scale of the method's own."""
    inliers: int | None = None
    """Keypoints that agree on one view of one object; None where none were looked for."""
    note: str = ""
    """Why the candidate could not be judged, and so keeps its similarity as score; or empty."""


@dataclass(frozen=True, slots=True)
class Confidence:
    """How unusual a similarity is among unrelated images of the gallery."""

    p_value: float
    """The share of unrelated images that reach this similarity, in [0, 1]."""
    expected: float
    """How many unrelated images of the whole gallery are expected to reach it."""
    word: Word
    """The first two are a match; `weak` is not told apart from what is there by chance."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One image that answers a query."""

    rank: int
    """From 1, the best."""
    image: ImageRecord
    similarity: float
    """Cosine similarity of the embeddings, in [-1, 1]; higher is more alike."""
    rerank: RerankScore | None = None
    """None where nothing was reranked, and for hits beyond a reranker's depth."""
    region: tuple[float, float, float, float] | None = None
    """The part of the image that is so similar, x, y, width, height as fractions of it; None for
    the whole."""
    confidence: Confidence | None = None
    """What the similarity means; None where the gallery has too few images to say."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answer to one query; a query that finds nothing has no hits."""

    query: str
    hits: tuple[Hit, ...]
    timings_ms: Mapping[str, float]
    """Milliseconds by stage: `embed`, `search`, `rerank` if asked for, `total`."""
    reranked: int = 0
    """How many candidates a reranker has judged; those that are no hits count, too."""
    matched: bool | None = None
    """Whether any image found, on this page or before it, is a match; None where unknown."""


@dataclass(frozen=True, slots=True)
class ImageVersion:
    """Tells whether an encoded image has changed, without reading it: equal versions, equal bytes.

    A file has its size and time of modification; what lies behind a URL has the size and a number
    made of the validator that its server sends (`ETag`, else `Last-Modified`).
    """

    size: int | None = None
    """Bytes; None where the listing or the server does not say."""
    stamp: int | None = None
    """Nanoseconds since 1970, or a hash of the entity tag; None: the content has to be read."""
    etag: str | None = field(default=None, compare=False)
    """The entity tag as the server sent it, for a conditional request; no part of a comparison."""


@dataclass(frozen=True, slots=True)
class FailedImage:
    """An image that could not be indexed, and why."""

    uri: str
    reason: str
    key: str = ""
    """Its key where that is not its URI."""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What one indexing run did."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    moved: int = 0
    """Found at another place of the source; embeddings stay."""
    repeated: int = 0
    """Entries of the source that list an image again, with the same metadata."""
    failed: tuple[FailedImage, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """What an indexing run would do; images by their names, in the order of the source."""

    add: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    """Other content: to be embedded again."""
    touch: tuple[str, ...] = ()
    """Other metadata, or another name or place, of the same content under the same key."""
    move: tuple[tuple[str, str], ...] = ()
    """From, to."""
    remove: tuple[str, ...] = ()
    fail: tuple[FailedImage, ...] = ()
    unchanged: int = 0
    repeated: int = 0
    """Entries of the source that list an image again, with the same metadata."""
    refusal: str = ""
    """Why the run would end without removing anything; empty when it would not."""
    seconds: float = 0.0
