"""What goes over the wire, made from the library's values."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, Json

from cbir.filters import And, Compare, Exists, Filter, Not, Or, parse_where
from cbir.recommendation import Recommendation, Rules
from cbir.types import Hit, ImageRecord, SearchResult

__all__ = [
    "Answer",
    "Condition",
    "Image",
    "ListQuery",
    "RecommendQuery",
    "SearchRequest",
    "SimilarQuery",
    "where_of",
]

MOST_IDS = 64
MAX_ID = 2**63 - 1

ImageId: TypeAlias = Annotated[int, Field(ge=1, le=MAX_ID)]
Text: TypeAlias = Annotated[str, Field(min_length=1, max_length=500)]
Fraction: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]


class Strict(BaseModel):
    """A request; what it does not know is an error, not silence."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Described(BaseModel):
    """An answer; its fields are described by their docstrings."""

    model_config = ConfigDict(use_attribute_docstrings=True)


# Filters, as a tree

Scalar: TypeAlias = bool | int | Fraction | Text


class CompareNode(Strict):
    field: Text
    op: Literal["=", "!=", "<", "<=", ">", ">=", "in", "has"]
    value: Scalar | Annotated[list[Scalar], Field(max_length=1000)]


class ExistsNode(Strict):
    exists: Text


class AndNode(Strict):
    all: Annotated[list[Condition], Field(max_length=100)]


class OrNode(Strict):
    any: Annotated[list[Condition], Field(max_length=100)]


class NotNode(Strict):
    none: Condition


Condition: TypeAlias = CompareNode | ExistsNode | AndNode | OrNode | NotNode


def filter_of(node: Condition) -> Filter:
    """A tree of conditions as the library's."""
    if isinstance(node, AndNode):
        return And(tuple(filter_of(child) for child in node.all))
    if isinstance(node, OrNode):
        return Or(tuple(filter_of(child) for child in node.any))
    if isinstance(node, NotNode):
        return Not(filter_of(node.none))
    if isinstance(node, ExistsNode):
        return Exists(node.exists)
    value = tuple(node.value) if isinstance(node.value, list) else node.value
    return Compare(node.field, node.op, value)


Conditions: TypeAlias = Annotated[
    list[Text],
    Field(
        max_length=50,
        description="Conditions as `category=shoes`, `price<50`, `tags has red`, `size in 38,39`, "
        "`brand exists`; all must hold.",
    ),
]


def where_of(where: list[str], condition: Condition | None) -> Filter | None:
    """Conditions as text and as a tree, all of which must hold; None without any."""
    parts: list[Filter] = [parse_where(where)] if where else []
    if condition is not None:
        parts.append(filter_of(condition))
    return And(tuple(parts)) if parts else None


class ListQuery(Strict):
    """Which images to list."""

    where: Conditions = []
    filter: Json[Condition] | None = None
    """Conditions as a tree, in JSON."""
    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    offset: Annotated[int, Field(ge=0, le=MAX_ID)] = 0
    sample: bool = False
    """Some drawn at random in the place of the first ones."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    """Another seed, another sample."""


# Searching


class SearchOptions(Strict):
    k: Annotated[int, Field(ge=1, le=1000)] = 10
    """How many images to find."""
    offset: Annotated[int, Field(ge=0, le=100_000)] = 0
    """How many to leave out first: the pages before."""
    where: Conditions = []
    min_similarity: Annotated[float, Field(ge=-1, le=1)] | None = None
    group_by: Text | None = None
    """Of images with one value in this field, the best only."""
    max_per_group: Annotated[int, Field(ge=1, le=1000)] = 1
    exact: bool = False
    """Compare with every image, also where the index is approximate."""
    rerank: Literal["sift", "orb", "ssim", "aqe", "kreciprocal"] | None = None
    depth: Annotated[int, Field(ge=1, le=200)] = 50
    """How many candidates `rerank` judges."""


class SimilarQuery(SearchOptions):
    """Options of a search by one image of the gallery."""

    filter: Json[Condition] | None = None
    """Conditions as a tree, in JSON."""


class SearchRequest(SearchOptions):
    """A search: with images of the gallery here, with uploaded ones beside it."""

    ids: Annotated[list[ImageId], Field(max_length=MOST_IDS)] = []
    """Images of the gallery to search with; they are never hits."""
    unwanted_ids: Annotated[list[ImageId], Field(max_length=MOST_IDS)] = []
    """Images of the gallery that hits should not resemble."""
    urls: Annotated[list[Text], Field(max_length=8)] = []
    """Images to fetch, where the server does so (`--allow-fetch`)."""
    combine: Literal["mean", "best"] = "mean"
    """Several images: what they share, or whatever is near to one of them."""
    crop: Annotated[list[Fraction], Field(min_length=4, max_length=4)] | None = None
    """x, y, width, height of a region of the one image, in its pixels, or as fractions where none
    exceeds 1."""
    filter: Condition | None = None
    """Conditions as a tree."""


class Image(Described):
    id: int
    name: str
    key: str
    """The value by which its source identifies it; empty where that is a path."""
    width: int
    height: int
    """Size in pixels, upright."""
    size: int
    """Bytes of the encoded file."""
    metadata: dict[str, Any]
    content: str
    """Changes with the image's content: `?v=` of the addresses below."""
    file: str
    """Address of the encoded image."""
    thumbnail: str
    """Address of a JPEG of at most 320 pixels; `size=` asks for 160, 640 or 1280."""

    @classmethod
    def of(cls, record: ImageRecord) -> Image:
        place = f"/api/v1/images/{record.id}"
        return cls.model_construct(
            id=record.id,
            name=record.name,
            # A path of this machine is nobody's business.
            key="" if record.key == record.uri else record.key,
            width=record.width,
            height=record.height,
            size=record.size,
            metadata=dict(record.metadata),
            content=record.content,
            file=f"{place}/file?v={record.content}",
            thumbnail=f"{place}/thumbnail?size=320&v={record.content}",
        )


class Rerank(Described):
    method: str
    score: float
    """What hits are ordered by; higher is better, on a scale of the method's own."""
    inliers: int | None
    """Keypoints that agree on one view of one object."""
    note: str
    """Why it could not be judged; or empty."""


class HitAnswer(Described):
    rank: int
    """From 1, the best."""
    similarity: float
    """Cosine similarity of the embeddings, in [-1, 1]."""
    rerank: Rerank | None
    image: Image

    @classmethod
    def of(cls, hit: Hit) -> HitAnswer:
        own = hit.rerank
        return cls.model_construct(
            rank=hit.rank,
            similarity=hit.similarity,
            rerank=None
            if own is None
            else Rerank.model_construct(
                method=own.method, score=own.score, inliers=own.inliers, note=own.note
            ),
            image=Image.of(hit.image),
        )


class Answer(Described):
    query: str
    hits: list[HitAnswer]
    timings_ms: dict[str, float]
    """Milliseconds by stage: `embed`, `search`, `rerank` if asked for, `total`."""
    reranked: int

    @classmethod
    def of(cls, result: SearchResult) -> Answer:
        return cls.model_construct(
            query=result.query,
            hits=[HitAnswer.of(hit) for hit in result.hits],
            timings_ms=dict(result.timings_ms),
            reranked=result.reranked,
        )


class Matches(Described):
    """What two images share, seen from two sides."""

    method: Literal["sift", "orb"]
    tentative: int
    """Matches before verification."""
    inliers: int
    """Matches that agree on one geometry."""
    likely: bool
    """Whether so many hardly agree by chance."""
    spread: float
    """Share of the image that the verified matches cover."""
    places: list[Annotated[list[float], Field(min_length=4, max_length=4)]]
    """x, y in the query and x, y in the image, as shares of width and height."""


# Recommendations


class RecommendQuery(Strict):
    k: Annotated[int, Field(ge=1, le=200)] = 12
    where: Conditions = []
    filter: Json[Condition] | None = None
    same: Annotated[list[Text], Field(max_length=10)] = []
    """Fields in which a recommended image has the item's value."""
    different: Annotated[list[Text], Field(max_length=10)] = []
    """Fields in which it has another one."""
    group_by: Text | None = None
    """One image per value of this field, and none of the item's own."""
    keep_duplicates: bool = False
    min_similarity: Annotated[float, Field(ge=-1, le=1)] | None = None
    diversity: Annotated[float, Field(ge=0, le=1)] = 0.0
    weight: Text | None = None
    """A field of numbers; the more, the better."""
    weight_strength: Annotated[float, Field(ge=0, le=10)] = 0.1

    def rules(self) -> Rules:
        values = self.model_dump(exclude={"where", "filter", "same", "different"})
        return Rules(
            where=where_of(self.where, self.filter),
            same=tuple(self.same),
            different=tuple(self.different),
            **values,
        )


class RecommendationAnswer(Described):
    rank: int
    similarity: float
    score: float
    """The similarity and the bonus of its weight."""
    image: Image

    @classmethod
    def of(cls, one: Recommendation) -> RecommendationAnswer:
        return cls(
            rank=one.rank, similarity=one.similarity, score=one.score, image=Image.of(one.image)
        )


class Recommendations(Described):
    item: Image
    recommendations: list[RecommendationAnswer]


# Duplicates


class DuplicatesQuery(Strict):
    verify: bool = False
    """Compare parts of pictures by keypoints, too: takes longer."""
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    """Groups."""
    offset: Annotated[int, Field(ge=0, le=MAX_ID)] = 0


class Progress(Described):
    stage: str
    done: int
    total: int


class EvidenceAnswer(Described):
    """Why two images are held for copies of one another."""

    first: int
    second: int
    kind: Literal["exact", "near", "verified"]
    """The same bytes; the same picture; a part of the picture."""
    similarity: float | None
    bits: int | None
    """Of 255 of the perceptual hashes, those that differ."""
    inliers: int | None
    form: str
    """How one is the other: `mirrored`, `turned by 90°`; empty: upright."""


class DuplicateGroup(Described):
    keeper: Image
    """The one to keep: of most pixels, then of most bytes."""
    others: list[Image]
    kinds: list[Literal["exact", "near", "verified"]]
    bytes_saved: int
    """What the files of the others take."""
    evidence: list[EvidenceAnswer]


class DuplicatesAnswer(Described):
    total: int
    """Groups in all."""
    redundant: int
    """Images that could go."""
    bytes_saved: int
    current: bool
    """Whether the gallery is as it was; otherwise they are being looked for again."""
    failed: int
    """Images whose files cannot be read."""
    groups: list[DuplicateGroup]


class Dismissal(Strict):
    pairs: Annotated[
        list[Annotated[list[ImageId], Field(min_length=2, max_length=2)]],
        Field(min_length=1, max_length=1000),
    ]
    undo: bool = False


class Dismissed(Described):
    pairs: int
    """How many have changed by it."""


# The gallery


class Images(Described):
    total: int
    """How many there are, or match."""
    images: list[Image]


class Update(Strict):
    """A change of an image's metadata, field by field."""

    metadata: Annotated[dict[Text, Any], Field(max_length=200)]
    """New values; null takes a field away, others stay as they are."""


class Bar(Described):
    least: float | str
    """Where the bar begins; the next one begins where it ends."""
    count: int


class FieldValue(Described):
    value: str | float | bool
    count: int


class FieldAnswer(Described):
    """What one field of the metadata holds, as far as its values are of one type."""

    name: str
    type: Literal["text", "number", "boolean", "date", "list"]
    count: int
    """How many values there are."""
    distinct: int
    """How many different ones."""
    least: float | str | None
    greatest: float | str | None
    """Of numbers and dates."""
    values: list[FieldValue]
    """The most frequent ones, of texts, booleans and lists."""
    histogram: list[Bar]
    """Of numbers and dates, bars of one width; empty where all values are the same."""


class Fields(Described):
    fields: list[FieldAnswer]


class GalleryAnswer(Described):
    name: str
    images: int
    failed: int
    """Files that could not be read when they were indexed."""
    generation: int
    """Grows with every change."""
    index: str
    """The kind of the vector index; `scan` while it is being built."""
    backbone: str
    dim: int
    fingerprint: str
    """Of what makes embeddings comparable."""
    whitened: bool
    runtime: str
    fetches: bool
    """Whether a query may be a URL."""
    max_upload: int
    """Bytes."""
    version: str


class Health(Described):
    status: Literal["ok", "starting"]
    detail: str = ""


class Session(Strict):
    token: Annotated[str, Field(min_length=1, max_length=1000)]
