"""Builds the ASGI application: routes, error responses and middleware."""

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
from cbir.server.root_path import RootPath
from cbir.server.routes import duplicates, gallery, health, images, recommendations, search
from cbir.server.service import Service
from cbir.server.settings import Settings

__all__ = ["build_app"]

API = "/api/v1"
SPOOL_BYTES = 8_000_000
"""Uploads up to this size are not written to a temporary file: for one of 4 MB that costs 8 ms of
processor time and saves no memory, since every query is read whole in the end."""


def build_app(settings: Settings) -> FastAPI:
    """The application that serves one gallery, opened and warmed up when the server starts.

    `app.state.open()` opens it earlier, and raises the error if that fails.
    """
    metrics = Metrics()
    MultiPartParser.spool_max_size = SPOOL_BYTES

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
        # Both pages would load scripts from other hosts.
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
    if settings.root_path:
        app.add_middleware(RootPath, root=settings.root_path)
    _complete_openapi(app, settings.root_path)
    return app


def _complete_openapi(app: FastAPI, root: str) -> None:
    """Add to the OpenAPI description what all routes share: problems, the token, the root path."""
    generate = app.openapi

    def complete() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = generate()
            schemas = schema.setdefault("components", {}).setdefault("schemas", {})
            schemas["ProblemDetails"] = ProblemDetails.model_json_schema()
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            schema["components"]["securitySchemes"] = {
                "token": {"type": "http", "scheme": "bearer"}
            }
            schema["security"] = [{}, {"token": []}]
            if root:
                schema["servers"] = [{"url": root}]
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = complete  # type: ignore[method-assign]
