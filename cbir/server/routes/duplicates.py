"""Routes for groups of duplicates, and for pairs marked as no duplicates."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.responses import Response

from cbir.duplicates import AlikePair, Group
from cbir.duplicates.file_links import FileNames
from cbir.server.duplicate_search import SearchProgress
from cbir.server.problem import documented
from cbir.server.query import described, options_of
from cbir.server.routes.responses import json_response
from cbir.server.schemas.base import Image
from cbir.server.schemas.duplicates import (
    AlikeImages,
    DismissRequest,
    DismissResponse,
    DuplicateEvidence,
    DuplicateGroup,
    DuplicatesQuery,
    DuplicatesResponse,
    ProgressResponse,
)
from cbir.server.service import Service, service_of

router = APIRouter(tags=["duplicates"])


@router.get(
    "/duplicates",
    response_model=DuplicatesResponse,
    responses={
        202: {
            "model": ProgressResponse,
            "description": "The search is running; ask again",
        },
        **documented(422),
    },
    openapi_extra=described(DuplicatesQuery),
)
async def duplicates(request: Request) -> Response:
    """Groups of images that are copies of one another, each with the one to keep.

    The first request starts the search and is answered 202 until it has finished.
    """
    service, options = service_of(request), options_of(request, DuplicatesQuery)

    def work() -> Response:
        result = service.duplicate_search.result(verify=options.verify)
        if isinstance(result, SearchProgress):
            progress = ProgressResponse(stage=result.stage, done=result.done, total=result.total)
            return json_response(progress, status=202)
        duplicates = result.duplicates
        page = [_group(service, group) for group in duplicates.page(options.offset, options.limit)]
        groups = [group for group in page if group is not None]
        first_page = options.offset == 0
        return json_response(
            DuplicatesResponse.model_construct(
                total=len(duplicates.groups),
                redundant=duplicates.redundant,
                bytes_saved=duplicates.bytes_saved,
                current=result.current,
                failed=len(duplicates.failed),
                groups=groups,
                alike=_alike(service, duplicates.alike[: options.limit] if first_page else ()),
                alike_total=len(duplicates.alike),
            )
        )

    return await service.quick.run(work)


@router.post(
    "/duplicates/dismissals", response_model=DismissResponse, responses=documented(415, 422)
)
async def dismiss(request: Request, dismissal: DismissRequest) -> Response:
    """Mark pairs of images as not being duplicates, or with `undo` remove that mark."""
    service = service_of(request)
    pairs = [(first, second) for first, second in dismissal.pairs]

    def work() -> Response:
        catalog = service.gallery.catalog
        changed = catalog.undismiss(pairs) if dismissal.undo else catalog.dismiss(pairs)
        return json_response(DismissResponse(pairs=changed))

    return await service.writes.run(work)


def _alike(service: Service, pairs: Sequence[AlikePair]) -> list[AlikeImages]:
    """Pairs without those of which an image was removed meanwhile."""
    ids = [image.id for pair in pairs for image in (pair.first, pair.second)]
    present = service.gallery.catalog.records(ids)
    return [
        AlikeImages.model_construct(
            images=[Image.of(present[pair.first.id]), Image.of(present[pair.second.id])],
            reason=pair.reason,
        )
        for pair in pairs
        if pair.first.id in present and pair.second.id in present
    ]


def _group(service: Service, group: Group) -> DuplicateGroup | None:
    """A group without images removed meanwhile; None where fewer than two are left."""
    present = service.gallery.catalog.records([image.id for image in group.images])
    images = [present[image.id] for image in group.images if image.id in present]
    if len(images) < 2:
        return None
    keeper, *others = images
    return DuplicateGroup.model_construct(
        keeper=Image.of(keeper),
        others=[Image.of(image) for image in others],
        kinds=list(group.kinds),
        bytes_saved=FileNames(images).bytes_freed(others),
        evidence=[
            DuplicateEvidence(
                first=pair.first,
                second=pair.second,
                kind=pair.kind,
                similarity=pair.similarity,
                bits=pair.bits,
                inliers=pair.inliers,
                form=pair.form,
            )
            for pair in group.evidence
            if pair.first in present and pair.second in present
        ],
    )
