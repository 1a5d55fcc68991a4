"""Recommendations for one image."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from cbir.recommendation import recommend
from cbir.server.problem import documented
from cbir.server.query import described, options_of
from cbir.server.routes.responses import json_response
from cbir.server.schemas.base import MAX_ID, Image
from cbir.server.schemas.recommendations import (
    RecommendationsResponse,
    RecommendedImage,
    RecommendQuery,
)
from cbir.server.service import service_of

router = APIRouter(tags=["recommendations"])


@router.get(
    "/images/{image_id}/recommendations",
    response_model=RecommendationsResponse,
    responses=documented(404, 422),
    openapi_extra=described(RecommendQuery),
)
async def recommendations(
    request: Request, image_id: Annotated[int, Path(ge=1, le=MAX_ID)]
) -> Response:
    """Images recommended for an image of the gallery, by similarity and by rules."""
    service, rules = service_of(request), options_of(request, RecommendQuery).rules()

    def work() -> Response:
        item = service.gallery.image(image_id)
        recommended = recommend(service.gallery, image_id, rules)
        where = rules.where
        return json_response(
            RecommendationsResponse.model_construct(
                item=Image.of(item),
                recommendations=[RecommendedImage.of(image) for image in recommended],
                notes=[] if where is None else list(service.gallery.catalog.filter_notes(where)),
            )
        )

    return await service.quick.run(work)
