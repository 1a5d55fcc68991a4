"""A client of `cbir serve` that speaks in the library's own values.

>>> from cbir.client import Client
>>> with Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
...     for hit in client.search("mug.jpg", k=3, where=["price<20"]).hits:
...         print(hit.rank, hit.similarity, hit.image.name)

An image's `uri` is the address of its file at the server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from cbir import errors
from cbir.errors import CbirError, ImageError, MissingExtraError
from cbir.metadata import Facet
from cbir.recommendation.rules import Recommendation
from cbir.types import Confidence, Hit, ImageRecord, RerankScore, SearchResult

if TYPE_CHECKING:
    from types import TracebackType

    import httpx
    from PIL.Image import Image

__all__ = ["BusyError", "Client", "Query"]

Query: TypeAlias = "str | PathLike[str] | bytes | Image | int"
"""A file, an encoded image, a Pillow image, or the id of an image of the gallery."""

Combine = Literal["mean", "best"]
TIMEOUT_S = 60.0
API = "/api/v1"


class BusyError(CbirError):
    """The server has too much to do, or cannot use its gallery now."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """When to come again, in seconds."""


class Client:
    """One server. Methods raise what the library raises, and BusyError for a 503.

    A server that cannot be reached, or wants another token, is a CbirError.
    """

    def __init__(
        self, url: str, *, token: str | None = None, http: httpx.Client | None = None
    ) -> None:
        """`http` asks in the place of a new one. Raises MissingExtraError without httpx."""
        try:
            import httpx
        except ImportError as error:
            raise MissingExtraError(
                "the client needs httpx; pip install 'cbir[client]' brings it"
            ) from error
        self._url = url.rstrip("/")
        self._http = http or httpx.Client(timeout=TIMEOUT_S)
        self._errors: type[Exception] = httpx.HTTPError
        self._headers = {"X-Requested-With": "cbir"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    def search(
        self,
        query: Query | Sequence[Query],
        *,
        k: int = 10,
        offset: int = 0,
        where: Sequence[str] = (),
        unwanted: Sequence[Query] = (),
        combine: Combine = "mean",
        crop: tuple[float, float, float, float] | None = None,
        min_similarity: float | None = None,
        matches_only: bool = False,
        group_by: str | None = None,
        max_per_group: int = 1,
        exact: bool = False,
        rerank: str | None = None,
        depth: int = 50,
    ) -> SearchResult:
        """As `Retriever.search`; `where` are conditions as text, `rerank` is a method's name."""
        wanted: list[Query] = list(query) if isinstance(query, (list, tuple)) else [query]  # type: ignore[list-item]
        asked: dict[str, Any] = {
            "ids": [one for one in wanted if isinstance(one, int)],
            "unwanted_ids": [one for one in unwanted if isinstance(one, int)],
            "k": k,
            "offset": offset,
            "where": list(where),
            "combine": combine,
            "crop": crop,
            "min_similarity": min_similarity,
            "matches_only": matches_only,
            "group_by": group_by,
            "max_per_group": max_per_group,
            "exact": exact,
            "rerank": rerank,
            "depth": depth,
        }
        files = [("image", _file(one)) for one in wanted if not isinstance(one, int)]
        files += [("unwanted_image", _file(one)) for one in unwanted if not isinstance(one, int)]
        if files:
            form = {"options": json.dumps(asked)}
            return self._result(self._ask("POST", "/search/upload", files=files, data=form))
        return self._result(self._ask("POST", "/search", json=asked))

    def recommend(self, image_id: int, **rules: Any) -> tuple[Recommendation, ...]:
        """As `cbir.recommendation.recommend`, the rules being named as in `Rules`."""
        answer = self._ask("GET", f"/images/{image_id}/recommendations", params=rules)
        return tuple(
            Recommendation(one["rank"], self._record(one["image"]), one["similarity"], one["score"])
            for one in answer["recommendations"]
        )

    def matches(self, query: Query, image_id: int, *, method: str = "sift") -> dict[str, Any]:
        """Why an image is a hit: verified matches between it and a query, as the server has it."""
        if isinstance(query, int):
            asked = {"query_id": query, "method": method}
            found = self._ask("GET", f"/images/{image_id}/matches", params=asked)
        else:
            form = {"image_id": str(image_id), "method": method}
            upload = [("image", _file(query))]
            found = self._ask("POST", "/search/matches", files=upload, data=form)
        return dict(found)

    def duplicates(
        self, *, verify: bool = False, limit: int = 50, offset: int = 0
    ) -> dict[str, Any] | None:
        """A page of the groups of duplicates, as the server has it; None while it looks."""
        asked = {"verify": verify, "limit": limit, "offset": offset}
        response = self._send("GET", "/duplicates", params=asked)
        return None if response.status_code == 202 else dict(response.json())

    def dismiss(self, pairs: Sequence[tuple[int, int]], *, undo: bool = False) -> int:
        """Say that pairs of images are no duplicates; how many were not known to be."""
        asked = {"pairs": [list(pair) for pair in pairs], "undo": undo}
        return int(self._ask("POST", "/duplicates/dismissals", json=asked)["pairs"])

    def image(self, image_id: int) -> ImageRecord:
        """One image. Raises NotFoundError."""
        return self._record(self._ask("GET", f"/images/{image_id}"))

    def images(
        self, *, limit: int = 50, offset: int = 0, where: Sequence[str] = (), sample: bool = False
    ) -> list[ImageRecord]:
        """A page of the images in the order of their ids, or some at random."""
        asked = {"limit": limit, "offset": offset, "where": list(where), "sample": sample}
        return [self._record(one) for one in self._ask("GET", "/images", params=asked)["images"]]

    def read(self, image_id: int) -> bytes:
        """The encoded image. Raises NotFoundError."""
        return self._send("GET", f"/images/{image_id}/file").content

    def thumbnail(self, image_id: int, *, size: int = 320) -> bytes:
        """A JPEG of at most 160, 320, 640 or 1280 pixels. Raises NotFoundError."""
        return self._send("GET", f"/images/{image_id}/thumbnail", params={"size": size}).content

    def add(
        self, image: Query, *, name: str = "", metadata: Mapping[str, Any] | None = None
    ) -> ImageRecord:
        """Add an image; one that is there already is described anew. Raises ImageError."""
        form = {"metadata": json.dumps(dict(metadata or {})), "name": name}
        return self._record(
            self._ask("POST", "/images", files=[("image", _file(image))], data=form)
        )

    def update(self, image_id: int, metadata: Mapping[str, Any]) -> ImageRecord:
        """Change fields of an image's metadata; None takes one away. Raises NotFoundError."""
        change = {"metadata": dict(metadata)}
        return self._record(self._ask("PATCH", f"/images/{image_id}", json=change))

    def remove(self, image_id: int) -> None:
        """Take an image out of the gallery. Raises NotFoundError."""
        self._send("DELETE", f"/images/{image_id}")

    def fields(self) -> list[Facet]:
        """What the fields of the metadata hold, counted."""
        return [
            Facet(
                name=one["name"],
                type=one["type"],
                count=one["count"],
                distinct=one["distinct"],
                values=tuple((value["value"], value["count"]) for value in one["values"]),
                least=one["least"],
                greatest=one["greatest"],
                histogram=tuple((bar["least"], bar["count"]) for bar in one["histogram"]),
            )
            for one in self._ask("GET", "/fields")["fields"]
        ]

    def gallery(self) -> dict[str, Any]:
        """What is served: name, images, generation, index, backbone and so on."""
        return dict(self._ask("GET", "/gallery"))

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, method: str, path: str, **content: Any) -> Any:
        return self._send(method, path, **content).json()

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            response = self._http.request(
                method, self._url + API + path, headers=self._headers, **content
            )
        except self._errors as error:
            raise CbirError(f"{self._url} does not answer: {error}") from error
        if response.is_success:
            return response
        raise _error(response)

    def _record(self, image: Mapping[str, Any]) -> ImageRecord:
        uri = self._url + image["file"]
        return ImageRecord(
            id=image["id"],
            uri=uri,
            name=image["name"],
            width=image["width"],
            height=image["height"],
            size=image["size"],
            metadata=image["metadata"],
            key=image["key"] or uri,
            content=image["content"],
        )

    def _result(self, answer: Mapping[str, Any]) -> SearchResult:
        hits = tuple(
            Hit(
                hit["rank"],
                self._record(hit["image"]),
                hit["similarity"],
                None if hit["rerank"] is None else RerankScore(**hit["rerank"]),
                region=None if hit["region"] is None else tuple(hit["region"]),
                confidence=None if hit["confidence"] is None else Confidence(**hit["confidence"]),
            )
            for hit in answer["hits"]
        )
        return SearchResult(
            answer["query"], hits, answer["timings_ms"], answer["reranked"], answer["matched"]
        )


def _file(query: Query) -> tuple[str, bytes]:
    """An image as a multipart file: its name and its bytes. Raises ImageError."""
    if isinstance(query, bytes):
        return "image", query
    if isinstance(query, (str, PathLike)):
        try:
            return Path(query).name, Path(query).read_bytes()
        except OSError as error:
            raise ImageError(f"{query}: cannot be read: {error.strerror}") from error
    if isinstance(query, int):
        raise TypeError(f"{query} is the id of an image, not an image")
    encoded = BytesIO()
    query.convert("RGB").save(encoded, "PNG", compress_level=1)
    return "image", encoded.getvalue()


def _error(response: httpx.Response) -> CbirError:
    """A problem as the library's own error."""
    try:
        problem = response.json()
        detail, kind = str(problem["detail"]), str(problem.get("type", ""))
    except (ValueError, KeyError, TypeError):
        return CbirError(f"{response.url} answers {response.status_code}")
    if response.status_code == 503:
        return BusyError(detail, float(response.headers.get("Retry-After", 1)))
    return _ERRORS.get(kind, CbirError)(detail)


_ERRORS: dict[str, type[CbirError]] = {
    f"urn:cbir:{name}": kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, CbirError)
}
"""The library's errors by the `type` of a problem."""
