"""Duplicates: found once for each state of the gallery, kept or dismissed by people."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from cbir.duplicates import Group
from cbir.server.duplicate_search import SearchProgress
from cbir.server.problem import documented
from cbir.server.query import described, options_of
from cbir.server.routes.responses import json_response
from cbir.server.schemas.base import Image
from cbir.server.schemas.duplicates import (
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
        202: {"model": ProgressResponse, "description": "They are being looked for; ask again"},
        **documented(422),
    },
    openapi_extra=described(DuplicatesQuery),
)
async def duplicates(request: Request) -> Response:
    """Groups of images that are copies of one another, each with the one to keep."""
    service, asked = service_of(request), options_of(request, DuplicatesQuery)

    def work() -> Response:
        known = service.duplicate_search.ask(verify=asked.verify)
        if isinstance(known, SearchProgress):
            progress = ProgressResponse(stage=known.stage, done=known.done, total=known.total)
            return json_response(progress, status=202)
        found = known.duplicates
        page = found.page(asked.offset, asked.limit)
        groups = [shown for group in page if (shown := _group(service, group)) is not None]
        return json_response(
            DuplicatesResponse.model_construct(
                total=len(found.groups),
                redundant=found.redundant,
                bytes_saved=found.bytes_saved,
                current=known.current,
                failed=len(found.failed),
                groups=groups,
            )
        )

    return await service.quick.run(work)


@router.post(
    "/duplicates/dismissals", response_model=DismissResponse, responses=documented(415, 422)
)
async def dismiss(request: Request, dismissal: DismissRequest) -> Response:
    """Say that pairs of images are no duplicates, or with `undo` that they may be."""
    service = service_of(request)
    pairs = [(first, second) for first, second in dismissal.pairs]

    def work() -> Response:
        catalog = service.gallery.catalog
        changed = catalog.undismiss(pairs) if dismissal.undo else catalog.dismiss(pairs)
        return json_response(DismissResponse(pairs=changed))

    return await service.writes.run(work)


def _group(service: Service, group: Group) -> DuplicateGroup | None:
    """A group as it is now: without images that have left; None where no two are left."""
    there = service.gallery.catalog.records([image.id for image in group.images])
    left = [there[image.id] for image in group.images if image.id in there]
    if len(left) < 2:
        return None
    keeper, *others = left
    return DuplicateGroup.model_construct(
        keeper=Image.of(keeper),
        others=[Image.of(image) for image in others],
        kinds=list(group.kinds),
        bytes_saved=sum(image.size for image in others),
        evidence=[
            DuplicateEvidence(
                first=one.first,
                second=one.second,
                kind=one.kind,
                similarity=one.similarity,
                bits=one.bits,
                inliers=one.inliers,
                form=one.form,
            )
            for one in group.evidence
            if one.first in there and one.second in there
        ],
    )
