"""Searching: by images of the gallery, by uploads, and why a hit is one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Path, Query, Request, UploadFile
from pydantic import ValidationError
from starlette.responses import Response

from cbir.filters import Filter
from cbir.retrieval import Crop
from cbir.server.explain import explain
from cbir.server.fetch import fetch
from cbir.server.problem import Problem, documented
from cbir.server.query import described, options_of
from cbir.server.routes.responses import json_response
from cbir.server.schemas.base import MAX_ID, ImageId
from cbir.server.schemas.conditions import where_of
from cbir.server.schemas.names import LocalFeaturesName
from cbir.server.schemas.search import (
    MatchesResponse,
    SearchOptions,
    SearchRequest,
    SearchResponse,
    SimilarQuery,
)
from cbir.server.service import Service, service_of

router = APIRouter(tags=["search"])

MOST_UPLOADS = 16

Id = Annotated[int, Path(ge=1, le=MAX_ID)]


@router.get(
    "/images/{image_id}/similar",
    response_model=SearchResponse,
    responses=documented(404, 422),
    openapi_extra=described(SimilarQuery),
)
async def similar(request: Request, image_id: Id) -> Response:
    """What looks like one image of the gallery."""
    options = options_of(request, SimilarQuery)
    where = where_of(options.where, options.filter)
    return await _answer(service_of(request), [image_id], options, where=where)


@router.post("/search", response_model=SearchResponse, responses=documented(404, 413, 415, 422))
async def search(request: Request, wanted: SearchRequest) -> Response:
    """What looks like images of the gallery, or like those at some addresses."""
    return await _search(service_of(request), wanted, [], [])


@router.post(
    "/search/upload", response_model=SearchResponse, responses=documented(404, 413, 415, 422)
)
async def search_by_upload(
    request: Request,
    image: Annotated[list[UploadFile], File(description="Images to search with.")] = [],  # noqa: B006
    unwanted_image: Annotated[
        list[UploadFile], File(description="Images that hits should not resemble.")
    ] = [],  # noqa: B006
    options: Annotated[
        str, Form(description="A SearchRequest as JSON; its `ids` are searched with, too.")
    ] = "{}",
) -> Response:
    """What looks like uploaded images, alone or together with images of the gallery."""
    wanted = _parsed(options)
    if len(image) + len(unwanted_image) > MOST_UPLOADS:
        raise Problem(422, f"more than {MOST_UPLOADS} uploads; choose fewer")
    return await _search(
        service_of(request), wanted, await _bytes_of(image), await _bytes_of(unwanted_image)
    )


@router.get(
    "/images/{image_id}/matches",
    response_model=MatchesResponse,
    responses=documented(404, 415, 422),
)
async def matches(
    request: Request,
    image_id: Id,
    query_id: Annotated[ImageId, Query(description="The image that was searched with.")],
    method: LocalFeaturesName = "sift",
) -> Response:
    """Why an image is a hit: the places that two images of the gallery verifiably share."""
    service = service_of(request)
    return json_response(
        await service.work.run(lambda: explain(service.gallery, query_id, image_id, method))
    )


@router.post(
    "/search/matches", response_model=MatchesResponse, responses=documented(404, 413, 415, 422)
)
async def matches_of_upload(
    request: Request,
    image: Annotated[UploadFile, File(description="The image that was searched with.")],
    image_id: Annotated[ImageId, Form(description="The hit.")],
    method: Annotated[LocalFeaturesName, Form()] = "sift",
    crop: Annotated[
        str, Form(description="x,y,width,height of the region that was searched with.")
    ] = "",
) -> Response:
    """The same between an uploaded image and one of the gallery."""
    service, data = service_of(request), await image.read()
    region = _crop_of(crop)
    return json_response(
        await service.work.run(
            lambda: explain(service.gallery, data, image_id, method, crop=region)
        )
    )


async def _search(
    service: Service, wanted: SearchRequest, images: Sequence[bytes], unwanted: Sequence[bytes]
) -> Response:
    where = where_of(wanted.where, wanted.filter)
    if wanted.urls and not service.settings.allow_fetch:
        raise Problem(422, "this server fetches no URLs; start it with --allow-fetch")
    if not (wanted.ids or wanted.urls or images):
        raise Problem(422, "nothing to search with; give ids or images")
    return await _answer(
        service,
        [*images, *wanted.ids],
        wanted,
        where=where,
        urls=wanted.urls,
        unwanted=[*unwanted, *wanted.unwanted_ids],
        combine=wanted.combine,
        crop=None if wanted.crop is None else tuple(wanted.crop),
    )


async def _answer(
    service: Service,
    queries: Sequence[int | bytes],
    options: SearchOptions,
    *,
    where: Filter | None,
    urls: Sequence[str] = (),
    unwanted: Sequence[int | bytes] = (),
    **further: Any,
) -> Response:
    def work() -> Response:
        fetched = [fetch(url, limit=service.settings.max_upload) for url in urls]
        with ExitStack() as stack:
            reranker = None
            if options.rerank is not None:
                shared = service.rerankers.use(options.rerank, options.depth)
                reranker = stack.enter_context(shared)
            result = service.retriever.search(
                [*queries, *fetched],
                k=options.k,
                offset=options.offset,
                where=where,
                unwanted=unwanted,
                min_similarity=options.min_similarity,
                matches_only=options.matches_only,
                group_by=options.group_by,
                max_per_group=options.max_per_group,
                exact=options.exact,
                rerank=reranker,
                **further,
            )
        timings.update(result.timings_ms)
        return json_response(SearchResponse.of(result))

    timings: dict[str, float] = {}
    stored = all(isinstance(query, int) for query in (*queries, *unwanted))
    quick = stored and not urls and options.rerank is None and further.get("crop") is None
    pool = service.quick if quick else service.work
    answer, queued = await pool.run(service.timed(work))
    service.metrics.stages(timings, queued_s=queued)
    return answer


def _parsed(options: str) -> SearchRequest:
    try:
        return SearchRequest.model_validate_json(options)
    except ValidationError as error:
        first = error.errors()[0]
        place = " ".join(str(part) for part in first["loc"])
        raise Problem(422, f"options {place}: {first['msg']}") from error


def _crop_of(text: str) -> Crop | None:
    if not text:
        return None
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError:
        raise Problem(422, "crop is no region; give x,y,width,height") from None
    return x, y, width, height


async def _bytes_of(uploads: Sequence[UploadFile]) -> list[bytes]:
    return [await upload.read() for upload in uploads]
