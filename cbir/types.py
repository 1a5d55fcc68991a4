"""Value types shared by all packages: frozen dataclasses without behaviour."""

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
    "LeftOut",
    "Remark",
    "RemarkKind",
    "RemarkedImage",
    "RerankScore",
    "SearchResult",
    "StageProgress",
    "Word",
]

StageProgress: TypeAlias = Callable[[str, int, int], None]
"""Progress callback of work in stages: name of the stage, number done, number in total."""

Word: TypeAlias = Literal["very likely the same object", "similar", "weak"]

RemarkKind: TypeAlias = Literal["blank", "damaged", "frame", "raw"]
"""`blank`: nothing but one colour; `damaged`: read as far as possible; `frame`: a later frame of an
animation; `raw`: camera RAW, developed or shown by its preview."""

NO_MATCH = "no confident match; the most similar images are"
"""Line shown above hits of which none is a match."""


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image of a gallery, as the catalogue records it."""

    id: int
    uri: str
    """Absolute path, a `file://` URL where the path is not UTF-8 text, or another URL."""
    name: str
    """Name for display: the path relative to its source's root."""
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
    """Hash of the encoded image, 32 hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The result of an index search: the k nearest images of each of Q queries, best first."""

    ids: npt.NDArray[np.int64]
    """(Q, k); -1 where fewer than k were found."""
    similarities: npt.NDArray[np.float32]
    """(Q, k) cosine similarities."""
    regions: npt.NDArray[np.int64] | None = None
    """(Q, k): number of the image's most similar region, counted from 1 in the gallery's order; 0
    for the whole image. None where only whole images were compared."""


@dataclass(frozen=True, slots=True)
class DescriptorRow:
    """The stored descriptor of one image, and the content that it was made from."""

    image_id: int
    content_hash: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class RerankScore:
    """The score that a reranker gives one candidate."""

    method: str
    score: float
    """Sort key of the candidates; higher is better, the scale depends on the method."""
    inliers: int | None = None
    """Matched keypoints that fit one geometric model; None for methods without keypoints."""
    note: str = ""
    """Why the candidate could not be scored and keeps its similarity as score; else empty."""


@dataclass(frozen=True, slots=True)
class Confidence:
    """The significance of a similarity, compared with unrelated images of the gallery."""

    p_value: float
    """The share of unrelated images that reach this similarity, in [0, 1]."""
    expected: float
    """Expected number of unrelated images in the whole gallery that reach it."""
    word: Word
    """The first two count as a match; `weak` cannot be distinguished from chance."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One image in the result of a query."""

    rank: int
    """Position in the result; the best hit has 1."""
    image: ImageRecord
    similarity: float
    """Cosine similarity of the embeddings, in [-1, 1]; higher is better."""
    rerank: RerankScore | None = None
    """Score of the reranker; None without reranking, and for hits beyond its depth."""
    region: tuple[float, float, float, float] | None = None
    """The most similar part of the image: x, y, width, height as fractions of it; None for the
    whole image."""
    confidence: Confidence | None = None
    """Statistical meaning of the similarity; None where the gallery has too few images."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The result of one query; a query that finds nothing has no hits."""

    query: str
    hits: tuple[Hit, ...]
    timings_ms: Mapping[str, float]
    """Milliseconds by stage: `embed`, `search`, `rerank` if requested, `total`."""
    reranked: int = 0
    """Number of candidates that a reranker has scored, including those that are not hits."""
    matched: bool | None = None
    """Whether any hit, on this page or an earlier one, is a match; None where unknown."""
    notes: tuple[str, ...] = ()
    """What the filter has left out because it is no number, a sentence for each field."""


@dataclass(frozen=True, slots=True)
class ImageVersion:
    """The version of an encoded image, which shows a change without reading the image.

    Equal versions mean equal bytes. For a file: its size and modification time. For a URL: the size
    and a number derived from the validator that the server sends (`ETag`, else `Last-Modified`).
    """

    size: int | None = None
    """Bytes; None where the listing or the server does not say."""
    stamp: int | None = None
    """Nanoseconds since 1970, or a hash of the entity tag; None if the content must be read."""
    etag: str | None = field(default=None, compare=False)
    """The entity tag as the server sent it, for a conditional request; not compared."""

    def __post_init__(self) -> None:
        """Makes size and stamp whole numbers of 64 bits with a sign, as a database stores them.

        A file system may report any time: one beyond the year 2262 is folded, so that another
        such time still differs from it.
        """
        for name in ("size", "stamp"):
            value = getattr(self, name)
            if value is not None and not (
                value.__class__ is int and -_HALF_RANGE <= value < _HALF_RANGE
            ):
                object.__setattr__(self, name, _folded(value))


_HALF_RANGE = 1 << 63


def _folded(value: Any) -> int | None:
    """A number modulo 2**64, in the range of 64 bits with a sign; None for what is no number."""
    try:
        return (int(value) + _HALF_RANGE) % (2 * _HALF_RANGE) - _HALF_RANGE
    except (TypeError, ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class Remark:
    """What has to be known about an image that could be read."""

    kind: RemarkKind
    text: str
    """For people, in a line."""


@dataclass(frozen=True, slots=True)
class RemarkedImage:
    """An image of a gallery with one remark on it."""

    uri: str
    kind: RemarkKind
    text: str
    id: int
    key: str = ""
    """Its key, where that differs from its URI."""


@dataclass(frozen=True, slots=True)
class FailedImage:
    """An image that could not be indexed, and why."""

    uri: str
    reason: str
    key: str = ""
    """Its key, where that differs from its URI."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What a source has at its place and does not list."""

    files: Mapping[str, int] = field(default_factory=dict)
    """Suffix, `.psd` or empty, → number of files that are no images cbir reads."""
    excluded: Mapping[str, int] = field(default_factory=dict)
    """Pattern → number of files, and of folders as a whole, that it leaves out; `--include` for
    images that no pattern of that option matches."""
    images: int = 0
    """Number of images in the gallery that are excluded now; `prune` removes them."""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """The result of one indexing run: numbers of images, and the failures."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    moved: int = 0
    """Found under another path or URL of the source; their embeddings are reused."""
    repeated: int = 0
    """Entries of the source that list an image again, with the same metadata."""
    failed: tuple[FailedImage, ...] = ()
    seconds: float = 0.0
    remarks: Mapping[RemarkKind, int] = field(default_factory=dict)
    """Number of images added or updated by the kind of remark on them."""
    left_out: LeftOut = LeftOut()
    """What lies at the source's place and was not listed."""


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """The changes that an indexing run would make; images by name, in the order of the source."""

    add: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    """Images whose content has changed, to be embedded again."""
    touch: tuple[str, ...] = ()
    """Images with unchanged key and content whose metadata, name or location has changed."""
    move: tuple[tuple[str, str], ...] = ()
    """Pairs of old and new name."""
    remove: tuple[str, ...] = ()
    fail: tuple[FailedImage, ...] = ()
    unchanged: int = 0
    repeated: int = 0
    """Entries of the source that list an image again, with the same metadata."""
    refusal: str = ""
    """Why the run would refuse to remove images; empty when it would remove them."""
    seconds: float = 0.0
    left_out: LeftOut = LeftOut()
    """What lies at the source's place and is not listed."""
