"""The gallery as a whole, and the fields of its metadata."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from cbir import __version__
from cbir.metadata import Facet
from cbir.reranking import RERANKERS
from cbir.server.problem import documented
from cbir.server.routes.responses import json_response
from cbir.server.schemas.gallery import (
    FieldFacet,
    FieldsResponse,
    FieldValue,
    GalleryResponse,
    HistogramBar,
    RerankerChoice,
)
from cbir.server.service import service_of

router = APIRouter(tags=["gallery"])


@router.get("/gallery", response_model=GalleryResponse, responses=documented())
async def gallery(request: Request) -> Response:
    """Size, embedding and index of the gallery, and what the server allows."""
    service = service_of(request)
    opened = service.gallery

    def work() -> Response:
        ready = service.refresher.ready.is_set()
        return json_response(
            GalleryResponse(
                name=opened.path.absolute().name,
                images=opened.count(),
                failed=len(opened.catalog.failures()),
                generation=opened.catalog.generation(),
                index=opened.image_index().kind if ready else "scan",
                backbone=opened.spec.backbone,
                dim=opened.spec.dim,
                fingerprint=opened.spec.fingerprint,
                whitened=opened.config.whitening is not None,
                runtime=service.embedder.describe(),
                fetches=service.settings.allow_fetch,
                rerankers=[
                    RerankerChoice(name=info.name, label=info.label) for info in RERANKERS.values()
                ],
                max_upload=service.settings.max_upload,
                version=__version__,
            )
        )

    return await service.quick.run(work)


@router.get("/fields", response_model=FieldsResponse, responses=documented())
async def fields(request: Request) -> Response:
    """The fields of the images' metadata, with their values counted."""
    service = service_of(request)

    def work() -> Response:
        facets = service.gallery.catalog.facets()
        return json_response(FieldsResponse.model_construct(fields=list(map(_field, facets))))

    return await service.quick.run(work)


def _field(facet: Facet) -> FieldFacet:
    return FieldFacet(
        name=facet.name,
        type=facet.type,
        count=facet.count,
        distinct=facet.distinct,
        least=facet.least,
        greatest=facet.greatest,
        values=[FieldValue(value=value, count=count) for value, count in facet.values],
        histogram=[HistogramBar(least=least, count=count) for least, count in facet.histogram],
    )
