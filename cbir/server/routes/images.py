"""Images of the gallery: list, show, add, update and remove them."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, File, Form, Path, Query, Request, UploadFile
from starlette.responses import Response

from cbir.filters import And
from cbir.images import FORMATS, SIGNATURE_BYTES, sniff_format
from cbir.server.problem import Problem, documented
from cbir.server.query import described, options_of
from cbir.server.routes.responses import json_response
from cbir.server.schemas.base import MAX_ID, Image
from cbir.server.schemas.conditions import where_of
from cbir.server.schemas.gallery import ImagesResponse, ListQuery, MetadataUpdate
from cbir.server.schemas.metadata import checked_metadata, parse_metadata
from cbir.server.service import Service, service_of
from cbir.server.thumbnails import SIZES
from cbir.server.uploads import add_upload, delete_upload

router = APIRouter(tags=["images"])

Id = Annotated[int, Path(ge=1, le=MAX_ID)]

A_YEAR = 365 * 24 * 3600

_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "Not modified"},
}


@router.get(
    "/images",
    response_model=ImagesResponse,
    responses=documented(422),
    openapi_extra=described(ListQuery),
)
async def list_images(request: Request) -> Response:
    """List images in the order of their ids: a page, or a random sample."""
    service, options = service_of(request), options_of(request, ListQuery)
    where = where_of(options.where, options.filter)

    def work() -> Response:
        ids = service.gallery.catalog.matching(where or And(()))
        if options.sample:
            drawn = np.random.default_rng(options.seed).permutation(len(ids))[: options.limit]
            page = ids[drawn].tolist()
        else:
            page = ids[options.offset : options.offset + options.limit].tolist()
        records = service.gallery.catalog.records(page)
        images = [Image.of(records[image_id]) for image_id in page if image_id in records]
        return json_response(ImagesResponse.model_construct(total=len(ids), images=images))

    return await service.quick.run(work)


@router.get("/images/{image_id}", response_model=Image, responses=documented(404, 422))
async def image(request: Request, image_id: Id) -> Response:
    """One image by its id."""
    service = service_of(request)
    return json_response(Image.of(await service.quick.run(lambda: service.gallery.image(image_id))))


@router.get(
    "/images/{image_id}/file",
    response_class=Response,
    responses={**_BYTES, **documented(404, 415, 422)},
)
async def file(
    request: Request, image_id: Id, v: Annotated[str, Query(max_length=64)] = ""
) -> Response:
    """The image file, unchanged."""
    service = service_of(request)

    def work() -> Response:
        record, data, same = service.content_of(image_id)
        kind = sniff_format(data[:SIGNATURE_BYTES])
        if kind is None:
            raise Problem(404, f"the file of image {image_id} is not an image any more")
        if same and _client_has(request, record.content):
            return _unchanged(service, record.content, v)
        headers = _caching(service, record.content if same else "", v)
        return Response(data, headers=headers, media_type=FORMATS[kind].media_type)

    return await service.pictures.run(work)


@router.get(
    "/images/{image_id}/thumbnail",
    response_class=Response,
    responses={**_BYTES, **documented(404, 413, 415, 422)},
)
async def thumbnail(
    request: Request,
    image_id: Id,
    size: Annotated[int, Query(json_schema_extra={"enum": list(SIZES)})] = 320,
    v: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """A thumbnail: a JPEG whose longer side is at most `size` pixels."""
    service = service_of(request)
    if size not in SIZES:
        raise Problem(422, f"size is one of {', '.join(map(str, SIZES))}")

    def work() -> Response:
        content = service.gallery.image(image_id).content
        tag = f"{content}-{size}"
        if _client_has(request, tag):
            return _unchanged(service, tag, v)
        jpeg = service.thumbnails.get(content, size)
        if jpeg is None:
            _, data, same = service.content_of(image_id)
            if not same:  # changed since it was indexed: shown, but not cached
                from cbir.images import thumbnail_jpeg

                jpeg, tag = thumbnail_jpeg(data, max_side=size), ""
            else:
                jpeg = service.thumbnails.make(content, size, data)
        return Response(jpeg, headers=_caching(service, tag, v), media_type="image/jpeg")

    return await service.pictures.run(work)


@router.post(
    "/images",
    status_code=201,
    response_model=Image,
    responses={200: {"model": Image}, **documented(409, 413, 415, 422)},
)
async def add(
    request: Request,
    image: Annotated[UploadFile, File()],
    metadata: Annotated[str, Form(description="Metadata as a JSON object.")] = "{}",
    name: Annotated[str, Form(max_length=200, description="Display name.")] = "",
) -> Response:
    """Add an image (201). If the same file was uploaded before, its metadata is replaced (200)."""
    service = service_of(request)
    values = parse_metadata(metadata)
    data, display_name = await image.read(), name or image.filename or ""

    def work() -> Response:
        record, new = add_upload(
            service.gallery, service.embedder, data, name=display_name, metadata=values
        )
        service.gallery.update_indexes()
        return json_response(Image.of(record), status=201 if new else 200)

    return await service.writes.run(work)


@router.patch("/images/{image_id}", response_model=Image, responses=documented(404, 422))
async def update(request: Request, image_id: Id, change: MetadataUpdate) -> Response:
    """Change fields of an image's metadata, until its source is indexed again."""
    service = service_of(request)

    def work() -> Response:
        changes = checked_metadata(change.metadata)
        service.gallery.catalog.change_metadata(image_id, changes)
        return json_response(Image.of(service.gallery.image(image_id)))

    return await service.writes.run(work)


@router.delete("/images/{image_id}", status_code=204, responses=documented(404, 422))
async def remove(request: Request, image_id: Id) -> Response:
    """Remove an image from the gallery. The file of an uploaded image is deleted; others stay."""
    service = service_of(request)

    def work() -> Response:
        record = service.gallery.image(image_id)
        service.gallery.catalog.remove([image_id])
        delete_upload(service.gallery, record)
        service.gallery.update_indexes()
        return Response(status_code=204)

    return await service.writes.run(work)


def _client_has(request: Request, tag: str) -> bool:
    """Whether the client has this version already (If-None-Match)."""
    header = request.headers.get("if-none-match", "")
    return bool(tag) and f'"{tag}"' in (
        part.strip().removeprefix("W/") for part in header.split(",")
    )


def _unchanged(service: Service, tag: str, version: str) -> Response:
    return Response(status_code=304, headers=_caching(service, tag, version))


def _caching(service: Service, tag: str, version: str) -> dict[str, str]:
    """Headers for caching: a URL with the version of its content (`v=`) never changes."""
    if not tag:
        return {"Cache-Control": "no-store"}
    who = "public" if service.settings.token is None else "private"
    fixed = version and tag.startswith(version)
    how = f"{who}, max-age={A_YEAR}, immutable" if fixed else f"{who}, no-cache"
    return {"Cache-Control": how, "ETag": f'"{tag}"'}
