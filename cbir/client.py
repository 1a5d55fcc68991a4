"""HTTP client of `cbir serve` with the types of the library.

>>> from cbir.client import Client
>>> with Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
...     for hit in client.search("mug.jpg", k=3, where=["price<20"]).hits:
...         print(hit.rank, hit.similarity, hit.image.name)

An image's `uri` is the address of its file at the server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbir import errors
from cbir.errors import CbirError, ImageError, MissingExtraError
from cbir.filters import filter_tree, parse_where
from cbir.images import encode_lossless
from cbir.metadata import Facet
from cbir.recommendation.rules import Recommendation, Rules
from cbir.retrieval import FileQuery, IdQuery, QueryLike, SearchRequest, as_query
from cbir.retrieval.opened_query import read_query
from cbir.retrieval.request import takes_request
from cbir.types import Confidence, Hit, ImageRecord, RerankScore, SearchResult

if TYPE_CHECKING:
    import httpx

__all__ = ["BusyError", "Client"]

TIMEOUT_S = 60.0
API = "/api/v1"


class BusyError(CbirError):
    """The server is overloaded, or cannot use its gallery now."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """Seconds after which to try again."""


class Client:
    """A client of one server. Methods raise the library's errors, and BusyError for a 503.

    CbirError is raised when the server cannot be reached or needs another token.
    """

    def __init__(
        self, url: str, *, token: str | None = None, http: httpx.Client | None = None
    ) -> None:
        """`http` is used instead of a new HTTP client. Raises MissingExtraError without httpx."""
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

    @takes_request
    def search(self, request: SearchRequest) -> SearchResult:
        """As `Retriever.search`; `rerank` is the name of a reranker.

        Files and URLs are read here, and uploaded.
        """
        body = _changed(request)
        body["ids"] = [query.id for query in request.queries if isinstance(query, IdQuery)]
        body["unwanted_ids"] = [q.id for q in request.unwanted if isinstance(q, IdQuery)]
        files = [
            (name, _file(query))
            for name, queries in (("image", request.queries), ("unwanted_image", request.unwanted))
            for query in queries
            if not isinstance(query, IdQuery)
        ]
        if files:
            form = {"options": json.dumps(body)}
            return self._result(self._request("POST", "/search/upload", files=files, data=form))
        return self._result(self._request("POST", "/search", json=body))

    def recommend(
        self, image_id: int, rules: Rules | None = None, **changes: Any
    ) -> tuple[Recommendation, ...]:
        """As `cbir.recommendation.recommend`; `changes` are fields of `Rules` by name.

        `where` may also be conditions as text.
        """
        if isinstance(changes.get("where"), (list, tuple)):
            changes["where"] = parse_where(changes["where"]) if changes["where"] else None
        options = _changed(replace(rules or Rules(), **changes))
        if "filter" in options:
            options["filter"] = json.dumps(options["filter"])
        response = self._request("GET", f"/images/{image_id}/recommendations", params=options)
        return tuple(
            Recommendation(
                item["rank"], self._record(item["image"]), item["similarity"], item["score"]
            )
            for item in response["recommendations"]
        )

    def matches(self, query: QueryLike, image_id: int, *, method: str = "sift") -> dict[str, Any]:
        """The verified matches between a query and an image, as the server answers."""
        query = as_query(query)
        if isinstance(query, IdQuery):
            options = {"query_id": query.id, "method": method}
            matches = self._request("GET", f"/images/{image_id}/matches", params=options)
        else:
            form = {"image_id": str(image_id), "method": method}
            upload = [("image", _file(query))]
            matches = self._request("POST", "/search/matches", files=upload, data=form)
        return dict(matches)

    def duplicates(
        self, *, verify: bool = False, limit: int = 50, offset: int = 0
    ) -> dict[str, Any] | None:
        """A page of the groups of duplicates, as the server answers; None while it searches."""
        options = {"verify": verify, "limit": limit, "offset": offset}
        response = self._send("GET", "/duplicates", params=options)
        return None if response.status_code == 202 else dict(response.json())

    def dismiss(self, pairs: Sequence[tuple[int, int]], *, undo: bool = False) -> int:
        """Mark pairs of images as no duplicates; returns the number of pairs changed."""
        body = {"pairs": [list(pair) for pair in pairs], "undo": undo}
        return int(self._request("POST", "/duplicates/dismissals", json=body)["pairs"])

    def image(self, image_id: int) -> ImageRecord:
        """One image. Raises NotFoundError."""
        return self._record(self._request("GET", f"/images/{image_id}"))

    def images(
        self, *, limit: int = 50, offset: int = 0, where: Sequence[str] = (), sample: bool = False
    ) -> list[ImageRecord]:
        """A page of the images by id, or a random sample."""
        options = {"limit": limit, "offset": offset, "where": list(where), "sample": sample}
        images = self._request("GET", "/images", params=options)["images"]
        return [self._record(image) for image in images]

    def read(self, image_id: int) -> bytes:
        """The encoded image. Raises NotFoundError."""
        return self._send("GET", f"/images/{image_id}/file").content

    def thumbnail(self, image_id: int, *, size: int = 320) -> bytes:
        """A JPEG of at most 160, 320, 640 or 1280 pixels. Raises NotFoundError."""
        return self._send("GET", f"/images/{image_id}/thumbnail", params={"size": size}).content

    def add(
        self, image: QueryLike, *, name: str = "", metadata: Mapping[str, Any] | None = None
    ) -> ImageRecord:
        """Add an image, or replace its metadata if it was added before. Raises ImageError."""
        form = {"metadata": json.dumps(dict(metadata or {})), "name": name}
        return self._record(
            self._request("POST", "/images", files=[("image", _file(image))], data=form)
        )

    def update(self, image_id: int, metadata: Mapping[str, Any]) -> ImageRecord:
        """Change metadata fields of an image; None removes a field. Raises NotFoundError."""
        change = {"metadata": dict(metadata)}
        return self._record(self._request("PATCH", f"/images/{image_id}", json=change))

    def remove(self, image_id: int) -> None:
        """Remove an image from the gallery. Raises NotFoundError."""
        self._send("DELETE", f"/images/{image_id}")

    def fields(self) -> list[Facet]:
        """The metadata fields, with counts of their values."""
        return [
            Facet(
                name=field["name"],
                type=field["type"],
                count=field["count"],
                distinct=field["distinct"],
                values=tuple((value["value"], value["count"]) for value in field["values"]),
                least=field["least"],
                greatest=field["greatest"],
                histogram=tuple((bar["least"], bar["count"]) for bar in field["histogram"]),
            )
            for field in self._request("GET", "/fields")["fields"]
        ]

    def gallery(self) -> dict[str, Any]:
        """Properties of the gallery: name, images, generation, index, backbone and others."""
        return dict(self._request("GET", "/gallery"))

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _request(self, method: str, path: str, **content: Any) -> Any:
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
        # Without the path of a proxy, which the server's own address has already.
        uri = self._url + API + image["file"].partition(API)[2]
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

    def _result(self, response: Mapping[str, Any]) -> SearchResult:
        hits = tuple(
            Hit(
                hit["rank"],
                self._record(hit["image"]),
                hit["similarity"],
                None if hit["rerank"] is None else RerankScore(**hit["rerank"]),
                region=None if hit["region"] is None else tuple(hit["region"]),
                confidence=None if hit["confidence"] is None else Confidence(**hit["confidence"]),
            )
            for hit in response["hits"]
        )
        return SearchResult(
            response["query"],
            hits,
            response["timings_ms"],
            response["reranked"],
            response["matched"],
            tuple(response.get("notes", ())),
        )


def _changed(options: SearchRequest | Rules) -> dict[str, Any]:
    """The options that differ from their defaults, without queries, as the server takes them."""
    changed = {
        option.name: getattr(options, option.name)
        for option in fields(options)
        if option.name not in ("queries", "unwanted")
        and getattr(options, option.name) != option.default
    }
    if (where := changed.pop("where", None)) is not None:
        changed["filter"] = filter_tree(where)
    if not isinstance(changed.get("rerank", ""), str):
        raise errors.OptionError("a server opens its own rerankers; give the name of one")
    return changed


def _file(query: QueryLike) -> tuple[str, bytes]:
    """An image as a multipart file: its name and its bytes. Raises ImageError."""
    query = as_query(query)
    try:
        image = read_query(query)
    except ImageError as error:
        raise type(error)(f"{query}: {error}") from error
    name = Path(query.path).name if isinstance(query, FileQuery) else "image"
    return name, image if isinstance(image, bytes) else encode_lossless(image)


def _error(response: httpx.Response) -> CbirError:
    """The library's error for a problem response."""
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
