"""Search by images of the gallery, by uploads and by URLs; the matches that verify a hit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

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
    responses=documented(404, 409, 422),
    openapi_extra=described(SimilarQuery),
)
async def similar(request: Request, image_id: Id) -> Response:
    """Search with one image of the gallery."""
    options = options_of(request, SimilarQuery)
    return await _respond(service_of(request), options, [image_id], where=options.condition())


@router.post(
    "/search", response_model=SearchResponse, responses=documented(404, 409, 413, 415, 422)
)
async def search(request: Request, body: SearchRequest) -> Response:
    """Search with images of the gallery, or with images at URLs."""
    return await _search(service_of(request), body, [], [])


@router.post(
    "/search/upload", response_model=SearchResponse, responses=documented(404, 409, 413, 415, 422)
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
    """Search with uploaded images, alone or together with images of the gallery."""
    body = _parsed(options)
    if len(image) + len(unwanted_image) > MOST_UPLOADS:
        raise Problem(422, f"more than {MOST_UPLOADS} uploads; choose fewer")
    return await _search(
        service_of(request), body, await _bytes_of(image), await _bytes_of(unwanted_image)
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
    """The verified matches between two images of the gallery."""
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
    """The verified matches between an uploaded image and one of the gallery."""
    service, data = service_of(request), await image.read()
    region = _crop_of(crop)
    return json_response(
        await service.work.run(
            lambda: explain(service.gallery, data, image_id, method, crop=region)
        )
    )


async def _search(
    service: Service, body: SearchRequest, images: Sequence[bytes], unwanted: Sequence[bytes]
) -> Response:
    if body.urls and not service.settings.allow_fetch:
        raise Problem(422, "this server fetches no URLs; start it with --allow-fetch")
    if not (body.ids or body.urls or images):
        raise Problem(422, "nothing to search with; give ids or images")
    return await _respond(
        service,
        body,
        [*images, *body.ids],
        urls=body.urls,
        unwanted=[*unwanted, *body.unwanted_ids],
        where=body.condition(),
    )


async def _respond(
    service: Service,
    options: SearchOptions,
    queries: Sequence[int | bytes],
    *,
    where: Filter | None,
    urls: Sequence[str] = (),
    unwanted: Sequence[int | bytes] = (),
) -> Response:
    if options.multi_crop and not service.gallery.config.regions:
        raise Problem(409, "the gallery has no regions; 'cbir index SOURCE --multi-crop' adds them")

    def work() -> Response:
        fetched = [fetch(url, limit=service.settings.max_upload) for url in urls]
        request = options.to_request([*queries, *fetched], unwanted, where=where)
        result = service.retriever.search(request)
        timings.update(result.timings_ms)
        return json_response(SearchResponse.of(result))

    timings: dict[str, float] = {}
    stored = all(isinstance(query, int) for query in (*queries, *unwanted))
    whole = getattr(options, "crop", None) is None and not options.multi_crop
    quick = stored and whole and not urls and options.rerank is None
    pool = service.quick if quick else service.work
    response, queued = await pool.run(service.timed(work))
    service.metrics.stages(timings, queued_s=queued)
    return response


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
