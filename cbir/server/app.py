"""The application: routes, errors and the guard put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.formparsers import MultiPartParser
from starlette.middleware.cors import CORSMiddleware

from cbir import __version__
from cbir.server import page, problem
from cbir.server.guard import Guard
from cbir.server.metrics import Metrics
from cbir.server.problem import ProblemDetails
from cbir.server.routes import duplicates, gallery, health, images, recommendations, search
from cbir.server.service import Service
from cbir.server.settings import Settings

__all__ = ["build_app"]

API = "/api/v1"
IN_MEMORY = 8_000_000
"""Bytes of an upload that are not put into a temporary file meanwhile: that costs one of 4 MB
8 ms of processor time, and no memory is saved, since every query is read whole in the end."""


def build_app(settings: Settings) -> FastAPI:
    """The application over one gallery, which is opened and warmed up when it starts.

    `app.state.open()` does so ahead of that, and raises what stands in the way.
    """
    metrics = Metrics()
    MultiPartParser.spool_max_size = IN_MEMORY

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if app.state.service is None:
            open_gallery()
        try:
            yield
        finally:
            app.state.service.close()
            app.state.service = None

    def open_gallery() -> None:
        app.state.service = Service(settings, metrics)

    app = FastAPI(
        title="cbir",
        version=__version__,
        description="A search engine for images by their content.",
        openapi_url=f"{API}/openapi.json",
        # Both load their scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.service, app.state.open = None, open_gallery
    for module in (search, images, recommendations, duplicates, gallery, health):
        app.include_router(module.router, prefix=API)
    app.include_router(page.router)
    problem.install(app)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-Requested-With"],
            expose_headers=["ETag", "Retry-After"],
        )
    app.add_middleware(Guard, settings=settings, metrics=metrics)
    _describe(app)
    return app


def _describe(app: FastAPI) -> None:
    """Complete the OpenAPI description with what all routes have in common."""
    made = app.openapi

    def complete() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = made()
            schemas = schema.setdefault("components", {}).setdefault("schemas", {})
            schemas["ProblemDetails"] = ProblemDetails.model_json_schema()
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            schema["components"]["securitySchemes"] = {
                "token": {"type": "http", "scheme": "bearer"}
            }
            schema["security"] = [{}, {"token": []}]
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = complete  # type: ignore[method-assign]
